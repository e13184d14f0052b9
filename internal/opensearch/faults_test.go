package opensearch_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// behind returns an engine that asks through a meddler, filled with n listings, whose
// client does not wait between tries.
func behind(t *testing.T, n int) (*engine, *meddler, func(time.Duration)) {
	t.Helper()
	c := opensearchtest.Shared(t, opensearchtest.V2)
	m := newMeddler(t, c)
	var past atomic.Int64 // nanoseconds since began
	now := func() time.Time { return began.Add(time.Duration(past.Load())) }
	a := &aliases{c: c, t: t, urls: []string{m.URL}, wait: func(ctx context.Context, d time.Duration) error {
		past.Add(int64(d))
		return ctx.Err()
	}, now: now}
	e, err := a.engine(now)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), snapshotA(), began, numbered(n, "x")); err != nil {
		t.Fatal(err)
	}
	return e, m, func(d time.Duration) { past.Add(int64(d)) }
}

func snapshotA() intel.FeedInfo { return intel.FeedInfo{ID: "a", Presence: intel.Snapshot} }

// questions are one of each sort. Each returns what the engine says, in one text.
var questions = map[string]func(ctx context.Context, e lookupEngine) (string, error){
	"find":        find("198.51.0.7"),
	"find absent": find("203.0.113.1"),
	"members":     find("198.51.0.0/23"),
	"search":      searchFor(query.Search{Query: query.All{}, Limit: 20, Facets: []query.Field{query.FieldKind}}),
	"count":       searchFor(query.Search{Query: query.Listed{Listed: true}, Limit: -1}),
	"stream":      searchFor(query.Search{Query: query.All{}, Sort: query.Sort{By: query.ByValue}}),
	"last seen":   searchFor(query.Search{Query: query.All{}, Sort: query.Sort{By: query.ByLastSeen}, Limit: 700}),
	"as of":       searchFor(query.Search{Query: query.All{}, AsOf: began.Add(time.Minute), Limit: 30}),
	"sifted":      searchFor(query.Search{Query: query.Date{Field: query.FieldFeedFirstSeen, From: began.Add(time.Nanosecond)}, Sort: query.Sort{By: query.ByValue}}),
	"changes": func(ctx context.Context, e lookupEngine) (string, error) {
		out := ""
		_, more, err := e.Changes(ctx, "", 0, func(ev *intel.Event) error { out += string(ev.AppendJSON(nil)); return nil })
		return fmt.Sprint(more, out), err
	},
	"stats": func(ctx context.Context, e lookupEngine) (string, error) {
		st, err := e.Stats(ctx)
		return fmt.Sprint(st), err
	},
	"compare": func(ctx context.Context, e lookupEngine) (string, error) {
		c, err := e.Compare(ctx, func(string) bool { return false })
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%+v", *c), nil
	},
}

// lookupEngine is what questions are asked of.
type lookupEngine interface {
	Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error)
	Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error)
	Stats(ctx context.Context) (intel.Stats, error)
	Changes(ctx context.Context, since string, limit int, emit func(*intel.Event) error) (string, bool, error)
	Compare(ctx context.Context, aside func(string) bool) (*intel.Comparison, error)
}

func find(value string) func(context.Context, lookupEngine) (string, error) {
	return func(ctx context.Context, e lookupEngine) (string, error) {
		i, err := intel.Detect(value)
		if err != nil {
			return "", err
		}
		ls, err := e.Find(ctx, intel.Ask(i), time.Time{}, nil)
		out := make([]string, 0, len(ls))
		for i := range ls {
			out = append(out, string(ls[i].AppendJSON(nil)))
		}
		slices.Sort(out)
		return fmt.Sprint(out), err
	}
}

func searchFor(s query.Search) func(context.Context, lookupEngine) (string, error) {
	return func(ctx context.Context, e lookupEngine) (string, error) {
		out := ""
		p, err := e.Search(ctx, s, func(l *intel.Listing) error { out += string(l.AppendJSON(nil)); return nil })
		return fmt.Sprintf("%+v %s", p, out), err
	}
}

