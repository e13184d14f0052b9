package opensearch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Compare implements lookup.Comparer: it reads every listing once, those of one
// indicator side by side.
func (e *Engine) Compare(ctx context.Context, aside func(feed string) bool) (*intel.Comparison, error) {
	r := &searching{e: e, s: &query.Search{Query: query.All{}}, reader: e.reading(time.Time{})}
	var err error
	if r.pit, err = e.client.open(ctx, e.alias); err != nil {
		return nil, err
	}
	defer e.client.close(ctx, r.pit)
	if r.facts, err = e.read(ctx, r.pit); err != nil {
		return nil, err
	}
	c := &comparing{aside: aside, feeds: map[string]*comparedFeed{}}
	if c.since, err = r.firstPulls(ctx); err != nil {
		return nil, err
	}
	for id := range r.facts.Feeds {
		c.feeds[id] = &comparedFeed{Compared: intel.Compared{Feed: id, Kinds: map[intel.Kind]int{}, Since: c.since[id]},
			pairs: map[string]*intel.Pair{}, lead: map[int]int{}, lag: map[int]int{}}
	}
	var same []beginning // of one indicator
	var last intel.Indicator
	p, _, _ := r.compiled()
	err = r.scan(ctx, p.c, query.Sort{By: query.ByValue}, func(l *intel.Listing) error {
		if i := (intel.Indicator{Kind: l.Kind, Value: l.Canonical}); i != last {
			c.count(last.Kind, same)
			last, same = i, same[:0]
		}
		same = append(same, beginning{l.Feed, l.FirstSeen, l.Listed})
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.count(last.Kind, same)
	return c.result(), nil
}

// firstPulls returns when each feed began, as far as that says something: when
// its first listing did, or what it lost to damage came anew.
func (r *searching) firstPulls(ctx context.Context) (map[string]time.Time, error) {
	q := &question{Query: aListing(), Source: false, PIT: r.pit, Aggs: map[string]clause{"feeds": {
		"terms": clause{"field": pathFeed, "size": maxBuckets}, "aggs": clause{"first": clause{"min": clause{"field": pathFirstSeen}}}}}}
	got, err := r.e.client.ask(ctx, r.e.alias, q)
	if err != nil {
		return nil, err
	}
	var feeds struct {
		Buckets []struct {
			Key   string `json:"key"`
			First struct {
				Value *float64 `json:"value"`
			} `json:"first"`
		} `json:"buckets"`
	}
	if err := json.Unmarshal(got.Aggs["feeds"], &feeds); err != nil {
		return nil, fmt.Errorf("first pulls: %w", err)
	}
	out := map[string]time.Time{}
	for _, b := range feeds.Buckets {
		f := r.facts.Feeds[b.Key]
		if f == nil || f.Info.Snapshot != "" || b.First.Value == nil {
			continue
		}
		ms := int64(*b.First.Value)
		if f.Lost != 0 {
			ms = max(ms, f.Lost)
		}
		out[b.Key] = time.UnixMilli(ms).UTC()
	}
	return out, nil
}

// comparing is a comparison under way.
type comparing struct {
	aside func(feed string) bool
	since map[string]time.Time
	feeds map[string]*comparedFeed
}

// comparedFeed is what was counted of a feed; lead and lag count by hours.
type comparedFeed struct {
	intel.Compared
	pairs     map[string]*intel.Pair
	lead, lag map[int]int
}

// beginning is what of a listing is compared.
type beginning struct {
	feed  string
	first time.Time
	open  bool
}

// count counts the listings of one indicator.
func (c *comparing) count(kind intel.Kind, all []beginning) {
	for i := range all {
		own := &all[i]
		f := c.feeds[own.feed]
		unique, unknown := own.open, false
		var earliest *time.Time
		for j := range all {
			if i == j {
				continue
			}
			o := &all[j]
			unique = unique && !(o.open && (c.aside == nil || !c.aside(o.feed)))
			ok := c.comparable(own, o)
			f.pair(own, o, ok)
			unknown = unknown || !ok && o.first.Before(own.first)
			if ok && (earliest == nil || o.first.Before(*earliest)) {
				earliest = &o.first
			}
		}
		if own.open {
			f.Listings++
			f.Kinds[kind]++
		}
		if unique {
			f.Unique++
		}
		if earliest != nil && !unknown {
			f.early(own.first.Sub(*earliest))
		}
	}
}

// comparable says whether the beginnings of two listings of one indicator say who
// was first: both are later than the first pulls of both feeds.
func (c *comparing) comparable(a, b *beginning) bool {
	for _, feed := range []string{a.feed, b.feed} {
		first, known := c.since[feed]
		if !known || !a.first.After(first) || !b.first.After(first) {
			return false
		}
	}
	return true
}

func (f *comparedFeed) pair(own, o *beginning, comparable bool) {
	p := f.pairs[o.feed]
	if p == nil {
		p = &intel.Pair{Feed: o.feed}
		f.pairs[o.feed] = p
	}
	if own.open && o.open {
		p.Shared++
	}
	if comparable {
		countOrder(own.first.Sub(o.first), &p.First, &p.Tied, &p.Later)
	}
}

// early counts a listing that began so long behind the earliest of the others.
func (f *comparedFeed) early(d time.Duration) {
	countOrder(d, &f.Early.First, &f.Early.Tied, &f.Early.Later)
	switch {
	case d <= -intel.TieWithin:
		f.lead[int(-d/time.Hour)]++
	case d >= intel.TieWithin:
		f.lag[int(d/time.Hour)]++
	}
}

// countOrder counts by how much one is later than the other.
func countOrder(d time.Duration, first, tied, later *int) {
	switch {
	case d <= -intel.TieWithin:
		*first++
	case d >= intel.TieWithin:
		*later++
	default:
		*tied++
	}
}

func (c *comparing) result() *intel.Comparison {
	out := &intel.Comparison{}
	for _, id := range slices.Sorted(maps.Keys(c.feeds)) {
		f := c.feeds[id]
		f.Early.Lead, f.Early.Lag = intel.QuantilesOf(f.lead), intel.QuantilesOf(f.lag)
		for _, other := range slices.Sorted(maps.Keys(f.pairs)) {
			if p := f.pairs[other]; *p != (intel.Pair{Feed: other}) {
				f.Pairs = append(f.Pairs, *p)
			}
		}
		out.Feeds = append(out.Feeds, f.Compared)
	}
	return out
}
