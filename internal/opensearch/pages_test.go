package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// TestLongDocuments: where a page is longer than an answer may be, it is asked for
// in parts, and nothing is left out of anything.
func TestLongDocuments(t *testing.T) {
	const n = 1200
	e := speedEngine(t, n)
	t.Cleanup(func() {
		_ = e.client.call(context.Background(), request{method: http.MethodDelete, path: "/" + IndexName(e.alias, 1)}, nil)
	})
	e.client.maxAnswer = 40 << 10 // some twenty documents
	for _, sort := range []query.Sort{{By: query.ByValue}, {By: query.ByLastSeen}, {By: query.ByChanged}} {
		got := 0
		p, err := e.Search(t.Context(), query.Search{Query: query.All{}, Sort: sort}, func(*intel.Listing) error { got++; return nil })
		if err != nil || got != n || p.Total != n || p.More {
			t.Errorf("sorted by %v: %d listings of %d, %v", sort.By, got, p.Total, err)
		}
		got = 0
		p, err = e.Search(t.Context(), query.Search{Query: query.All{}, Sort: sort, Limit: 150}, func(*intel.Listing) error { got++; return nil })
		if err != nil || got != 150 || p.Total != n || !p.More {
			t.Errorf("150 sorted by %v: %d listings of %d, %v", sort.By, got, p.Total, err)
		}
	}
	var qs []intel.Question
	for i := range n {
		qs = append(qs, intel.Ask(mixedIndicator(i)))
	}
	err := e.FindMany(t.Context(), qs, time.Time{}, func(i int, ls []intel.Listing, err error) error {
		if len(ls) == 0 {
			t.Errorf("%s is not found", qs[i].Indicator.Value)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	all := intel.Ask(intel.Indicator{Kind: intel.CIDR, Value: "0.0.0.0/0"})
	if ls, err := e.Find(t.Context(), all, time.Time{}, nil); err != nil || len(ls) < n/4 {
		t.Errorf("%d members, %v", len(ls), err)
	}
	e.client.maxAnswer = 500 // less than one has
	if ls, err := e.Find(t.Context(), all, time.Time{}, nil); !errors.Is(err, errTooLong) {
		t.Errorf("%d members, %v", len(ls), err)
	}
}

// TestLateAnswers: the cluster is told when nobody waits any more, and a search
// that was not finished in time is an error, or ends one that has a budget.
func TestLateAnswers(t *testing.T) {
	var within time.Duration
	status := http.StatusOK
	late := `{"took":1,"timed_out":true,"_shards":{"total":1,"successful":1,"failed":0},"hits":{"total":{"value":1,"relation":"eq"},"hits":[]}}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/point_in_time") {
			_, _ = w.Write([]byte(`{"pit_id":"x","_shards":{"total":1,"successful":1,"failed":0}}`))
			return
		}
		var q struct{ Timeout string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		within, _ = time.ParseDuration(q.Timeout)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(late))
	}))
	defer s.Close()
	c := testClient(t, newClock(), Options{Timeout: 7 * time.Second}, s.URL)
	e := NewEngine(c, EngineOptions{Now: time.Now})
	for range 2 {
		_, err := e.Search(t.Context(), query.Search{Query: query.All{}}, nil)
		if !errors.Is(err, errTimeout) || within != 7*time.Second {
			t.Errorf("told %s: %v", within, err)
		}
		p, err := e.Search(t.Context(), query.Search{Query: query.All{}, Budget: 3 * time.Second}, nil)
		if err != nil || !p.Partial || p.Exact || within <= 0 || within > 3*time.Second {
			t.Errorf("told %s: %+v, %v", within, p, err)
		}
		status = http.StatusInternalServerError // as 2.19.1 answers where no shard was through
		late = `{"error":{"root_cause":[{"type":"time_exceeded_exception","reason":null}],"type":"search_phase_execution_exception","reason":"all shards failed"},"status":500}`
	}
}
