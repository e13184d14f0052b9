package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// lab is a data folder with a runner on it, a publisher and a clock that only
// moves when told to.
type lab struct {
	t       testing.TB
	dir     string
	store   blob.Store
	corpus  *corpus.Corpus
	runner  *ingest.Runner
	srv     *feedserver.Server
	secrets map[string]string
	keep    time.Duration
	log     bytes.Buffer
	logger  *slog.Logger    // into log; one for all runners, since it locks
	clock   atomic.Int64    // Unix milliseconds
	pauses  []time.Duration // between the requests of pulls
}

// day0 is when every lab starts.
var day0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newLab(t testing.TB) *lab {
	t.Helper()
	return newLabIn(t, t.TempDir())
}

func newLabIn(t testing.TB, dir string) *lab {
	t.Helper()
	store, err := blob.NewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, dir: dir, store: store, srv: feedserver.Start(t), secrets: map[string]string{}}
	l.logger = slog.New(slog.NewTextHandler(&l.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l.setClock(day0)
	if err := corpus.Init(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	l.open()
	return l
}

// open opens the store anew, as a started process does.
func (l *lab) open() {
	l.t.Helper()
	c, err := corpus.Open(l.t.Context(), l.store, corpus.Options{Now: l.now})
	if err != nil {
		l.t.Fatal(err)
	}
	l.corpus = c
	l.runner = l.newRunner(l.store, c)
}

func (l *lab) newRunner(store blob.Store, c *corpus.Corpus) *ingest.Runner {
	logger := l.logger
	client := fetch.New(fetch.Options{
		TempDir: filepath.Join(l.t.TempDir(), "tmp"), Now: l.now, Log: logger, Timeout: 20 * time.Second,
		Sleep: func(context.Context, time.Duration) error { return nil },
	})
	return ingest.New(ingest.Config{
		Store: store, Corpus: c, Fetch: client, Now: l.now, Log: logger, KeepRaw: l.keep,
		TempDir: filepath.Join(l.t.TempDir(), "tmp"),
		Sleep: func(ctx context.Context, d time.Duration) error {
			l.pauses = append(l.pauses, d)
			return ctx.Err()
		},
		Secret: func(name string) (string, bool) { s, ok := l.secrets[name]; return s, ok },
	})
}

func (l *lab) now() time.Time          { return time.UnixMilli(l.clock.Load()).UTC() }
func (l *lab) setClock(t time.Time)    { l.clock.Store(t.UnixMilli()) }
func (l *lab) advance(d time.Duration) { l.setClock(l.now().Add(d)) }

// def decodes a definition as a user would write it. more adds and replaces keys.
func (l *lab) def(id string, more map[string]any) *feed.Definition {
	l.t.Helper()
	d := map[string]any{
		"id": id, "feed_name": id, "feed_type": "txt", "indicator_type": "domain", "feed_url": l.srv.URL("/" + id),
		"field_mapping":  map[string]any{"source": []string{}, "destination": []string{}},
		"allow_networks": []string{"127.0.0.0/8"}, "provider": "Test",
	}
	maps.Copy(d, more)
	raw, err := json.Marshal(map[string]any{"feeds": []any{d}})
	if err != nil {
		l.t.Fatal(err)
	}
	defs, err := feed.Decode("test.json", raw)
	if err != nil {
		l.t.Fatal(err)
	}
	return defs[0]
}

// serve puts domains at the feed's URL, one a line.
func (l *lab) serve(id string, names ...string) {
	l.srv.SetString("/"+id, strings.Join(names, "\n")+"\n")
}

// run runs the feed and fails the test where the run was not recorded.
func (l *lab) run(d *feed.Definition) intel.Run {
	l.t.Helper()
	return l.job(feed.Job{Def: d, Trigger: "schedule"})
}

func (l *lab) job(j feed.Job) intel.Run {
	l.t.Helper()
	run, err := l.runner.Run(l.t.Context(), j)
	if err != nil {
		l.t.Fatalf("run of %s: %v", j.Def.ID, err)
	}
	return run
}

// want runs the feed and checks how the run ended.
func (l *lab) want(d *feed.Definition, status intel.RunStatus, code string) intel.Run {
	l.t.Helper()
	return wantRun(l.t, l.run(d), status, code)
}

func wantRun(t testing.TB, run intel.Run, status intel.RunStatus, code string) intel.Run {
	t.Helper()
	if run.Status != status || run.Code != code {
		t.Fatalf("run of %s is %s %q (%s), want %s %q", run.Feed, run.Status, run.Code, run.Reason, status, code)
	}
	if run.Status != intel.RunOK && run.Reason == "" {
		t.Errorf("run of %s is %s without a reason", run.Feed, run.Status)
	}
	return run
}

// names makes n domains of one family.
func names(family string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%s%03d.example", family, i))
	}
	return out
}

// listed says which of the domains the feed lists now, or listed at an instant.
func (l *lab) listed(d *feed.Definition, at time.Time, candidates ...string) []string {
	l.t.Helper()
	if _, err := l.corpus.Refresh(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	return listedIn(l.corpus, d.ID, at, candidates)
}

func listedIn(c *corpus.Corpus, id string, at time.Time, candidates []string) []string {
	var out []string
	for _, name := range candidates {
		for _, x := range c.View().Exact(intel.Indicator{Kind: intel.Domain, Value: name}, at, nil) {
			if x.Feed == id && x.Listed {
				out = append(out, name)
			}
		}
	}
	return out
}

func (l *lab) wantListed(d *feed.Definition, at time.Time, candidates, want []string) {
	l.t.Helper()
	if got := l.listed(d, at, candidates...); fmt.Sprint(got) != fmt.Sprint(want) {
		l.t.Errorf("feed %s lists %v at %s, want %v", d.ID, got, at.Format(time.RFC3339), want)
	}
}

func (l *lab) listing(d *feed.Definition, name string) intel.Listing {
	l.t.Helper()
	if _, err := l.corpus.Refresh(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	for _, x := range l.corpus.View().Exact(intel.Indicator{Kind: intel.Domain, Value: name}, time.Time{}, nil) {
		if x.Feed == d.ID {
			return x
		}
	}
	l.t.Fatalf("feed %s has no listing of %s", d.ID, name)
	return intel.Listing{}
}

func (l *lab) head(id string) *corpus.Head {
	l.t.Helper()
	h, _, err := l.corpus.Head(l.t.Context(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	return h
}

func (l *lab) state(id string) feed.State {
	l.t.Helper()
	states, err := l.runner.States(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return states[id]
}

func (l *lab) runs(id string) []intel.Run {
	l.t.Helper()
	runs, err := l.runner.Runs(l.t.Context(), id, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	return runs
}

// keys lists the objects under a prefix.
func (l *lab) keys(prefix string) []string {
	l.t.Helper()
	list, err := l.store.List(l.t.Context(), prefix)
	if err != nil {
		l.t.Fatal(err)
	}
	var keys []string
	for _, o := range list {
		keys = append(keys, o.Key)
	}
	return keys
}

// verify fails the test for every problem in the store.
func (l *lab) verify() {
	l.t.Helper()
	for _, p := range problems(l.t, l.store) {
		l.t.Errorf("verify: %s: %s", p.Key, p.Detail)
	}
}

func problems(t testing.TB, store blob.Store) []corpus.Problem {
	t.Helper()
	var found []corpus.Problem
	report := func(p corpus.Problem) { found = append(found, p) }
	if err := corpus.Verify(t.Context(), store, report); err != nil {
		t.Fatal(err)
	}
	if err := ingest.VerifyLedger(t.Context(), store, report); err != nil {
		t.Fatal(err)
	}
	return found
}

// soak says whether the full counts are wanted.
func soak() bool { return os.Getenv("EI_SOAK") != "" }
