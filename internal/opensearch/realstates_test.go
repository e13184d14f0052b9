package opensearch_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// TestRealStates brings a real index into each state that keeps it from answering or
// from taking what is written: what is asked is answered rightly or not at all, what
// is written fails with what is wrong, and both go on by themselves when it is over.
func TestRealStates(t *testing.T) {
	c := opensearchtest.Shared(t, opensearchtest.V2)
	a := &aliases{c: c, t: t}
	now := began
	e, err := a.engine(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), snapshotA(), now, numbered(50, "0")); err != nil {
		t.Fatal(err)
	}
	set := func(k, v string) func(string) {
		return func(index string) {
			node(t, c, http.MethodPut, "/"+index+"/_settings?ignore_unavailable=true", fmt.Sprintf(`{%q:%s}`, k, v))
		}
	}
	after := func(path string) func(string) {
		return func(index string) { node(t, c, http.MethodPost, "/"+index+path, "") }
	}
	const allocation = "index.routing.allocation.require._name"
	for i, s := range []struct {
		name        string
		begin, end  func(index string)
		reads       bool   // whether questions are answered
		says, write string // part of the error of a question, and of a sync
		passes      bool   // whether the errors say that a retry may help
	}{
		{"closed", after("/_close"), after("/_open"), false, "index_closed_exception", "index_closed_exception", false},
		{"blocked for writing", set("index.blocks.write", "true"), set("index.blocks.write", "null"), true, "", "cluster_block_exception", false},
		{"blocked for reading", set("index.blocks.read", "true"), set("index.blocks.read", "null"), false, "cluster_block_exception", "cluster_block_exception", false},
		{"flood stage", set("index.blocks.read_only_allow_delete", "true"), set("index.blocks.read_only_allow_delete", "null"), true, "", "disk", true},
		{"read-only", set("index.blocks.read_only", "true"), set("index.blocks.read_only", "null"), true, "", "cluster_block_exception", false},
		{"its shard is nowhere", func(index string) { // red
			after("/_close")(index)
			set(allocation, `"nowhere"`)(index)
			node(t, c, http.MethodPost, "/"+index+"/_open?wait_for_active_shards=0", "")
		}, func(index string) {
			set(allocation, "null")(index)
			node(t, c, http.MethodGet, "/_cluster/health/"+index+"?wait_for_status=yellow&timeout=60s", "")
		}, false, "shard", "shard", true},
	} {
		t.Run(s.name, func(t *testing.T) {
			index := a.names(e.alias)[0]
			absent, _ := questions["find absent"](t.Context(), e)
			s.begin(index)
			for what, ask := range questions {
				got, err := ask(t.Context(), e)
				_, passes := opensearch.RetryAfter(err)
				switch {
				case s.reads && err != nil:
					t.Errorf("%s: %v", what, err)
				case s.reads && what == "find absent" && got != absent:
					t.Errorf("%s: %s", what, got)
				case !s.reads && (err == nil || !strings.Contains(err.Error(), s.says) || passes != s.passes):
					t.Errorf("%s: %v (passes %v); %.100s", what, err, passes, got)
				}
			}
			now = now.Add(time.Hour)
			err := quickly(t, a, e, func() error { return e.Load(t.Context(), snapshotA(), now, numbered(50, fmt.Sprint(i+1))) })
			if _, passes := opensearch.RetryAfter(err); err == nil || !strings.Contains(err.Error(), s.write) || passes != s.passes {
				t.Errorf("a sync: %v (passes %v)", err, passes)
			}
			var bulk *opensearch.BulkError
			if errors.As(err, &bulk) && bulk.Stats.Rejected > 0 {
				t.Errorf("a document is blamed: %v", err)
			}
			s.end(index)
			err = nil
			for range 100 { // until the breaker has closed
				if err = e.sync(t.Context()); err == nil {
					break
				}
				if d, ok := opensearch.RetryAfter(err); ok {
					<-time.After(min(d, time.Second))
				}
			}
			if err != nil {
				t.Fatalf("afterwards: %v", err)
			}
			same(t, s.name, e)
		})
	}
}

// quickly does it with a client that does not wait between tries.
func quickly(t *testing.T, a *aliases, e *engine, f func() error) error {
	t.Helper()
	cl, err := opensearch.New(opensearch.Options{URLs: a.c.URLs, Now: func() time.Time { return e.now() }, Wait: noWait})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	was := e.Engine
	defer func() { e.Engine = was }()
	e.Engine = opensearch.NewEngine(cl, opensearch.EngineOptions{Alias: e.alias, Now: e.now})
	return f()
}

// node asks the cluster itself for something that must succeed.
func node(t *testing.T, c *opensearchtest.Cluster, method, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.URLs[0]+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, err := io.ReadAll(r.Body); err != nil || r.StatusCode > 299 {
		t.Fatalf("%s %s: %s %s %v", method, path, r.Status, b, err)
	}
}
