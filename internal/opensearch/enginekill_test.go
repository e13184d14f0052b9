package opensearch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/api"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// flock is a cluster of three nodes with one engine over it.
type flock struct {
	*opensearchtest.Cluster
	t   *testing.T
	e   *engine
	now atomic.Int64 // Unix seconds
	run int          // loads so far
}

func newFlock(t *testing.T) *flock {
	f := &flock{Cluster: opensearchtest.Start(t, opensearchtest.Options{Nodes: 3}), t: t}
	f.now.Store(began.Unix())
	// The wait for a node that may come back is shortened.
	a := &aliases{c: f.Cluster, t: t, replicas: 1}
	var err error
	if f.e, err = a.engine(func() time.Time { return time.Unix(f.now.Load(), 0).UTC() }); err != nil {
		t.Fatal(err)
	}
	f.call(http.MethodPut, "/"+f.e.alias+"/_settings", `{"index.unassigned.node_left.delayed_timeout":"1s"}`)
	return f
}

// call asks any node that answers.
func (f *flock) call(method, path, body string) map[string]any {
	f.t.Helper()
	var last error
	for _, url := range f.URLs {
		req, err := http.NewRequestWithContext(f.t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			f.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			last = err
			continue
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		out := map[string]any{}
		if err != nil || r.StatusCode > 299 || json.Unmarshal(b, &out) != nil {
			last = fmt.Errorf("%s %s: %s %.300s", method, path, r.Status, b)
			continue
		}
		return out
	}
	f.t.Fatal(last)
	return nil
}

// until asks until what is asked is so.
func (f *flock) until(what string, so func() bool) {
	f.t.Helper()
	for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); {
		if so() {
			return
		}
		select { // a real cluster has no clock that a test can move
		case <-time.After(200 * time.Millisecond):
		case <-f.t.Context().Done():
			f.t.Fatal(f.t.Context().Err())
		}
	}
	f.t.Fatalf("not within 4 minutes: %s", what)
}

// nodes waits until so many are there and every copy is on one.
func (f *flock) nodes(n int) {
	f.t.Helper()
	cl, err := opensearch.New(opensearch.Options{URLs: f.URLs, Now: time.Now})
	if err != nil {
		f.t.Fatal(err)
	}
	defer cl.Close()
	f.until(fmt.Sprintf("%d nodes, all green", n), func() bool {
		h, err := cl.Health(f.t.Context())
		return err == nil && h.Nodes == n && h.Status == "green"
	})
}

