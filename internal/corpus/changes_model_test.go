package corpus

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// consumer keeps the listings that the events it was told of leave open.
type consumer struct {
	open   map[string]bool
	cursor string
}

// page reads a page of at most limit events and applies it. It checks the order.
func (k *consumer) page(t *testing.T, c *Corpus, limit int) (more bool) {
	t.Helper()
	var last string
	n := 0
	next, more, err := c.Changes(t.Context(), k.cursor, limit, func(e *intel.Event) error {
		n++
		id := fmt.Sprintf("%s %02d %s", e.Listing.Feed, e.Listing.Kind, e.Listing.Canonical)
		place := fmt.Sprintf("%015d %s", e.At.UnixMilli(), id)
		if place <= last {
			t.Errorf("%s comes behind %s", place, last)
		}
		last = place
		if k.open[id] = e.Listing.Listed; e.Listing.Listed != (e.Type == intel.EventListed || e.Type == intel.EventUpdated) {
			t.Errorf("%s is %v: %s", e.Type, e.Listing.Listed, place)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if limit > 0 && (n > limit || more && n < limit) {
		t.Errorf("%d events, limit %d, more %v", n, limit, more)
	}
	k.cursor = next
	return more
}

// isOpen returns what is open now, as look-ups say.
func isOpen(t *testing.T, c *Corpus, all []intel.Indicator) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, i := range all {
		for _, l := range c.View().Exact(i, time.Time{}, nil) {
			if l.Listed && l.Snapshot == "" {
				out[fmt.Sprintf("%s %02d %s", l.Feed, l.Kind, l.Canonical)] = true
			}
		}
	}
	return out
}

// TestChanges_consumersEndWithWhatIsOpen: whatever runs when, whoever applies the
// changes page by page ends with the open listings.
func TestChanges_consumersEndWithWhatIsOpen(t *testing.T) {
	seeds := 12
	if soak() {
		seeds = 300
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 9))
		now := day(0)
		// Small shards, whose changes are written as deltas or not at all.
		c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return now }, Small: 1 + 999*r.IntN(2), ShardSize: 30, Live: 48 * time.Hour})
		all := universe(t)[:60]
		var feeds []intel.FeedInfo
		for i, p := range []intel.Presence{intel.Snapshot, intel.Rolling, intel.Append, intel.Rolling, intel.Snapshot} {
			f := feedInfo(fmt.Sprintf("f%d", i), p)
			if i > 0 && r.IntN(3) > 0 {
				f.TTL = intel.Duration(time.Duration(1+r.IntN(72)) * time.Hour)
			}
			if i > 0 && r.IntN(2) > 0 {
				f.KindTTL = map[intel.Kind]intel.Duration{intel.IPv4: intel.Duration(time.Duration(r.IntN(30)) * time.Hour), intel.Domain: intel.Duration(time.Duration(r.IntN(200)) * time.Hour)}
			}
			if i == 4 {
				f.Snapshot = "2026-02-01"
			}
			feeds = append(feeds, f)
		}
		lists := map[string]map[intel.Indicator]string{}
		consumers := []*consumer{{open: map[string]bool{}}}
		for step := range 60 {
			now = now.Add(time.Duration(r.IntN(10)) * time.Hour)
			switch n := r.IntN(10); {
			case n < 5:
				f := &feeds[r.IntN(len(feeds))]
				if step > 30 {
					feeds[4].Snapshot = ""
				}
				at := now.Add(-time.Duration(r.IntN(8)) * time.Hour) // began earlier, commits now
				mustRun(t, c, *f, at, alter(r, all, lists, f.ID)...)
			case n == 5:
				shake(t, c, r, feeds)
			case n == 6 && len(consumers) < 6:
				k := &consumer{open: map[string]bool{}}
				if r.IntN(2) == 0 { // another process goes on from a cursor
					from := consumers[r.IntN(len(consumers))]
					k.open, k.cursor = maps.Clone(from.open), from.cursor
				}
				consumers = append(consumers, k)
			default:
				consumers[r.IntN(len(consumers))].page(t, c, r.IntN(40))
			}
		}
		for i, k := range consumers {
			samePaged(t, c, k.cursor, 1+r.IntN(5))
			samePaged(t, c, "", 1+r.IntN(20))
			for pages := 0; k.page(t, c, 1+r.IntN(50)); pages++ {
				if pages > 1000 {
					t.Fatalf("seed %d: pages never end", seed)
				}
			}
			maps.DeleteFunc(k.open, func(_ string, open bool) bool { return !open })
			want, got := slices.Sorted(maps.Keys(isOpen(t, c, all))), slices.Sorted(maps.Keys(k.open))
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("seed %d, consumer %d (-open +told)\n%s", seed, i, d)
			}
		}
	}
}

