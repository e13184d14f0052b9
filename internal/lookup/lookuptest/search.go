package lookuptest

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Search implements lookup.Engine by looking at everything.
func (e *Engine) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	if err := ctx.Err(); err != nil {
		return query.Page{}, err
	}
	if e.Fail != nil {
		if err := e.Fail(intel.Question{}); err != nil {
			return query.Page{}, err
		}
	}
	return Run(e.listings(s.AsOf), s, emit)
}

// listings yields everything as it stood at the instant at.
func (e *Engine) listings(at time.Time) iter.Seq[intel.Listing] {
	return func(yield func(intel.Listing) bool) {
		for ind := range e.by {
			for _, l := range e.take(nil, ind, intel.RelExact, at) {
				l.Changed = l.FirstSeen
				if !l.Listed {
					l.Changed = l.LastSeen
				}
				if !yield(l) {
					return
				}
			}
		}
	}
}

// Run is what every engine's Search has to give over these listings, in any
// order, whose Changed is set: it holds each against the query. It knows no budget.
func Run(listings iter.Seq[intel.Listing], s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	page := query.Page{Exact: true}
	var found []intel.Listing
	counts := make([]map[string]int, len(s.Facets))
	for i := range counts {
		counts[i] = map[string]int{}
	}
	for l := range listings {
		d := query.Doc{Listing: &l}
		if s.Facts != nil {
			d.Facts = s.Facts.Of(intel.Indicator{Kind: l.Kind, Value: l.Canonical}).Fields()
		}
		if !query.Match(s.Query, d) {
			continue
		}
		page.Total++
		for i, f := range s.Facets {
			for _, v := range d.Facet(f) {
				counts[i][v]++
			}
		}
		if s.After == nil || s.Sort.Compare(*s.After, s.Sort.Position(&l)) < 0 {
			found = append(found, l)
		}
	}
	slices.SortFunc(found, func(a, b intel.Listing) int { return s.Sort.Compare(s.Sort.Position(&a), s.Sort.Position(&b)) })
	if s.Limit != 0 && len(found) > max(s.Limit, 0) {
		page.More, found = s.Limit > 0, found[:max(s.Limit, 0)]
	}
	for i, f := range s.Facets {
		page.Facets = append(page.Facets, query.NewFacet(f, counts[i], s.FacetLimit))
	}
	for i := range found {
		if err := emit(&found[i]); err != nil {
			return page, err
		}
	}
	return page, nil
}