// TestAnswersWithFaults: whatever becomes of an answer of the cluster, ours is the
// right one or an error; never that something is not there.
func TestAnswersWithFaults(t *testing.T) {
	e, m, pass := behind(t, 600) // more than a page
	right := map[string]string{}
	for name, ask := range questions {
		got, err := ask(t.Context(), e)
		if err != nil {
			t.Fatal(name, err)
		}
		right[name] = got
	}
	faults := maps.Clone(anyAnswer)
	faults["timed out"] = replaced(`"timed_out":false`, `"timed_out":true`)
	faults["a shard failed"] = replaced(`"failed":0`, `"failed":1`)
	faults["a shard is missing"] = replaced(`"successful":1`, `"successful":0`)
	faults["no shards"] = replaced(`"_shards"`, `"_shreds"`)
	faults["no shard at all"] = replaced(`"total":1,"successful":1`, `"total":0,"successful":0`)
	faults["hits are no list"] = replaced(`"hits":[`, `"hits":{},"x":[`)
	faults["hits are gone"] = replaced(`"hits":[`, `"hats":[`)
	faults["hits are null"] = replaced(`"hits":[`, `"hits":null,"x":[`)
	faults["an error in the midst"] = replaced(`"hits":[`, `"hits":{"error":"x"},"x":[`)
	faults["sources are gone"] = replaced(`"_source"`, `"_sauce"`)
	faults["listings are numbers"] = replaced(`"listing":{`, `"listing":7,"x":{`)
	if soaking() {
		faults["huge"] = meddling{before: true, change: func(a *passed) { a.body = make([]byte, 65<<20) }}
	}
	names, whats := slices.Sorted(maps.Keys(faults)), slices.Sorted(maps.Keys(questions))
	met := 0
	for i, name := range names {
		for j, what := range whats {
			if !soaking() && j%4 != i%4 && name != "an empty object" { // each fault meets a quarter of the questions
				continue
			}
			for _, at := range []meddled{{on: "/_search", times: -1}, {on: "/_search", after: 1, times: 1}, {on: "/point_in_time", times: -1}} {
				m.meddle(at, faults[name])
				got, err := questions[what](t.Context(), e)
				if err == nil && got != right[what] {
					t.Errorf("%s at %v: %s: the answer is another one: %.300s", name, at, what, got)
				}
				met += m.done()
				pass(time.Minute) // whatever the client has set aside is tried again
			}
		}
	}
	t.Logf("%d answers meddled with", met)
	if met < 5*len(names) {
		t.Errorf("met %d answers", met)
	}
	for what, ask := range questions {
		if got, err := ask(t.Context(), e); err != nil || got != right[what] {
			t.Errorf("%s afterwards: %v", what, err)
		}
	}
}

// TestSyncWithFaults: whatever becomes of the answers to what is written, the index is
// what the source is, or Sync says that it is not, and the next one mends it. Meanwhile
// answers are those of before, or of after.
func TestSyncWithFaults(t *testing.T) {
	e, m, pass := behind(t, 100)
	faults := maps.Clone(anyAnswer)
	faults["items 429"] = replaced(`"status":201`, `"status":429`)
	faults["an item is missing"] = replaced(`"items":[{`, `"items":[],"x":[{`)
	faults["too many items"] = replaced(`"items":[{`, `"items":[{"index":{"_id":"x","status":201,"_shards":{"total":1,"successful":1,"failed":0}}},{`)
	faults["a copy failed"] = replaced(`"failed":0`, `"failed":1`)
	faults["no copy has it"] = replaced(`"successful":1`, `"successful":0`)
	faults["no word of copies"] = replaced(`"_shards"`, `"_shreds"`)
	faults["others' ids"] = replaced(`"_id":"`, `"_id":"x`)
	faults["another action"] = replaced(`{"index":{`, `{"delete":{`)
	faults["413 of a proxy"] = says(http.StatusRequestEntityTooLarge, "text/html", html)
	faults["403 of a proxy"] = says(http.StatusForbidden, "text/html", html)
	faults["not acknowledged"] = replaced(`"acknowledged":true`, `"acknowledged":false`)
	note := "x"
	for i, name := range slices.Sorted(maps.Keys(faults)) {
		for j, at := range []meddled{{on: "/_bulk", times: 1}, {on: "/_bulk", times: -1}, {on: "/_bulk", after: 1, times: 2}, {on: "/_refresh", times: 1}, {on: "/_refresh", times: -1}, {on: "/_alias/" + e.alias, times: -1}} {
			if !soaking() && j != i%6 && (j+3)%6 != i%6 { // each fault meets a third of the places
				continue
			}
			before := note
			note = fmt.Sprintf("note %s %d", name, j)
			pass(time.Hour)
			m.meddle(at, faults[name])
			err := e.Load(t.Context(), snapshotA(), e.now().Truncate(time.Second), numbered(100, note))
			m.done()
			pass(time.Minute)
			where := fmt.Sprintf("%s at %v", name, at)
			either(t, where, e, err == nil, before, note)
			if err != nil {
				if err := e.sync(t.Context()); err != nil {
					t.Fatalf("%s: the next sync: %v", where, err)
				}
			}
			same(t, where, e)
		}
	}
}

// soaking says whether the full counts are wanted.
func soaking() bool { return os.Getenv("EI_SOAK") != "" }

// either checks that a listing is as it was before or as it is now; now alone where all was acknowledged.
func either(t *testing.T, where string, e *engine, acknowledged bool, before, after string) {
	t.Helper()
	ls, err := e.Find(t.Context(), intel.Ask(numbered(1, "")[0].Indicator), time.Time{}, nil)
	if err != nil || len(ls) != 1 || !ls[0].Listed {
		t.Fatalf("%s: %+v, %v", where, ls, err)
	}
	if got := ls[0].Context[0].Values[0]; got != after && (acknowledged || got != before) {
		t.Errorf("%s: acknowledged %v, and the answer has %q, neither %q nor %q", where, acknowledged, got, before, after)
	}
}

// same checks that the index gives the listings of the corpus, all and as they are.
func same(t *testing.T, where string, e *engine) {
	t.Helper()
	for _, s := range []query.Search{{Query: query.All{}, Sort: query.Sort{By: query.ByValue}}, {Query: query.Listed{Listed: true}, Limit: -1}} {
		want, err := searchFor(s)(t.Context(), e.corpus)
		if err != nil {
			t.Fatal(where, err)
		}
		got, err := searchFor(s)(t.Context(), e)
		if err != nil || got != want {
			t.Errorf("%s: the index differs from the corpus (%v):\ngot  %.300s\nwant %.300s", where, err, got, want)
		}
	}
}

var _ lookupEngine = (*opensearch.Engine)(nil)
