package opensearch_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// shown makes what was written seen, as the restart of a node does, or a new copy.
func shown(t *testing.T, node, alias string) {
	t.Helper()
	r, err := http.Post(node+"/"+alias+"/_refresh", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusOK {
		t.Fatal(r.Status, string(b), err)
	}
}

// TestDocumentsAheadOfFacts: a sync that was ended by force after it had sent
// documents, and then a node that restarts: what is seen is partly newer than the
// facts. Each listing is as it was, or as it is now, and nothing of it is a lie.
func TestDocumentsAheadOfFacts(t *testing.T) {
	e, m, pass := behind(t, 100)
	node := m.node
	before, err := questions["search"](t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	pass(time.Hour)
	second := e.now().Truncate(time.Second)
	entries := append(numbered(100, "new")[50:], entriesAt("203.0.113.", 20)...) // 50 gone, 50 changed, 20 new
	m.meddle(meddled{on: "/_bulk", has: `"_id":"state"`, times: -1}, meddling{before: true, change: func(a *passed) { a.reset = true }})
	if err := e.Load(t.Context(), snapshotA(), second, entries); err == nil {
		t.Fatal("the sync was not ended")
	}
	m.done()
	pass(time.Minute)
	if got, err := questions["search"](t.Context(), e); err != nil || got != before {
		t.Errorf("before anything is seen: %v, %.300s", err, got)
	}
	shown(t, node, e.alias)
	for _, value := range []string{"198.51.0.7", "198.51.0.77", "203.0.113.7"} {
		i, err := intel.Detect(value)
		if err != nil {
			t.Fatal(err)
		}
		ls, err := e.Find(t.Context(), intel.Ask(i), time.Time{}, nil)
		want, werr := e.corpus.Find(t.Context(), intel.Ask(i), time.Time{}, nil)
		if err != nil || werr != nil || len(ls) != 1 || len(want) != 1 {
			t.Fatalf("%s: %+v, %v, %v", value, ls, err, werr)
		}
		l := &ls[0]
		if l.Listed != want[0].Listed || l.LastSeen.Before(l.FirstSeen) || !l.LastSeen.Equal(want[0].LastSeen) || l.LastSeen.Before(l.Changed) && l.Listed {
			t.Errorf("%s: %s\nwant %s", value, l.AppendJSON(nil), want[0].AppendJSON(nil))
		}
	}
	pages(t, e)
	if err := e.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "after the next sync", e)
}

// pages goes through all in the order of last seen, which must come to an end.
func pages(t *testing.T, e *engine) {
	t.Helper()
	s := query.Search{Query: query.All{}, Sort: query.Sort{By: query.ByLastSeen}, Limit: 7}
	seen := map[string]bool{}
	for range 100 {
		var last intel.Listing
		p, err := e.Search(t.Context(), s, func(l *intel.Listing) error {
			if seen[l.Canonical] {
				t.Fatalf("%s twice", l.Canonical)
			}
			seen[l.Canonical], last = true, *l
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !p.More {
			if len(seen) != p.Total {
				t.Errorf("%d of %d", len(seen), p.Total)
			}
			return
		}
		at := s.Sort.Position(&last)
		s.After = &at
	}
	t.Error("it has no end")
}

func entriesAt(prefix string, n int) []intel.Entry {
	out := numbered(n, "added")
	for i := range out {
		out[i].Indicator.Value = prefix + out[i].Indicator.Value[strings.LastIndexByte(out[i].Indicator.Value, '.')+1:]
		out[i].Original = out[i].Indicator.Value
	}
	return out
}

// TestNoGhosts: what a sync that was ended by force had sent, and the source has not,
// since it was set back or the feed removed, is not in the index after the next sync.
func TestNoGhosts(t *testing.T) {
	for name, c := range map[string]struct {
		feed  intel.FeedInfo
		count int // listings that the index has in the end
	}{
		"set back":          {snapshotA(), 100},
		"a feed is removed": {intel.FeedInfo{ID: "b", Presence: intel.Snapshot}, 100},
	} {
		t.Run(name, func(t *testing.T) {
			e, m, pass := behind(t, 100)
			old := view{e.corpus.View(), e.corpus} // the state that the source is set back to
			pass(time.Hour)
			m.meddle(meddled{on: "/_refresh", after: 1, times: -1}, meddling{before: true, change: func(a *passed) { a.reset = true }})
			if err := e.Load(t.Context(), c.feed, e.now().Truncate(time.Second), append(numbered(100, "x"), entriesAt("203.0.113.", 20)...)); err == nil {
				t.Fatal("the sync was not ended")
			}
			m.done()
			pass(time.Minute)
			if _, err := e.Sync(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			shown(t, m.node, e.alias)
			p, err := e.Search(t.Context(), query.Search{Query: query.All{}, Limit: -1}, nil)
			if err != nil || p.Total != c.count {
				t.Errorf("%d listings, want %d: %v", p.Total, c.count, err)
			}
		})
	}
}
