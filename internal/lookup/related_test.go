package lookup_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/lookup/lookuptest"
	"github.com/elasticintel/elasticintel/internal/query"
)

const (
	aMD5    = "d41d8cd98f00b204e9800998ecf8427e"
	aSHA1   = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	aSHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	impHash = "11111111111111111111111111111111"
)

// kin is an engine with something related in every way.
func kin(t testing.TB) *lookuptest.Engine {
	e := &lookuptest.Engine{}
	at := 0
	add := func(feed, value string, to time.Time, context ...string) {
		at++
		i := info(feed)
		if tag, ok := strings.CutPrefix(feed, "tag-"); ok {
			i.Tags = strings.Split(tag, "-")
		}
		e.Add(ind(t, value), i, days(-at), to, context...)
	}
	open, closed := time.Time{}, days(-1)
	for _, v := range []string{"192.0.2.7", "192.0.2.9", "192.0.2.9:80", "192.0.2.7:443", "192.0.2.128/25", "192.0.2.0/24", "192.0.2.0/28", "192.0.0.0/16",
		"192.0.3.0/25", "192.0.1.0/24", "192.0.4.0/24", "198.51.100.1", "http://192.0.2.7/a", "http://192.0.2.9/b"} {
		add("a", v, open)
	}
	add("b", "192.0.2.9", open)
	add("c", "192.0.2.9", closed)
	add("a", "192.0.2.10", closed)
	for _, v := range []string{"evil.example.co.uk", "www.evil.example.co.uk", "example.co.uk", "other.co.uk", "http://www.evil.example.co.uk/x",
		"http://evil.example.co.uk/y", "https://evil.example.co.uk/z", "me@evil.example.co.uk", "one.github.io", "two.github.io"} {
		add("a", v, open)
	}
	add("a", aSHA256, open, "md5_hash", aMD5, "sha1_hash", aSHA1, "imphash", impHash)
	add("b", aMD5, open, "parent_sha256", strings.Repeat("2", 64))
	add("u", "http://payload.example/x", open, "payload", aSHA256)
	add("tag-rare-common", "rare1.example", open, "malware", "Emotet")
	add("tag-rare-common", "rare2.example", open)
	add("tag-common", "common1.example", open)
	add("tag-common", "common2.example", open)
	add("tag-alone", "emotet.example", open)
	return e
}

func related(t *testing.T, e lookup.Engine, value string, o lookup.Options) *intel.Related {
	t.Helper()
	o.Related = true
	a, err := lookup.New(e, clock).Answer(t.Context(), value, o)
	if err != nil || a.Related == nil {
		t.Fatalf("%s: %+v, %v", value, a.Related, err)
	}
	return a.Related
}

// brief writes a related's groups, one a line, values with their feeds.
func brief(r *intel.Related) []string {
	var out []string
	for _, g := range r.Groups() {
		s := fmt.Sprintf("%s %d", g.Name, g.Total)
		if !g.Exact {
			s += "+"
		}
		for _, i := range g.Items {
			s += " " + i.Canonical
			if !i.Listed {
				s += "?"
			}
			if f := strings.Join(i.Feeds, ","); f != "a" {
				s += "@" + f
			}
		}
		out = append(out, s)
	}
	return out
}

func TestRelated(t *testing.T) {
	e := kin(t)
	for value, want := range map[string][]string{
		"192.0.2.7": {
			"networks 5 192.0.2.0/28 192.0.2.0/24 192.0.0.0/16 192.0.1.0/24 192.0.3.0/25",
			"neighbours 4 192.0.2.9@a,b 192.0.2.9:80 192.0.2.128/25 http://192.0.2.9/b",
			"urls 1 http://192.0.2.7/a"},
		"192.0.2.7:443": {
			"networks 5 192.0.2.0/28 192.0.2.0/24 192.0.0.0/16 192.0.1.0/24 192.0.3.0/25",
			"neighbours 5 192.0.2.7 192.0.2.9@a,b 192.0.2.9:80 192.0.2.128/25 http://192.0.2.9/b",
			"urls 1 http://192.0.2.7/a"},
		"http://192.0.2.9/b": {
			"networks 5 192.0.2.0/28 192.0.2.0/24 192.0.0.0/16 192.0.1.0/24 192.0.3.0/25",
			"neighbours 6 192.0.2.7 192.0.2.9@a,b 192.0.2.9:80 192.0.2.7:443 192.0.2.128/25 http://192.0.2.7/a",
			"urls 0"},
		"192.0.2.0/28": {
			"networks 4 192.0.2.0/24 192.0.0.0/16 192.0.1.0/24 192.0.3.0/25",
			"neighbours 1 192.0.2.128/25",
			"urls 2 http://192.0.2.7/a http://192.0.2.9/b"},
		"192.0.2.0/24": {
			"networks 3 192.0.0.0/16 192.0.1.0/24 192.0.3.0/25",
			"urls 2 http://192.0.2.7/a http://192.0.2.9/b"},
		"2001:db8::1": {"networks 0", "neighbours 0", "urls 0"},
		"evil.example.co.uk": {
			"domains 2 www.evil.example.co.uk example.co.uk",
			"urls 3 http://www.evil.example.co.uk/x http://evil.example.co.uk/y https://evil.example.co.uk/z"},
		"http://evil.example.co.uk/y": {
			"domains 3 evil.example.co.uk www.evil.example.co.uk example.co.uk",
			"urls 1 https://evil.example.co.uk/z"},
		"you@evil.example.co.uk": {"domains 3 evil.example.co.uk www.evil.example.co.uk example.co.uk"},
		"one.github.io":          {"domains 0", "urls 0"},
		"github.io":              {"urls 0"},
		aSHA256:                  {"file 3 " + aMD5 + "@b " + aSHA1 + "? http://payload.example/x@u"},
		aMD5:                     {"file 1 " + aSHA256},
		impHash:                  {"file 1 " + aSHA256},
	} {
		got := brief(related(t, e, value, lookup.Options{}))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", value, d)
		}
	}
}

