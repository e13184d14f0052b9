package corpus

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// searchLimits say where one way to an answer becomes cheaper than the other.
type searchLimits struct {
	verify     int // documents that may match and are all read, so that the count is exact; of more only as many as the page needs
	facet      int // documents of a unit whose values are counted by reading them; of more by intersecting postings
	candidates int // documents that are rather read than told apart by all values that a field has
}

func defaultSearchLimits() searchLimits { return searchLimits{4096, 200, 256} }

// Search answers s from the current view: View.Search.
func (c *Corpus) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	return c.View().Search(ctx, s, emit)
}

// Search hands the listings that match to emit, in order, and counts the rest
// (lookup.Engine). Whatever it takes, it sees this view. An error that names a
// segment says that the answer is not known, since something cannot be read.
func (v *View) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	r := searching{v: v, ctx: ctx, s: &s, emit: emit, query: query.Normal(s.Query)}
	if s.Budget > 0 {
		r.deadline = time.Now().Add(s.Budget)
	}
	r.find = finder{v: v, ctx: ctx, asOf: !s.AsOf.IsZero(), at: s.AsOf.UnixMilli(), mem: v.c.scratch()}
	err := r.over(v.shelf())
	if errors.Is(err, ErrCorrupt) && !r.begun && len(r.shelf.files) > len(v.segs) {
		err = r.over(newShelf(v, nil)) // it may be a group, without which there is all the same
	}
	v.c.pool.Put(r.find.mem)
	if err == nil {
		err = ctx.Err()
	}
	return r.page, err
}

// searching is one search under way.
type searching struct {
	v        *View
	ctx      context.Context
	s        *query.Search
	emit     func(*intel.Listing) error
	query    query.Node // in normal form
	deadline time.Time  // zero: none
	cut      bool       // the budget is used up

	shelf *shelf
	begun bool // something was emitted
	find  finder
	hits  []hits // by unit
	page  query.Page
	err   error
}

// hits are what one unit has, dead documents left out.
type hits struct {
	u *unit
	x *evaluator
	set
}

func (r *searching) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// late says whether the search has to end: its budget or ctx is at its end.
func (r *searching) late() bool {
	if !r.cut && !r.deadline.IsZero() && time.Now().After(r.deadline) {
		r.cut = true
	}
	return r.cut || r.ctx.Err() != nil
}

// stopped says whether there is no use in going on.
func (r *searching) stopped() bool { return r.err != nil || r.late() }

// over searches what is on the shelf.
func (r *searching) over(sh *shelf) error {
	r.shelf, r.hits, r.page, r.err = sh, nil, query.Page{Exact: true}, nil
	return guard(sh.files, func() error { r.all(); return r.err })
}

func (r *searching) all() {
	r.evaluate()
	if r.err != nil {
		return
	}
	complete := r.s.Limit < 0 || len(r.s.Facets) > 0
	if uncertain := r.uncertain(); uncertain > 0 && (complete || uncertain <= r.v.c.limits.verify) {
		r.verify()
		r.hits = slices.DeleteFunc(r.hits, func(h hits) bool { return isEmpty(h.yes) })
	}
	r.count()
	if len(r.s.Facets) > 0 && r.err == nil {
		r.facets()
	}
	if r.s.Limit >= 0 && r.err == nil {
		r.give()
	}
	if r.cut {
		r.page.Partial, r.page.Exact = true, false
		for i := range r.page.Facets {
			r.page.Facets[i].Exact = false
		}
	}
}

// evaluate finds what matches, or may, in every unit.
func (r *searching) evaluate() {
	p := planner{r: r, shelf: r.shelf}
	f := p.plan(r.query)
	for _, u := range r.shelf.units {
		if r.stopped() {
			return
		}
		x, err := u.index()
		if err != nil {
			r.fail(err)
			return
		}
		e := &evaluator{r: r, u: u, x: x}
		found := f(e)
		if r.find.asOf {
			found = e.begun(found)
		}
		if found = found.outside(u.dead); e.err != nil {
			r.fail(e.err)
			return
		}
		if r.cut {
			return // what is here may be cut short, and what a NOT is of must not be
		}
		if !isEmpty(found.yes) || !isEmpty(found.maybe) {
			r.hits = append(r.hits, hits{u, e, found})
		}
	}
}

// begun leaves out what began after the instant asked for.
func (e *evaluator) begun(s set) set {
	if e.x == nil {
		return possible(s.all())
	}
	to := time.UnixMilli(e.r.find.at + 1)
	return s.within(e.times(keyFirst, query.Date{To: to}))
}

// hand emits a listing.
func (r *searching) hand(l *intel.Listing) bool {
	r.begun = true
	err := r.emit(l)
	if err != nil {
		r.fail(err)
	}
	return err == nil
}

func (r *searching) uncertain() (n int) {
	for i := range r.hits {
		n += size(r.hits[i].maybe)
	}
	return n
}

// verify reads everything that may match, and leaves nothing uncertain unless
// the budget ends it.
func (r *searching) verify() {
	for i := range r.hits {
		h := &r.hits[i]
		if isEmpty(h.maybe) {
			continue
		}
		var good []uint32
		n := 0
		h.maybe.Iterate(func(doc uint32) bool {
			if n++; n%checkEvery == 0 && r.stopped() {
				return false
			}
			if _, ok := r.matches(h, doc); ok {
				good = append(good, doc)
			}
			return r.err == nil
		})
		h.maybe = nil
		if len(good) > 0 {
			b := roaring.New()
			b.AddMany(good)
			h.yes = union(h.yes, b)
		}
	}
}

// count sums up what is certain.
func (r *searching) count() {
	for i := range r.hits {
		r.page.Total += size(r.hits[i].yes)
		if !isEmpty(r.hits[i].maybe) {
			r.page.Exact = false
		}
	}
}

// read makes the listing of a document; ok is false where there is none as of
// the instant asked for.
func (r *searching) read(h *hits, doc uint32) (l intel.Listing, ok bool) {
	m := h.u.members[h.u.member(doc)]
	s := r.v.segs[m.seg]
	rec := int(doc - m.base)
	x, err := s.nth(rec)
	if err == nil {
		ok, err = r.find.listing(&l, r.v.feeds[m.feed], s, &x, "")
	}
	if err != nil {
		r.fail(err)
		return l, false
	}
	l.Relation, l.Changed = intel.RelExact, toTime(batchesOf(s).changed(rec))
	return l, ok
}

// matches reads a document and holds it against the query.
func (r *searching) matches(h *hits, doc uint32) (intel.Listing, bool) {
	l, ok := r.read(h, doc)
	return l, ok && query.Match(r.query, r.doc(&l))
}
