package corpus

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// The benchmarks' corpora are made up, with the shares of kinds that real feeds
// have (45 % IPv4, 2 % networks, 25 % domains, 23 % URLs, 5 % hashes) and 70 %
// of the values distinct. Every second listing has context.

// benchIndicator is the n-th value of an endless sequence.
func benchIndicator(n uint64) intel.Indicator {
	x := mix(n)
	switch k := x % 100; {
	case k < 45:
		return intel.Indicator{Kind: intel.IPv4, Value: fmt.Sprintf("%d.%d.%d.%d", 1+x>>8%223, x>>16&255, x>>24&255, x>>32&255)}
	case k < 47:
		return intel.Indicator{Kind: intel.CIDR, Value: fmt.Sprintf("%d.%d.%d.0/24", 1+x>>8%223, x>>16&255, x>>24&255)}
	case k < 72:
		return intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("w%s.h%s.example", strconv.FormatUint(x>>40, 36), strconv.FormatUint(n, 36))}
	case k < 95:
		return intel.Indicator{Kind: intel.URL, Value: fmt.Sprintf("http://h%s.example/%s/p%d.exe", strconv.FormatUint(n, 36), strconv.FormatUint(x>>20, 36), x>>50)}
	}
	return intel.Indicator{Kind: intel.SHA256, Value: fmt.Sprintf("%016x%016x%016x%016x", x, mix(x), mix(x+1), mix(x+2))}
}

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// benchEntries makes a feed of n entries with values from the sequence.
func benchEntries(n int, value func(i int) uint64) []intel.Entry {
	out := make([]intel.Entry, n)
	for i := range out {
		v := value(i)
		e := intel.Entry{Indicator: benchIndicator(v), Line: i + 1}
		e.Original = e.Indicator.Value
		if x := mix(v); x&1 == 0 {
			e.Fields = intel.Fields{
				{Name: "feed_first_seen", Values: []string{time.Unix(1.7e9+int64(x>>40), 0).UTC().Format("2006-01-02 15:04:05")}},
				{Name: "malware", Values: []string{fmt.Sprintf("family-%d", x>>8&63)}},
				{Name: "reference", Values: []string{fmt.Sprintf("https://feed.example/item/%d/", x>>44)}},
				{Name: "tags", Values: []string{fmt.Sprintf("tag%d", x>>16&255)}},
			}
		}
		out[i] = e
	}
	return out
}

// benchCorpus fills a store with this many listings in this many feeds, sizes
// falling like 1/rank, and returns how many distinct values were drawn from.
func benchCorpus(b testing.TB, store blob.Store, listings, feeds int) uint64 {
	b.Helper()
	c := openCorpus(b, store, Options{})
	distinct := uint64(listings) * 7 / 10
	harmonic := 0.0
	for i := range feeds {
		harmonic += 1 / float64(i+1)
	}
	for i := range feeds {
		n := int(float64(listings) / harmonic / float64(i+1))
		start, step := mix(uint64(i))%distinct, uint64(1)
		entries := benchEntries(n, func(j int) uint64 { return (start + uint64(j)*step) % distinct })
		info := feedInfo(fmt.Sprintf("feed-%03d", i), intel.Snapshot)
		m, err := c.Merge(context.Background(), nil, entries, MergeOptions{Feed: info.ID, Info: info, Now: t0})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Commit(context.Background(), m.Next, ""); err != nil {
			b.Fatal(err)
		}
	}
	return distinct
}

func BenchmarkMergeFirst1M(b *testing.B) {
	const n = 1_000_000
	entries := benchEntries(n, func(i int) uint64 { return uint64(i) })
	c := openCorpus(b, newStore(b), Options{})
	info := feedInfo("big", intel.Snapshot)
	var bytes int64
	var peak uint64
	for b.Loop() {
		runtime.GC()
		watch := watchHeap()
		m, err := c.Merge(b.Context(), nil, entries, MergeOptions{Feed: "big", Info: info, Now: t0})
		peak = max(peak, watch())
		if err != nil {
			b.Fatal(err)
		}
		bytes = 0
		for _, r := range m.Segments {
			bytes += r.Bytes
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "listings/s")
	b.ReportMetric(float64(bytes)/n, "disk-B/listing")
	b.ReportMetric(float64(peak)/n, "extra-heap-B/listing")
}

// watchHeap returns a function that gives the largest growth of the heap since.
func watchHeap() func() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	base, peak := m.HeapInuse, uint64(0)
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse-min(base, m.HeapInuse))
			}
		}
	}()
	return func() uint64 { close(stop); <-done; return peak }
}

// BenchmarkMerge1M merges second runs of a feed of a million listings: the same,
// and one with 3 % new, 3 % gone and 7 % changed.
func BenchmarkMerge1M(b *testing.B) {
	const n = 1_000_000
	same := func() []intel.Entry { return benchEntries(n, func(i int) uint64 { return uint64(i) }) }
	tenth := func() []intel.Entry {
		out := benchEntries(n, func(i int) uint64 { return uint64(i + n*3/100) })
		for i := range out {
			if mix(uint64(i))%100 < 7 {
				out[i].Fields = intel.Fields{{Name: "description", Values: []string{"changed"}}}
			}
		}
		return out
	}
	info := feedInfo("big", intel.Snapshot)
	for _, x := range []struct {
		name    string
		entries func() []intel.Entry
		changed bool
	}{{"Unchanged", same, false}, {"Tenth", tenth, true}} {
		b.Run(x.name, func(b *testing.B) {
			c := openCorpus(b, newStore(b), Options{})
			mustRun(b, c, info, t0, same()...)
			entries := x.entries()
			h, _, err := c.Head(b.Context(), "big")
			if err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			watch := watchHeap()
			bytes := int64(0)
			for b.Loop() {
				m, err := c.Merge(b.Context(), h, entries, MergeOptions{Feed: "big", Info: info, Now: day(1)})
				if err != nil || m.Changed != x.changed {
					b.Fatal(m, err)
				}
				bytes = 0
				for _, r := range m.Segments {
					if r.Delta {
						bytes += r.Bytes
					}
				}
			}
			b.ReportMetric(float64(watch())/1e6, "extra-heap-MB")
			b.ReportMetric(float64(bytes)/1e6, "MB-written")
		})
	}
}

