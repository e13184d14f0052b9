package opensearch

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/elasticintel/elasticintel/internal/query"
)

// counted reads the facets of an answer, and counts anew those of which several
// shards did not tell enough.
func (r *searching) counted(ctx context.Context, c clause, got *reply) error {
	if err := r.count(got); err != nil {
		return err
	}
	for i, f := range r.s.Facets {
		if r.page.Facets[i].Exact {
			continue
		}
		facet, err := r.exactly(ctx, c, f)
		if err != nil {
			return fmt.Errorf("facet %s: %w", f, err)
		}
		r.page.Facets[i] = facet
	}
	return nil
}

// sharded says whether shards did not tell enough of some facet.
func (r *searching) sharded() bool {
	for i := range r.page.Facets {
		if !r.page.Facets[i].Exact {
			return true
		}
	}
	return false
}

// exactly counts the values of a facet over several shards. Each tells its most
// frequent values, as many as it may; where there are more still, those that may be
// among the first of all are counted once more, by name. Only where what nobody
// told of may be as frequent as what is shown, the facet says that it is not exact.
func (r *searching) exactly(ctx context.Context, c clause, f query.Field) (query.Facet, error) {
	limit := r.s.FacetLimit
	if limit <= 0 {
		limit = 10
	}
	comp := r.compiler()
	a, _ := r.agg(&comp, f)
	terms := a["terms"].(clause)
	terms["size"], terms["shard_size"] = min(limit+spareBuckets, maxBuckets), r.e.told
	told, list, err := r.terms(ctx, c, a)
	if err != nil {
		return query.Facet{}, err
	}
	if told.Error > 0 && len(list) > limit {
		unseen, total := list[len(list)-1].Docs+told.Error, told.Other
		names := make([]json.RawMessage, len(list))
		for i := range list {
			names[i], total = list[i].Key, total+list[i].Docs
		}
		terms["include"] = names
		again, list, err := r.terms(ctx, c, a)
		if err != nil {
			return query.Facet{}, err
		}
		for i := range list {
			total -= list[i].Docs
		}
		if again.Error == 0 && len(list) > limit && list[limit-1].Docs > unseen {
			told = again
			told.Other = total
		}
	}
	return r.facet(f, told)
}

// terms counts the values of what the clause matches.
func (r *searching) terms(ctx context.Context, c, agg clause) (*buckets, []bucket, error) {
	const name = "terms"
	got, err := r.e.client.ask(ctx, r.e.alias, &question{Query: c, PIT: r.pit, Aggs: map[string]clause{name: agg}})
	if err != nil {
		return nil, nil, err
	}
	b := &buckets{}
	if err := json.Unmarshal(got.Aggs[name], b); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errFacet, err)
	}
	var list []bucket
	err = json.Unmarshal(b.Buckets, &list)
	return b, list, err
}
