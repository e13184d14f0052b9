package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// VerifyLedger reads the whole ledger of a store and reports what does not fit:
// damaged lines, counts that do not add up, ids that stand twice, raw bytes that
// are named and gone before their time, damaged or replaced by others, a head or a state that names a run which
// the ledger has lost. The row of the newest run may be missing after a kill:
// the head holds it, and Repair writes it. The error is for a store that cannot
// be read at all.
func VerifyLedger(ctx context.Context, store blob.Store, report func(corpus.Problem)) error {
	v := &ledgerCheck{store: store, report: report, feeds: map[string]*feedLedger{}}
	for _, step := range []func(context.Context) error{v.rows, v.raws, v.heads, v.states} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

type ledgerCheck struct {
	store  blob.Store
	report func(corpus.Problem)
	feeds  map[string]*feedLedger
}

type feedLedger struct {
	ids    map[string]bool
	newest time.Time                    // the latest start of any row
	raw    map[string]map[string]string // key → SHA-256 that a row gives it → that run
}

func (v *ledgerCheck) problem(key, format string, args ...any) {
	v.report(corpus.Problem{Key: key, Detail: fmt.Sprintf(format, args...)})
}

func (v *ledgerCheck) ledger(id string) *feedLedger {
	if v.feeds[id] == nil {
		v.feeds[id] = &feedLedger{ids: map[string]bool{}, raw: map[string]map[string]string{}}
	}
	return v.feeds[id]
}

func (v *ledgerCheck) rows(ctx context.Context) error {
	days, err := v.store.List(ctx, runsPrefix)
	if err != nil {
		return err
	}
	for _, day := range days {
		data, _, err := blob.Read(ctx, v.store, day.Key)
		if err != nil {
			v.problem(day.Key, "cannot be read: %v", err)
			continue
		}
		rows, err := decodeRows(day.Key, data)
		if err != nil {
			v.problem(day.Key, "%v", err)
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(day.Key, runsPrefix), "/")
		for _, row := range rows {
			v.row(day.Key, id, row)
		}
	}
	return nil
}

func (v *ledgerCheck) row(key, id string, row intel.Run) {
	l := v.ledger(id)
	if row.Feed != id {
		v.problem(key, "run %s is of feed %q", row.ID, row.Feed)
	}
	if want, _ := dayOf(id, row.ID); want != key {
		v.problem(key, "run %q belongs to another day", row.ID)
	}
	if l.ids[row.ID] {
		v.problem(key, "run %s stands twice", row.ID)
	}
	l.ids[row.ID] = true
	if sum := row.Accepted + row.Duplicate + row.Suppressed + row.Rejected; sum != row.Read {
		v.problem(key, "run %s: accepted %d + duplicate %d + suppressed %d + rejected %d = %d, but %d records were read",
			row.ID, row.Accepted, row.Duplicate, row.Suppressed, row.Rejected, sum, row.Read)
	}
	if row.Started.After(l.newest) {
		l.newest = row.Started
	}
	if row.Raw != "" {
		if l.raw[row.Raw] == nil {
			l.raw[row.Raw] = map[string]string{}
		}
		l.raw[row.Raw][rawSum(row.Raw, row.SHA256)] = row.ID
	}
}

// raws reads the raw bytes that rows name, each once.
func (v *ledgerCheck) raws(ctx context.Context) error {
	for id, l := range v.feeds {
		if len(l.raw) == 0 {
			continue
		}
		list, err := v.store.List(ctx, rawPrefix+id+"/")
		if err != nil {
			return err
		}
		have := make(map[string]bool, len(list))
		for _, o := range list {
			have[o.Key] = true
		}
		gone := v.pruned(ctx, id)
		for key, sums := range l.raw {
			at, ok := rawTimeOf(id, key)
			switch {
			case have[key]:
				if err := v.raw(ctx, id, key, sums); err != nil {
					return err
				}
			case !(ok && at.Before(gone)):
				v.problem(key, "the raw bytes of run %s are missing", oneOf(sums))
			}
		}
	}
	return nil
}

// raw unpacks raw bytes and compares them with what the rows say of them.
func (v *ledgerCheck) raw(ctx context.Context, id, key string, sums map[string]string) error {
	_, got, err := getZstd(ctx, v.store, key, io.Discard)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, blob.ErrNotFound) { // deleted since the list was made, perhaps because of its age
		if at, ok := rawTimeOf(id, key); !ok || !at.Before(v.pruned(ctx, id)) {
			v.problem(key, "the raw bytes of run %s are missing", oneOf(sums))
		}
		return nil
	}
	if err != nil {
		v.problem(key, "the raw bytes of run %s are damaged or cannot be read: %v", oneOf(sums), err)
		return nil
	}
	for want, run := range sums {
		if got != want {
			v.problem(key, "the raw bytes of run %s are other bytes than were archived: SHA-256 %s, want %s", run, got, want)
		}
	}
	return nil
}

// oneOf is the last of the runs in sums.
func oneOf(sums map[string]string) string {
	return slices.Max(slices.Collect(maps.Values(sums)))
}

// pruned is before when raw bytes were deleted because of their age.
func (v *ledgerCheck) pruned(ctx context.Context, id string) time.Time {
	var p pruned
	if data, _, err := blob.Read(ctx, v.store, rawPrefix+id+"/"+prunedName); err == nil {
		if err := json.Unmarshal(data, &p); err != nil {
			v.problem(rawPrefix+id+"/"+prunedName, "cannot be read: %v", err)
		}
	}
	return p.Before
}

// heads looks for runs of heads that later rows should have followed. Heads
// that cannot be read are for corpus.Verify to report.
func (v *ledgerCheck) heads(ctx context.Context) error {
	return v.eachJSON(ctx, headsPrefix, headSuffix, func(key, id string, data []byte) {
		var h corpus.Head
		if json.Unmarshal(data, &h) != nil || h.Run.ID == "" {
			return
		}
		if l := v.ledger(id); !l.ids[h.Run.ID] && l.newest.After(h.Run.Finished) {
			v.problem(key, "run %s, which wrote it, is missing in the ledger between others", h.Run.ID)
		}
	})
}

func (v *ledgerCheck) states(ctx context.Context) error {
	return v.eachJSON(ctx, statePrefix, stateSuffix, func(key, id string, data []byte) {
		var st feed.State
		if err := json.Unmarshal(data, &st); err != nil {
			v.problem(key, "cannot be read: %v", err)
			return
		}
		for _, run := range []string{st.LastRun.ID, st.Quarantined} {
			if run != "" && !v.ledger(id).ids[run] {
				v.problem(key, "run %s is missing in the ledger", run)
			}
		}
	})
}

func (v *ledgerCheck) eachJSON(ctx context.Context, prefix, suffix string, fn func(key, id string, data []byte)) error {
	list, err := v.store.List(ctx, prefix)
	if err != nil {
		return err
	}
	for _, o := range list {
		id, ok := strings.CutSuffix(strings.TrimPrefix(o.Key, prefix), suffix)
		if !ok {
			continue
		}
		data, _, err := blob.Read(ctx, v.store, o.Key)
		if err != nil {
			v.problem(o.Key, "cannot be read: %v", err)
			continue
		}
		fn(o.Key, id, data)
	}
	return nil
}