// BenchmarkCorpus1M measures one corpus of a million listings in 40 feeds.
func BenchmarkCorpus1M(b *testing.B) {
	store := newStore(b)
	distinct := benchCorpus(b, store, 1_000_000, 40)
	debug.FreeOSMemory()
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			openCorpus(b, store, Options{})
		}
		b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/open")
	})
	c := openCorpus(b, store, Options{})
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("Directory/workers=%d", workers), func(b *testing.B) {
			n := 0
			for b.Loop() {
				d, err := buildDirectory(c.View().segs, c.View().dead, workers)
				if err != nil {
					b.Fatal(err)
				}
				n = len(d.slots)
			}
			b.ReportMetric(float64(8*n)/1e6, "B/listing")
		})
	}
	b.Run("Networks", func(b *testing.B) {
		for b.Loop() {
			if _, err := buildNetworks(c.View().nets.segs, make([]*roaring.Bitmap, len(c.View().nets.segs))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("RefreshIdle", func(b *testing.B) {
		for b.Loop() {
			if changed, err := c.Refresh(b.Context()); changed || err != nil {
				b.Fatal(changed, err)
			}
		}
	})
	for _, q := range []struct {
		name string
		from uint64
	}{{"hit", 0}, {"miss", distinct}} {
		b.Run("Exact/"+q.name, func(b *testing.B) { benchFind(b, c, q.from, distinct, false) })
		b.Run("Ask/"+q.name, func(b *testing.B) { benchFind(b, c, q.from, distinct, true) })
	}
	b.Run("RSS", func(b *testing.B) {
		for b.Loop() {
		}
		debug.FreeOSMemory()
		rss, anon := residentMB(b)
		b.ReportMetric(rss, "MB-RSS")
		b.ReportMetric(anon, "MB-anon")
		b.ReportMetric(float64(c.View().Stats().Bytes)/1e6, "MB-disk")
	})
}

// benchFind looks up random values of the sequence and reports quantiles.
func benchFind(b *testing.B, c *Corpus, from, distinct uint64, ask bool) {
	const n = 1 << 16
	r := rand.New(rand.NewPCG(1, 2))
	inds := make([]intel.Indicator, n)
	for i := range inds {
		inds[i] = benchIndicator(from + r.Uint64N(distinct))
	}
	took := make([]int64, 0, 1<<20)
	var dst []intel.Listing
	found := 0
	v := c.View()
	for _, i := range inds { // warm: what is measured is memory, not its first use
		dst = v.Exact(i, time.Time{}, dst[:0])
	}
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		if ask {
			dst, _ = v.Find(b.Context(), intel.Ask(inds[i%n]), time.Time{}, dst[:0])
		} else {
			dst = v.Exact(inds[i%n], time.Time{}, dst[:0])
		}
		if d := time.Since(start); len(took) < cap(took) {
			took = append(took, int64(d))
		}
		found += len(dst)
	}
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[int(math.Min(q*float64(len(took)), float64(len(took)-1)))])
	}
	b.ReportMetric(at(0.5), "p50-ns")
	b.ReportMetric(at(0.99), "p99-ns")
	b.ReportMetric(float64(found)/float64(b.N), "listings/op")
}

// residentMB reads the process's resident memory, 0 where the system does not tell.
func residentMB(b *testing.B) (rss, anon float64) {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			rss = kb / 1024
		case "RssAnon:":
			anon = kb / 1024
		}
	}
	return rss, anon
}

// BenchmarkHistory moves a million closed listings to the history, and deletes
// the older half of them, which lie among the others.
func BenchmarkHistory(b *testing.B) {
	const n = 1_000_000
	info := feedInfo("big", intel.Snapshot)
	var moved, purged time.Duration
	for b.Loop() {
		b.StopTimer()
		c := openCorpus(b, newStore(b), Options{})
		half := benchEntries(n, func(i int) uint64 { return uint64(i) })
		mustRun(b, c, info, t0, half...)
		old := half[:0]
		for i, e := range half {
			if mix(uint64(i))%2 == 0 {
				old = append(old, e)
			}
		}
		last := benchEntries(1000, func(i int) uint64 { return uint64(i + n) })
		mustRun(b, c, info, day(1), old...) // half of them end on day 1, the rest on day 2
		mustRun(b, c, info, day(2), last...)
		if _, err := c.Refresh(b.Context()); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		b.StartTimer()
		began := time.Now()
		if did, err := c.Fold(b.Context(), "big", FoldOptions{Now: day(90)}); err != nil || !did {
			b.Fatal(did, err)
		}
		moved += time.Since(began)
		began = time.Now()
		if got, err := c.Purge(b.Context(), "big", day(2)); err != nil || got < n/3 {
			b.Fatal(got, err)
		}
		purged += time.Since(began)
	}
	b.ReportMetric(float64(n)*float64(b.N)/moved.Seconds(), "moved/s")
	b.ReportMetric(float64(n)*float64(b.N)/purged.Seconds(), "purge-read/s")
	b.ReportMetric(0, "ns/op")
}
