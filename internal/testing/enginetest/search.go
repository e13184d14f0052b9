package enginetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/elasticintel/elasticintel/internal/query"
)

// search asks both engines. Several pages are asked for one after the other, each
// from the last position of the one before.
func (r *runner) search(s *Search) ([]string, error) {
	n, err := query.Parse(s.Query, r.now)
	if err != nil {
		var refused *query.Error
		if errors.As(err, &refused) { // the rest is words, and no engine's business
			return []string{fmt.Sprintf("error in column %d", refused.Column)}, nil
		}
		return nil, err
	}
	q := query.Search{Query: n, AsOf: s.AsOf, Sort: s.Sort, Limit: s.Limit, Facets: s.Facets, FacetLimit: s.FacetLimit}
	if _, ok := r.engine.(Informed); ok && s.Facts {
		q.Facts, q.FactsID = worldFacts(), []string{"", "world"}[len(s.Query)%2] // kept, or made anew
	}
	var lines []string
	for page := 1; ; page++ {
		got, err := ask(r.ctx, r.engine, q)
		if err != nil {
			return lines, err
		}
		want, err := ask(r.ctx, r.model, q)
		if err != nil {
			return lines, err
		}
		if page == 1 {
			lines = append(lines, pageLine(&got.page))
		} else {
			lines = append(lines, fmt.Sprintf("page %d", page))
		}
		if s.Full {
			got.lines = got.listings
		}
		lines = append(lines, got.lines...)
		if page == 1 {
			lines = append(lines, facetLines(got.page.Facets)...)
		}
		if _, ok := r.engine.(Estimator); ok && !got.page.Exact && got.page.Total <= want.page.Total {
			got.page.Exact, got.page.Total = true, want.page.Total
		}
		if err := differentPage(&q, &got, &want); err != nil {
			return lines, err
		}
		if !s.Pages || !got.page.More && !want.page.More {
			return lines, nil
		}
		if got.last == nil {
			return lines, fmt.Errorf("page %d: nothing, and yet more", page)
		}
		q.After = got.last
	}
}

func pageLine(p *query.Page) string {
	line := fmt.Sprintf("%d found", p.Total)
	if !p.Exact {
		line = "at least " + line
	}
	if p.Partial {
		line += ", partial"
	}
	return line
}

func facetLines(facets []query.Facet) []string {
	var out []string
	for _, f := range facets {
		line := fmt.Sprintf("facet %s", f.Field)
		for _, v := range f.Values {
			line += fmt.Sprintf(" %s:%d", plain(v.Value), v.Count)
		}
		if f.Other > 0 {
			line += fmt.Sprintf(" other:%d", f.Other)
		}
		if !f.Exact {
			line += " inexact"
		}
		out = append(out, line)
	}
	return out
}

// differentPage says how an answer differs from what it must be. That more
// follows may be said where a full page is the last one.
func differentPage(q *query.Search, got, want *answer) error {
	if err := difference(got.listings, want.listings); err != nil {
		return err
	}
	a, b := pageLine(&got.page), pageLine(&want.page)
	if a != b {
		return fmt.Errorf("%s, want %s", a, b)
	}
	if got.page.More != want.page.More && (want.page.More || len(got.listings) != q.Limit) {
		return fmt.Errorf("more %v, want %v", got.page.More, want.page.More)
	}
	f, g := strings.Join(facetLines(got.page.Facets), "\n"), strings.Join(facetLines(want.page.Facets), "\n")
	if f != g {
		return fmt.Errorf("     %s\nwant %s", f, g)
	}
	return nil
}