func TestRelated_sharedFamilyAndRarestTag(t *testing.T) {
	e := kin(t)
	e.Add(ind(t, "emotet2.example"), info("m"), days(-2), time.Time{})
	i := info("fam")
	i.Malware = "EMOTET"
	e.Add(ind(t, "emotet3.example"), i, days(-1), time.Time{})
	e.Add(ind(t, "rare1.example"), i, days(-1), time.Time{})
	g := related(t, e, "rare1.example", lookup.Options{}).Shared
	want := "shared 2 emotet3.example@fam rare2.example@tag-rare-common"
	if got := brief(&intel.Related{Shared: g}); got[0] != want {
		t.Errorf("got  %s\nwant %s", got[0], want)
	}
	if g.Items[0].Why != "same malware: emotet" || g.Items[1].Why != "same tag: rare" {
		t.Errorf("why: %+v", g.Items)
	}
	if g := related(t, e, "unknown.example", lookup.Options{}).Shared; g != nil {
		t.Errorf("of what nobody lists: %+v", g)
	}
	if g := related(t, e, "emotet.example", lookup.Options{}).Shared; g == nil || g.Total != 0 || !g.Exact || g.Items == nil {
		t.Errorf("of what has a tag alone: %+v", g)
	}
}

func TestRelated_asOf(t *testing.T) {
	e := kin(t)
	then := brief(related(t, e, "192.0.2.7", lookup.Options{AsOf: days(-17)}))[1]
	if want := "neighbours 1 192.0.2.10"; then != want { // listed then, and nothing else yet
		t.Errorf("17 days ago: %s, want %s", then, want)
	}
	if got := brief(related(t, e, "192.0.2.7", lookup.Options{}))[1]; strings.Contains(got, "192.0.2.10") {
		t.Errorf("what is closed is related: %s", got)
	}
}

func TestRelated_cappedAndCounted(t *testing.T) {
	e := &lookuptest.Engine{}
	for i := range 1500 {
		e.Add(ind(t, fmt.Sprintf("n%d.bad.example", i)), info("a"), days(-i-1), time.Time{})
		e.Add(ind(t, fmt.Sprintf("http://bad.example/%d", i)), info("a"), days(-2), time.Time{})
		if i < 700 {
			e.Add(ind(t, fmt.Sprintf("http://bad.example/%d", i)), info("b"), days(-2), time.Time{})
		}
	}
	for i := range 40 {
		e.Add(ind(t, fmt.Sprintf("198.51.100.%d", i)), info("a"), days(-2), time.Time{})
		e.Add(ind(t, fmt.Sprintf("198.51.100.%d", i)), info("b"), days(-2), time.Time{})
	}
	r := related(t, e, "bad.example", lookup.Options{})
	if g := r.Domains; g.Total != 1500 || !g.Exact || len(g.Items) != 20 || g.Items[0].Canonical != "n0.bad.example" {
		t.Errorf("one feed has them all: %d %v %d", g.Total, g.Exact, len(g.Items))
	}
	if g := r.URLs; g.Total != 1500 || g.Exact || len(g.Items) != 20 || !slices.Equal(g.Items[0].Feeds, []string{"a", "b"}) {
		t.Errorf("of two feeds, more than are read: %d %v %d %v", g.Total, g.Exact, len(g.Items), g.Items[0])
	}
	if g := related(t, e, "198.51.100.0", lookup.Options{}).Neighbours; g.Total != 39 || !g.Exact || len(g.Items) != 20 {
		t.Errorf("all read: %d %v %d", g.Total, g.Exact, len(g.Items))
	}
	if r.Partial {
		t.Error("partial")
	}
}

