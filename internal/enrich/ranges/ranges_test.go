package ranges

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// TestFlattenModel compares with asking every span about every address, at both ends
// of the space too.
func TestFlattenModel(t *testing.T) {
	const size = 64
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		base := IP4(0)
		if seed%2 == 1 {
			base = ^IP4(0) - size + 1 // the last ones
		}
		var spans []Span[IP4]
		for i := range r.IntN(8) {
			a, b := IP4(r.IntN(size)), IP4(r.IntN(size))
			spans = append(spans, Span[IP4]{base + min(a, b), base + max(a, b), int32(i)})
		}
		l := Flatten(slices.Clone(spans))
		for i := range l {
			if l[i].Last < l[i].First || i > 0 && l[i].First <= l[i-1].Last {
				t.Fatalf("seed %d: %v", seed, l)
			}
		}
		for a := range IP4(size) {
			want, width := int32(-1), IP4(0)
			for _, s := range spans {
				if w := s.Last - s.First; s.First <= base+a && base+a <= s.Last && (want < 0 || w < width || w == width && s.Info > want) {
					want, width = s.Info, w
				}
			}
			if got := l.Find(base + a); got != want {
				t.Fatalf("seed %d: %v: %d is %d in %v, want %d", seed, spans, base+a, got, l, want)
			}
		}
	}
}

func TestWalkModel(t *testing.T) {
	const size = 64
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		base := IP4(0)
		if seed%2 == 1 {
			base = ^IP4(0) - size + 1
		}
		layers := make([]Layer[IP4], 1+r.IntN(3))
		for i := range layers {
			var spans []Span[IP4]
			for n := range r.IntN(5) {
				a, b := IP4(r.IntN(size)), IP4(r.IntN(size))
				spans = append(spans, Span[IP4]{base + min(a, b), base + max(a, b), int32(n)})
			}
			layers[i] = Flatten(spans)
		}
		got := map[IP4][]int32{}
		var end IP4
		Walk(layers, func(first, last IP4, info []int32) bool {
			if last < first || len(got) > 0 && first <= end {
				t.Fatalf("seed %d: %d to %d after %d", seed, first, last, end)
			}
			end = last
			for a := range last - first + 1 {
				got[first+a] = slices.Clone(info)
			}
			return true
		})
		for a := range IP4(size) {
			want := make([]int32, len(layers))
			known := false
			for i, l := range layers {
				want[i] = l.Find(base + a)
				known = known || want[i] >= 0
			}
			if known && !slices.Equal(got[base+a], want) || !known && got[base+a] != nil {
				t.Fatalf("seed %d: %v: %d is %v, want %v", seed, layers, base+a, got[base+a], want)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, s := range []string{"::", "::1", "::ffff:ffff:ffff:ffff", "0:0:0:1::", "2001:db8::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		a := netip.MustParseAddr(s)
		k := From6(a)
		if k.Addr() != a {
			t.Errorf("%s became %s", a, k.Addr())
		}
		next, more := k.Next()
		if want := a.Next(); more != want.IsValid() || more && next.Addr() != want {
			t.Errorf("after %s: %s, %v", a, next.Addr(), more)
		}
		if more && (next.Prev() != k || next.Minus(k) != IP6{0, 1} || k.Compare(next) != -1) {
			t.Errorf("%s: the numbers are not in order", a)
		}
	}
	if d := (IP6{2, 0}).Minus(IP6{0, 1}); d != (IP6{1, 1<<64 - 1}) {
		t.Errorf("difference %v", d)
	}
}
