// Package embedded makes the corpus an engine that enginetest can fill, break and
// hold against the naive one.
package embedded

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
	"github.com/elasticintel/elasticintel/internal/testing/enginetest"
)

// Config says what Open opens.
type Config struct {
	Options corpus.Options
	Prepare func(*corpus.Corpus) // is called with every Corpus that is opened; may be nil
	Guess   bool                 // totals may be too small, where they say so
}

// engine is the corpus in memory. One Corpus writes; another, as of another
// process, answers every second question.
type engine struct {
	store  *switchable
	config Config
	writer *corpus.Corpus
	reader *corpus.Corpus

	mu    sync.Mutex
	asked int
}

// Open returns what opens an empty engine in memory.
func Open(c Config) enginetest.Opener {
	return func(now func() time.Time) (enginetest.Loader, error) {
		e := &engine{store: &switchable{Store: crashtest.NewMem()}, config: c}
		e.config.Options.Now = now
		if err := corpus.Init(context.Background(), e.store); err != nil {
			return nil, err
		}
		err := e.reopen(context.Background())
		if c.Guess {
			return guessing{e}, err
		}
		return e, err
	}
}

// Informed implements enginetest.Informed.
func (*engine) Informed() {}

// guessing is an engine whose totals may be too small.
type guessing struct{ *engine }

// Estimates implements enginetest.Estimator.
func (guessing) Estimates() {}

// switchable is a store that can be made to fail.
type switchable struct {
	blob.Store // the healthy one

	mu     sync.Mutex
	faulty *crashtest.Faulty
}

// reopen begins anew with what is stored; where that fails everything stays.
func (e *engine) reopen(ctx context.Context) error {
	var both [2]*corpus.Corpus
	for i := range both {
		c, err := corpus.Open(ctx, e.store, e.config.Options)
		if err != nil {
			return err
		}
		if e.config.Prepare != nil {
			e.config.Prepare(c)
		}
		both[i] = c
	}
	e.writer, e.reader = both[0], both[1]
	return nil
}

func (s *switchable) use() blob.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faulty != nil {
		return s.faulty
	}
	return s.Store
}

// one chooses who answers.
func (e *engine) one() *corpus.Corpus {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.asked++; e.asked%2 == 0 {
		return e.reader
	}
	return e.writer
}

// Find implements lookup.Engine.
func (e *engine) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	return e.one().Find(ctx, q, at, dst)
}

// Search implements lookup.Engine.
func (e *engine) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	return e.one().Search(ctx, s, emit)
}

// Changes implements lookup.Follower.
func (e *engine) Changes(ctx context.Context, since string, limit int, emit func(*intel.Event) error) (string, bool, error) {
	return e.one().Changes(ctx, since, limit, emit)
}

// Compare implements lookup.Comparer.
func (e *engine) Compare(ctx context.Context, aside func(string) bool) (*intel.Comparison, error) {
	return e.one().Compare(ctx, aside)
}

// Stats implements lookup.Engine.
func (e *engine) Stats(ctx context.Context) (intel.Stats, error) { return e.one().Stats(ctx) }

// Err implements lookup.Engine.
func (e *engine) Err() error { return errors.Join(e.writer.Err(), e.reader.Err()) }

// Load implements enginetest.Loader: it does what an ingest run does.
func (e *engine) Load(ctx context.Context, info intel.FeedInfo, at time.Time, entries []intel.Entry) error {
	c := e.writer
	prev, etag, err := c.Head(ctx, info.ID)
	if err != nil {
		return err
	}
	m, err := c.Merge(ctx, prev, entries, corpus.MergeOptions{Feed: info.ID, Info: info, Now: at})
	if err != nil {
		return err
	}
	if m.Damage != nil {
		return m.Damage
	}
	if _, err := c.Commit(ctx, m.Next, etag); err != nil {
		return err
	}
	return e.refresh(ctx)
}

func (e *engine) refresh(ctx context.Context) error {
	for _, c := range []*corpus.Corpus{e.writer, e.reader} {
		if _, err := c.Refresh(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Keep implements enginetest.Keeper.
func (e *engine) Keep(ctx context.Context, what string) (err error) {
	switch what {
	case "fold":
		err = e.fold(ctx)
	case "regroup":
		_, err = e.writer.Regroup(ctx)
	case "sweep":
		err = e.writer.Sweep(ctx, time.Now().Add(time.Hour), 0) // no other process is about
	case "reopen":
		return e.reopen(ctx)
	}
	return errors.Join(err, e.refresh(ctx))
}

func (e *engine) fold(ctx context.Context) error {
	var errs []error
	for _, h := range e.writer.View().Feeds() {
		_, err := e.writer.Fold(ctx, h.Feed, corpus.FoldOptions{Now: e.config.Options.Now()})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Purge implements enginetest.Purger.
func (e *engine) Purge(ctx context.Context, feed string, before time.Time) error {
	if _, err := e.writer.Purge(ctx, feed, before); err != nil {
		return err
	}
	return e.refresh(ctx)
}

// Break implements enginetest.Breaker.
func (e *engine) Break(f enginetest.Fault) {
	modes := map[string]crashtest.Mode{"before": crashtest.Before, "after": crashtest.After, "dead": crashtest.Dead}
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	e.store.faulty = &crashtest.Faulty{Store: e.store.Store, At: f.Op, Mode: modes[f.Mode]}
}

// Heal implements enginetest.Breaker.
func (e *engine) Heal(ctx context.Context, reopen bool) error {
	e.store.mu.Lock()
	e.store.faulty = nil
	e.store.mu.Unlock()
	if reopen {
		return e.reopen(ctx)
	}
	return e.refresh(ctx)
}

// Version implements enginetest.Breaker.
func (e *engine) Version(feed string) int64 {
	if h := e.writer.View().Feed(feed); h != nil {
		return h.Version
	}
	return 0
}
