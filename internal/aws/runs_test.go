package aws

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

// machine is one of several that run feeds on a bucket.
type machine struct {
	t      *testing.T
	store  *Cached
	corpus *corpus.Corpus
	*ingest.Runner
}

func newMachine(t *testing.T, url string, now func() time.Time) *machine {
	t.Helper()
	m := &machine{t: t, store: newCached(t, newStore(t, url), t.TempDir(), 0, time.Now)}
	if err := corpus.Init(t.Context(), m.store); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.corpus, err = corpus.Open(t.Context(), m.store, corpus.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	m.Runner = ingest.New(ingest.Config{Store: m.store, Corpus: m.corpus, Now: now, TempDir: t.TempDir()})
	return m
}

// listOf is a run in which a feed serves these names.
func listOf(t *testing.T, id string, names ...string) feed.Job {
	t.Helper()
	defs, err := feed.Decode("test.json", fmt.Appendf(nil, `{"feeds":[{"id":%q,"feed_name":%q,"feed_type":"txt","indicator_type":"domain",
		"feed_url":"http://192.0.2.1/","field_mapping":{"source":[],"destination":[]},"provider":"Test"}]}`, id, id))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(names, "\n")
	return feed.Job{Def: defs[0], Trigger: "file", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// sound wants nothing to be wrong in the bucket.
func (m *machine) sound() {
	m.t.Helper()
	fail := func(p corpus.Problem) { m.t.Errorf("verify: %s: %s", p.Key, p.Detail) }
	if err := corpus.Verify(m.t.Context(), m.store, fail); err != nil {
		m.t.Error(err)
	}
	if err := ingest.VerifyLedger(m.t.Context(), m.store, fail); err != nil {
		m.t.Error(err)
	}
	if _, err := m.corpus.Refresh(m.t.Context()); err != nil {
		m.t.Error(err)
	}
}

// lists wants a feed to list these names and nothing else, as the corpus was when
// sound looked, and its ledger to have each of so many runs once.
func (m *machine) lists(id string, runs int, names ...string) {
	m.t.Helper()
	if err := answers(m.t, m.corpus, names...); err != nil {
		m.t.Errorf("%s: %v", id, err)
	}
	if head, _, err := m.corpus.Head(m.t.Context(), id); err != nil || head == nil || head.Open() != len(names) {
		m.t.Errorf("%s: head %+v, %v; want %d listings", id, head, err, len(names))
	}
	rows, err := m.Runs(m.t.Context(), id, 0)
	if err != nil || len(rows) > runs {
		m.t.Errorf("%s: %d rows in the ledger, want at most %d; %v", id, len(rows), runs, err)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.ID] {
			m.t.Errorf("%s: run %s is in the ledger twice", id, r.ID)
		}
		seen[r.ID] = true
	}
}

// TestRunFaults: whatever one request of a run meets, the run is as it would have
// been, or says that it was superseded or failed, and the next run makes good.
func TestRunFaults(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	url := newBucket(t, "bucket")
	p := before(t)
	now := day0
	m := newMachine(t, url, func() time.Time { now = now.Add(time.Second); return now })
	faults := map[string]func(http.ResponseWriter, *http.Request){
		"503": says(503, "SlowDown"), "500": says(500, "InternalError"), "throttled": says(429, "RequestLimitExceeded"), "reset": reset, "lost": p.lost(nil),
	}
	if testing.Short() {
		faults = map[string]func(http.ResponseWriter, *http.Request){"lost": p.lost(nil)}
	}
	var ran []string
	for name, fault := range faults {
		for at := 1; ; at++ {
			id := fmt.Sprintf("%s-%d", strings.ToLower(name), at)
			run := m.faulted(p, at, 1, fault, listOf(t, id, id+".example", id+"-old.example"))
			hit := run.hit
			if run.err != nil || run.Status != intel.RunOK {
				t.Errorf("%s at request %d (%s): %s %s, %v", name, at, run.what, run.Status, run.Reason, run.err)
			}
			if !hit {
				break // the run has fewer requests
			}
			if next, err := m.Run(t.Context(), listOf(t, id, id+".example", id+"-new.example")); err != nil || next.Status != intel.RunOK {
				t.Errorf("%s at request %d: the next run: %s %s, %v", name, at, next.Status, next.Reason, err)
			}
			ran = append(ran, id)
		}
	}
	m.sound()
	for _, id := range ran {
		m.lists(id, 2, id+".example", id+"-new.example")
	}
}

// faulted is how a run ended, and which request was harmed, if the run had so many.
type faulted struct {
	intel.Run
	err  error
	hit  bool
	what string
}

// faulted runs a job of which the requests from the n-th on, so many, meet a fault.
func (m *machine) faulted(p *proxy, n, many int, fault func(http.ResponseWriter, *http.Request), job feed.Job) (f faulted) {
	var mu sync.Mutex
	count := 0
	p.then(func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		count++
		hit := count >= n && count < n+many
		if hit && !f.hit {
			f.hit, f.what = true, r.Method+" "+r.URL.Path
		}
		mu.Unlock()
		if hit {
			fault(w, r)
		}
		return hit
	})
	f.Run, f.err = m.Run(m.t.Context(), job)
	p.then(nil)
	return f
}

// TestRunRefused: S3 says no to a conditional write, or goes away for the rest of the
// run. Such a run has not happened or is recorded as what it was, nothing is half
// there, and the next one makes good.
func TestRunRefused(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	url := newBucket(t, "bucket")
	p := before(t)
	now := day0
	m := newMachine(t, url, func() time.Time { now = now.Add(time.Second); return now })
	refused := func(f func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && (r.Header.Get("If-Match") != "" || r.Header.Get("If-None-Match") != "") {
				f(w, r)
				return
			}
			p.ReverseProxy.ServeHTTP(w, r)
		}
	}
	var ran []string
	for name, c := range map[string]struct {
		fault func(http.ResponseWriter, *http.Request)
		many  int
		may   []intel.RunStatus
	}{
		"409": {refused(says(409, codeRace)), 1, []intel.RunStatus{intel.RunOK}},
		// Failed only where a segment's name, which is random, is said to be taken.
		"412":  {refused(says(412, "PreconditionFailed")), 1, []intel.RunStatus{intel.RunOK, intel.RunSuperseded, intel.RunFailed}},
		"gone": {says(503, "SlowDown"), 1 << 20, []intel.RunStatus{intel.RunOK, intel.RunFailed}},
		"dark": {reset, 1 << 20, []intel.RunStatus{intel.RunOK, intel.RunFailed}},
	} {
		for at := 1; ; at++ {
			id := fmt.Sprintf("%s-%d", name, at)
			run := m.faulted(p, at, c.many, c.fault, listOf(t, id, id+".example", id+"-old.example"))
			if !run.hit {
				break
			}
			if !slices.Contains(c.may, run.Status) || c.many == 1 && run.err != nil || run.Status == intel.RunFailed && run.Reason == "" {
				t.Errorf("%s at request %d (%s): %s %q, %v", name, at, run.what, run.Status, run.Reason, run.err)
			}
			next, err := m.Run(t.Context(), listOf(t, id, id+".example", id+"-new.example"))
			if err != nil || next.Status != intel.RunOK {
				t.Errorf("%s at request %d: the next run: %s %s, %v", name, at, next.Status, next.Reason, err)
			}
			ran = append(ran, id)
		}
	}
	m.sound()
	for _, id := range ran {
		m.lists(id, 2, id+".example", id+"-new.example")
	}
}

