package opensearch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/enginetest"
)

// TestIntervalsAreTheHistory: whatever a feed does, the intervals of a document
// written at one time say for every instant up to the next run what the naive engine says.
func TestIntervalsAreTheHistory(t *testing.T) {
	day := intel.Duration(24 * time.Hour)
	for _, info := range []intel.FeedInfo{
		{ID: "snapshot", Presence: intel.Snapshot},
		{ID: "rolling", Presence: intel.Rolling, TTL: 3 * day},
		{ID: "kinds", Presence: intel.Rolling, TTL: 9 * day, KindTTL: map[intel.Kind]intel.Duration{intel.Domain: day / 2, intel.URL: 0}},
		{ID: "append", Presence: intel.Append},
		{ID: "append-ttl", Presence: intel.Append, TTL: 2 * day},
	} {
		for seed := range uint64(30) {
			t.Run(fmt.Sprintf("%s/%d", info.ID, seed), func(t *testing.T) { history(t, info, rand.New(rand.NewPCG(seed, 1))) })
		}
	}
}

func history(t *testing.T, info intel.FeedInfo, rnd *rand.Rand) {
	now := t0
	m := enginetest.NewModel(func() time.Time { return now })
	var instants []time.Time
	for range 8 {
		var entries []intel.Entry
		for _, v := range []intel.Indicator{{Kind: intel.IPv4, Value: "203.0.113.7"}, {Kind: intel.Domain, Value: "a.example.org"}, {Kind: intel.URL, Value: "http://a.example.org/"}} {
			if rnd.IntN(2) == 0 {
				entries = append(entries, intel.Entry{Indicator: v, Original: v.Value})
			}
		}
		lastGood := now
		if err := m.Load(t.Context(), info, now, entries); err != nil {
			t.Fatal(err)
		}
		instants = append(instants, now)
		docs := map[string]*document{}
		for _, l := range search(t, m, time.Time{}) {
			docs[l.Canonical] = newDocument(&l, PresenceOf(&l, lastGood))
		}
		next := now.Add(time.Duration(rnd.IntN(4*24)+1) * time.Hour)
		for at := now.Add(-time.Hour); at.Before(next); at = at.Add(7 * time.Hour) {
			now = at
			compare(t, docs, m, at)
		}
		now = lastGood
		for _, at := range instants {
			compare(t, docs, m, at)
		}
		now = next
	}
}

// compare asks both what was listed at an instant.
func compare(t *testing.T, docs map[string]*document, m *enginetest.Model, at time.Time) {
	t.Helper()
	want := map[string]bool{}
	for _, l := range search(t, m, at) {
		want[l.Canonical] = l.Listed
	}
	for value, d := range docs {
		got := slices.ContainsFunc(d.EI.Intervals, func(r timeRange) bool { return !at.Before(r.From) && (r.To == nil || at.Before(*r.To)) })
		if got != want[value] {
			t.Fatalf("%s at %s: the document says %v: %+v", value, at, got, d.EI.Intervals)
		}
	}
}

func search(t *testing.T, m *enginetest.Model, at time.Time) (out []intel.Listing) {
	t.Helper()
	_, err := m.Search(t.Context(), query.Search{Query: query.All{}, AsOf: at}, func(l *intel.Listing) error {
		keep := *l
		keep.Intervals, keep.Tags, keep.Context = slices.Clone(l.Intervals), slices.Clone(l.Tags), slices.Clone(l.Context)
		out = append(out, keep)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
