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

	away []int  // nodes that were killed and not revived
	lone string // what somebody serves who knows of the node killed last alone
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
	f.call(http.MethodPut, "/"+f.e.alias+"/_settings", `{"index.unassigned.node_left.delayed_timeout":"500ms"}`)
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
// all of them, and with EI_SOAK two of three and twenty one by one. After each the index
// is what the corpus is, and meanwhile the API answers rightly or not at all. Who knows
// of the killed node alone has 503, and answers when it is back; who knows of all goes on.
func TestEngineKills(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts three nodes of its own")
	}
	f := newFlock(t)
	if err := f.load(killed, func() {}); err != nil {
		t.Fatal(err)
	}
	f.nodes(3)
	stop := f.watch()
	rnd := rand.New(rand.NewPCG(7, 7))
	f.kill(1, f.manager(), "the manager", rnd)
	f.back("the manager")
	f.kill(2, f.manager()%3+1, "a node of data", rnd)
	f.outage("all", 1, 2, 3) // which has the second back, too
	if soaking() {
		f.outage("two of three", 1, 2)
		for i := 3; i <= 20; i++ {
			victim, what := f.manager(), "the manager"
			if i%2 == 0 { // a node of data; the client has all three in its list and talks to each in turn
				victim, what = victim%3+1, "a node of data"
			}
			f.kill(i, victim, what, rnd)
			f.back(what)
		}
	}
	right, away := stop()
	t.Logf("the API was right %d times and away %d times", right, away)
	if right == 0 || away == 0 {
		t.Error("it was to be both")
	}
}

// killed is how many listings are sent while nodes are killed.
const killed = 4_000

// kill kills a node in the midst of a sync, and compares everything while it is away.
func (f *flock) kill(i, victim int, what string, rnd *rand.Rand) {
	f.t.Helper()
	at := time.Duration(rnd.IntN(600)) * time.Millisecond
	err := f.load(killed, func() {
		<-time.After(at)
		f.Kill(f.t, victim)
	})
	f.t.Logf("%s: kill %d, %s, after %s: %v; %+v", time.Now().UTC().Format(time.TimeOnly), i, what, at, err, f.e.last.BulkStats)
	f.whole(fmt.Sprintf("kill %d, %s", i, what))
	f.away = []int{victim}
	f.lone = f.knowing(victim)
	if code, retry, body := get(f.t.Context(), f.lone); code != http.StatusServiceUnavailable || retry == "" {
		f.t.Errorf("who knows of the killed node alone: %d, retry after %q: %.300s", code, retry, body)
	}
}

// back revives the nodes that were killed and compares everything.
func (f *flock) back(what string) {
	f.t.Helper()
	for _, n := range f.away {
		f.Revive(f.t, n)
	}
	f.nodes(3)
	f.until("who knows of the revived node alone answers", func() bool {
		code, _, body := get(f.t.Context(), f.lone)
		if code != http.StatusServiceUnavailable && (code != http.StatusOK || !strings.Contains(body, `"found":true`)) {
			f.t.Errorf("who knows of the revived node alone: %d: %.300s", code, body)
		}
		return code == http.StatusOK
	})
	f.whole(what + " is back")
}

// knowing serves the index by one node alone, and returns where something is that is listed.
func (f *flock) knowing(node int) string {
	cl, err := opensearch.New(opensearch.Options{URLs: f.URLs[node-1 : node], Now: time.Now})
	if err != nil {
		f.t.Fatal(err)
	}
	s := httptest.NewServer(api.New(api.Config{Lookup: lookup.New(opensearch.NewEngine(cl, f.e.options), time.Now), Now: time.Now}))
	f.t.Cleanup(func() { s.Close(); cl.Close() })
	return s.URL + "/api/v1/indicators/198.51.0.7"
}

// outage kills nodes in the midst of a sync, so that nothing can be written or
// read, and revives them.
func (f *flock) outage(what string, nodes ...int) {
	f.t.Helper()
	err := f.load(killed, func() {
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
	f.away = nodes
	f.t.Logf("%s: %s down", time.Now().UTC().Format(time.TimeOnly), what)
	f.back(what)
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
				<-time.After(5 * time.Millisecond) // the nodes need the machine, too
			case code == http.StatusServiceUnavailable && retry != "":
				n[1]++
				<-time.After(20 * time.Millisecond)
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
