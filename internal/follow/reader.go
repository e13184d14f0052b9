package follow

import (
	"context"
	"sync"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/corpus"
)

// Reader answers from an index that others bring up to date, beside the store that
// it is made of: of the store it reads the heads, and no listing. It is an
// app.Engine; safe for concurrent use.
type Reader struct {
	Index
	// Heads reads the heads of all feeds, see corpus.Heads.
	Heads func(ctx context.Context) (heads map[string]*corpus.Head, broken map[string]error, err error)
	// Down says why the cluster is not asked at the moment, or nil.
	Down func() error

	mu     sync.Mutex
	held   map[string]app.Held
	broken map[string]error
	looked bool
	err    error // of the last look at the index
}

var (
	_ app.Engine  = (*Reader)(nil)
	_ app.Readier = (*Reader)(nil)
)

// Refresh implements app.Engine: it takes up what is said of the feeds, and finds
// out whether the index can be asked, which Ready tells. The error is the store's.
func (r *Reader) Refresh(ctx context.Context) (changed bool, err error) {
	heads, broken, err := r.Heads(ctx)
	_, asked := r.Index.Feeds(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looked, r.err = true, asked
	if err != nil {
		return false, err
	}
	held := map[string]app.Held{}
	for id, h := range heads {
		held[id] = app.Held{Version: h.Version, Listings: h.Open(), Snapshot: h.Info.Snapshot}
		changed = changed || held[id] != r.held[id]
	}
	r.held, r.broken = held, broken
	return changed, nil
}

// Held implements app.Engine.
func (r *Reader) Held() map[string]app.Held {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

// Broken implements app.Engine.
func (r *Reader) Broken(feed string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken[feed]
}

// Ready implements app.Readier: an *UnreadyError while the index cannot be asked,
// or was never filled. One that only lags behind is ready.
func (r *Reader) Ready() error {
	r.mu.Lock()
	looked, err := r.looked, r.err
	r.mu.Unlock()
	switch {
	case !looked:
		return &UnreadyError{"the index was not asked yet", nil}
	case err != nil:
		return &UnreadyError{why(err), err}
	}
	if err := r.Down(); err != nil {
		return &UnreadyError{why(err), err}
	}
	return nil
}