// manager is the number of the node that is the cluster's manager.
func (f *flock) manager() int {
	f.t.Helper()
	var state struct {
		Manager string                           `json:"cluster_manager_node"`
		Nodes   map[string]struct{ Name string } `json:"nodes"`
	}
	b, err := json.Marshal(f.call(http.MethodGet, "/_cluster/state/cluster_manager_node,nodes", ""))
	if err == nil {
		err = json.Unmarshal(b, &state)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimPrefix(state.Nodes[state.Manager].Name, "n"))
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// load has the feed say something else of all its listings, and syncs; during is
// called while that is under way. The error is Sync's.
func (f *flock) load(n int, during func()) error {
	f.run++
	at := time.Unix(f.now.Add(3600), 0).UTC()
	done := make(chan error, 1)
	go func() {
		done <- f.e.Load(f.t.Context(), snapshotA(), at, numbered(n, fmt.Sprint("run ", f.run)))
	}()
	during()
	return <-done
}

// whole syncs until that works and compares everything with the corpus.
func (f *flock) whole(what string) {
	f.t.Helper()
	var err error
	f.until(what+": a sync", func() bool {
		err = f.e.sync(f.t.Context())
		_, again := opensearch.RetryAfter(err)
		var bulk *opensearch.BulkError
		if err != nil && !again && !errors.As(err, &bulk) {
			f.t.Fatalf("%s: %v", what, err)
		}
		return err == nil
	})
	f.until(what+": answers", func() bool { _, err := f.e.Feeds(f.t.Context()); return err == nil })
	same(f.t, what, f.e)
}

// TestEngineKills: nodes are killed in the midst of syncs: the manager, another one,
// all of them, and with EI_SOAK two of three. After each the index is what the corpus is, and
// meanwhile the API answers rightly or not at all.
func TestEngineKills(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts three nodes of its own")
	}
	f := newFlock(t)
	listings, kills := 6_000, 2
	if soaking() {
		listings, kills = 20_000, 20
	}
	if err := f.load(listings, func() {}); err != nil {
		t.Fatal(err)
	}
	f.nodes(3)
	stop := f.watch()
	rnd := rand.New(rand.NewPCG(7, 7))
	for i := range kills {
		victim := f.manager()
		what := "the manager"
		if i%2 == 1 { // a node of data; the client has all three in its list and talks to each in turn
			victim, what = victim%3+1, "a node of data"
		}
		at := time.Duration(rnd.IntN(600)) * time.Millisecond
		err := f.load(listings, func() {
			<-time.After(at)
			f.Kill(t, victim)
		})
		t.Logf("kill %d, %s, after %s: %v; %+v", i+1, what, at, err, f.e.last.BulkStats)
		f.whole(fmt.Sprintf("kill %d, %s", i+1, what))
		f.Revive(t, victim)
		f.nodes(3)
		f.whole(fmt.Sprintf("node %d is back", victim))
	}
	if soaking() {
		f.outage(listings, "two of three", 1, 2)
	}
	f.outage(listings, "all", 1, 2, 3)
	right, away := stop()
	t.Logf("the API was right %d times and away %d times", right, away)
	if right == 0 || away == 0 {
		t.Error("it was to be both")
	}
}

// outage kills nodes in the midst of a sync, so that nothing can be written or
// read, and revives them.
func (f *flock) outage(listings int, what string, nodes ...int) {
	f.t.Helper()
	err := f.load(listings, func() {
		for _, n := range nodes {
			f.Kill(f.t, n)
		}
	})
	if _, again := opensearch.RetryAfter(err); err == nil || !again {
		f.t.Errorf("%s down: a sync says %v", what, err)
	}
	// A node that is left answers from the copies that it has, without a manager.
	if got, err := questions["find absent"](f.t.Context(), f.e); err == nil && (got != "[]" || len(nodes) == len(f.URLs)) {
		f.t.Errorf("%s down: the answer %s", what, got)
	}
	for _, n := range nodes {
		f.Revive(f.t, n)
	}
	f.nodes(3)
	f.whole(what + " were down")
}

// watch asks the API without end what is listed and what is not, until the function
// returned is called, which says how often it was right and how often away. Each
// answer is one of the two.
func (f *flock) watch() (stop func() (right, away int)) {
	h := api.New(api.Config{Lookup: lookup.New(f.e.Engine, time.Now), Now: time.Now})
	s := httptest.NewServer(h)
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan [2]int)
	go func() {
		var n [2]int
		for i := 0; ctx.Err() == nil; i++ {
			value, want := "198.51.0."+strconv.Itoa(i%250), `"found":true`
			if i%2 == 1 {
				value, want = "203.0.113."+strconv.Itoa(i%250), `"found":false`
			}
			code, retry, body := get(ctx, s.URL+"/api/v1/indicators/"+value)
			switch {
			case ctx.Err() != nil:
			case code == http.StatusOK && strings.Contains(body, want):
				n[0]++
			case code == http.StatusServiceUnavailable && retry != "":
				n[1]++
				<-time.After(20 * time.Millisecond) // the nodes need the machine, too
			default:
				f.t.Errorf("%s: %d %.300s", value, code, body)
			}
		}
		done <- n
	}()
	return func() (int, int) {
		cancel()
		n := <-done
		s.Close()
		return n[0], n[1]
	}
}

func get(ctx context.Context, url string) (code int, retry, body string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err.Error()
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, "", err.Error()
	}
	return r.StatusCode, r.Header.Get("Retry-After"), string(b)
}
