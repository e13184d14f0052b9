package corpus

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// set is what a part of a query gives for one unit: documents that match, and
// others that may, which have to be held against the whole query. Its bitmaps
// are shared and never changed; nil is empty. No document is in both.
type set struct{ yes, maybe *roaring.Bitmap }

func isEmpty(b *roaring.Bitmap) bool { return b == nil || b.IsEmpty() }

func size(b *roaring.Bitmap) int {
	if b == nil {
		return 0
	}
	return int(b.GetCardinality())
}

func union(a, b *roaring.Bitmap) *roaring.Bitmap {
	switch {
	case isEmpty(a):
		return b
	case isEmpty(b):
		return a
	}
	return roaring.Or(a, b)
}

func intersect(a, b *roaring.Bitmap) *roaring.Bitmap {
	if isEmpty(a) || isEmpty(b) {
		return nil
	}
	return roaring.And(a, b)
}

func without(a, b *roaring.Bitmap) *roaring.Bitmap {
	if isEmpty(a) || isEmpty(b) {
		return a
	}
	return roaring.AndNot(a, b)
}

// all is what matches or may.
func (s set) all() *roaring.Bitmap { return union(s.yes, s.maybe) }

// possible is a set of which nothing is certain.
func possible(b *roaring.Bitmap) set { return set{maybe: b} }

// certain is a set of which everything is.
func certain(b *roaring.Bitmap) set { return set{yes: b} }

func (s set) or(t set) set {
	out := set{yes: union(s.yes, t.yes), maybe: union(s.maybe, t.maybe)}
	if !isEmpty(out.maybe) {
		out.maybe = without(out.maybe, out.yes)
	}
	return out
}

func (s set) and(t set) set {
	out := set{yes: intersect(s.yes, t.yes)}
	if !isEmpty(s.maybe) || !isEmpty(t.maybe) {
		out.maybe = without(intersect(s.all(), t.all()), out.yes)
	}
	return out
}

// minus is s and not t.
func (s set) minus(t set) set {
	yes := without(without(s.yes, t.yes), t.maybe)
	maybe := s.maybe
	if !isEmpty(t.maybe) {
		maybe = union(maybe, intersect(s.yes, t.maybe))
	}
	return set{yes, without(maybe, t.yes)}
}

// within keeps what is in b.
func (s set) within(b *roaring.Bitmap) set { return set{intersect(s.yes, b), intersect(s.maybe, b)} }

// outside drops what is in b.
func (s set) outside(b *roaring.Bitmap) set { return set{without(s.yes, b), without(s.maybe, b)} }

// intersectAll intersects bitmaps, the smallest first.
func intersectAll(bs []*roaring.Bitmap) *roaring.Bitmap {
	if len(bs) == 0 {
		return nil
	}
	slices.SortFunc(bs, func(a, b *roaring.Bitmap) int { return size(a) - size(b) })
	out := bs[0]
	for _, b := range bs[1:] {
		if out = intersect(out, b); isEmpty(out) {
			return nil
		}
	}
	return out
}

// spanOf returns the documents [from, to).
func spanOf(from, to uint32) *roaring.Bitmap {
	b := roaring.New()
	b.AddRange(uint64(from), uint64(to))
	return b
}

// bitmapOf makes a bitmap of documents in any order, all below limit.
func bitmapOf(docs []uint32, limit uint32) *roaring.Bitmap {
	if len(docs) == 0 {
		return nil
	}
	if len(docs) > 1<<10 && len(docs) > int(limit)/256 {
		dense := make([]uint64, limit/64+1)
		for _, d := range docs {
			if d < limit {
				dense[d/64] |= 1 << (d % 64)
			}
		}
		return roaring.FromDense(dense, false)
	}
	slices.Sort(docs)
	return roaring.BitmapOf(docs...)
}
