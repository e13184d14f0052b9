package fetch

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestLimits(t *testing.T) {
	half := strings.Repeat("x", 1<<19)
	for _, format := range []string{"plain", formatGzip, formatZstd, formatXz, formatZip} {
		data := half
		if format != "plain" {
			data = pack(t, format, half)
		}
		if got, e := decode(t, data, "", Limits{MaxBytes: 1 << 19, MaxRatio: 1}); e != nil || len(got) != 1<<19 {
			t.Errorf("%s as large as allowed: %d bytes, %v", format, len(got), e)
		}
		_, e := decode(t, data, "", Limits{MaxBytes: 1<<19 - 1})
		wantCode(t, format+" a byte larger", e, CodeTooLarge)
	}
	var many []string
	for i := range 4000 {
		many = append(many, fmt.Sprint(i), "")
	}
	_, e := decode(t, zipOf(t, many[:40]...), "", Limits{MaxEntries: 10})
	wantCode(t, "20 of 10 entries", e, CodeTooLarge)
	_, e = decode(t, zipOf(t, many...), "", Limits{MaxEntries: 10})
	wantCode(t, "4,000 of 10 entries", e, CodeTooLarge)
	if _, e := decode(t, zipOf(t, many[:20]...), "", Limits{MaxEntries: 10}); e != nil {
		t.Errorf("10 of 10 entries: %v", e)
	}
}

// noise is n bytes that do not compress.
func noise(n int) string {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return string(b)
}

// TestBombs: what unpacks to far more than it is ends early, in bounded memory.
func TestBombs(t *testing.T) {
	zeros := strings.Repeat("\x00", 8<<20)
	gz := pack(t, formatGzip, zeros)
	bombs := map[string]string{
		"gzip":           gz,
		"gzip members":   strings.Repeat(pack(t, formatGzip, zeros[:2<<20]), 50),
		"zstd":           pack(t, formatZstd, zeros),
		"bzip2":          unbase64(t, bzip2Bomb),
		"xz":             pack(t, formatXz, zeros[:4<<20]),
		"zip":            pack(t, formatZip, zeros),
		"gzip in gzip":   pack(t, formatGzip, gz),
		"gzip in zip":    pack(t, formatZip, gz),
		"zip in gzip":    pack(t, formatGzip, pack(t, formatZip, zeros)),
		"bzip2 in bzip2": pack(t, formatGzip, unbase64(t, bzip2Bomb)),
	}
	for name, bomb := range bombs {
		var e *Error
		peak := peakMemory(t, func(sample func()) { e = drain(t, bomb, Limits{}, sample) })
		wantCode(t, name, e, CodeRatio)
		if peak > 32<<20 {
			t.Errorf("%s: %d MiB of memory", name, peak>>20)
		}
	}
	for name, bomb := range map[string]string{
		"zstd window":      "\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00", // 256 MiB
		"zstd huge window": "\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00",
		"xz dictionary":    xzHeader(t, 40), // 4 GiB
		"xz 96 MiB":        xzHeader(t, 29),
		"large zip inside": pack(t, formatGzip, "PK\x03\x04"+strings.Repeat("\x00", maxInner)),
	} {
		var e *Error
		peak := peakMemory(t, func(sample func()) { e = drain(t, bomb, Limits{MaxRatio: 1 << 30}, sample) })
		wantCode(t, name, e, CodeTooLarge)
		if peak > 32<<20 {
			t.Errorf("%s: %d MiB of memory", name, peak>>20)
		}
	}
}

// drain reads all that data unpacks to and keeps nothing.
func drain(t *testing.T, data string, lim Limits, sample func()) *Error {
	t.Helper()
	r, err := Decode(strings.NewReader(data), "", lim)
	if err == nil {
		defer r.Close()
		buf := make([]byte, 256<<10)
		for n := 0; err == nil; n++ {
			_, err = r.Read(buf)
			if n%64 == 0 {
				sample()
			}
		}
	}
	sample()
	e, _ := err.(*Error)
	return e
}

// peakMemory is how far the heap grew at the samples that f takes.
func peakMemory(t *testing.T, f func(sample func())) uint64 {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	base, peak := m.HeapAlloc, uint64(0)
	f(func() {
		runtime.ReadMemStats(&m)
		if m.HeapAlloc > base {
			peak = max(peak, m.HeapAlloc-base)
		}
	})
	return peak
}
