package lookup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Limits of related indicators.
const (
	relatedItems  = 20                     // shown in a group
	relatedRead   = 1000                   // listings read to count a group's indicators
	relatedTags   = 16                     // tags whose frequency is compared
	relatedBudget = 300 * time.Millisecond // for all groups
)

// relate sets a.Related. It asks the engine nothing but questions and searches.
func (s *Service) relate(ctx context.Context, ind intel.Indicator, o Options, a *intel.Answer) error {
	r := &relating{ctx: ctx, s: s, self: ind, asOf: o.AsOf, end: s.now().Add(relatedBudget), out: &intel.Related{Partial: s.engine.Err() != nil}}
	a.Related = r.out
	for _, group := range []func(*intel.Answer) error{r.networks, r.neighbours, r.domains, r.urls, r.file, r.shared} {
		if err := group(a); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w: find what is related to %s %.200q: %w", ErrEngine, ind.Kind, ind.Value, err)
		}
	}
	return nil
}

// relating finds what is related to one indicator.
type relating struct {
	ctx  context.Context
	s    *Service
	self intel.Indicator
	asOf time.Time
	end  time.Time // of the budget
	out  *intel.Related
	told []query.Node // what earlier groups hold, and so later ones don't
}

// late says whether the budget is used up, and notes it.
func (r *relating) late() bool {
	if r.s.now().Before(r.end) {
		return false
	}
	r.out.Partial = true
	return true
}

// others is what matches n, is listed, and is neither the indicator itself nor
// in an earlier group.
func (r *relating) others(n query.Node) query.Node {
	nodes := []query.Node{n, query.Listed{Listed: true}, query.Not{Node: query.Exact{Field: query.FieldValue, Indicator: r.self}}}
	for _, t := range r.told {
		nodes = append(nodes, query.Not{Node: t})
	}
	return query.And{Nodes: nodes}
}

// tellSeen keeps what was gathered without a search out of the searches to come.
func (r *relating) tellSeen(g *gathering) {
	for ind := range g.seen {
		r.told = append(r.told, query.Exact{Field: query.FieldValue, Indicator: ind})
	}
}

// search adds what matches n to the group, and keeps it out of later ones.
func (r *relating) search(g *gathering, n query.Node, why func(*intel.Listing) string) error {
	if r.late() {
		g.open = true
		return nil
	}
	before := len(g.seen)
	page, err := r.s.engine.Search(r.ctx, query.Search{
		Query: r.others(n), AsOf: r.asOf, Limit: relatedRead, Facets: []query.Field{query.FieldFeed}, FacetLimit: 1, Budget: r.end.Sub(r.s.now()),
	}, func(l *intel.Listing) error {
		g.add(intel.Indicator{Kind: l.Kind, Value: l.Canonical}, l, l.Counts(), why)
		return nil
	})
	if err != nil {
		return err
	}
	r.told = append(r.told, n)
	r.out.Partial = r.out.Partial || page.Partial
	if page.More || page.Partial || !page.Exact {
		g.atLeast(before+most(&page), onlyFeed(&page))
	}
	return nil
}

// most is the largest number of listings that one feed has among a page's. A
// feed lists an indicator once, so there are at least that many indicators.
func most(p *query.Page) int {
	for _, f := range p.Facets {
		for _, v := range f.Values {
			return v.Count
		}
	}
	return 0
}

// onlyFeed says whether that number is how many there are.
func onlyFeed(p *query.Page) bool {
	return p.Exact && !p.Partial && len(p.Facets) == 1 && p.Facets[0].Exact && len(p.Facets[0].Values) == 1 && p.Facets[0].Other == 0
}

// group makes a group of what was gathered: every item with all feeds that list it.
func (r *relating) group(g *gathering) (*intel.RelatedGroup, error) {
	out := &intel.RelatedGroup{Total: max(len(g.seen), g.least), Exact: !g.open, Items: g.items}
	if out.Items == nil {
		out.Items = []intel.RelatedItem{}
	}
	if len(out.Items) == 0 {
		return out, nil
	}
	var q intel.Question
	for i := range out.Items {
		q.Keys = append(q.Keys, intel.Key{Indicator: itemOf(&out.Items[i]), Relation: intel.RelExact})
	}
	found, err := r.s.engine.Find(r.ctx, q, r.asOf, nil)
	if err != nil {
		return nil, err
	}
	for i := range out.Items {
		complete(&out.Items[i], found)
	}
	return out, nil
}

func itemOf(i *intel.RelatedItem) intel.Indicator {
	return intel.Indicator{Kind: i.Kind, Value: i.Canonical}
}

// complete says who lists an item.
func complete(item *intel.RelatedItem, found []intel.Listing) {
	for i := range found {
		l := &found[i]
		if !l.Counts() || l.Canonical != item.Canonical || l.Kind != item.Kind {
			continue
		}
		if !item.Listed { // those that only name it
			item.Listed, item.Feeds, item.LastSeen = true, nil, time.Time{}
		}
		if j, ok := slices.BinarySearch(item.Feeds, l.Feed); !ok {
			item.Feeds = slices.Insert(item.Feeds, j, strings.Clone(l.Feed))
		}
		if l.LastSeen.After(item.LastSeen) {
			item.LastSeen = l.LastSeen
		}
	}
}

// gathering is a group being put together.
type gathering struct {
	items []intel.RelatedItem
	seen  map[intel.Indicator]bool
	least int  // there are at least so many
	open  bool // and maybe more
}

// add puts an indicator into the group; l lists it, or names it.
func (g *gathering) add(ind intel.Indicator, l *intel.Listing, listed bool, why func(*intel.Listing) string) {
	if g.seen[ind] {
		return
	}
	if g.seen == nil {
		g.seen = map[intel.Indicator]bool{}
	}
	ind.Value = strings.Clone(ind.Value) // l may be valid for this moment only
	g.seen[ind] = true
	if len(g.items) < relatedItems {
		g.items = append(g.items, intel.RelatedItem{Kind: ind.Kind, Canonical: ind.Value, Feeds: []string{strings.Clone(l.Feed)},
			Listed: listed, LastSeen: l.LastSeen, Why: why(l)})
	}
}

// atLeast notes that the group has n indicators, or at least n.
func (g *gathering) atLeast(n int, exactly bool) {
	g.least = max(g.least, n)
	g.open = g.open || !exactly
}

func because(s string) func(*intel.Listing) string {
	return func(*intel.Listing) string { return s }
}
