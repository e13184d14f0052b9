package app

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Snapshot is one feed's starter data: what its publisher served on a day.
type Snapshot struct {
	Feed string // id
	Date string // YYYY-MM-DD
	Open func() (io.ReadCloser, error)
}

// loadStarter gives every feed that has no data the snapshot that the binary
// carries, through the pipeline of every other run. The feed's first good pull
// replaces it.
func (a *App) loadStarter(ctx context.Context) error {
	settings, err := a.feeds.settings(ctx)
	if err != nil {
		return err
	}
	held := a.feeds.engine().Held()
	began := time.Now() // told to people, decides nothing
	var loaded, listings atomic.Int64
	var group errgroup.Group
	group.SetLimit(max(2, a.cfg.Parallel))
	for _, s := range a.cfg.Starter {
		d := a.cfg.Feeds.Catalogue().Get(s.Feed)
		if _, has := held[s.Feed]; has || d == nil || !enabled(d, settings) {
			continue
		}
		group.Go(func() error {
			n, err := a.starter(ctx, d, s)
			if n > 0 {
				a.refresh() // answers from it need not wait for the others
				loaded.Add(1)
				listings.Add(int64(n))
			}
			return err
		})
	}
	err = group.Wait()
	if loaded.Load() > 0 {
		a.cfg.Say("Starter data: %d listings from %d feeds in %d ms; answers carry its date until a feed's first pull replaces it",
			listings.Load(), loaded.Load(), time.Since(began).Milliseconds())
	}
	return err
}

// starter loads one file and returns the number of listings it gave.
func (a *App) starter(ctx context.Context, d *feed.Definition, s Snapshot) (int, error) {
	run, err := a.cfg.Feeds.Runner.Run(ctx, feed.Job{Def: d, Trigger: "starter", Snapshot: s.Date, Open: s.Open})
	switch {
	case err != nil:
		return 0, fmt.Errorf("feed %s: %w", d.ID, err)
	case run.Status == intel.RunOK:
		return run.Change.Open, nil
	case run.Status == intel.RunSuperseded, run.Status == intel.RunUnchanged:
		return 0, nil
	}
	return 0, fmt.Errorf("feed %s: %s: %s", d.ID, run.Status, run.Reason)
}
