package opensearch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Stats implements lookup.Engine: what was listed after each feed's last good run.
// Each state is counted once: that of indicators goes through all of them.
func (e *Engine) Stats(ctx context.Context) (intel.Stats, error) {
	p, err := e.client.open(ctx, e.alias)
	if err != nil {
		return intel.Stats{}, err
	}
	defer e.client.close(ctx, p)
	f, err := e.read(ctx, p)
	if err != nil {
		return intel.Stats{}, err
	}
	if c := e.counts.Load(); c != nil && c.seq == f.Seq {
		st := c.stats
		st.ByKind = maps.Clone(st.ByKind)
		return st, nil
	}
	st := intel.Stats{Feeds: len(f.Feeds), ByKind: map[string]int{}}
	if err := e.countOpen(ctx, p, f, &st); err != nil {
		return intel.Stats{}, err
	}
	e.counts.Store(&counted{f.Seq, st})
	st.ByKind = maps.Clone(st.ByKind)
	return st, nil
}

// countOpen counts listings by kind, and the different indicators among them.
func (e *Engine) countOpen(ctx context.Context, p *pit, f *facts, st *intel.Stats) error {
	open := openAfterRuns(f)
	const perPage = 10_000
	indicators := clause{"size": perPage, "sources": []clause{
		{"kind": clause{"terms": clause{"field": pathOrder}}}, {"value": clause{"terms": clause{"field": pathName}}}}}
	q := &question{Query: open, Count: true, Source: false, PIT: p, Aggs: map[string]clause{"indicators": {"composite": indicators}}}
	for {
		r, err := e.client.ask(ctx, e.alias, q)
		if err != nil {
			return err
		}
		var got struct {
			After   json.RawMessage `json:"after_key"`
			Buckets []struct {
				Key struct {
					Kind int `json:"kind"`
				} `json:"key"`
				Docs int `json:"doc_count"`
			} `json:"buckets"`
		}
		if err := json.Unmarshal(r.Aggs["indicators"], &got); err != nil {
			return fmt.Errorf("count of indicators: %w", err)
		}
		for _, b := range got.Buckets {
			st.Indicators++
			st.Listings += b.Docs
			st.ByKind[intel.Kind(b.Key.Kind).String()] += b.Docs
		}
		if len(got.Buckets) < perPage {
			return nil
		}
		indicators["after"] = got.After
		q.Count = false
	}
}

// openAfterRuns matches what was listed after each feed's last good run.
func openAfterRuns(f *facts) clause {
	by := map[int64][]string{}
	for id, feed := range f.Feeds {
		by[feed.LastGood] = append(by[feed.LastGood], id)
	}
	any := []clause{matchNone()}
	for _, ms := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[ms])
		any = append(any, allOf(terms(pathFeed, by[ms]), at(pathIntervals, ms)))
	}
	return anyOf(any...)
}
