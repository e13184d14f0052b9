package opensearch_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// seqOf is the version that one of the two documents names that are no listings.
func seqOf(t *testing.T, a *aliases, index, id string) string {
	t.Helper()
	r, err := http.Post(a.c.URLs[0]+"/"+index+"/_search", "application/json", strings.NewReader(`{"query":{"ids":{"values":["`+id+`"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var got struct {
		Hits struct {
			Hits []struct {
				Source struct {
					Listing struct {
						Seq string `json:"seq"`
					} `json:"listing"`
				} `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil || len(got.Hits.Hits) != 1 {
		t.Fatalf("%s: %s, %d documents, %v", id, r.Status, len(got.Hits.Hits), err)
	}
	return got.Hits.Hits[0].Source.Listing.Seq
}

// TestTornState: where whoever wrote was ended between the facts and the state that
// names them, answers go on, one request each, and the next Sync puts it right
// though nothing has changed.
func TestTornState(t *testing.T) {
	c := opensearchtest.Shared(t, opensearchtest.V2)
	m := newMeddler(t, c)
	a := &aliases{c: c, t: t, urls: []string{m.URL}}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	entries := numbered(20, "x")
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, entries); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPut, a.c.URLs[0]+"/"+e.alias+"/_doc/state?refresh=true", strings.NewReader(`{"listing":{"seq":"another"}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(req)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatal(r, err)
	}
	r.Body.Close()
	fresh := opensearch.NewEngine(e.client, e.options)
	asks := []intel.Question{intel.Ask(entries[0].Indicator), intel.Ask(entries[1].Indicator)}
	answers := func() {
		t.Helper()
		err := fresh.FindMany(t.Context(), asks, time.Time{}, func(i int, ls []intel.Listing, err error) error {
			if len(ls) != 1 || err != nil {
				t.Errorf("%d: %d found, %v", i, len(ls), err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	answers()
	m.meddle(meddled{times: -1}, meddling{change: func(*passed) {}}) // counts
	answers()
	if n := m.done(); n != 1 {
		t.Errorf("%d requests", n)
	}
	e.Engine = fresh
	if err := e.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state, facts := seqOf(t, a, e.alias, "state"), seqOf(t, a, e.alias, "facts"); state != facts || state == "another" {
		t.Errorf("the state names %q, the facts are %q", state, facts)
	}
	answers()
}
