package opensearch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// pageSize is how many documents one request brings.
const pageSize = 500

// ErrTooMany: more members than EngineOptions.MaxMembers.
var ErrTooMany = errors.New("too many listings")

// reading returns how documents are read as of an instant; zero: now.
func (e *Engine) reading(at time.Time) reader {
	if at.IsZero() {
		return reader{when: e.opt.Now().UTC()}
	}
	return reader{when: at.UTC(), asOf: true}
}

// Find implements lookup.Engine. As a rule it is one request, in whose answer the
// state of the index is, too.
func (e *Engine) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	c := wanted(q)
	r, err := e.client.ask(ctx, e.alias, &question{Query: anyOf(c, ids(stateID)), Size: pageSize, Source: true, Count: true})
	if err != nil {
		return dst, err
	}
	f := finding{e: e, q: q, reader: e.reading(at), dst: dst}
	if r.Hits.Total.Value > len(r.Hits.Hits) {
		return f.pages(ctx, c)
	}
	for _, h := range r.Hits.Hits {
		if h.ID != stateID {
			continue
		}
		if f.facts, err = e.known(h); err != nil {
			return dst, err
		}
		if f.facts == nil { // somebody has synced
			return f.pages(ctx, c)
		}
		return f.take(r.Hits.Hits)
	}
	return dst, ErrUnsynced
}

// wanted matches what the question asks for, and maybe a little more.
func wanted(q intel.Question) clause {
	any := []clause{keysOf(q.Keys)}
	if q.Covers.IsValid() {
		any = append(any, network(pathRange, q.Covers, "contains"))
	}
	if q.Inside.IsValid() {
		any = append(any, allOf(insideOf(q.Inside), noneOf(term(pathKind, intel.URL.String()))))
	}
	return anyOf(any...)
}

// finding is one Find under way.
type finding struct {
	reader
	e       *Engine
	q       intel.Question
	dst     []intel.Listing
	members int
}

// pages finds all in one point in time, page by page.
func (f *finding) pages(ctx context.Context, c clause) ([]intel.Listing, error) {
	p, err := f.e.client.open(ctx, f.e.alias)
	if err != nil {
		return f.dst, err
	}
	defer f.e.client.close(ctx, p)
	if f.facts, err = f.e.read(ctx, p); err != nil {
		return f.dst, err
	}
	q := &question{Query: c, Size: pageSize, Source: true, PIT: p, Sort: sortOf(query.Sort{By: query.ByValue})}
	for {
		r, err := f.e.client.ask(ctx, f.e.alias, q)
		if err != nil {
			return f.dst, err
		}
		if _, err := f.take(r.Hits.Hits); err != nil {
			return f.dst, err
		}
		if len(r.Hits.Hits) < q.Size {
			return f.dst, nil
		}
		l, _, err := f.listing(&r.Hits.Hits[len(r.Hits.Hits)-1])
		if err != nil {
			return f.dst, err
		}
		q.After = []any{int(l.Kind), l.Canonical, l.Feed}
	}
}

// take appends the listings that the question asks for.
func (f *finding) take(hits []hit) ([]intel.Listing, error) {
	for i := range hits {
		if hits[i].ID == stateID {
			continue
		}
		l, ok, err := f.listing(&hits[i])
		if err != nil {
			return f.dst, err
		}
		if !ok {
			continue
		}
		var wanted bool
		if l.Relation, wanted = relation(&f.q, &l); !wanted {
			continue
		}
		if l.Relation == intel.RelMember {
			if f.members++; f.members > f.e.opt.MaxMembers {
				reason := fmt.Sprintf("more than %d listings inside it; ask for a smaller network", f.e.opt.MaxMembers)
				return f.dst, fmt.Errorf("%w: %w", ErrTooMany, &intel.ValueError{Code: "too_many", Value: f.q.Inside.String(), Reason: reason})
			}
		}
		f.dst = append(f.dst, l)
	}
	return f.dst, nil
}

// relation is how a listing bears on the question.
func relation(q *intel.Question, l *intel.Listing) (intel.Relation, bool) {
	i := intel.Indicator{Kind: l.Kind, Value: l.Canonical}
	for _, k := range q.Keys {
		if k.Indicator == i {
			return k.Relation, true
		}
	}
	p, ok := prefixOf(l)
	switch {
	case !ok || i == q.Indicator || l.Kind == intel.URL:
	case l.Kind == intel.CIDR && q.Covers.IsValid() && contains(p, q.Covers):
		return intel.RelNetwork, true
	case q.Inside.IsValid() && contains(q.Inside, p):
		return intel.RelMember, true
	}
	return "", false
}

func prefixOf(l *intel.Listing) (netip.Prefix, bool) { return query.Doc{Listing: l}.Prefix() }
