package opensearch

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// realClient returns a client of a real cluster.
func realClient(t *testing.T, c *opensearchtest.Cluster) *Client {
	t.Helper()
	cl, err := New(Options{URLs: c.URLs, CA: c.CA, User: c.User, Password: c.Password, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// do makes a request that must succeed.
func do(t *testing.T, c *Client, method, path, body string) map[string]any {
	t.Helper()
	out := map[string]any{}
	r := request{method: method, path: path, query: url.Values{}}
	if body != "" {
		r.body = []byte(body)
	}
	if err := c.call(t.Context(), r, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// index makes an index of the test's own and returns its alias; the index has -1 behind that.
func index(t *testing.T, c *Client, body string) string {
	t.Helper()
	name := "test-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	_ = c.call(t.Context(), request{method: http.MethodDelete, path: "/" + name + "-1"}, nil) // of a run before
	do(t, c, "PUT", "/"+name+"-1", body)
	do(t, c, "PUT", "/"+name+"-1/_alias/"+name, "")
	return name
}

func count(t *testing.T, c *Client, index string) int {
	t.Helper()
	do(t, c, "POST", "/"+index+"/_refresh", "")
	return int(do(t, c, "GET", "/"+index+"/_count", "")["count"].(float64))
}

const strictIndex = `{"settings":{"number_of_replicas":0},"mappings":{"dynamic":"strict","properties":{"v":{"type":"keyword"},"ip":{"type":"ip"}}}}`

// TestRealBulk: a real node says what the fake one does.
func TestRealBulk(t *testing.T) {
	c := realClient(t, opensearchtest.Shared(t, opensearchtest.V2))
	if i, err := c.Check(t.Context()); err != nil || i.Major < 2 {
		t.Fatal(i, err)
	}
	if h, err := c.Health(t.Context()); err != nil || h.Nodes < 1 {
		t.Error(h, err)
	}
	name := index(t, c, strictIndex)
	for range 2 { // the same again changes nothing
		b := c.NewBulk(t.Context(), BulkOptions{Alias: name, Docs: 300})
		for i := range 1000 {
			_ = b.Add(doc(i))
		}
		for i := range 10 {
			_ = b.Add(Op{ID: fmt.Sprintf("d%04d", i)})
		}
		_ = b.Add(Op{ID: "never there", Routing: "x"})
		if st, err := b.Close(); err != nil || st.Rejected+st.Retried > 0 || st.Written < 990 {
			t.Fatalf("%+v, %v", st, err)
		}
		if n := count(t, c, name); n != 990 {
			t.Fatalf("%d documents", n)
		}
	}
}

// TestRealMappingError: one bad document among good ones is named; the good are there.
func TestRealMappingError(t *testing.T) {
	c := realClient(t, opensearchtest.Shared(t, opensearchtest.V2))
	name := index(t, c, strictIndex)
	b := c.NewBulk(t.Context(), BulkOptions{Alias: name})
	for i := range 100 {
		_ = b.Add(doc(i))
	}
	_ = b.Add(Op{ID: "bad", Name: "ipv4 not-ip of feed x", Source: []byte(`{"v":"a","ip":"not-ip"}`)})
	_ = b.Add(Op{ID: "strict", Source: []byte(`{"unknown":1}`)})
	_ = b.Add(Op{ID: "broken", Source: []byte(`{"v":`)})
	_ = b.Add(Op{ID: strings.Repeat("x", 513), Source: []byte(`{"v":"a"}`)})
	st, err := b.Close()
	var e *BulkError
	if !errors.As(err, &e) || st.Written != 100 || st.Rejected != 4 || e.OpenAll != 0 || e.Err != nil {
		t.Fatalf("%+v, %v", st, err)
	}
	types := map[string]string{}
	for _, r := range e.Rejected {
		types[short(r.Op.ID, 10)] = r.Type
		if r.Op.ID == "bad" && !strings.Contains(r.Error(), "ipv4 not-ip of feed x") {
			t.Error(r)
		}
	}
	t.Log(types)
	if types["bad"] != "mapper_parsing_exception" || types["strict"] != "strict_dynamic_mapping_exception" || len(types) != 4 {
		t.Errorf("%v: %v", types, err)
	}
	if n := count(t, c, name); n != 100 {
		t.Errorf("%d documents", n)
	}
}

// TestRealIndexTakesNothing: closed, blocked or not there: nothing is acknowledged, and
// no document is blamed.
func TestRealIndexTakesNothing(t *testing.T) {
	c := realClient(t, opensearchtest.Shared(t, opensearchtest.V2))
	for what, s := range map[string]struct{ method, path, body, want string }{
		"closed":    {"POST", "/_close", "", "index_closed_exception"},
		"read-only": {"PUT", "/_settings", `{"index.blocks.write":true}`, "cluster_block_exception"},
		"deleted":   {"DELETE", "", "", "index_not_found_exception"},
	} {
		name := index(t, c, strictIndex)
		do(t, c, s.method, "/"+name+"-1"+s.path, s.body)
		b := c.NewBulk(t.Context(), BulkOptions{Alias: name, Docs: 40, Lanes: 1})
		for i := range 100 {
			_ = b.Add(doc(i))
		}
		st, err := b.Close()
		var e *BulkError
		if !errors.As(err, &e) || st.Written+st.Rejected != 0 || e.OpenAll != 100 || !strings.Contains(err.Error(), s.want) || st.Requests != 1 {
			t.Errorf("%s: %+v, %v", what, st, err)
		}
	}
}

// TestRealCopies: with a replica that no node can take, one copy is all there is;
// who wants two is not told that there are.
func TestRealCopies(t *testing.T) {
	c := realClient(t, opensearchtest.Shared(t, opensearchtest.V2))
	if h, err := c.Health(t.Context()); err != nil || h.Nodes != 1 {
		t.Skipf("this needs a single node; %+v, %v", h, err)
	}
	c.opt.Wait = newClock().wait
	name := index(t, c, strings.Replace(strictIndex, `"number_of_replicas":0`, `"number_of_replicas":1`, 1))
	for copies, want := range map[int]int{1: 10, 2: 0} {
		b := c.NewBulk(t.Context(), BulkOptions{Alias: name, Copies: copies, Tries: 2})
		for i := range 10 {
			_ = b.Add(doc(i))
		}
		if st, err := b.Close(); st.Written != want || (err == nil) != (want == 10) {
			t.Errorf("%d copies: %+v, %v", copies, st, err)
		}
	}
}
