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
	rebuildRows = 1000
)

func stateKey(feed string) string { return statePrefix + feed + stateSuffix }

// after is the feed's state after one more ledger row. wait is the publisher's
// Retry-After, d the feed's definition where it is known. It is the only place
// where states change.
func after(st feed.State, run intel.Run, wait time.Duration, d *feed.Definition) feed.State {
	if run.Trigger == TriggerStarter || run.Status == intel.RunSuperseded {
		return st // starter data is no attempt; the other process writes what is true
	}
	next := st
	next.Feed, next.LastRun = run.Feed, run
	if run.Trigger != TriggerApprove && run.Trigger != TriggerReject {
		next.LastAttempt = run.Started
	}
	next.NotBefore = time.Time{}
	switch {
	case run.Status == intel.RunFailed:
		next.Failures++
		if wait > 0 {
			next.NotBefore = run.Finished.Add(wait)
		}
	case run.Status == intel.RunQuarantined:
		next.Failures = 0
		if run.Of == "" {
			next.Quarantined, next.QuarantinedSHA, next.QuarantinedCode, next.QuarantinedReason = run.ID, run.SHA256, run.Code, run.Reason
		}
	case run.Status == intel.RunRejected:
		next.Failures = 0
		free(&next, run.SHA256)
	case run.Code == CodeRejectedBefore:
		next.Failures = 0
	default: // what waited for a decision is out of date
		next.Failures = 0
		free(&next, "")
		good(&next, run)
	}
	return st.Then(next, d, run)
}

// good notes what an accepted run says of the feed's content.
func good(st *feed.State, run intel.Run) {
	if run.Status == intel.RunOK || st.Changed.IsZero() {
		st.Change(run.Finished)
	}
	st.LastGood, st.Empty = run.Finished, run.Change.Open == 0
}

// free notes that no run waits for a decision any more.
func free(st *feed.State, rejected string) {
	st.Quarantined, st.QuarantinedSHA, st.QuarantinedCode, st.QuarantinedReason = "", rejected, "", ""
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
	return r.rebuilt(ctx, feedID, intel.Run{}, 0, nil)
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

// rebuilt is the state that the newest rows of the ledger add up to. wait goes
// with the row of run.
func (r *Runner) rebuilt(ctx context.Context, feedID string, run intel.Run, wait time.Duration, d *feed.Definition) (feed.State, error) {
	st := feed.State{Feed: feedID}
	rows, err := r.Runs(ctx, feedID, rebuildRows)
	if err != nil {
		return st, err
	}
	for i := len(rows) - 1; i >= 0; i-- {
		var w time.Duration
		if rows[i].ID == run.ID {
			w = wait
		}
		st = after(st, rows[i], w, d)
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
	st, err := a.saveState(ctx, stands, wait, a.def)
	if err != nil {
		return fmt.Errorf("feed %s: run %s is recorded, but the feed's state is not: %w", row.Feed, row.ID, err)
	}
	a.st = st
	return nil
}

// saveState writes the state after run, which is in the ledger, once however
// often it is called. A state that is lost or damaged is put together again from
// the ledger. d is the feed's definition where it is known.
func (r *Runner) saveState(ctx context.Context, run intel.Run, wait time.Duration, d *feed.Definition) (feed.State, error) {
	var next feed.State
	err := blob.Update(ctx, r.cfg.Store, stateKey(run.Feed), func(old []byte) ([]byte, error) {
		st, err := decodeState(run.Feed, old)
		if err != nil {
			if st, err = r.rebuilt(ctx, run.Feed, run, wait, d); err != nil {
				return nil, err
			}
		}
		if next = st; st.LastRun.ID != run.ID {
			next = after(st, run, wait, d)
		}
		if next.LastRun.ID == "" { // starter data only
			return nil, nil
		}
		return json.Marshal(next)
	})
	return next, err
}
