package follow

import (
	"context"
	"errors"
	"time"

	"github.com/elasticintel/elasticintel/internal/opensearch"
)

// Times of Run.
const (
	// lookEvery is how often it looks after the index where nothing changed: somebody
	// may have deleted it, and a cluster that is down should be known to be.
	lookEvery = 5 * time.Second
	// sayEvery is how often it says how far a new index is.
	sayEvery = 10 * time.Second
	// After a failure it waits for firstPause, then twice as long up to longestPause.
	firstPause   = time.Second
	longestPause = time.Minute
)

// Run keeps the index up to date until ctx ends. While the cluster does not take
// it, it tries again after growing pauses and says so once.
func (e *Engine) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wake := e.wake
		if e.Status().Err != nil {
			wake = nil // more news do not end a pause
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-wake:
		}
		was := e.Status()
		_, err := e.Sync(ctx)
		if ctx.Err() != nil {
			return
		}
		e.tell(ctx, was, err)
		if err == nil {
			e.tidy(ctx)
		}
		timer.Reset(e.pause(err))
	}
}

// pause is how long Run waits after an attempt.
func (e *Engine) pause(err error) time.Duration {
	if err == nil {
		return lookEvery
	}
	if after, ok := opensearch.RetryAfter(err); ok && after > 0 {
		return min(after, longestPause)
	}
	return min(firstPause<<min(e.Status().Failed-1, 10), longestPause)
}

// Sync brings the index to the present state of the corpus, unless another process
// just did. An index that is of another mapping, or has lost its state, is made
// anew while the old one answers. Documents that the index refuses are said, and
// no error; else what an error says was not acknowledged is sent again next time.
func (e *Engine) Sync(ctx context.Context) (opensearch.SyncStats, error) {
	e.turn.Lock()
	defer e.turn.Unlock()
	if e.cfg.Lock != nil {
		release, err := e.cfg.Lock(ctx)
		if err != nil {
			return opensearch.SyncStats{}, e.ended(ctx, time.Time{}, opensearch.SyncStats{}, err)
		}
		defer release()
	}
	e.mu.Lock()
	behind := e.st.Behind
	e.st.Behind = time.Time{}
	e.mu.Unlock()
	src, began := Of(e.cfg.Corpus), e.cfg.Now()
	st, err := e.bring(ctx, src)
	if refused(err) { // it is remembered in the index, and the next one is whole
		e.cfg.Say("The index does not take %d documents; the first: %v.", st.Rejected, firstRefused(err))
		var more opensearch.SyncStats
		more, err = e.bring(ctx, src)
		st = sum(st, more)
	}
	if err == nil && st.Written+st.Deleted > 0 {
		e.cfg.Say("Index: %d documents written, %d taken out, in %s.", st.Written, st.Deleted, e.cfg.Now().Sub(began).Round(time.Millisecond))
	}
	if err == nil && e.Index.Err() != nil { // as of the state before; what is said of this one must be known
		_, err = e.Index.Feeds(ctx)
	}
	return st, e.ended(ctx, behind, st, err)
}

// bring syncs, or makes the index where there is none, or anew where it has to be.
func (e *Engine) bring(ctx context.Context, src Source) (st opensearch.SyncStats, err error) {
	_, err = e.Index.Current(ctx)
	if err == nil {
		st, err = e.Index.Sync(ctx, src)
	}
	switch {
	case errors.Is(err, opensearch.ErrMapping):
		if e.Status().Err == nil { // a retry is no news
			e.cfg.Say("The index is made anew: %v. Until that is done the old one answers.", err)
		}
	case !errors.Is(err, opensearch.ErrUnsynced):
		return st, err
	}
	said := e.cfg.Now()
	more, err := e.Index.Reindex(ctx, src, opensearch.ReindexOptions{Progress: func(p opensearch.Progress) {
		if now := e.cfg.Now(); now.Sub(said) >= sayEvery {
			said = now
			e.cfg.Say("Index: %d of %d listings, %d of %d feeds", p.Listings, p.AllListings, p.Feeds, p.AllFeeds)
		}
	}})
	return sum(st, more), err
}

func sum(a, b opensearch.SyncStats) opensearch.SyncStats {
	a.Written += b.Written
	a.Deleted += b.Deleted
	a.Rejected += b.Rejected
	a.Requests += b.Requests
	a.Retried += b.Retried
	a.Feeds = max(a.Feeds, b.Feeds)
	return a
}

// ended notes how an attempt ended; behind is since when the index was.
func (e *Engine) ended(ctx context.Context, behind time.Time, st opensearch.SyncStats, err error) error {
	now := e.cfg.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.st.Written += st.Written
	e.st.Deleted += st.Deleted
	e.st.Rejected += st.Rejected
	if err != nil && (e.st.Behind.IsZero() || !behind.IsZero() && behind.Before(e.st.Behind)) {
		e.st.Behind = behind
	}
	switch {
	case err != nil && ctx.Err() != nil: // it was ended; that is no failure
	case err != nil:
		e.st.Err = err
		e.st.Failures++
		if e.st.Failed++; e.st.Failed == 1 {
			e.st.Since = now
		}
	default:
		e.st.Err, e.st.Since, e.st.Failed, e.st.Synced = nil, time.Time{}, 0, now
		e.st.Syncs++
	}
	return err
}

// tell says of an attempt what is news: the first failure in a row, or of another
// kind, and the end of them.
func (e *Engine) tell(ctx context.Context, was Status, err error) {
	switch {
	case err != nil && (was.Err == nil || why(was.Err) != why(err)):
		e.cfg.Say("The index does not follow: %v. It is tried again; nothing is lost meanwhile.", &UnreadyError{why(err), err})
	case err != nil:
		e.cfg.Log.InfoContext(ctx, "the index still does not follow", "error", err, "attempts", was.Failed+1)
	case was.Err != nil:
		e.cfg.Say("The index follows again, after %s.", e.cfg.Now().Sub(was.Since).Round(time.Second))
	}
}

// refused says whether refused documents were all that failed.
func refused(err error) bool {
	var bulk *opensearch.BulkError
	return errors.As(err, &bulk) && bulk.OpenAll == 0 && bulk.Err == nil && len(bulk.Rejected) > 0
}

func firstRefused(err error) error {
	var doc *opensearch.Rejected
	if errors.As(err, &doc) {
		return doc
	}
	return err
}
