package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Search implements lookup.Engine, in one point in time. Where the language of the
// cluster can say all of it, the cluster counts and sorts; else it gives every
// listing that may match, and each is held against the query here.
func (e *Engine) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	r := &searching{e: e, s: &s, reader: e.reading(s.AsOf), emit: emit, page: query.Page{Exact: true}}
	r.seen = s.Sort.By == query.ByLastSeen
	if err := ctx.Err(); err != nil {
		return r.page, err
	}
	budget := ctx
	if s.Budget > 0 {
		var cancel context.CancelFunc
		budget, cancel = context.WithTimeout(ctx, s.Budget)
		defer cancel()
	}
	err := r.run(budget)
	late := budget.Err() != nil || s.Budget > 0 && errors.Is(err, errTimeout) // the cluster may look at its clock first
	if err != nil && r.emitErr == nil && ctx.Err() == nil && late {
		r.page.Partial, r.page.Exact, err = true, false, nil
		r.facetsCut()
	}
	return r.page, err
}

// searching is one Search under way.
type searching struct {
	reader
	e       *Engine
	s       *query.Search
	emit    func(*intel.Listing) error
	emitErr error
	pit     *pit
	page    query.Page
	emitted int
}

func (r *searching) run(ctx context.Context) error {
	done, err := r.quick(ctx)
	if done || err != nil {
		return err
	}
	if r.pit, err = r.e.client.open(ctx, r.e.alias); err != nil {
		return err
	}
	defer r.e.client.close(ctx, r.pit)
	if r.facts, err = r.e.read(ctx, r.pit); err != nil {
		return err
	}
	p, aggs, countable := r.compiled()
	if p, err = r.tightened(ctx, p); err != nil {
		return err
	}
	sort := sortOf(r.s.Sort)
	switch {
	case p.exact && countable && (sort != nil || r.s.Limit < 0):
		return r.native(ctx, p.c, sort, aggs)
	case p.exact && countable && !r.asOf:
		return r.byLastSeen(ctx, p.c, aggs)
	case sort != nil:
		return r.sift(ctx, p.c)
	}
	return r.collect(ctx, p.c)
}

// compiler is one for this search.
func (r *searching) compiler() compiler {
	return compiler{facts: r.facts, asOf: r.asOf, when: r.when.UnixMilli()}
}

// tightened returns, in place of a part that matches too much, one that may match too
// little, where the cluster counts as many for both: then each is exact.
func (r *searching) tightened(ctx context.Context, loose part) (part, error) {
	c := r.compiler()
	c.tight = true
	if loose.exact {
		return loose, nil
	}
	p := c.compile(r.s.Query)
	if !p.exact {
		return loose, nil
	}
	const name = "tight"
	got, err := r.e.client.ask(ctx, r.e.alias, &question{Query: loose.c, Count: true, PIT: r.pit, Aggs: map[string]clause{name: {"filter": p.c}}})
	if err != nil {
		return loose, err
	}
	var count bucket
	if err := json.Unmarshal(got.Aggs[name], &count); err != nil {
		return loose, fmt.Errorf("count what a phrase matches: %w", err)
	}
	if count.Docs != got.Hits.Total.Value {
		return loose, nil
	}
	return p, nil
}

// compiled is the query as the cluster has it, and what counts the facets.
func (r *searching) compiled() (p part, aggs map[string]clause, countable bool) {
	c := r.compiler()
	aggs, countable = r.aggs(&c)
	return c.compile(r.s.Query), aggs, countable
}

