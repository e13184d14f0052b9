package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// Ledger reads the ledger of a feed back to an instant, the newest run first.
// ingest.Runner is one.
type Ledger interface {
	RunsSince(ctx context.Context, feedID string, since time.Time) ([]intel.Run, error)
}

// reportAge is how long a report holds where nothing was run: listings end by
// themselves meanwhile, and days pass.
const reportAge = 10 * time.Minute

// reports keeps the last report: it goes through everything that is listed.
type reports struct {
	turn chan struct{} // held by who makes or takes one
	key  string        // of what it was made of
	at   time.Time
	all  []feed.Report
}

// Report compares the feeds named, all that hold data where none is, with all
// others. It is made anew after a run, or when it is ten minutes old. Errors:
// *UnknownError, lookup.ErrNoCompare, or that it is not known now (lookup.ErrEngine).
func (f *Feeds) Report(ctx context.Context, ids ...string) ([]feed.Report, error) {
	for _, id := range ids {
		if _, err := f.Definition(id); err != nil {
			return nil, err
		}
	}
	var all []feed.Report
	if f.engine() != nil {
		select {
		case f.reports.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		defer func() { <-f.reports.turn }()
		if err := f.report(ctx); err != nil {
			return nil, err
		}
		all = f.reports.all
	}
	if len(ids) == 0 {
		return slices.Clone(all), nil
	}
	var out []feed.Report
	for _, id := range ids {
		i := slices.IndexFunc(all, func(r feed.Report) bool { return r.ID == id })
		if i >= 0 {
			out = append(out, all[i])
			continue
		}
		d := f.Catalogue().Get(id) // it holds nothing
		settings, err := f.settings(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, feed.NewReport(feed.ReportFacts{ID: id, Def: d, Roles: map[string]string{id: d.Role}, Enabled: map[string]bool{id: enabled(d, settings)}}, f.Now()))
	}
	return out, nil
}

// report brings the kept report up to date.
func (f *Feeds) report(ctx context.Context) error {
	held := f.engine().Held()
	var states map[string]feed.State
	if f.Runner != nil {
		var err error
		if states, err = f.Runner.States(ctx); err != nil {
			return err
		}
	}
	settings, err := f.settings(ctx)
	if err != nil {
		return err
	}
	catalogue, now := f.Catalogue(), f.Now()
	on := map[string]bool{}
	for _, d := range catalogue.All() {
		if enabled(d, settings) {
			on[d.ID] = true
		}
	}
	key := reportKey(catalogue, on, held, states)
	if age := now.Sub(f.reports.at); key == f.reports.key && age >= 0 && age < reportAge {
		return nil
	}
	all, err := f.makeReports(ctx, catalogue, on, held, now)
	if err == nil {
		f.reports.key, f.reports.at, f.reports.all = key, now, all
	}
	return err
}

// makeReports goes through everything that is listed.
func (f *Feeds) makeReports(ctx context.Context, catalogue *feed.Catalogue, on map[string]bool, held map[string]Held, now time.Time) ([]feed.Report, error) {
	engine, ok := f.engine().(lookup.Comparer)
	if !ok {
		return nil, lookup.ErrNoCompare
	}
	roles := map[string]string{}
	for _, d := range catalogue.All() {
		roles[d.ID] = d.Role
	}
	compared, err := engine.Compare(ctx, func(id string) bool { return !on[id] || roles[id] != feed.RoleThreat })
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, fmt.Errorf("%w: compare feeds: %w", lookup.ErrEngine, err)
	}
	listings := map[string]int{}
	for i := range compared.Feeds {
		listings[compared.Feeds[i].Feed] = compared.Feeds[i].Listings
	}
	all := []feed.Report{}
	for i := range compared.Feeds {
		c := &compared.Feeds[i]
		var runs []intel.Run
		if f.Ledger != nil {
			if runs, err = f.Ledger.RunsSince(ctx, c.Feed, now.AddDate(0, 0, -feed.ReportDays)); err != nil {
				return nil, err
			}
		}
		all = append(all, feed.NewReport(feed.ReportFacts{ID: c.Feed, Def: catalogue.Get(c.Feed), Compared: c, Snapshot: held[c.Feed].Snapshot,
			Runs: runs, Listings: listings, Roles: roles, Enabled: on}, now))
	}
	return all, nil
}

// reportKey is another one after every run, and when the catalogue is read again
// or a feed is switched.
func reportKey(c *feed.Catalogue, on map[string]bool, held map[string]Held, states map[string]feed.State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%p %q\n", c, slices.Sorted(maps.Keys(on)))
	for _, id := range slices.Sorted(maps.Keys(held)) {
		fmt.Fprintf(&b, "%s %d %s\n", id, held[id].Version, states[id].LastRun.ID)
	}
	return b.String()
}
