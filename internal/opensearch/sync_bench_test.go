package opensearch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// urlsOf are n URLs with the context that such feeds give; the first changed of them say another status.
func urlsOf(n, changed int, status string) []intel.Entry {
	out := make([]intel.Entry, n)
	for i := range out {
		v := fmt.Sprintf("http://host%d.zone%d.example/%x/gate.php", i, i%997, i*2654435761)
		e := intel.Entry{Indicator: intel.Indicator{Kind: intel.URL, Value: v}, Original: v}
		e.Fields.Add("reporter", fmt.Sprint("user", i%500))
		e.Fields.Add("url_status", map[bool]string{true: status, false: "online"}[i < changed])
		e.Fields.Add(intel.FieldTags, []string{"elf", "exe", "js", "doc"}[i%4])
		out[i] = e
	}
	return out
}

// BenchmarkSync measures, from an embedded engine to a real node, how fast a feed of
// 100,000 listings is filled in, how long it takes until a change of a tenth is seen,
// and what a run without news costs, beside 50 feeds that stand still.
func BenchmarkSync(b *testing.B) {
	const n = 100_000
	a := &aliases{c: opensearchtest.Shared(b, opensearchtest.V2), t: b}
	now := began
	e, err := a.engine(func() time.Time { return now })
	if err != nil {
		b.Fatal(err)
	}
	load := func(id string, entries []intel.Entry) time.Duration {
		now = now.Add(time.Hour)
		info := intel.FeedInfo{ID: id, Name: "URLs", Provider: "Example", Description: "Served malware.", Confidence: 70, Presence: intel.Snapshot}
		if err := e.run(b.Context(), info, now, entries); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := e.sync(b.Context()); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	for i := range 50 {
		load(fmt.Sprint("still", i), numbered(20, "x"))
	}
	fill := load("urls", urlsOf(n, 0, ""))
	if e.last.Written != n || e.last.Feeds != 1 {
		b.Fatalf("%+v", e.last)
	}
	var change, same time.Duration
	for i := range b.N {
		status := fmt.Sprint("offline", i)
		change += load("urls", urlsOf(n, n/10, status))
		if e.last.Written != n/10 || e.last.Feeds != 1 {
			b.Fatalf("%+v", e.last)
		}
		same += load("urls", urlsOf(n, n/10, status))
		if e.last.Written != 0 || e.last.Feeds != 1 {
			b.Fatalf("%+v", e.last)
		}
	}
	b.ReportMetric(n/fill.Seconds(), "filled/s")
	b.ReportMetric(change.Seconds()/float64(b.N), "s/tenth")
	b.ReportMetric(same.Seconds()/float64(b.N), "s/nothing-new")
	b.ReportMetric(0, "ns/op")
}