// quick answers what fits into one page by one request: with the listings comes
// the state of the index, which stands in front since it has nothing to be sorted
// by. It is not done where that is another state than the one known here.
func (r *searching) quick(ctx context.Context) (done bool, err error) {
	by := r.s.Sort
	if r.s.Limit < 0 {
		by = query.Sort{By: query.ByValue}
	}
	sort := sortOf(by)
	if r.facts = r.e.facts.Load(); r.facts == nil || sort == nil || r.s.After != nil || r.s.Limit == 0 || r.s.Limit >= pageSize {
		return false, nil
	}
	p, aggs, countable := r.compiled()
	if !p.exact || !countable {
		return false, nil
	}
	for _, c := range sort {
		for path, order := range c {
			c[path] = clause{"order": order, "missing": "_first"}
		}
	}
	q := &question{Query: anyOf(p.c, ids(stateID)), Size: max(r.s.Limit, -1) + 2, Sort: sort, Count: true, Aggs: aggs, Source: true}
	got, err := r.e.client.ask(ctx, r.e.alias, q)
	if err != nil {
		return false, err
	}
	if q.fits > 0 { // page by page, then
		return false, nil
	}
	hits := got.Hits.Hits
	if len(hits) == 0 || hits[0].ID != stateID {
		return false, ErrUnsynced
	}
	if f, err := r.e.known(hits[0]); f != r.facts || err != nil {
		return false, err
	}
	r.page.Total = got.Hits.Total.Value - 1
	if err := r.count(got); err != nil {
		return true, err
	}
	if r.sharded() { // it takes more than one request
		r.page = query.Page{Exact: true}
		return false, nil
	}
	if r.s.Limit < 0 {
		return true, nil
	}
	_, err = r.give(ctx, hits[1:])
	return true, err
}

// sortOf returns an order as the cluster has it, nil where it cannot: when
// something was last seen is not in its document alone.
func sortOf(s query.Sort) []clause {
	down, up := "desc", "asc"
	if s.Reverse {
		down, up = up, down
	}
	tail := []clause{{pathFeed: "asc"}, {pathOrder: "asc"}, {pathName: "asc"}}
	switch s.By {
	case query.ByChanged:
		return append([]clause{{pathChanged: down}}, tail...)
	case query.ByFirstSeen:
		return append([]clause{{pathFirstSeen: down}}, tail...)
	case query.ByConfidence:
		return append([]clause{{pathConfident: down}}, tail...)
	case query.ByValue:
		return []clause{{pathOrder: up}, {pathName: up}, {pathFeed: "asc"}}
	}
	return nil
}

// afterOf is a position as search_after takes it, in the order of sortOf.
func afterOf(s query.Sort, p query.Position) []any {
	order := int(p.Indicator.Kind)
	if s.By == query.ByValue {
		return []any{order, p.Indicator.Value, p.Feed}
	}
	return []any{p.Key, p.Feed, order, p.Indicator.Value}
}

// native lets the cluster do all of it.
func (r *searching) native(ctx context.Context, c clause, sort []clause, aggs map[string]clause) error {
	q := &question{Query: c, Sort: sort, Count: true, Aggs: aggs, Source: true, PIT: r.pit}
	if r.s.After != nil && r.s.Limit >= 0 {
		q.After = afterOf(r.s.Sort, *r.s.After)
	}
	for first := true; ; first = false {
		q.page(pageSize)
		if r.s.Limit < 0 {
			q.Size, q.Sort = 0, nil
		} else if r.s.Limit > 0 {
			q.page(r.s.Limit - r.emitted + 1) // one more tells whether more follows
		}
		got, err := r.e.client.ask(ctx, r.e.alias, q)
		if err != nil {
			return err
		}
		if first {
			r.page.Total = got.Hits.Total.Value
			if err := r.counted(ctx, c, got); err != nil {
				return err
			}
			q.Count, q.Aggs = false, nil
		}
		last, err := r.give(ctx, got.Hits.Hits)
		if err != nil || r.page.More || len(got.Hits.Hits) < q.Size || q.Size == 0 {
			return err
		}
		q.After = afterOf(r.s.Sort, last)
	}
}

// give emits the listings of a page, up to the limit.
func (r *searching) give(ctx context.Context, hits []hit) (last query.Position, err error) {
	for i := range hits {
		l, ok, err := r.listing(&hits[i])
		if err != nil {
			return last, err
		}
		if !ok { // the clause has left those out
			continue
		}
		if last = r.s.Sort.Position(&l); r.s.Limit > 0 && r.emitted == r.s.Limit {
			r.page.More = true
			return last, nil
		}
		if err := r.hand(ctx, &l); err != nil {
			return last, err
		}
	}
	return last, nil
}

