package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

const (
	headsPrefix = "heads/"
	headSuffix  = ".json"
)

// Repair completes what a killed process left: a head whose run is missing in
// the ledger gets its row, a state that is behind the ledger is brought up to
// it, and old temporary files go. Call it when a store is opened for writing; it
// may run while other processes run feeds, and any number of times. Feeds that
// cannot be repaired are named in the error, the others are.
func (r *Runner) Repair(ctx context.Context) error {
	r.cleanTemp()
	ids, err := r.known(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if err := r.repairOne(ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("feed %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// known lists the feeds that have a head or a ledger.
func (r *Runner) known(ctx context.Context) ([]string, error) {
	var ids []string
	seen := map[string]bool{}
	for _, prefix := range []string{headsPrefix, runsPrefix} {
		list, err := r.cfg.Store.List(ctx, prefix)
		if err != nil {
			return nil, err
		}
		for _, o := range list {
			id, _, _ := strings.Cut(strings.TrimPrefix(o.Key, prefix), "/")
			id = strings.TrimSuffix(id, headSuffix)
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

func (r *Runner) repairOne(ctx context.Context, id string) error {
	st, err := r.state(ctx, id)
	if err != nil {
		return err
	}
	head, _, err := r.cfg.Corpus.Head(ctx, id)
	if err != nil {
		return err
	}
	_, err = r.repairFeed(ctx, head, st, nil)
	return err
}

// repairFeed writes the ledger row of the head's run where it is missing, and
// the state of the newest row where that is behind. head and d may be nil.
func (r *Runner) repairFeed(ctx context.Context, head *corpus.Head, st feed.State, d *feed.Definition) (feed.State, error) {
	if head != nil && head.Run.ID != "" {
		run := head.Run
		if _, found, err := r.row(ctx, head.Feed, run.ID); err != nil {
			return st, err
		} else if !found {
			r.cfg.Log.InfoContext(ctx, "a run that was killed before it could be recorded is recorded now", "feed", head.Feed, "run", run.ID)
			if _, err := r.appendRow(ctx, run, func(have intel.Run) bool { return have.ID == run.ID }); err != nil {
				return st, err
			}
		}
	}
	last, ok, err := r.newest(ctx, st.Feed, func(row intel.Run) bool {
		return row.Trigger != TriggerStarter && row.Status != intel.RunSuperseded
	})
	if err != nil || !ok || last.ID == st.LastRun.ID {
		return st, err
	}
	return r.saveState(ctx, last, 0, d)
}
