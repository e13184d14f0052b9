package app

import (
	"maps"
	"slices"
	"sync"
)

// untidy are the feeds whose data may be worth tidying.
type untidy struct {
	mu    *sync.Mutex
	feeds map[string]bool
	more  chan struct{} // holds one where there are any
}

func newUntidy() untidy {
	return untidy{mu: new(sync.Mutex), feeds: map[string]bool{}, more: make(chan struct{}, 1)}
}

func (u untidy) add(feeds ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range feeds {
		u.feeds[id] = true
	}
	if len(u.feeds) > 0 {
		select {
		case u.more <- struct{}{}:
		default:
		}
	}
}

// take returns all of them, by id.
func (u untidy) take() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids := slices.Sorted(maps.Keys(u.feeds))
	clear(u.feeds)
	return ids
}

// tidy does beside everything else what can wait until after runs, one feed at
// a time.
func (a *App) tidy() {
	if a.cfg.Tidy == nil {
		return
	}
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-a.untidy.more:
		}
		if err := a.cfg.Tidy(a.ctx, a.untidy.take()...); err != nil && a.ctx.Err() == nil {
			a.cfg.Log.Error("tidying up failed; it is tried again after the next run", "error", err)
		}
		a.refresh()
	}
}
