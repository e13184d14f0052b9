package corpus

import (
	"cmp"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/terms"
)

// unit is one text index and the segments it is of: one segment and its own
// index, or a group of small ones. Its documents are numbered from 0: a member's
// record r is document base+r.
type unit struct {
	index   func() (*terms.Index, error) // gives nil for a segment without index: it is searched by reading it
	members []member                     // those in view, by base
	docs    uint32                       // documents, of members that are not in view too
	dead    *roaring.Bitmap              // documents that are not in view or were replaced; nil = none
}

// member is a segment in a unit.
type member struct {
	seg     int // in View.segs
	feed    int // in View.feeds
	base, n uint32
}

// shelf is what searches of a view read: every current segment in one unit.
type shelf struct {
	units []*unit
	files []*segment // whose bytes searches read: the view's segments and the groups
	feeds *feedTexts
}

// newShelf arranges the view's segments. Those in a group are searched through
// it, the others by themselves.
func newShelf(v *View, groups []*group) *shelf {
	sh := &shelf{feeds: newFeedTexts(v.feeds), files: slices.Clone(v.segs)}
	number := make(map[string]int, len(v.segs))
	for i, s := range v.segs {
		number[s.key] = i
	}
	taken := make([]bool, len(v.segs))
	feedOf := v.feedNumbers()
	for _, g := range groups {
		u := &unit{index: g.index}
		for _, m := range g.members {
			n := uint32(m.docs)
			u.docs = max(u.docs, m.base+n)
			i, ok := number[m.key]
			if !ok || taken[i] || v.segs[i].listings() != m.docs {
				u.kill(spanOf(m.base, m.base+n))
				continue
			}
			taken[i] = true
			sh.put(v, u, member{i, feedOf[i], m.base, n})
		}
		if len(u.members) > 0 {
			sh.files = append(sh.files, g.file)
			sh.add(u)
		}
	}
	for i, s := range v.segs {
		if !taken[i] && s.listings() > 0 {
			u := &unit{index: s.terms, docs: uint32(s.listings())}
			sh.put(v, u, member{i, feedOf[i], 0, u.docs})
			sh.add(u)
		}
	}
	return sh
}

func (sh *shelf) put(v *View, u *unit, m member) {
	u.members = append(u.members, m)
	if dead := v.dead[m.seg]; !isEmpty(dead) {
		u.kill(roaring.AddOffset(dead, m.base))
	}
}

func (sh *shelf) add(u *unit) {
	slices.SortFunc(u.members, func(a, b member) int { return cmp.Compare(a.base, b.base) })
	sh.units = append(sh.units, u)
}

func (u *unit) kill(docs *roaring.Bitmap) { u.dead = union(u.dead, docs) }

// member returns the place in members of the one that has the document.
func (u *unit) member(doc uint32) int {
	i, found := slices.BinarySearchFunc(u.members, doc, func(m member, d uint32) int { return cmp.Compare(m.base, d) })
	if !found {
		i--
	}
	return i
}

// feedNumbers returns the place in v.feeds of each segment's feed.
func (v *View) feedNumbers() []int {
	out := make([]int, len(v.segs))
	n := -1
	for i, f := range v.owner {
		for n < 0 || v.feeds[n] != f {
			n++
		}
		out[i] = n
	}
	return out
}
