package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

const (
	runsPrefix = "runs/"
	dayFormat  = "2006-01-02"
	daySuffix  = ".ndjson"
)

func dayKey(feed string, day time.Time) string {
	return runsPrefix + feed + "/" + day.UTC().Format(dayFormat) + daySuffix
}

// dayOf is the day file that holds the row of a run, by the run's id.
func dayOf(feed, id string) (key string, ok bool) {
	if len(id) < 8 {
		return "", false
	}
	day, err := time.Parse("20060102", id[:8])
	return dayKey(feed, day), err == nil
}

// appendRow adds a row to the ledger unless a row is there that same holds for;
// then it returns that one. It may be repeated, here and by other processes.
func (r *Runner) appendRow(ctx context.Context, row intel.Run, same func(intel.Run) bool) (intel.Run, error) {
	key, ok := dayOf(row.Feed, row.ID)
	if !ok {
		return row, fmt.Errorf("run id %q does not start with a date", row.ID)
	}
	line, err := json.Marshal(row)
	if err != nil {
		return row, fmt.Errorf("run %s: %w", row.ID, err)
	}
	stands := row
	err = blob.Update(ctx, r.cfg.Store, key, func(old []byte) ([]byte, error) {
		stands = row
		rows, _ := decodeRows(key, old) // a damaged line is reported by VerifyLedger and kept
		for _, have := range rows {
			if same(have) {
				stands = have
				return nil, nil
			}
		}
		if len(old) > 0 && old[len(old)-1] != '\n' {
			old = append(old, '\n')
		}
		return append(append(bytes.Clone(old), line...), '\n'), nil
	})
	if err != nil {
		return row, fmt.Errorf("ledger: %w", err)
	}
	return stands, nil
}

// decodeRows reads a day file. Damaged lines are left out and named in the error.
func decodeRows(key string, data []byte) ([]intel.Run, error) {
	var rows []intel.Run
	var errs []error
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var row intel.Run
		if err := json.Unmarshal(line, &row); err != nil {
			errs = append(errs, fmt.Errorf("%s line %d is not a ledger row: %w", key, n, err))
			continue
		}
		rows = append(rows, row)
	}
	return rows, errors.Join(errs...)
}

// Runs returns a feed's ledger, the newest row first, at most limit rows (0 = all).
func (r *Runner) Runs(ctx context.Context, feedID string, limit int) ([]intel.Run, error) {
	var out []intel.Run
	err := r.each(ctx, feedID, func(row intel.Run) bool {
		out = append(out, row)
		return limit <= 0 || len(out) < limit
	})
	return out, err
}

// RunsSince returns a feed's ledger from an instant on, the newest row first.
func (r *Runner) RunsSince(ctx context.Context, feedID string, since time.Time) ([]intel.Run, error) {
	var out []intel.Run
	first := dayKey(feedID, since)
	err := r.eachDay(ctx, feedID, func(key string) bool { return key >= first }, func(row intel.Run) bool {
		if !row.Started.Before(since) {
			out = append(out, row)
		}
		return true
	})
	return out, err
}

// each calls fn for a feed's rows, the newest first, until it returns false.
// Rows that cannot be read are left out and named in the log.
func (r *Runner) each(ctx context.Context, feedID string, fn func(intel.Run) bool) error {
	return r.eachDay(ctx, feedID, func(string) bool { return true }, fn)
}

// eachDay is each for the day files, the newest first, until day returns false.
func (r *Runner) eachDay(ctx context.Context, feedID string, day func(key string) bool, fn func(intel.Run) bool) error {
	if err := blob.CheckKey(feedID); err != nil || strings.Contains(feedID, "/") {
		return fmt.Errorf("feed id %q cannot be one", feedID)
	}
	days, err := r.cfg.Store.List(ctx, runsPrefix+feedID+"/")
	if err != nil {
		return err
	}
	for i := len(days) - 1; i >= 0 && day(days[i].Key); i-- {
		rows, err := r.dayRows(ctx, days[i].Key)
		if err != nil {
			return err
		}
		for j := len(rows) - 1; j >= 0; j-- {
			if !fn(rows[j]) {
				return nil
			}
		}
	}
	return nil
}

// dayRows reads one day file, nothing where there is none.
func (r *Runner) dayRows(ctx context.Context, key string) ([]intel.Run, error) {
	data, _, err := blob.Read(ctx, r.cfg.Store, key)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rows, err := decodeRows(key, data)
	if err != nil {
		r.cfg.Log.WarnContext(ctx, "damaged ledger", "error", err)
	}
	return rows, nil
}

// row finds one run by its id.
func (r *Runner) row(ctx context.Context, feedID, id string) (intel.Run, bool, error) {
	key, ok := dayOf(feedID, id)
	if !ok || blob.CheckKey(key) != nil {
		return intel.Run{}, false, nil
	}
	rows, err := r.dayRows(ctx, key)
	for _, row := range rows {
		if row.ID == id {
			return row, true, err
		}
	}
	return intel.Run{}, false, err
}

// newest finds the newest run that match holds for.
func (r *Runner) newest(ctx context.Context, feedID string, match func(intel.Run) bool) (found intel.Run, ok bool, err error) {
	err = r.each(ctx, feedID, func(row intel.Run) bool {
		if ok = match(row); ok {
			found = row
		}
		return !ok
	})
	return found, ok, err
}
