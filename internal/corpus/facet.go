package corpus

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// tallyOf counts the values of one field.
type tallyOf struct {
	r      *searching
	field  query.Field
	counts map[string]int
	exact  bool
}

// facets counts the values of the fields asked for over everything that matches.
func (r *searching) facets() {
	for _, f := range r.s.Facets {
		t := tallyOf{r: r, field: f, counts: map[string]int{}, exact: true}
		for i := range r.hits {
			if r.stopped() {
				break
			}
			t.add(&r.hits[i])
		}
		facet := query.NewFacet(f, t.counts, r.s.FacetLimit)
		facet.Exact = t.exact && r.page.Exact
		r.page.Facets = append(r.page.Facets, facet)
	}
}

func (t *tallyOf) add(h *hits) {
	if isEmpty(h.yes) {
		return
	}
	switch f := t.field; {
	case f == query.FieldFeed || f == query.FieldProvider:
		t.byFeed(h)
	case size(h.yes) <= t.r.v.c.limits.facet || h.x.x == nil:
		t.read(h, h.yes)
	case f == query.FieldListed:
		t.byListed(h)
	case isColumn(f):
		t.byValue(h)
	default:
		t.read(h, h.yes)
	}
}

// isColumn says whether the values of the field are keys of the index.
func isColumn(f query.Field) bool {
	switch f {
	case query.FieldKind, query.FieldTag, query.FieldMalware, query.FieldThreatType, query.FieldTLP, query.FieldCountry, query.FieldOrg,
		query.FieldReference, query.FieldDescription, query.FieldConfidence, query.FieldPort, query.FieldASN:
		return true
	}
	_, ok := f.Context()
	return ok
}

// read counts by reading every document.
func (t *tallyOf) read(h *hits, docs *roaring.Bitmap) {
	n := 0
	docs.Iterate(func(doc uint32) bool {
		if n++; n%checkEvery == 0 && t.r.stopped() {
			return false
		}
		if l, ok := t.r.read(h, doc); ok {
			for _, v := range t.r.doc(&l).Facet(t.field) {
				t.counts[v]++
			}
		}
		return t.r.err == nil
	})
}

// byFeed counts by what all listings of a feed share.
func (t *tallyOf) byFeed(h *hits) {
	for _, m := range h.u.members {
		n := int(h.yes.CardinalityInRange(uint64(m.base), uint64(m.base)+uint64(m.n)))
		if n == 0 {
			continue
		}
		x := &t.r.shelf.feeds.feeds[m.feed].always
		for _, v := range (query.Doc{Listing: x}).Facet(t.field) {
			t.counts[v] += n
		}
	}
}

func (t *tallyOf) byListed(h *hits) {
	p := planner{r: t.r, shelf: t.r.shelf}
	listed := p.listed(true)(h.x).within(h.yes)
	t.read(h, orNone(listed.maybe))
	open := size(listed.yes)
	t.put("true", open)
	t.put("false", size(h.yes)-open-size(listed.maybe))
}

func orNone(b *roaring.Bitmap) *roaring.Bitmap {
	if b == nil {
		return roaring.New()
	}
	return b
}

func (t *tallyOf) put(value string, n int) {
	if n > 0 {
		t.counts[value] += n
	}
}

// byValue counts by the postings of each value, and adds what feeds say for
// listings that bring no value of their own.
func (t *tallyOf) byValue(h *hits) {
	e := h.x
	docs := h.yes
	if odd := intersect(docs, e.unsorted(t.field)); !isEmpty(odd) {
		t.read(h, odd)
		docs = without(docs, odd)
	}
	shared, facts := t.shared(h, docs), t.byFact(h, docs)
	prefix := fieldKey(t.field, "")
	var buf []uint32
	n := 0
	err := e.x.Range(prefix, after(prefix), func(key []byte, p terms.Postings) bool {
		if n++; n%checkEvery == 0 && t.r.stopped() {
			return false
		}
		form := string(key[len(prefix):])
		of := docs
		if feeds, ok := shared[form]; ok {
			of = without(docs, e.ofFeeds(feeds)) // those were counted
		}
		var c int
		c, buf = count(p, of, buf)
		if by := facts[form]; by != nil { // either way it counts once
			c += size(without(by, p.Bitmap()))
			delete(facts, form)
		}
		t.put(form, c)
		return true
	})
	if err != nil {
		t.r.fail(err)
	}
	for form, by := range facts {
		t.put(form, size(by))
	}
}

// shared counts the values that listings have from their feed, and returns those
// that a listing may have of its own as well, with the feeds of each.
func (t *tallyOf) shared(h *hits, docs *roaring.Bitmap) map[string][]bool {
	out := map[string][]bool{}
	sh := t.r.shelf
	lacking := without(docs, h.x.having(t.field))
	for _, m := range h.u.members {
		x := &sh.feeds.feeds[m.feed]
		if t.field == query.FieldTag {
			n := int(docs.CardinalityInRange(uint64(m.base), uint64(m.base)+uint64(m.n)))
			for _, v := range facetOf(&x.always, t.field) {
				t.put(v, n)
				if out[v] == nil {
					out[v] = make([]bool, len(sh.feeds.feeds))
				}
				out[v][m.feed] = true
			}
			continue
		}
		for i := range x.defaults {
			if d := &x.defaults[i]; d.field == t.field && !isEmpty(lacking) {
				n := int(lacking.CardinalityInRange(uint64(m.base), uint64(m.base)+uint64(m.n)))
				for _, v := range facetOf(&d.listing, t.field) {
					t.put(v, n)
				}
			}
		}
	}
	return out
}

func facetOf(l *intel.Listing, f query.Field) []string { return query.Doc{Listing: l}.Facet(f) }
