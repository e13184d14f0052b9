package opensearch_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// commit brings a run of a feed to the corpus alone.
func commit(t *testing.T, e *engine, head *corpus.Head, etag string, now time.Time) {
	t.Helper()
	m, err := e.corpus.Merge(t.Context(), head, numbered(610, "x"), corpus.MergeOptions{Feed: head.Feed, Info: head.Info, Now: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.corpus.Commit(t.Context(), m.Next, etag); err != nil {
		t.Fatal(err)
	}
	if _, err := e.corpus.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestTidy: what was begun and given up is removed after a day and not before,
// replicas are as they are wanted, and deleted documents go where they are many.
func TestTidy(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	now := time.Now() // the cluster says when an index was made
	e, err := a.engine(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	info := intel.FeedInfo{ID: "a", Presence: intel.Snapshot}
	for _, note := range []string{"x", "y"} {
		now = now.Add(time.Minute)
		if err := e.Load(t.Context(), info, now, numbered(11_000, note)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = e.Reindex(ctx, view{e.corpus.View(), e.corpus}, opensearch.ReindexOptions{Progress: func(p opensearch.Progress) {
		if p.Listings > 3000 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	a.raw("PUT", "/"+e.alias+"-v0-000001", "", nil) // of an older version, and of nobody
	a.raw("PUT", "/"+e.alias+"-v-000001", "", nil)  // somebody else's
	names := a.names(e.alias)
	now = now.Add(23 * time.Hour)
	st, err := e.Tidy(t.Context())
	if err != nil || len(st.Removed) != 0 || !st.Merging || st.Replicas || !slices.Equal(a.names(e.alias), names) {
		t.Errorf("%+v, %v, %q", st, err, a.names(e.alias))
	}
	now = now.Add(2 * time.Hour)
	st, err = e.Tidy(t.Context())
	want := []string{e.alias + "-v0-000001", opensearch.IndexName(e.alias, 2)}
	left := []string{e.alias + "-v-000001", opensearch.IndexName(e.alias, 1)}
	if err != nil || !slices.Equal(st.Removed, want) || !slices.Equal(a.names(e.alias), left) {
		t.Errorf("%+v, %v, %q", st, err, a.names(e.alias))
	}
	if os.Getenv("EI_SOAK") != "" {
		a.expunged(e, left[1])
	}
	// Another engine of the same index wants other replicas.
	cl, err := opensearch.New(opensearch.Options{URLs: a.c.URLs, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		shape opensearch.Shape
		auto  string
		n     string
	}{{opensearch.Shape{AutoReplicas: true}, "0-1", ""}, {opensearch.Shape{Replicas: 2}, "false", "2"}, {opensearch.Shape{}, "false", "0"}} {
		other := opensearch.NewEngine(cl, opensearch.EngineOptions{Alias: e.alias, Shape: x.shape, Now: func() time.Time { return now }})
		for _, want := range []bool{true, false} {
			if st, err := other.Tidy(t.Context()); err != nil || st.Replicas != want {
				t.Errorf("%+v: %+v, %v", x, st, err)
			}
		}
		var got map[string]struct {
			Settings struct {
				Index struct {
					Auto string `json:"auto_expand_replicas"`
					N    string `json:"number_of_replicas"`
				}
			}
		}
		a.raw("GET", "/"+left[1]+"/_settings", "", &got)
		if is := got[left[1]].Settings.Index; is.Auto != x.auto || x.n != "" && is.N != x.n {
			t.Errorf("%+v, want %+v", is, x)
		}
	}
}

// expunged waits until the deleted documents are gone: the cluster keeps what it
// may need for copies that come back for half a minute.
func (a *aliases) expunged(e *engine, index string) {
	deadline := time.Now().Add(time.Minute)
	for deleted := 11_000; deleted > 1000; {
		var got struct {
			All struct {
				Primaries struct {
					Docs struct {
						Count, Deleted int
					}
				}
			} `json:"_all"`
		}
		if _, err := e.Tidy(a.t.Context()); err != nil {
			a.t.Fatal(err)
		}
		a.raw("POST", "/"+index+"/_refresh", "", nil)
		a.raw("GET", "/"+index+"/_stats/docs", "", &got)
		deleted = got.All.Primaries.Docs.Deleted
		if time.Now().After(deadline) {
			a.t.Fatalf("%d deleted documents are left", deleted)
		}
	}
}
