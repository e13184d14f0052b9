package fetch

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// decode unpacks everything. Whatever goes wrong must be an *Error.
func decode(t testing.TB, data, entry string, lim Limits) (string, *Error) {
	t.Helper()
	r, err := Decode(strings.NewReader(data), entry, lim)
	var out []byte
	if err == nil {
		out, err = io.ReadAll(r)
		if cerr := r.Close(); cerr != nil {
			t.Errorf("close: %v", cerr)
		}
		if _, rerr := r.Read(make([]byte, 1)); rerr == nil {
			t.Error("the closed reader reads on")
		}
	}
	if err == nil {
		return string(out), nil
	}
	e, ok := err.(*Error)
	if !ok {
		t.Fatalf("%T: %v, want an *Error", err, err)
	}
	return string(out), e
}

var packings = []string{formatGzip, formatZstd, formatBzip2, formatXz, formatZip}

func TestDecode(t *testing.T) {
	big := strings.Repeat("line of a list that is longer than any buffer\n", 100_000)
	multi := func(format string) string { return pack(t, format, list) + pack(t, format, list) }
	for _, c := range []struct{ name, data, want string }{
		{"plain", list, list},
		{"empty", "", ""},
		{"one byte", "x", "x"},
		{"looks like bzip2", "BZh9.example\nother.example\n", "BZh9.example\nother.example\n"},
		{"binary", "\x00\x01\x02", "\x00\x01\x02"},
		{"gzip", pack(t, formatGzip, list), list},
		{"gzip members", multi(formatGzip), list + list},
		{"gzip empty member", pack(t, formatGzip, "") + pack(t, formatGzip, list), list},
		{"gzip padded", pack(t, formatGzip, list) + strings.Repeat("\x00", 1000), list},
		{"gzip of nothing", pack(t, formatGzip, ""), ""},
		{"zstd", pack(t, formatZstd, list), list},
		{"zstd frames", multi(formatZstd), list + list},
		{"zstd skippable first", "\x5a\x2a\x4d\x18\x03\x00\x00\x00abc" + pack(t, formatZstd, list), list},
		{"bzip2", pack(t, formatBzip2, list), list},
		{"bzip2 streams", multi(formatBzip2), list + list},
		{"bzip2 of nothing", unbase64(t, bzip2Empty), ""},
		{"xz", pack(t, formatXz, list), list},
		{"xz -9", unbase64(t, xz9), list},
		{"xz streams", multi(formatXz), list + list},
		{"xz padded", pack(t, formatXz, list) + "\x00\x00\x00\x00\x00\x00\x00\x00" + pack(t, formatXz, list) + "\x00\x00\x00\x00", list + list},
		{"zip", pack(t, formatZip, list), list},
		{"big gzip", pack(t, formatGzip, big), big},
		{"big zstd", pack(t, formatZstd, big), big},
		{"big xz", pack(t, formatXz, big), big},
		{"big zip", pack(t, formatZip, big), big},
		{"gzip in gzip", pack(t, formatGzip, pack(t, formatGzip, list)), list},
		{"gzip in zip", zipOf(t, "list.csv.gz", pack(t, formatGzip, list)), list},
		{"zip in gzip", pack(t, formatGzip, pack(t, formatZip, list)), list},
		{"zip in zip", zipOf(t, "list.zip", pack(t, formatZip, list)), list},
		{"xz in zstd", pack(t, formatZstd, pack(t, formatXz, list)), list},
	} {
		if got, e := decode(t, c.data, "", Limits{MaxRatio: 10_000}); e != nil || got != c.want {
			t.Errorf("%s: %d bytes %.60q, %v", c.name, len(got), got, e)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	nested := func(format string, n int) string {
		data := list
		for range n {
			data = pack(t, formatGzip, data)
		}
		return pack(t, format, data)
	}
	for _, c := range []struct{ name, data, entry, code, says string }{
		{"gzip thrice", nested(formatGzip, 2), "", CodeNested, "more than 2 times"},
		{"zip of gzip of gzip", nested(formatZip, 2), "", CodeNested, ""},
		{"gzip trailer", pack(t, formatGzip, list) + "more and more", "", CodeCorrupt, "damaged"},
		{"gzip second header", pack(t, formatGzip, list) + "\x1f\x8b", "", CodeTruncated, ""},
		{"gzip zeros and more", pack(t, formatGzip, list) + "\x00\x00more", "", CodeCorrupt, "data after the end"},
		{"gzip alone", "\x1f\x8b\x08", "", CodeTruncated, "before its end"},
		{"zstd -22 --long=27", unbase64(t, zstd22), "", CodeTooLarge, "window of more than 32 MiB"},
		{"zstd alone", "\x28\xb5\x2f\xfd", "", CodeTruncated, ""},
		{"xz trailer", pack(t, formatXz, list) + "more and more", "", CodeCorrupt, "data after the end"},
		{"xz with BCJ", unbase64(t, xzBCJ), "", CodeUnsupported, "filter"},
		{"7z", "7z\xbc\xaf\x27\x1c\x00\x04", "", CodeUnsupported, "a 7z archive"},
		{"rar", "Rar!\x1a\x07\x01\x00", "", CodeUnsupported, "a RAR archive"},
		{"tar", strings.Repeat("\x00", 257) + "ustar\x0000", "", CodeUnsupported, "a tar archive"},
		{"tar.gz", pack(t, formatGzip, "name"+strings.Repeat("\x00", 253)+"ustar  \x00"), "", CodeUnsupported, "a tar archive"},
		{"zip encrypted", unbase64(t, zipLocked), "", CodeEncrypted, "list.txt"},
		{"zip method", method(t, 14), "", CodeUnsupported, "method 14"},
		{"zip empty", zipOf(t), "", CodeNoEntry, "holds no file"},
		{"zip folders", zipOf(t, "a/", "", "a/b/", ""), "", CodeNoEntry, "holds no file"},
		{"zip entry", zipOf(t, "a.txt", "a", "b.txt", "b"), "c.txt", CodeNoEntry, `"a.txt", "b.txt"`},
		{"zip cut", pack(t, formatZip, list)[:60], "", CodeCorrupt, "damaged or cut short"},
	} {
		_, e := decode(t, c.data, c.entry, Limits{})
		if e == nil || e.Code != c.code || !strings.Contains(e.Error(), c.says) || !e.Permanent || e.URL != "" || e.Attempts != 0 {
			t.Errorf("%s: %v, want code %s and %q", c.name, e, c.code, c.says)
		}
	}
}

// method is an archive whose only entry claims a compression method.
func method(t testing.TB, n uint16) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&zip.FileHeader{Name: "list.txt", Method: n, CompressedSize64: 4, UncompressedSize64: 4})
	if err == nil {
		_, err = io.WriteString(w, "data")
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestZipEntries(t *testing.T) {
	archive := zipOf(t,
		"README.txt", strings.Repeat("readme ", 100),
		"docs/manual.pdf", strings.Repeat("pdf", 1000),
		"data/small.csv", "small",
		"data/large.csv", "large data",
		"data/other.txt", "other data",
		"__MACOSX/data/._large.csv", strings.Repeat("mac", 5000),
		".hidden", strings.Repeat("dot", 5000),
		"data/", "",
		"../../evil.json", "evil",
		`win\path\list.tsv`, "windows")
	for entry, want := range map[string]string{
		"":                  "large data", // as long as other.txt, but first by name
		"data/small.csv":    "small",
		"small.csv":         "small",
		"*.csv":             "large data",
		"data/*.txt":        "other data",
		"s*":                "small",
		"../../evil.json":   "evil",
		"win/path/list.tsv": "windows",
		"list.tsv":          "windows",
		"README.txt":        strings.Repeat("readme ", 100),
		"*.pdf":             strings.Repeat("pdf", 1000),
	} {
		if got, e := decode(t, archive, entry, Limits{}); e != nil || got != want {
			t.Errorf("entry %q: %.40q, %v, want %q", entry, got, e, want)
		}
	}
	for _, entry := range []string{"nothing", ".hidden", "*.exe", "[", "data", "data/"} {
		_, e := decode(t, archive, entry, Limits{})
		wantCode(t, entry, e, CodeNoEntry)
	}
	for _, only := range []string{"README.md", "report.pdf"} {
		if got, e := decode(t, zipOf(t, only, list), "", Limits{}); e != nil || got != list {
			t.Errorf("only %s: %q, %v", only, got, e)
		}
	}
}

// TestCutAnywhere: data that ends early never passes for whole.
func TestCutAnywhere(t *testing.T) {
	for _, format := range packings {
		whole := pack(t, format, list)
		for n := range len(whole) {
			if sniff([]byte(whole[:n])) == "" {
				continue
			}
			if got, e := decode(t, whole[:n], "", Limits{}); e == nil {
				t.Errorf("%s cut to %d of %d bytes unpacks to %q", format, n, len(whole), got)
			}
		}
	}
}

// TestFlipAnywhere: a wrong bit gives an error, or no harm, but never other data.
func TestFlipAnywhere(t *testing.T) {
	for _, format := range packings {
		whole := []byte(pack(t, format, list))
		for bit := range len(whole) * 8 {
			bad := bytes.Clone(whole)
			bad[bit/8] ^= 1 << (bit % 8)
			if sniff(bad) != format {
				continue
			}
			if got, e := decode(t, string(bad), "", Limits{}); e == nil && got != list {
				t.Errorf("%s with bit %d flipped unpacks to %q", format, bit, got)
			}
		}
	}
}

// flaky fails after some bytes.
type flaky struct {
	*strings.Reader
	left int
}

func (f *flaky) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, errTest
	}
	n, err := f.Reader.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

func (f *flaky) ReadAt(p []byte, off int64) (int, error) {
	if f.left -= len(p); f.left <= 0 {
		return 0, errTest
	}
	return f.Reader.ReadAt(p, off)
}

// TestSourceErrors: a disk that fails is not taken for damaged data.
func TestSourceErrors(t *testing.T) {
	big := noise(300 << 10)
	for _, format := range []string{"plain", formatGzip, formatZstd, formatXz, formatZip} {
		data := big
		if format != "plain" {
			data = pack(t, format, big)
		}
		for _, left := range []int{0, 100, 70 << 10, 150 << 10} {
			r, err := Decode(&flaky{strings.NewReader(data), left}, "", Limits{})
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				r.Close()
			}
			e, _ := err.(*Error)
			wantCode(t, fmt.Sprint(format, left), e, CodeDisk)
			if !errors.Is(err, errTest) {
				t.Errorf("%s %d: %v does not wrap the cause", format, left, err)
			}
		}
	}
}

