package corpus

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// compareFeeds brings runs of some feeds of every sort, folded and not.
func compareFeeds(t *testing.T, c *Corpus, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 8))
	all := universe(t)
	for i := range 12 {
		info := feedInfo(fmt.Sprintf("f%d", i%4), []intel.Presence{intel.Snapshot, intel.Rolling, intel.Append}[i%3])
		info.TTL = intel.Duration(30 * time.Hour)
		mustRun(t, c, info, day(i).Add(time.Duration(r.IntN(90))*time.Minute), randomEntries(r, all, 0.3)...)
		if i%5 == 4 {
			if _, err := c.Fold(t.Context(), info.ID, FoldOptions{Now: day(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Whether values share a hash, and in how many parts it is done, is nothing that
// a comparison shows.
func TestCompare_collisionsAndParts(t *testing.T) {
	var want *intel.Comparison
	for _, x := range []struct {
		mask    uint64
		workers int
	}{{math.MaxUint64, 1}, {math.MaxUint64, 2}, {math.MaxUint64, 7}, {7, 1}, {7 << 61, 3}, {0, 2}} {
		o := layered()
		o.Workers, o.Now = x.workers, func() time.Time { return day(13) }
		c := openMasked(t, newMemStore(t), x.mask, o)
		compareFeeds(t, c, 5)
		got, err := c.Compare(t.Context(), func(id string) bool { return id == "f3" })
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
			if e := got.Feeds[0].Early; e.First == 0 || e.Later == 0 || got.Feeds[0].Unique == 0 || len(got.Feeds[0].Pairs) != 3 {
				t.Fatalf("too little to compare: %+v", got)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("mask %x, %d workers (-want +got)\n%s", x.mask, x.workers, d)
		}
	}
}

// A feed that lost listings to damage has them anew, which is no news: it is as
// if it had been pulled first then.
func TestCompare_afterDamage(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{Now: func() time.Time { return day(9) }})
	list := []intel.Entry{entry(t, "old.example"), entry(t, "new.example")}
	for i, id := range []string{"a", "b"} {
		mustRun(t, c, feedInfo(id, intel.Snapshot), day(0), list[0])
		mustRun(t, c, feedInfo(id, intel.Snapshot), day(1+i), list...)
	}
	early := func() intel.Early {
		t.Helper()
		got, err := c.Compare(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.Feeds[0].Early
	}
	if e := early(); e.First != 1 || e.Lead.Median != 24 {
		t.Fatalf("%+v", e)
	}
	h, etag, err := c.Head(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	lost := *h
	lost.Lost, lost.Version = day(3), h.Version+1
	if _, err := c.Commit(t.Context(), &lost, etag); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := early(); e.Compared() != 0 {
		t.Errorf("%+v", e)
	}
}

// What cannot be read is said, not left out.
func TestCompare_damaged(t *testing.T) {
	store := newMemStore(t)
	c := openCorpus(t, store, Options{})
	m := mustRun(t, c, feedInfo("a", intel.Snapshot), day(0), entry(t, "one.example"), entry(t, "two.example"))
	o := store.objects[m.Segments[0].Key]
	broken := append([]byte(nil), o.data...)
	broken[4] ^= 0xff // in the heap
	store.objects[m.Segments[0].Key] = memObject{broken, o.info}
	again := openCorpus(t, store, Options{})
	if _, err := again.Compare(t.Context(), nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkCompare compares 40 feeds with a million listings: large and small
// ones, with a third of it in more than one.
func BenchmarkCompare(b *testing.B) {
	c := openCorpus(b, newStore(b), Options{Workers: 2, Now: func() time.Time { return day(9) }})
	total := 0
	for f := range 40 {
		n := 1_000_000 / 40 * (1 + f%4*2) / 4
		total += n
		info := feedInfo(fmt.Sprintf("f%02d", f), intel.Snapshot)
		value := func(i int) uint64 {
			if i%3 == 0 {
				return mix(uint64(i)*uint64(1+f%5)) % 120_000 // shared
			}
			return uint64(f)<<32 | uint64(i)
		}
		mustRun(b, c, info, day(f%3), benchEntries(n/2, value)...)
		mustRun(b, c, info, day(3+f%5), benchEntries(n, value)...)
	}
	listings := 0
	var before, after runtime.MemStats
	b.Run(fmt.Sprintf("%d listings", total), func(b *testing.B) {
		for b.Loop() {
			runtime.ReadMemStats(&before)
			got, err := c.Compare(b.Context(), nil)
			if err != nil {
				b.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			listings = 0
			for _, f := range got.Feeds {
				listings += f.Listings
			}
		}
		b.ReportMetric(float64(listings)*float64(b.N)/b.Elapsed().Seconds(), "listings/s")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/(1<<20), "MiB/op")
	})
}
