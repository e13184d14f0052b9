package lookup

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// sortListings puts the most telling listing first: exact, then networks from
// the narrowest, the host, parent domains from the nearest, members; within
// these by feed and value. No two listings of one answer are equal in all of
// that, so the order does not depend on the engine's.
func sortListings(ls []intel.Listing) {
	for i := 1; i < len(ls); i++ {
		if compare(&ls[i-1], &ls[i]) > 0 { // else nothing is to be moved: a listing is large
			slices.SortStableFunc(ls, func(a, b intel.Listing) int { return compare(&a, &b) })
			return
		}
	}
}

func compare(a, b *intel.Listing) int {
	if c := cmp.Compare(rank(a.Relation), rank(b.Relation)); c != 0 {
		return c
	}
	switch a.Relation {
	case intel.RelNetwork:
		if c := cmp.Compare(bits(b.Canonical), bits(a.Canonical)); c != 0 {
			return c
		}
	case intel.RelParent:
		if c := cmp.Compare(labels(b.Canonical), labels(a.Canonical)); c != 0 {
			return c
		}
	}
	return cmp.Or(
		strings.Compare(a.Feed, b.Feed),
		cmp.Compare(a.Kind, b.Kind),
		strings.Compare(a.Canonical, b.Canonical),
	)
}

func rank(r intel.Relation) int {
	switch r {
	case intel.RelExact:
		return 0
	case intel.RelNetwork:
		return 1
	case intel.RelHost:
		return 2
	case intel.RelParent:
		return 3
	case intel.RelMember:
		return 4
	}
	return 5
}

// bits is the length of a listed network's prefix; a value that is none sorts last.
func bits(network string) int {
	p, err := netip.ParsePrefix(network)
	if err != nil {
		return -1
	}
	return p.Bits()
}

func labels(domain string) int { return strings.Count(domain, ".") }