// alter changes what a feed lists: a little as a rule, so that changes are
// written as deltas, else much.
func alter(r *rand.Rand, all []intel.Indicator, lists map[string]map[intel.Indicator]string, feed string) (out []intel.Entry) {
	list, flips := lists[feed], 1+r.IntN(6)
	if list == nil {
		list, flips = map[intel.Indicator]string{}, 40
		lists[feed] = list
	}
	for range flips {
		i := all[r.IntN(len(all))]
		if _, has := list[i]; has && r.IntN(3) > 0 {
			delete(list, i)
		} else {
			list[i] = fmt.Sprint(r.IntN(3))
		}
	}
	for _, i := range all {
		if x, has := list[i]; has {
			e := intel.Entry{Indicator: i, Original: i.Value}
			e.Fields.Add("x", x)
			out = append(out, e)
		}
	}
	return out
}

// samePaged: pages are the whole, cut into pieces.
func samePaged(t *testing.T, c *Corpus, since string, limit int) {
	t.Helper()
	whole, next, _ := changesOf(t, c, since, 0)
	once := map[string]bool{}
	for _, e := range whole {
		if id := e.Listing.Feed + e.Listing.Canonical; once[id] {
			t.Errorf("twice: %s", id)
		} else {
			once[id] = true
		}
	}
	var pieces []intel.Event
	for more := true; more; {
		var events []intel.Event
		events, since, more = changesOf(t, c, since, limit)
		if pieces = append(pieces, events...); len(pieces) > 2*len(whole) {
			t.Fatalf("pages never end: %v", told(pieces))
		}
	}
	if d := cmp.Diff(told(whole), told(pieces)); d != "" {
		t.Errorf("(-whole +pages)\n%s", d)
	}
	if events, _, _ := changesOf(t, c, next, 0); len(events) > 0 {
		t.Errorf("told again: %v", told(events))
	}
}

// shake changes how listings are stored, and nothing that they say.
func shake(t *testing.T, c *Corpus, r *rand.Rand, feeds []intel.FeedInfo) {
	t.Helper()
	for _, f := range feeds {
		if _, err := c.Fold(t.Context(), f.ID, FoldOptions{Now: c.opt.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if r.IntN(2) == 0 {
		if _, err := c.Regroup(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkChanges reads the changes of 200,000 listings of 20 feeds.
func BenchmarkChanges(b *testing.B) {
	c := openCorpus(b, newStore(b), Options{Now: func() time.Time { return day(9) }})
	for f := range 20 {
		var list []intel.Entry
		for i := range 10_000 {
			list = append(list, intel.Entry{Indicator: intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("n%d.f%d.example", i, f)}})
		}
		info := feedInfo(fmt.Sprintf("f%02d", f), intel.Rolling)
		info.TTL = intel.Duration(24 * time.Hour)
		mustRun(b, c, info, day(f%3), list...)
		mustRun(b, c, info, day(3), list[:9_000]...)
	}
	_, half, _ := changesOf(b, c, "", 100_000)
	_, end, _ := changesOf(b, c, "", 0)
	for _, x := range []struct {
		name, since string
		limit, want int
	}{{"all", "", 0, 200_000}, {"page of 1000", half, 1000, 1000}, {"nothing", end, 0, 0}} {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if _, _, err := c.Changes(b.Context(), x.since, x.limit, func(*intel.Event) error { n++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			if n != b.N*x.want {
				b.Fatalf("%d events in %d rounds", n, b.N)
			}
			if n > 0 {
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
			}
		})
	}
}
