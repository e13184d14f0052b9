package table

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func row(first, last, country string) Row {
	return Row{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last), Country: country}
}

func sample() []Row {
	a := row("203.0.113.0", "203.0.113.255", "NZ")
	a.Registry, a.Allocated = "apnic", "1996-03-04T00:00:00Z"
	b := row("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "")
	b.ASN, b.ASName, b.Org = 64496, "EXAMPLE-AS", "Example Ltd"
	c := row("0.0.0.0", "255.255.255.255", "NZ") // before the one before it
	c.Allocated = "1970-01-01T00:00:00Z"
	return []Row{a, b, c, row("255.255.255.255", "255.255.255.255", "FR")}
}

func write(t testing.TB, rows ...Row) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, Meta{Feed: "sample", Made: time.Unix(1.8e9, 0).UTC()}, slices.Values(rows)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRowsComeBack(t *testing.T) {
	data := write(t, sample()...)
	m, rows, err := Read(data)
	if err != nil || m != (Meta{"sample", time.Unix(1.8e9, 0).UTC(), 4}) {
		t.Fatalf("%+v, %v", m, err)
	}
	for range 2 { // the sequence can be read again
		if got := slices.Collect(rows); !slices.Equal(got, sample()) {
			t.Errorf("got %+v", got)
		}
	}
	if again := write(t, sample()...); !bytes.Equal(again, data) {
		t.Error("the same rows made other bytes")
	}
}

func TestWriteRefuses(t *testing.T) {
	mixed := row("203.0.113.0", "203.0.113.1", "")
	mixed.Last = netip.MustParseAddr("2001:db8::")
	long := row("203.0.113.0", "203.0.113.1", "")
	long.Org = strings.Repeat("x", maxText+1)
	for name, r := range map[string]Row{"backwards": row("203.0.113.2", "203.0.113.1", ""), "families": mixed, "nothing": {}, "long": long} {
		if err := Write(&bytes.Buffer{}, Meta{}, slices.Values([]Row{r})); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// TestDamage flips every byte and cuts the table everywhere.
func TestDamage(t *testing.T) {
	data := write(t, sample()...)
	for i := range data {
		bad := slices.Clone(data)
		bad[i] ^= 0x41
		if _, _, err := Read(bad); err == nil {
			t.Fatalf("byte %d changed: read", i)
		}
		if _, _, err := Read(data[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	newer := slices.Clone(data)
	newer[len(magic)] = version + 1
	if _, _, err := Read(newer); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer version: %v", err)
	}
}

// FuzzRead gives bodies of which the checksum is right.
func FuzzRead(f *testing.F) {
	data := write(f, sample()...)
	f.Add(data[:len(data)-checksum])
	f.Add([]byte(magic + "\x01\x0a{\"rows\":9}\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := sha256.Sum256(body)
		m, rows, err := Read(append(slices.Clone(body), sum[:]...))
		if err != nil {
			return
		}
		n := 0
		for r := range rows {
			n++
			if r.Last.Less(r.First) || r.First.BitLen() != r.Last.BitLen() {
				t.Errorf("row %+v", r)
			}
		}
		if n != m.Rows {
			t.Errorf("%d rows, %d said", n, m.Rows)
		}
	})
}