// slow is an engine whose searches take time, and may say that they were cut short.
type slow struct {
	*lookuptest.Engine
	now     *time.Time
	partial bool
}

func (s slow) Search(ctx context.Context, q query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	if q.Budget <= 0 || q.Budget > 300*time.Millisecond {
		return query.Page{}, fmt.Errorf("budget %v", q.Budget)
	}
	*s.now = s.now.Add(200 * time.Millisecond)
	p, err := s.Engine.Search(ctx, q, emit)
	p.Partial = s.partial
	return p, err
}

func TestRelated_budget(t *testing.T) {
	at := now
	s := lookup.New(slow{Engine: kin(t), now: &at}, func() time.Time { return at })
	a, err := s.Answer(t.Context(), "192.0.2.7", lookup.Options{Related: true})
	if r := a.Related; err != nil || !r.Partial || !r.Neighbours.Exact || r.URLs.Exact || r.URLs.Total != 0 {
		t.Errorf("got %v, %v", brief(a.Related), err)
	}
	s = lookup.New(slow{Engine: kin(t), now: &at, partial: true}, clock)
	a, err = s.Answer(t.Context(), "192.0.2.7", lookup.Options{Related: true})
	if r := a.Related; err != nil || !r.Partial || r.Neighbours.Exact {
		t.Errorf("got %v, %v", brief(a.Related), err)
	}
}

func TestRelated_notAskedForAndErrors(t *testing.T) {
	e := kin(t)
	if a, err := lookup.New(e, clock).Answer(t.Context(), "192.0.2.7", lookup.Options{}); err != nil || a.Related != nil || a.Timeline != nil {
		t.Errorf("not asked for: %v, %v", a.Related, err)
	}
	boom := errors.New("boom")
	e.Fail = func(q intel.Question) error {
		if q.Indicator.Kind == intel.KindNone {
			return boom
		}
		return nil
	}
	if _, err := lookup.New(e, clock).Answer(t.Context(), "192.0.2.7", lookup.Options{Related: true}); !errors.Is(err, lookup.ErrEngine) || !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	e.Fail, e.Damage = nil, boom
	if r := related(t, e, "192.0.2.7", lookup.Options{}); !r.Partial {
		t.Error("damaged data, and not partial")
	}
}

// TestRelated_invariants: for random worlds, whatever is asked: no group has the
// value itself, nothing is there twice, all is listed (or named), counts hold.
func TestRelated_invariants(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		e := &lookuptest.Engine{}
		var all []intel.Indicator
		for range 80 {
			var v string
			switch n := r.IntN(6); r.IntN(6) {
			case 0:
				v = fmt.Sprintf("192.0.%d.%d", n, r.IntN(8))
			case 1:
				p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(n), byte(r.IntN(16))}), 8+r.IntN(24)).Masked()
				v = p.String()
			case 2:
				v = fmt.Sprintf("192.0.%d.%d:80", n, r.IntN(4))
			case 3:
				v = fmt.Sprintf("a%d.b%d.example", n, r.IntN(3))
			case 4:
				v = fmt.Sprintf("http://b%d.example/%d", n, r.IntN(3))
			case 5:
				v = fmt.Sprintf("http://192.0.%d.%d/", n, r.IntN(4))
			}
			to := time.Time{}
			if r.IntN(4) == 0 {
				to = days(-1)
			}
			i := info(fmt.Sprintf("f%d", r.IntN(3)))
			i.Tags = []string{fmt.Sprintf("t%d", r.IntN(5))}
			e.Add(ind(t, v), i, days(-2-r.IntN(5)), to, "malware", fmt.Sprintf("m%d", r.IntN(9)))
			all = append(all, ind(t, v))
		}
		for _, self := range all {
			rel := related(t, e, self.Value, lookup.Options{})
			seen := map[intel.Indicator]bool{self: true}
			for _, g := range rel.Groups() {
				if g.Total < len(g.Items) || g.Exact && g.Total > len(g.Items) && len(g.Items) < 20 || rel.Partial {
					t.Errorf("%s: %s: %d items, total %d, exact %v", self.Value, g.Name, len(g.Items), g.Total, g.Exact)
				}
				for _, i := range g.Items {
					x := intel.Indicator{Kind: i.Kind, Value: i.Canonical}
					if seen[x] || !i.Listed || len(i.Feeds) == 0 || i.Why == "" || i.LastSeen.IsZero() {
						t.Errorf("%s: %s: %+v", self.Value, g.Name, i)
					}
					seen[x] = true
				}
			}
		}
	}
}
