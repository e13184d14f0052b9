package main

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// turns watches the writing of two functions. The first write waits a moment for
// the other function to write, too: where both may, they do.
type turns struct {
	mu       sync.Mutex
	first    string        // who wrote first
	other    chan struct{} // closed when the other one writes
	met      bool          // that happened during the first write
	once     sync.Once
	finished bool // the first write
}

func (w *turns) of(name string) func(http.ResponseWriter, *http.Request, func()) {
	return func(_ http.ResponseWriter, r *http.Request, pass func()) {
		if strings.HasSuffix(r.URL.Path, "/_bulk") {
			w.write(name)
		}
		pass()
	}
}

func (w *turns) write(name string) {
	w.mu.Lock()
	begins := w.first == ""
	if begins {
		w.first = name
	}
	if name != w.first && !w.finished {
		w.met = true
		w.once.Do(func() { close(w.other) })
	}
	w.mu.Unlock()
	if !begins {
		return
	}
	select {
	case <-w.other:
	case <-time.After(time.Second):
	}
	w.mu.Lock()
	w.finished = true
	w.mu.Unlock()
}

// Two functions that have run feeds at the same time write to the index one after
// the other, and what either brought is there.
func TestStandard_TwoAtOnce(t *testing.T) {
	t.Parallel()
	p := newProfiles(t)
	p.feed("a", "domain")
	p.feed("b", "domain")
	p.pub.SetString("/a", "one.a.example\ntwo.a.example\n")
	p.pub.SetString("/b", "one.b.example\n")
	fronts := []*front{p.fronts["ingest"], newFront(t, opensearchtest.Shared(t, opensearchtest.V2))}
	one := p.function("ingest", true)
	p.fronts["ingest"] = fronts[1]
	two := p.function("ingest", true)
	p.ingest(one, p.job("a", "b"))
	p.ingest(two, p.job("a")) // both are warm

	p.pub.SetString("/a", "one.a.example\nthree.a.example\n")
	p.pub.SetString("/b", "one.b.example\nfour.b.example\n")
	w := &turns{other: make(chan struct{})}
	fronts[0].set(w.of("one"))
	fronts[1].set(w.of("two"))
	a, b := p.job("a"), p.job("b")
	done := make(chan string)
	go func() { done <- string(one.Invoke(a, limit).Body) }()
	for _, reply := range []string{string(two.Invoke(b, limit).Body), <-done} {
		if reply != `{"batchItemFailures":[]}` {
			t.Errorf("ingest: %s", reply)
		}
	}
	if w.first == "" || w.met {
		t.Errorf("%q wrote to the index first, and the other one meanwhile: %v", w.first, w.met)
	}
	p.same("after both")
	if n := p.documents(); n != 5 {
		t.Errorf("%d documents, want 5", n)
	}
	one.kill()
	two.kill()
	if t.Failed() {
		t.Logf("%s\n%s", one.out, two.out)
	}
}

// Whatever is wrong with the cluster, nobody is told that something is not listed
// which may be.
func TestStandard_NeverFalse(t *testing.T) {
	t.Parallel()
	p := newProfiles(t)
	p.feed("a", "domain")
	p.pub.SetString("/a", "one.a.example\n")
	answers := func(when string, f *process, c call) {
		t.Helper()
		if a := p.ask(f, c); a.StatusCode != http.StatusServiceUnavailable || a.Headers["retry-after"] == "" {
			t.Errorf("%s: %s: %+v", when, c.path, a)
		}
	}
	asked := []call{lookup("one.a.example"), lookup("absent.example"), {"POST", "/api/v1/lookup", "", `{"values":["one.a.example"]}`},
		{"GET", "/api/v1/search", "q=example", ""}, {"GET", "/api/v1/changes", "", ""}, {"GET", "/api/v1/stats", "", ""}, {"GET", "/iocs/search/domain/one.a.example", "", ""}}
	api := p.function("api", true)
	for _, c := range asked {
		answers("never filled", api, c)
	}
	p.ingest(p.function("ingest", true), p.job("a"))
	for _, c := range asked {
		if a := p.ask(api, c); a.StatusCode != http.StatusOK && !strings.Contains(c.path, "absent") {
			t.Errorf("filled: %s: %+v", c.path, a)
		}
	}
	p.fronts["api"].set(func(w http.ResponseWriter, _ *http.Request, _ func()) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":{"type":"search_phase_execution_exception","reason":"all shards failed"},"status":503}`))
	})
	for _, c := range asked {
		answers("without its shards", api, c)
	}
	p.fronts["api"].set(func(_ http.ResponseWriter, r *http.Request, _ func()) {
		_, _ = io.Copy(io.Discard, r.Body) // else it is not noticed that nobody waits any more
		<-r.Context().Done()
	})
	answers("silent", p.function("api", true), lookup("absent.example"))
	p.fronts["api"].set(nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, p.fronts["api"].URL+"/"+p.index+"-v*", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	fresh := p.function("api", true)
	for _, c := range asked {
		answers("deleted", api, c)
		answers("deleted, another process", fresh, c)
	}
}