// hand gives a listing to whoever asked.
func (r *searching) hand(ctx context.Context, l *intel.Listing) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.emitted++
	r.emitErr = r.emit(l)
	return r.emitErr
}

// scan calls f with every listing that the clause matches and the query, too, in
// the order of sort.
func (r *searching) scan(ctx context.Context, c clause, by query.Sort, f func(*intel.Listing) error) error {
	q := &question{Query: c, Sort: sortOf(by), Size: pageSize, Source: true, PIT: r.pit}
	for {
		got, err := r.e.client.ask(ctx, r.e.alias, q)
		if err != nil {
			return err
		}
		for i := range got.Hits.Hits {
			l, ok, err := r.listing(&got.Hits.Hits[i])
			if err != nil {
				return err
			}
			if q.After = afterOf(by, by.Position(&l)); !ok || !query.Match(r.s.Query, query.Doc{Listing: &l}) {
				continue
			}
			if err := f(&l); err != nil {
				return err
			}
		}
		if len(got.Hits.Hits) < q.Size {
			return nil
		}
	}
}

// tally counts what matches.
type tally struct {
	fields []query.Field
	limit  int
	counts []map[string]int
}

func (r *searching) tally() *tally {
	t := &tally{fields: r.s.Facets, limit: r.s.FacetLimit, counts: make([]map[string]int, len(r.s.Facets))}
	for i := range t.counts {
		t.counts[i] = map[string]int{}
	}
	return t
}

func (t *tally) add(l *intel.Listing) {
	for i, f := range t.fields {
		for _, v := range (query.Doc{Listing: l}).Facet(f) {
			t.counts[i][v]++
		}
	}
}

func (t *tally) facets() (out []query.Facet) {
	for i, f := range t.fields {
		out = append(out, query.NewFacet(f, t.counts[i], t.limit))
	}
	return out
}

// sift looks at all that may match, in the order wanted, and emits as it goes.
func (r *searching) sift(ctx context.Context, c clause) error {
	t := r.tally()
	defer func() { r.page.Facets = t.facets() }()
	return r.scan(ctx, c, r.s.Sort, func(l *intel.Listing) error {
		r.page.Total++
		t.add(l)
		switch {
		case r.s.Limit < 0 || r.s.After != nil && r.s.Sort.Compare(*r.s.After, r.s.Sort.Position(l)) >= 0:
			return nil
		case r.s.Limit > 0 && r.emitted == r.s.Limit:
			r.page.More = true
			return nil
		}
		return r.hand(ctx, l)
	})
}

// collect looks at all that may match and sorts it here. In memory are the
// listings that are to be emitted, and as many again.
func (r *searching) collect(ctx context.Context, c clause) error {
	t := r.tally()
	var found []intel.Listing
	trim := func() {
		slices.SortFunc(found, func(a, b intel.Listing) int {
			return r.s.Sort.Compare(r.s.Sort.Position(&a), r.s.Sort.Position(&b))
		})
		if r.s.Limit > 0 && len(found) > r.s.Limit {
			r.page.More = true
			clear(found[r.s.Limit:])
			found = found[:r.s.Limit]
		}
	}
	err := r.scan(ctx, c, query.Sort{By: query.ByValue}, func(l *intel.Listing) error {
		r.page.Total++
		t.add(l)
		if r.s.Limit >= 0 && (r.s.After == nil || r.s.Sort.Compare(*r.s.After, r.s.Sort.Position(l)) < 0) {
			if found = append(found, *l); r.s.Limit > 0 && len(found) >= 2*r.s.Limit+pageSize {
				trim()
			}
		}
		return nil
	})
	r.page.Facets = t.facets()
	if err != nil {
		return err // what is in hand may not be the first of all
	}
	trim()
	for i := range found {
		if err := r.hand(ctx, &found[i]); err != nil {
			return err
		}
	}
	return nil
}

// facetsCut says of the facets that they may lack something.
func (r *searching) facetsCut() {
	if len(r.page.Facets) == 0 {
		r.page.Facets = r.tally().facets()
	}
	for i := range r.page.Facets {
		r.page.Facets[i].Exact = false
	}
}

var errFacet = errors.New("the answer lacks counts")
