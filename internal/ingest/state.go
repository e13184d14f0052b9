package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

const (
	statePrefix = "state/"
	stateSuffix = ".json"
	// rebuildRows is how far back a lost state is put together from the ledger.
	rebuildRows = 200
)

func stateKey(feed string) string { return statePrefix + feed + stateSuffix }

// after is the feed's state after one more ledger row. wait is the publisher's
// Retry-After. It is the only place where states change.
func after(st feed.State, run intel.Run, wait time.Duration) feed.State {
	if run.Trigger == TriggerStarter || run.Status == intel.RunSuperseded {
		return st // starter data is no attempt; the other process writes what is true
	}
	st.Feed, st.LastRun = run.Feed, run
	if run.Trigger != TriggerApprove && run.Trigger != TriggerReject {
		st.LastAttempt = run.Started
	}
	st.NotBefore = time.Time{}
	switch {
	case run.Status == intel.RunFailed:
		st.Failures++
		if wait > 0 {
			st.NotBefore = run.Finished.Add(wait)
		}
	case run.Status == intel.RunQuarantined:
		st.Failures = 0
		if run.Of == "" {
			st.Quarantined, st.QuarantinedSHA = run.ID, run.SHA256
		}
	case run.Status == intel.RunRejected:
		st.Failures, st.Quarantined, st.QuarantinedSHA = 0, "", run.SHA256
	case run.Code == CodeRejectedBefore:
		st.Failures = 0
	default: // good: what waited for a decision is out of date
		st.Failures, st.Quarantined, st.QuarantinedSHA = 0, "", ""
		st.LastGood = run.Finished
	}
	return st
}

// state reads a feed's state, the zero State where it never ran. A damaged one
// is put together again from the ledger.
func (r *Runner) state(ctx context.Context, feedID string) (feed.State, error) {
	data, _, err := blob.Read(ctx, r.cfg.Store, stateKey(feedID))
	if errors.Is(err, blob.ErrNotFound) {
		return feed.State{Feed: feedID}, nil
	}
	if err != nil {
		return feed.State{Feed: feedID}, err
	}
	st, err := decodeState(feedID, data)
	if err == nil {
		return st, nil
	}
	r.cfg.Log.WarnContext(ctx, "damaged state, put together again from the ledger", "error", err)
	return r.rebuilt(ctx, feedID)
}

func decodeState(feedID string, data []byte) (feed.State, error) {
	var st feed.State
	if err := json.Unmarshal(data, &st); err != nil {
		return st, fmt.Errorf("%s: %w", stateKey(feedID), err)
	}
	if st.Feed != feedID {
		return st, fmt.Errorf("%s: it is the state of feed %q", stateKey(feedID), st.Feed)
	}
	return st, nil
}

// rebuilt is the state that the newest rows of the ledger add up to.
func (r *Runner) rebuilt(ctx context.Context, feedID string) (feed.State, error) {
	st := feed.State{Feed: feedID}
	rows, err := r.Runs(ctx, feedID, rebuildRows)
	if err != nil {
		return st, err
	}
	for i := len(rows) - 1; i >= 0; i-- {
		st = after(st, rows[i], 0)
	}
	return st, nil
}

// States returns every feed's state by feed id.
func (r *Runner) States(ctx context.Context) (map[string]feed.State, error) {
	list, err := r.cfg.Store.List(ctx, statePrefix)
	if err != nil {
		return nil, err
	}
	states := make(map[string]feed.State, len(list))
	for _, o := range list {
		id, ok := strings.CutSuffix(strings.TrimPrefix(o.Key, statePrefix), stateSuffix)
		if !ok || strings.Contains(id, "/") {
			continue
		}
		st, err := r.state(ctx, id)
		if err != nil {
			return nil, err
		}
		states[id] = st
	}
	return states, nil
}

// record writes the run's ledger row, which acknowledges it, and the state.
func (a *attempt) record(ctx context.Context, row intel.Run, wait time.Duration) error {
	stands, err := a.appendRow(ctx, row, func(have intel.Run) bool { return have.ID == row.ID })
	if err != nil {
		return fmt.Errorf("feed %s: run %s could not be recorded: %w", row.Feed, row.ID, err)
	}
	st, err := a.saveState(ctx, stands, wait)
	if err != nil {
		return fmt.Errorf("feed %s: run %s is recorded, but the feed's state is not: %w", row.Feed, row.ID, err)
	}
	a.st = st
	return nil
}

// saveState writes the state after run, once however often it is called.
func (r *Runner) saveState(ctx context.Context, run intel.Run, wait time.Duration) (feed.State, error) {
	var next feed.State
	err := blob.Update(ctx, r.cfg.Store, stateKey(run.Feed), func(old []byte) ([]byte, error) {
		st := feed.State{Feed: run.Feed}
		if old != nil {
			var err error
			if st, err = decodeState(run.Feed, old); err != nil {
				if st, err = r.rebuilt(ctx, run.Feed); err != nil { // run is in it already
					return nil, err
				}
			}
		}
		if next = st; st.LastRun.ID != run.ID {
			next = after(st, run, wait)
		}
		if next.LastRun.ID == "" { // starter data only
			return nil, nil
		}
		return json.Marshal(next)
	})
	return next, err
}
