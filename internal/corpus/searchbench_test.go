package corpus

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// benchSize is how large the corpus of BenchmarkSearch is: EI_BENCH=5000000.
func benchSize() int {
	if n, err := strconv.Atoi(os.Getenv("EI_BENCH")); err == nil {
		return n
	}
	return 1_000_000
}

// BenchmarkSearch measures queries of every sort over a corpus of a million
// listings in 40 feeds (five million: in 180).
func BenchmarkSearch(b *testing.B) {
	n := benchSize()
	feeds := 40
	if n >= 5_000_000 {
		feeds = 180
	}
	store := newStore(b)
	distinct := benchCorpus(b, store, n, feeds)
	c := openCorpus(b, store, Options{})
	regroup(b, c)
	runtime.GC()
	r := rand.New(rand.NewPCG(3, 4))
	token := func() string {
		e := benchEntries(1, func(int) uint64 { return r.Uint64N(distinct) })[0]
		texts := []string{e.Indicator.Value}
		for _, f := range e.Fields {
			texts = append(texts, f.Values...)
		}
		tokens := query.Tokens(nil, texts[r.IntN(len(texts))])
		return tokens[r.IntN(len(tokens))]
	}
	for _, q := range []struct {
		name  string
		make  func() string
		facet query.Field
	}{
		{"term", func() string { return fmt.Sprintf("%q", token()) }, ""},
		{"and", func() string { return fmt.Sprintf("%q %q", token(), token()) }, ""},
		{"phrase", func() string {
			return fmt.Sprintf(`"family %d"`, r.IntN(64))
		}, ""},
		{"prefix", func() string { t := token(); return fmt.Sprintf(`"%s"*`, (t + "00")[:max(3, len(t)*2/3)]) }, ""},
		{"tag", func() string { return fmt.Sprintf("tag:tag%d", r.IntN(256)) }, ""},
		{"subdomains", func() string {
			return "domain:*.h" + strconv.FormatUint(r.Uint64N(distinct), 36) + ".example"
		}, ""},
		{"net", func() string { return fmt.Sprintf("net:%d.%d.0.0/16", 1+r.IntN(223), r.IntN(256)) }, ""},
		{"all", func() string { return "*" }, ""},
		{"facet feed", func() string { return fmt.Sprintf("malware:family-%d", r.IntN(64)) }, query.FieldFeed},
		{"facet tag", func() string { return fmt.Sprintf("malware:family-%d", r.IntN(64)) }, query.FieldTag},
	} {
		b.Run(q.name, func(b *testing.B) { benchSearch(b, c, q.make, q.facet) })
	}
}

func benchSearch(b *testing.B, c *Corpus, text func() string, facet query.Field) {
	nodes := make([]query.Node, 500)
	for i := range nodes {
		n, err := query.Parse(text(), t0)
		if err != nil {
			b.Fatal(err)
		}
		nodes[i] = n
	}
	s := query.Search{Limit: 20}
	if facet != "" {
		s.Limit, s.Facets = -1, []query.Field{facet}
	}
	took := make([]time.Duration, 0, 1<<16)
	total, inexact := 0, 0
	ask := func(i int) {
		s.Query = nodes[i%len(nodes)]
		page, err := c.Search(b.Context(), s, func(*intel.Listing) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		total += page.Total
		if !page.Exact {
			inexact++
		}
	}
	for i := range nodes {
		ask(i)
	}
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		ask(i)
		if len(took) < cap(took) {
			took = append(took, time.Since(start))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
	b.ReportMetric(float64(total)/float64(b.N+len(nodes)), "hits/op")
	b.ReportMetric(100*float64(inexact)/float64(b.N+len(nodes)), "%inexact")
}

// regroup groups what can be grouped and has searches use it.
func regroup(t testing.TB, c *Corpus) {
	t.Helper()
	if _, err := c.Regroup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}
