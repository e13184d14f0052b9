package e2e

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/schedule"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// world is a data folder with everything on it, at a time of our choosing.
type world struct {
	t       *testing.T
	dir     string
	now     time.Time
	srv     *feedserver.Server
	samples []*sample
	corpus  *corpus.Corpus
	runner  *ingest.Runner
	lookup  *lookup.Service
	log     bytes.Buffer // of the scheduler
}

func (w *world) clock() time.Time { return w.now }

// open opens the folder as a starting process does.
func (w *world) open() {
	w.t.Helper()
	store, err := blob.NewDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := corpus.Init(w.t.Context(), store); err != nil {
		w.t.Fatal(err)
	}
	if w.corpus, err = corpus.Open(w.t.Context(), store, corpus.Options{Now: w.clock}); err != nil {
		w.t.Fatal(err)
	}
	tmp := filepath.Join(w.dir, ".tmp")
	w.runner = ingest.New(ingest.Config{Store: store, Corpus: w.corpus, Fetch: fetch.New(fetch.Options{TempDir: tmp, Now: w.clock}),
		Now: w.clock, TempDir: tmp})
	if err := w.runner.Repair(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.lookup = lookup.New(w.corpus, w.clock)
}

// Due implements schedule.Source with the feeds' definitions and states.
func (w *world) Due(ctx context.Context, now time.Time) ([]feed.Job, error) {
	states, err := w.runner.States(ctx)
	if err != nil {
		return nil, err
	}
	var defs []*feed.Definition
	for _, s := range w.samples {
		defs = append(defs, s.def)
	}
	return feed.Due(defs, nil, states, now), nil
}

// hour lets an hour pass and the scheduler do what is due then: every feed.
func (w *world) hour() map[string]intel.Run {
	w.t.Helper()
	w.now = w.now.Add(time.Hour)
	runs := map[string]intel.Run{}
	var mu sync.Mutex
	done := make(chan struct{})
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	s := schedule.New(schedule.Config{Source: w, Runner: w.runner, Now: w.clock, Every: time.Hour, Log: log, OnRun: func(r intel.Run) {
		mu.Lock()
		defer mu.Unlock()
		runs[r.Feed] = r
		if len(runs) == len(w.samples) {
			close(done)
		}
	}})
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-done:
	case <-time.After(3 * time.Minute): // of a test that hangs
		mu.Lock()
		defer mu.Unlock()
		for _, s := range w.samples {
			if _, ran := runs[s.def.ID]; !ran {
				w.t.Errorf("feed %s (%s) did not run", s.def.ID, s.File)
			}
		}
		w.t.Fatalf("only %d of %d feeds ran; the log: %s", len(runs), len(w.samples), w.log.String())
	}
	cancel()
	if err := <-ended; err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.corpus.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return runs
}

// ask looks a value up and returns the feed's exact listing of it, nil where there is none.
func (w *world) ask(id, value string, at time.Time) *intel.Listing {
	w.t.Helper()
	a, err := w.lookup.Answer(w.t.Context(), value, lookup.Options{AsOf: at})
	if err != nil {
		w.t.Fatalf("%s: %v", value, err)
	}
	if a.Error != nil {
		w.t.Errorf("%q of feed %s cannot be looked up: %s", value, id, a.Error.Detail)
		return nil
	}
	for i := range a.Listings {
		if x := &a.Listings[i]; x.Feed == id && x.Relation == intel.RelExact {
			return x
		}
	}
	return nil
}

// verify checks every object of the folder.
func (w *world) verify() {
	w.t.Helper()
	store, err := blob.OpenDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	report := func(p corpus.Problem) { w.t.Errorf("verify: %s: %s", p.Key, p.Detail) }
	if err := corpus.Verify(w.t.Context(), store, report); err != nil {
		w.t.Fatal(err)
	}
	if err := ingest.VerifyLedger(w.t.Context(), store, report); err != nil {
		w.t.Fatal(err)
	}
}
