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

	"github.com/elasticintel/elasticintel/internal/enrich/ranges"
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
	got, err := Read(data)
	if err != nil || got.Meta != (Meta{"sample", time.Unix(1.8e9, 0).UTC(), 4}) {
		t.Fatalf("%+v, %v", got, err)
	}
	for asked, want := range map[string]Facts{
		"203.0.113.7":     {Country: "NZ", Registry: "apnic", Allocated: "1996-03-04T00:00:00Z"},
		"203.0.112.255":   {Country: "NZ", Allocated: "1970-01-01T00:00:00Z"},
		"255.255.255.255": {Country: "FR"},
		"2001:db8::7":     {ASN: 64496, ASName: "EXAMPLE-AS", Org: "Example Ltd"},
	} {
		a := netip.MustParseAddr(asked)
		n := int32(-1)
		if a.Is4() {
			n = got.V4.Find(ranges.From4(a))
		} else {
			n = got.V6.Find(ranges.From6(a))
		}
		if n < 0 || got.Facts[n] != want {
			t.Errorf("%s: number %d of %+v, want %+v", asked, n, got.Facts, want)
		}
	}
	if n := got.V6.Find(ranges.From6(netip.MustParseAddr("2001:db9::"))); n != -1 {
		t.Errorf("an address that no row has: %d", n)
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
		if _, err := Read(bad); err == nil {
			t.Fatalf("byte %d changed: read", i)
		}
		if _, err := Read(data[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	newer := slices.Clone(data)
	newer[len(magic)] = version + 1
	if _, err := Read(newer); !errors.Is(err, ErrNewer) {
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
		got, err := Read(append(slices.Clone(body), sum[:]...))
		if err != nil {
			return
		}
		for i, s := range got.V4 {
			if s.Last < s.First || i > 0 && s.First <= got.V4[i-1].Last || int(s.Info) >= len(got.Facts) {
				t.Errorf("range %+v", s)
			}
		}
	})
}
