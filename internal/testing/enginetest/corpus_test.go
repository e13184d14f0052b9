package enginetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
)

// embedded is the corpus as an engine to be filled. One Corpus writes, another,
// as of another process, answers every second question.
type embedded struct {
	store   *switchable
	options corpus.Options
	writer  *corpus.Corpus
	reader  *corpus.Corpus

	mu    sync.Mutex
	asked int
}

// switchable is a store that can be made to fail.
type switchable struct {
	blob.Store // the healthy one

	mu     sync.Mutex
	faulty *crashtest.Faulty
}

func openEmbedded(store blob.Store, o corpus.Options) (Loader, error) {
	e := &embedded{store: &switchable{Store: store}, options: o}
	if err := corpus.Init(context.Background(), store); err != nil {
		return nil, err
	}
	return e, e.reopen(context.Background())
}

// openMem opens one in memory.
func openMem(now func() time.Time) (Loader, error) {
	return openEmbedded(crashtest.NewMem(), corpus.Options{Now: now, Workers: 1})
}

// openTiny opens one whose feeds are cut into many shards, and changes written as
// deltas whenever they can be.
func openTiny(now func() time.Time) (Loader, error) {
	return openEmbedded(crashtest.NewMem(), corpus.Options{Now: now, Workers: 1, ShardSize: 20, Small: 1})
}

func (e *embedded) reopen(ctx context.Context) (err error) {
	for _, c := range []**corpus.Corpus{&e.writer, &e.reader} {
		if *c, err = corpus.Open(ctx, e.store, e.options); err != nil {
			return err
		}
	}
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
func (e *embedded) one() *corpus.Corpus {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.asked++; e.asked%2 == 0 {
		return e.reader
	}
	return e.writer
}

func (e *embedded) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	return e.one().Find(ctx, q, at, dst)
}

func (e *embedded) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	return e.one().Search(ctx, s, emit)
}

func (e *embedded) Stats(ctx context.Context) (intel.Stats, error) { return e.one().Stats(ctx) }

func (e *embedded) Err() error { return errors.Join(e.writer.Err(), e.reader.Err()) }

var _ lookup.Engine = (*embedded)(nil)

// Load does what an ingest run does.
func (e *embedded) Load(ctx context.Context, info intel.FeedInfo, at time.Time, entries []intel.Entry) error {
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

func (e *embedded) refresh(ctx context.Context) error {
	for _, c := range []*corpus.Corpus{e.writer, e.reader} {
		if _, err := c.Refresh(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Keep implements Keeper.
func (e *embedded) Keep(ctx context.Context, what string) (err error) {
	switch what {
	case "regroup":
		_, err = e.writer.Regroup(ctx)
	case "sweep":
		err = e.writer.Sweep(ctx, time.Now().Add(time.Hour), 0)
	case "reopen":
		return e.reopen(ctx)
	}
	return errors.Join(err, e.refresh(ctx))
}

// Break implements Breaker.
func (e *embedded) Break(f Fault) {
	modes := map[string]crashtest.Mode{"before": crashtest.Before, "after": crashtest.After, "dead": crashtest.Dead}
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	e.store.faulty = &crashtest.Faulty{Store: e.store.Store, At: f.Op, Mode: modes[f.Mode]}
}

// Heal implements Breaker.
func (e *embedded) Heal(ctx context.Context, reopen bool) error {
	e.store.mu.Lock()
	e.store.faulty = nil
	e.store.mu.Unlock()
	if reopen {
		return e.reopen(ctx)
	}
	return e.refresh(ctx)
}

// LastGood implements Breaker.
func (e *embedded) LastGood(feed string) time.Time {
	if h := e.writer.View().Feed(feed); h != nil {
		return h.LastGood
	}
	return time.Time{}
}

// canSearch skips a test while View.Search is being written.
func canSearch(t *testing.T) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Skipf("search: %v", r)
		}
	}()
	e, err := openMem(func() time.Time { return began })
	if err != nil {
		t.Fatal(err)
	}
	_, _ = e.Search(t.Context(), query.Search{Query: query.All{}}, func(*intel.Listing) error { return nil })
}

// TestCorpusConforms holds the embedded engine against the suite.
func TestCorpusConforms(t *testing.T) {
	canSearch(t)
	t.Run("plain", func(t *testing.T) { Run(t, openMem) })
	t.Run("tiny", func(t *testing.T) { Run(t, openTiny) })
}
