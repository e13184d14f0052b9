package opensearch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// When something was last seen is in its document only where it is gone; what is
// present was seen by its feed's last good run. So in the order of last seen there
// is one stream of what is gone, and one for each feed of what it has, whose
// listings all stand side by side.

// presentAgg counts by feed what is present.
func presentAgg() clause {
	return clause{"filter": noneOf(exists(pathGone)), "aggs": clause{"feeds": clause{"terms": clause{"field": pathFeed, "size": maxBuckets}}}}
}

// present reads the counts of presentAgg.
func present(raw json.RawMessage) (map[string]int, error) {
	var got struct {
		Feeds struct {
			Buckets []struct {
				Key  string `json:"key"`
				Docs int    `json:"doc_count"`
			} `json:"buckets"`
		} `json:"feeds"`
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		return nil, fmt.Errorf("count of what is present: %w", err)
	}
	out := map[string]int{}
	for _, b := range got.Feeds.Buckets {
		out[b.Key] = b.Docs
	}
	return out, nil
}

const presentName = "present"

// byLastSeen answers a search in that order, of which the cluster can say the rest.
func (r *searching) byLastSeen(ctx context.Context, c clause, aggs map[string]clause) error {
	aggs[presentName] = presentAgg()
	got, err := r.e.client.ask(ctx, r.e.alias, &question{Query: c, Count: true, Aggs: aggs, Source: false, PIT: r.pit})
	if err != nil {
		return err
	}
	r.page.Total = got.Hits.Total.Value
	if err := r.counted(ctx, c, got); err != nil {
		return err
	}
	feeds, err := present(got.Aggs[presentName])
	if err != nil {
		return err
	}
	gone := &stream{r: r, q: question{Query: allOf(c, exists(pathGone)), Sort: goneOrder(r.s.Sort)}, after: func(p query.Position) []any { return afterOf(r.s.Sort, p) }}
	if r.s.After != nil {
		gone.q.After = gone.after(*r.s.After)
	}
	return r.weave(ctx, gone, r.presentStreams(c, feeds))
}

func goneOrder(s query.Sort) []clause {
	order := sortOf(query.Sort{By: query.ByFirstSeen, Reverse: s.Reverse})
	order[0] = clause{pathGone: order[0][pathFirstSeen]}
	return order
}

// presentStreams are the streams of the feeds that have something, in order,
// from the position on that the search begins behind.
func (r *searching) presentStreams(c clause, feeds map[string]int) (out []*stream) {
	var ids []string
	for id := range feeds {
		if r.facts.Feeds[id] != nil {
			ids = append(ids, id)
		}
	}
	first := func(id string) query.Position {
		return query.Position{Key: r.facts.Feeds[id].LastGood, Feed: id}
	}
	slices.SortFunc(ids, func(a, b string) int { return r.s.Sort.Compare(first(a), first(b)) })
	after := func(p query.Position) []any { return []any{int(p.Indicator.Kind), p.Indicator.Value} }
	for _, id := range ids {
		s := &stream{r: r, q: question{Query: allOf(c, term(pathFeed, id), noneOf(exists(pathGone))), Sort: byValue()}, after: after}
		if a := r.s.After; a != nil {
			same := a.Feed == id && a.Key == first(id).Key
			if !same && r.s.Sort.Compare(first(id), *a) < 0 {
				continue // all of it stands in front
			}
			if same {
				s.q.After = after(*a)
			}
		}
		out = append(out, s)
	}
	return out
}

// weave emits what is gone and what is present in order.
func (r *searching) weave(ctx context.Context, gone *stream, streams []*stream) error {
	for r.s.Limit >= 0 {
		a, err := gone.peek(ctx)
		if err != nil {
			return err
		}
		var b *intel.Listing
		for len(streams) > 0 {
			if b, err = streams[0].peek(ctx); err != nil {
				return err
			}
			if b != nil {
				break
			}
			streams = streams[1:]
		}
		from := gone
		switch {
		case a == nil && b == nil:
			return nil
		case a == nil || b != nil && r.s.Sort.Compare(r.s.Sort.Position(b), r.s.Sort.Position(a)) < 0:
			from = streams[0]
		}
		if r.s.Limit > 0 && r.emitted == r.s.Limit {
			r.page.More = true
			return nil
		}
		if err := r.hand(ctx, from.take()); err != nil {
			return err
		}
	}
	return nil
}

// stream gives the listings of a question, one after the other.
type stream struct {
	r     *searching
	q     question // without size and point in time
	after func(query.Position) []any
	have  []intel.Listing
	ended bool
}

// peek returns the next listing, nil at the end.
func (s *stream) peek(ctx context.Context) (*intel.Listing, error) {
	if len(s.have) == 0 && !s.ended {
		s.q.Source, s.q.PIT = true, s.r.pit
		if s.q.page(pageSize); s.r.s.Limit > 0 {
			s.q.page(s.r.s.Limit - s.r.emitted + 1)
		}
		got, err := s.r.e.client.ask(ctx, s.r.e.alias, &s.q)
		if err != nil {
			return nil, err
		}
		for i := range got.Hits.Hits {
			l, _, err := s.r.listing(&got.Hits.Hits[i])
			if err != nil {
				return nil, err
			}
			s.have = append(s.have, l)
		}
		if s.ended = len(got.Hits.Hits) < s.q.Size; !s.ended {
			s.q.After = s.after(s.r.s.Sort.Position(&s.have[len(s.have)-1]))
		}
	}
	if len(s.have) == 0 {
		return nil, nil
	}
	return &s.have[0], nil
}

// take takes the listing that peek has shown.
func (s *stream) take() *intel.Listing {
	l := &s.have[0]
	s.have = s.have[1:]
	return l
}
