package corpus

import (
	"cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// compareTally is what a comparison has counted: its size goes by the number of feeds
// and by how many hours lie between what they list, not by what they list.
type compareTally struct {
	since []int64
	aside []bool
	feeds []feedTally
	pairs []pairTally // of feeds i < j: at i*len(feeds)+j
}

type feedTally struct {
	listings, unique   int
	kinds              map[intel.Kind]int
	first, tied, later int
	lead, lag          map[int32]int // how often so many hours
}

// pairTally is of a feed and a later one; first and later are those of the former.
type pairTally struct{ shared, first, tied, later uint32 }

func newCompareTally(x *comparer) *compareTally {
	t := &compareTally{since: x.since, aside: x.aside, feeds: make([]feedTally, len(x.since)), pairs: make([]pairTally, len(x.since)*len(x.since))}
	for i := range t.feeds {
		f := &t.feeds[i]
		f.kinds, f.lead, f.lag = map[intel.Kind]int{}, map[int32]int{}, map[int32]int{}
	}
	return t
}

// tieWithin is intel.TieWithin in ms, hour what Quantiles count.
const (
	tieWithin = int64(intel.TieWithin / 1e6)
	hour      = 3_600_000
)

// count counts the listings of one indicator, at most one a feed.
func (t *compareTally) count(all []compareRecord) {
	others := 0 // that list it now and make it less unique
	for i := range all {
		if r := &all[i]; r.open {
			f := &t.feeds[r.feed]
			f.listings++
			f.kinds[r.rec.kind]++
			if !t.aside[r.feed] {
				others++
			}
		}
	}
	for i := range all {
		r := &all[i]
		if own := !t.aside[r.feed]; r.open && (others == 0 || own && others == 1) {
			t.feeds[r.feed].unique++
		}
	}
	if len(all) > 1 {
		t.pair(all)
		for i := range all {
			t.early(all, i)
		}
	}
}

// comparable says whether the beginnings of two listings of one indicator say who
// was first: neither is of a first pull, nor before one.
func (t *compareTally) comparable(a, b *compareRecord) bool {
	return min(a.first, b.first) > max(t.since[a.feed], t.since[b.feed])
}

// pair counts each two.
func (t *compareTally) pair(all []compareRecord) {
	for i := range all {
		for j := range all[:i] {
			a, b := &all[i], &all[j]
			if a.feed > b.feed {
				a, b = b, a
			}
			p := &t.pairs[a.feed*len(t.feeds)+b.feed]
			if a.open && b.open {
				p.shared++
			}
			if !t.comparable(a, b) {
				continue
			}
			switch d := a.first - b.first; {
			case d <= -tieWithin:
				p.first++
			case d >= tieWithin:
				p.later++
			default:
				p.tied++
			}
		}
	}
}

// early holds the i-th against the earliest of the others.
func (t *compareTally) early(all []compareRecord, i int) {
	own, best := &all[i], int64(noPull)
	for j := range all {
		o := &all[j]
		switch {
		case j == i:
		case t.comparable(own, o):
			best = min(best, o.first)
		case o.first < own.first:
			return
		}
	}
	if best == noPull {
		return
	}
	f := &t.feeds[own.feed]
	switch d := own.first - best; {
	case d <= -tieWithin:
		f.first++
		f.lead[int32(-d/hour)]++
	case d >= tieWithin:
		f.later++
		f.lag[int32(d/hour)]++
	default:
		f.tied++
	}
}

// add adds what another has counted.
func (t *compareTally) add(o *compareTally) {
	for i := range t.feeds {
		f, g := &t.feeds[i], &o.feeds[i]
		f.listings, f.unique = f.listings+g.listings, f.unique+g.unique
		f.first, f.tied, f.later = f.first+g.first, f.tied+g.tied, f.later+g.later
		addTo(f.kinds, g.kinds)
		addTo(f.lead, g.lead)
		addTo(f.lag, g.lag)
	}
	for i := range t.pairs {
		p, q := &t.pairs[i], &o.pairs[i]
		*p = pairTally{p.shared + q.shared, p.first + q.first, p.tied + q.tied, p.later + q.later}
	}
}

func addTo[K cmp.Ordered](sum, more map[K]int) {
	for k, n := range more {
		sum[k] += n
	}
}

// result puts the comparison together.
func (x *comparer) result() *intel.Comparison {
	out := &intel.Comparison{Feeds: make([]intel.Compared, len(x.v.feeds))}
	for i, f := range x.v.feeds {
		t := &x.sum.feeds[i]
		c := &out.Feeds[i]
		*c = intel.Compared{Feed: f.head.Feed, Listings: t.listings, Kinds: t.kinds, Unique: t.unique}
		if x.since[i] != noPull {
			c.Since = toTime(x.since[i])
		}
		c.Early = intel.Early{First: t.first, Tied: t.tied, Later: t.later, Lead: intel.QuantilesOf(t.lead), Lag: intel.QuantilesOf(t.lag)}
		for j, o := range x.v.feeds {
			p := x.sum.pairs[min(i, j)*len(x.v.feeds)+max(i, j)]
			if i == j || p == (pairTally{}) {
				continue
			}
			if i > j {
				p.first, p.later = p.later, p.first
			}
			c.Pairs = append(c.Pairs, intel.Pair{Feed: o.head.Feed, Shared: int(p.shared), First: int(p.first), Tied: int(p.tied), Later: int(p.later)})
		}
	}
	return out
}