// TestRunsOfTwo: two machines run one feed at the same time, again and again: of each
// round one run takes effect, the other is superseded or came later and found nothing new.
func TestRunsOfTwo(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	url := newBucket(t, "bucket")
	var mu sync.Mutex
	now := day0
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); now = now.Add(time.Second); return now }
	both := []*machine{newMachine(t, url, clock), newMachine(t, url, clock)}
	const rounds = 25
	lost := 0
	for i := range rounds {
		job := listOf(t, "duel", "stays.example", fmt.Sprintf("round%d.example", i))
		var ends [2]intel.Run
		var wg sync.WaitGroup
		for j, m := range both {
			wg.Go(func() {
				var err error
				if ends[j], err = m.Run(t.Context(), job); err != nil {
					t.Errorf("round %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		effective := 0
		for _, r := range ends {
			switch r.Status {
			case intel.RunOK:
				effective++
			case intel.RunSuperseded:
				lost++
			case intel.RunUnchanged:
			default:
				t.Errorf("round %d: %s %s", i, r.Status, r.Reason)
			}
		}
		if effective != 1 {
			t.Errorf("round %d: %d runs took effect", i, effective)
		}
	}
	if lost == 0 {
		t.Error("the two never met: this shows nothing")
	}
	for _, m := range both {
		m.sound()
		m.lists("duel", 2*rounds, "stays.example", fmt.Sprintf("round%d.example", rounds-1))
		if rows, err := m.Runs(t.Context(), "duel", 0); err != nil || len(rows) != 2*rounds {
			t.Errorf("%d rows in the ledger, want %d; %v", len(rows), 2*rounds, err)
		}
	}
}
