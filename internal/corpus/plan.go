package corpus

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// plan is a part of a query, ready to be evaluated unit by unit: what does not
// depend on the unit was done once.
type plan func(e *evaluator) set

// evaluator evaluates plans over one unit.
type evaluator struct {
	r     *searching
	u     *unit
	x     *terms.Index // nil: the unit has none
	every *roaring.Bitmap
	own   map[query.Field]*roaring.Bitmap // documents with a value of their own
	err   error
}

func (e *evaluator) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// universe is every document of the unit, dead ones too.
func (e *evaluator) universe() *roaring.Bitmap {
	if e.every == nil {
		e.every = spanOf(0, e.u.docs)
	}
	return e.every
}

// planner turns a query in normal form into a plan.
type planner struct {
	r     *searching
	shelf *shelf
}

func (p *planner) plan(n query.Node) plan {
	switch n := n.(type) {
	case query.And:
		return p.and(n.Nodes)
	case query.Or:
		plans := p.plans(n.Nodes)
		return func(e *evaluator) (out set) {
			for _, f := range plans {
				out = out.or(f(e))
			}
			return out
		}
	case query.Not:
		f := p.plan(n.Node)
		return func(e *evaluator) set { return certain(e.universe()).minus(f(e)) }
	case query.All:
		return func(e *evaluator) set { return certain(e.universe()) }
	}
	leaf := p.withFacts(n, p.leaf(n))
	return func(e *evaluator) set {
		if e.x == nil {
			return possible(e.universe())
		}
		return leaf(e)
	}
}

func (p *planner) plans(ns []query.Node) []plan {
	out := make([]plan, len(ns))
	for i, n := range ns {
		out[i] = p.plan(n)
	}
	return out
}

// and intersects what is asked for and then takes away what is excluded, so that
// no opposite of a small set is ever made.
func (p *planner) and(ns []query.Node) plan {
	var wanted, unwanted []plan
	for _, n := range ns {
		if not, ok := n.(query.Not); ok {
			unwanted = append(unwanted, p.plan(not.Node))
		} else {
			wanted = append(wanted, p.plan(n))
		}
	}
	return func(e *evaluator) set {
		out := certain(e.universe())
		for i, f := range wanted {
			if s := f(e); i == 0 {
				out = s
			} else {
				out = out.and(s)
			}
			if isEmpty(out.yes) && isEmpty(out.maybe) {
				return set{}
			}
		}
		for _, f := range unwanted {
			out = out.minus(f(e))
		}
		return out
	}
}

// leaf plans a node without nodes inside.
func (p *planner) leaf(n query.Node) plan {
	switch n := n.(type) {
	case query.Term:
		return p.text(n, n.Field)
	case query.Phrase:
		return p.text(n, n.Field)
	case query.Prefix:
		return p.text(n, n.Field)
	case query.Wildcard:
		return p.text(n, n.Field)
	case query.Equal:
		return p.text(n, n.Field)
	case query.Exact:
		return p.exact(n)
	case query.Exists:
		return p.exists(n)
	case query.Kinds:
		return p.kinds(n.Set)
	case query.Number:
		return p.number(n)
	case query.Date:
		return p.date(n)
	case query.Listed:
		return p.listed(n.Listed)
	case query.Net:
		return p.net(n.Prefix)
	case query.Domain:
		return p.domain(n)
	}
	return func(e *evaluator) set { return possible(e.universe()) }
}

// common adds to a leaf's own matches those that come from the feeds' texts.
func (p *planner) common(leaf query.Node, field query.Field, own plan) plan {
	m := p.shelf.feeds.match(leaf, field)
	if len(m.always) == 0 && len(m.lacking) == 0 {
		return own
	}
	always := p.feedSet(m.always)
	lacking := map[query.Field][]bool{}
	for f, feeds := range m.lacking {
		lacking[f] = p.feedSet(feeds)
	}
	return func(e *evaluator) set {
		out := own(e).or(certain(e.ofFeeds(always)))
		for f, feeds := range lacking {
			if docs := e.ofFeeds(feeds); docs != nil {
				out = out.or(certain(without(docs, e.having(f))))
			}
		}
		return out
	}
}

func (p *planner) feedSet(feeds []int) []bool {
	out := make([]bool, len(p.shelf.feeds.feeds))
	for _, i := range feeds {
		out[i] = true
	}
	return out
}

// ofFeeds returns the documents of the feeds.
func (e *evaluator) ofFeeds(feeds []bool) *roaring.Bitmap {
	var out *roaring.Bitmap
	for _, m := range e.u.members {
		if feeds[m.feed] {
			if out == nil {
				out = roaring.New()
			}
			out.AddRange(uint64(m.base), uint64(m.base)+uint64(m.n))
		}
	}
	return out
}

// kinds finds the listings of indicators of these kinds.
func (p *planner) kinds(kinds intel.KindSet) plan {
	var keys [][]byte
	for _, k := range kinds.Kinds() {
		keys = append(keys, fieldKey(query.FieldKind, k.String()))
	}
	return func(e *evaluator) set {
		var out *roaring.Bitmap
		for _, k := range keys {
			out = union(out, e.get(k))
		}
		return certain(out)
	}
}