// seeker has no ReadAt.
type seeker struct{ io.ReadSeeker }

func TestDecodeWithoutReaderAt(t *testing.T) {
	for _, format := range packings {
		f := seeker{strings.NewReader(pack(t, format, list))}
		if _, err := f.Seek(5, io.SeekStart); err != nil { // it is read from its start nevertheless
			t.Fatal(err)
		}
		r, err := Decode(f, "", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != list {
			t.Errorf("%s: %q, %v", format, got, err)
		}
		r.Close()
	}
}

func FuzzDecode(f *testing.F) {
	for _, format := range packings {
		f.Add([]byte(pack(f, format, list)), "")
		f.Add([]byte(pack(f, formatGzip, pack(f, format, list))), "*.txt")
	}
	for _, s := range []string{bzip2Bomb, xz9, xzBCJ, zstd22, zipLocked} {
		f.Add([]byte(unbase64(f, s)), "list.txt")
	}
	f.Add([]byte(list), "")
	lim := Limits{MaxBytes: 2 << 20, MaxRatio: 50, MaxEntries: 50}
	f.Fuzz(func(t *testing.T, data []byte, entry string) {
		r, err := Decode(bytes.NewReader(data), entry, lim)
		var n int64
		if err == nil {
			defer r.Close()
			n, err = io.Copy(io.Discard, r)
		}
		if e, ok := err.(*Error); err != nil && (!ok || e.Code == "" || e.Detail == "") {
			t.Errorf("%T %v", err, err)
		}
		if n > lim.MaxBytes+2*bufferSize {
			t.Errorf("%d bytes came out", n)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var s strings.Builder
	for i := range 400_000 {
		fmt.Fprintf(&s, "%d.%d.%d.%d\n", 1+i*7%223, i*31%256, i*17%256, i%256)
	}
	plain := s.String()
	for _, format := range append([]string{"plain"}, packings...) {
		data := plain
		switch format {
		case "plain":
		case formatBzip2:
			cmd := exec.Command("bzip2")
			cmd.Stdin = strings.NewReader(plain)
			out, err := cmd.Output()
			if err != nil {
				b.Log("no bzip2 program: ", err)
				continue
			}
			data = string(out)
		default:
			data = pack(b, format, plain)
		}
		b.Run(format, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := Decode(strings.NewReader(data), "", Limits{})
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r); err != nil || n != int64(len(plain)) {
					b.Fatal(n, err)
				}
				r.Close()
			}
		})
	}
}

// TestSamples unpacks every packed sample of real feeds.
func TestSamples(t *testing.T) {
	root, ok := os.LookupEnv("EI_SAMPLES")
	if !ok {
		t.Log("EI_SAMPLES is not set: only the samples in this file are tested")
		return
	}
	testSamples(t, os.DirFS(root+"/feeds"))
}
