package follow

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/opensearch"
)

// Index keeps listings in a cluster and finds them; *opensearch.Engine is one.
type Index interface {
	lookup.Engine
	lookup.Follower
	lookup.Comparer
	lookup.ManyFinder
	lookup.Doubter
	Filler
}

// Filler brings an index to the state of a source, as *opensearch.Engine does.
type Filler interface {
	Feeds(ctx context.Context) ([]opensearch.Feed, error)
	Current(ctx context.Context) (index string, err error)
	Sync(ctx context.Context, src opensearch.Source) (opensearch.SyncStats, error)
	Reindex(ctx context.Context, src opensearch.Source, o opensearch.ReindexOptions) (opensearch.SyncStats, error)
	Tidy(ctx context.Context) (opensearch.TidyStats, error)
}

// Config is what an Engine is made of.
type Config struct {
	Index  Index
	Corpus *corpus.Corpus
	// Lock claims the index for this process until release is called, and waits for
	// other processes; nil where there are none.
	Lock func(ctx context.Context) (release func(), err error)
	// Down says why the cluster is not asked at the moment, or nil; nil where that
	// is not known.
	Down func() error
	Now  func() time.Time
	Say  func(format string, a ...any) // to people; nil: to nobody
	Log  *slog.Logger
}

// Engine answers from an index and takes up what is committed to a corpus. It is
// an app.Engine with every optional part; Run keeps the index up to date. Safe
// for concurrent use.
type Engine struct {
	Index
	cfg  Config
	wake chan struct{} // holds one where the corpus changed
	turn sync.Mutex    // held by Sync

	tidied time.Time // when Run last tidied up; its own

	mu sync.Mutex // guards what follows
	st Status
}

// Status is how the index stands to the corpus.
type Status struct {
	Synced time.Time // when it was last brought to the state of the corpus; zero: not since the start
	Behind time.Time // since when the corpus has what the index has not; zero: it has nothing
	Err    error     // why the last attempt failed; nil where it did not
	Since  time.Time // when the first attempt in a row failed
	Failed int       // attempts in a row

	// Since the start.
	Syncs, Failures            int
	Written, Deleted, Rejected int // documents
}

var (
	_ app.Engine        = (*Engine)(nil)
	_ app.Readier       = (*Engine)(nil)
	_ app.Measured      = (*Engine)(nil)
	_ lookup.ManyFinder = (*Engine)(nil)
)

// New returns an engine that is taken to be behind until the first Sync.
func New(c Config) *Engine {
	if c.Say == nil {
		c.Say = func(string, ...any) {}
	}
	return &Engine{Index: c.Index, cfg: c, wake: make(chan struct{}, 1), st: Status{Behind: c.Now()}}
}

// Refresh implements app.Engine: the corpus takes up what was committed, and Run
// is woken. It waits for no cluster.
func (e *Engine) Refresh(ctx context.Context) (changed bool, err error) {
	changed, err = e.cfg.Corpus.Refresh(ctx)
	if changed {
		e.mu.Lock()
		if e.st.Behind.IsZero() {
			e.st.Behind = e.cfg.Now()
		}
		e.mu.Unlock()
		e.look()
	}
	return changed, err
}

// look wakes Run.
func (e *Engine) look() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Find implements lookup.Engine. Where the index turns out to be gone, Run need
// not wait for its turn.
func (e *Engine) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	dst, err := e.Index.Find(ctx, q, at, dst)
	if gone(err) {
		e.look()
	}
	return dst, err
}

// gone says whether an error is that of an index which somebody deleted.
func gone(err error) bool {
	var status *opensearch.StatusError
	return errors.Is(err, opensearch.ErrUnsynced) || errors.As(err, &status) && status.Status == http.StatusNotFound
}

// Held implements app.Engine: what the corpus holds.
func (e *Engine) Held() map[string]app.Held { return app.HeldOf(e.cfg.Corpus) }

// Broken implements app.Engine.
func (e *Engine) Broken(feed string) error { return e.cfg.Corpus.Broken(feed) }

// Status returns how the index stands.
func (e *Engine) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.st
}

// UnreadyError says why the index cannot be asked.
type UnreadyError struct {
	why string
	err error // nil where why is all
}

// Error implements error.
func (e *UnreadyError) Error() string {
	if e.err == nil {
		return e.why
	}
	return e.why + ": " + e.err.Error()
}

// Unwrap returns the failure.
func (e *UnreadyError) Unwrap() error { return e.err }

// Why says it without names of hosts and users, for everybody.
func (e *UnreadyError) Why() string { return e.why }

// Ready implements app.Readier: an *UnreadyError before the first Sync since the
// start, and while the index cannot be asked. An index that only lags behind is
// ready.
func (e *Engine) Ready() error {
	st := e.Status()
	switch {
	case st.Synced.IsZero() && st.Err == nil:
		return &UnreadyError{"the index is being brought up to date", nil}
	case st.Synced.IsZero(), st.Err != nil && silent(st.Err):
		return &UnreadyError{why(st.Err), st.Err}
	}
	if e.cfg.Down != nil {
		if err := e.cfg.Down(); err != nil {
			return &UnreadyError{why(err), err}
		}
	}
	return nil
}

// silent says of a failed Sync whether look-ups fail, too. What cannot be written
// may still be read.
func silent(err error) bool {
	var writing *opensearch.BulkError
	if errors.As(err, &writing) {
		return false
	}
	_, passes := opensearch.RetryAfter(err)
	return passes || errors.Is(err, opensearch.ErrUnsynced) || errors.As(err, new(*opensearch.StatusError))
}

// why is the class of a failure in words.
func why(err error) string {
	var status *opensearch.StatusError
	switch {
	case errors.As(err, new(*opensearch.UnavailableError)), errors.As(err, new(*opensearch.NodeError)):
		return "the cluster cannot be reached"
	case errors.As(err, &status) && (status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden):
		return "the cluster refuses the user"
	case errors.Is(err, opensearch.ErrUnsynced):
		return "the index was never filled"
	}
	return "the index cannot be brought up to date"
}
