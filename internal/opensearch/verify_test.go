package opensearch_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// refused is what an index refuses after refuse.
const refused = "refused.example"

// refuse has the index refuse the documents of all but addresses, as it would what its
// mapping cannot take, and returns five listings of which it refuses one.
func (a *aliases) refuse(alias string) []intel.Entry {
	a.raw(http.MethodPut, "/"+alias+"/_mapping",
		`{"properties":{"threat":{"properties":{"indicator":{"properties":{"name":{"type":"keyword","fields":{"address":{"type":"ip"}}}}}}}}}`, nil)
	entries := numbered(5, "x")
	entries[2].Indicator, entries[2].Original = intel.Indicator{Kind: intel.Domain, Value: refused}, refused
	return entries
}

// raw makes a request of the cluster beside the engine, as somebody who meddles would.
func (a *aliases) raw(method, path, body string, out any) {
	a.t.Helper()
	req, err := http.NewRequest(method, a.c.URLs[0]+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode > 299 {
		err = fmt.Errorf("%s: %s", r.Status, b)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(b, out)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// problems are those of a report, each as "class object".
func problems(r *opensearch.Report) (out []string) {
	for _, p := range r.Problems {
		out = append(out, p.Class+" "+p.Object)
	}
	return out
}

// verify compares the engine's index with its corpus.
func (e *engine) verify(t *testing.T, o opensearch.VerifyOptions) *opensearch.Report {
	t.Helper()
	r, err := e.Verify(t.Context(), view{e.corpus.View(), e.corpus}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestVerify: what is lost, too much, or other than in the store is named.
func TestVerify(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	now := began
	e, err := a.engine(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	load := func(info intel.FeedInfo, entries []intel.Entry) {
		t.Helper()
		if err := e.Load(t.Context(), info, now, entries); err != nil {
			t.Fatal(err)
		}
	}
	ttl := intel.FeedInfo{ID: "b", Presence: intel.Rolling, TTL: intel.Duration(36 * time.Hour)}
	load(intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, numbered(600, "x"))
	load(ttl, numbered(90, "y"))
	now = now.Add(24*time.Hour + 1234567)
	load(ttl, numbered(60, "y")) // the others end by themselves, later
	for _, later := range []time.Duration{0, 10 * time.Hour, 20 * time.Hour} {
		now = began.Add(24*time.Hour + 1234567 + later)
		r := e.verify(t, opensearch.VerifyOptions{Sample: 5000})
		if len(r.Problems)+len(r.Behind) != 0 || r.Feeds != 2 || r.Listings != 690 || r.Documents != 690 || r.Compared != 690 {
			t.Fatalf("%s later: %d problems, the first %+v; %+v", later, len(r.Problems), r.Problems[:min(1, len(r.Problems))], r.Behind)
		}
	}
	if r := e.verify(t, opensearch.VerifyOptions{Sample: 50}); r.Compared < 70 || r.Compared > 130 {
		t.Errorf("%d were compared, want about 50 from each side", r.Compared)
	}
	if r := e.verify(t, opensearch.VerifyOptions{Sample: -1}); r.Compared != 0 || len(r.Problems) != 0 {
		t.Errorf("%+v", r)
	}
	// Somebody meddles: one is lost, one is too much, one says something else, one cannot be found by its port.
	index := a.names(e.alias)[0]
	doc := func(v, feed string) (path string, source map[string]any) {
		i := intel.Indicator{Kind: intel.IPv4, Value: v}
		path = "/" + index + "/_doc/" + opensearch.DocumentID(i, feed) + "?routing=" + opensearch.RoutingOf(i)
		var got struct {
			Source map[string]any `json:"_source"`
		}
		a.raw("GET", path, "", &got)
		return path, got.Source
	}
	put := func(path string, source map[string]any) {
		b, err := json.Marshal(source)
		if err != nil {
			t.Fatal(err)
		}
		a.raw("PUT", path, string(b), nil)
	}
	path, _ := doc("198.51.0.7", "a")
	a.raw("DELETE", path, "", nil)
	path, source := doc("198.51.0.9", "a")
	source["listing"].(map[string]any)["confidence"] = 3
	put(path, source)
	path, source = doc("198.51.0.11", "a")
	source["threat"].(map[string]any)["indicator"].(map[string]any)["port"] = []int{22}
	put(path, source)
	_, source = doc("198.51.0.12", "b")
	source["listing"].(map[string]any)["canonical"] = "203.0.113.99"
	i := intel.Indicator{Kind: intel.IPv4, Value: "203.0.113.99"}
	put("/"+index+"/_doc/"+opensearch.DocumentID(i, "b")+"?routing="+opensearch.RoutingOf(i), source)
	a.raw("POST", "/"+index+"/_refresh", "", nil)
	want := []string{"count feed a", "count feed b", "differs ipv4 198.51.0.11 of feed a", "differs ipv4 198.51.0.9 of feed a",
		"missing ipv4 198.51.0.7 of feed a", "surplus ipv4 203.0.113.99 of feed b"}
	if got := problems(e.verify(t, opensearch.VerifyOptions{Sample: 5000})); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	// What was not sent yet is no problem, and said.
	m := &engine{Engine: e.Engine, corpus: e.corpus}
	head, etag, err := m.corpus.Head(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	commit(t, m, head, etag, now)
	if r := e.verify(t, opensearch.VerifyOptions{Sample: 5000}); !slices.Equal(r.Behind, []string{"a"}) || r.Feeds != 1 || !slices.Equal(problems(r), []string{want[1], want[5]}) {
		t.Errorf("%+v", r)
	}
}

// TestVerifyRefused: what the index would not take is told apart from what it lost.
func TestVerifyRefused(t *testing.T) {
	a := &aliases{c: opensearchtest.Shared(t, opensearchtest.V2), t: t}
	e, err := a.engine(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), intel.FeedInfo{ID: "a", Presence: intel.Snapshot}, began, a.refuse(e.alias)); err == nil {
		t.Fatal("it was taken")
	}
	want := []string{"count feed a", "refused domain refused.example of feed a"}
	if got := e.verify(t, opensearch.VerifyOptions{}); !slices.Equal(problems(got), want) {
		t.Errorf("%+v", got)
	}
	st, err := e.Reindex(t.Context(), view{e.corpus.View(), e.corpus}, opensearch.ReindexOptions{})
	if err != nil || st.Rejected != 0 || e.Err() != nil {
		t.Errorf("an index that takes it: %+v, %v, %v", st, err, e.Err())
	}
	if got := e.verify(t, opensearch.VerifyOptions{}); len(got.Problems) != 0 {
		t.Errorf("after a Reindex: %q", problems(got))
	}
}
