package score

import (
	"cmp"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Term is one listing's part in a score: Value = Reliability × Confidence × Decay.
type Term struct {
	Listing     *intel.Listing
	Reliability float64       // r, 0-1
	Confidence  float64       // c, 0-1: the listing's confidence times Relation
	Relation    float64       // the part of c that the relation makes
	Decay       float64       // d, 0-1
	Age         time.Duration // since the feed's last good run that had it; 0 where unknown
	Value       float64       // r·c·d
	Counted     bool          // the strongest of its provider
	Points      int           // what it adds to the score; 0 where not counted
}

// Terms returns the term of each open listing but those of allow lists: those that count, the strongest
// first, then those whose provider has a stronger one. The points of all add up
// to the score. They point into listings.
func Terms(listings []intel.Listing, at time.Time) []Term {
	var terms []Term
	for i := range listings {
		if listings[i].Counts() {
			if terms == nil {
				terms = make([]Term, 0, len(listings)-i)
			}
			terms = append(terms, weigh(&listings[i], at))
		}
	}
	slices.SortFunc(terms, compare)
	counted := make([]string, 0, 8) // providers
	for i := range terms {
		p := provider(terms[i].Listing)
		if terms[i].Counted = !slices.Contains(counted, p); terms[i].Counted {
			counted = append(counted, p)
		}
	}
	if len(counted) < len(terms) {
		slices.SortStableFunc(terms, func(a, b Term) int { return cmp.Compare(rank(a), rank(b)) })
	}
	share(terms[:len(counted)])
	return terms
}

// rank puts terms that count before those that do not.
func rank(t Term) int {
	if t.Counted {
		return 0
	}
	return 1
}

// weigh makes the term of an open listing.
func weigh(l *intel.Listing, at time.Time) Term {
	t := Term{Listing: l, Reliability: Reliability(letter(l)), Relation: Relation(l), Decay: 1}
	if !l.LastSeen.IsZero() {
		t.Age = max(0, at.Sub(l.LastSeen))
		t.Decay = Decay(l.Kind, t.Age)
	}
	t.Confidence = float64(confidence(l)) / 100 * t.Relation
	t.Value = t.Reliability * t.Confidence * t.Decay
	return t
}

// confidence is the listing's confidence, held within 0 to 100. What a feed of
// context lists is no reason for suspicion, however sure the feed is of it.
func confidence(l *intel.Listing) int {
	if l.Role == intel.RoleContext {
		return 0
	}
	return min(100, max(0, l.Confidence))
}

// letter is the feed's reliability, "" where nobody stated one.
func letter(l *intel.Listing) string {
	if l.Info == nil {
		return ""
	}
	return l.Info.Reliability
}

// provider is who stands behind a listing: a feed without one is its own.
func provider(l *intel.Listing) string {
	if l.Provider == "" {
		return l.Feed
	}
	return l.Provider
}

// compare orders terms by value, the strongest first. The rest makes the order
// the same however the listings came: everything that a reason shows.
func compare(a, b Term) int {
	if a.Value != b.Value {
		return cmp.Compare(b.Value, a.Value)
	}
	x, y := a.Listing, b.Listing
	return cmp.Or(
		cmp.Compare(x.Provider, y.Provider),
		cmp.Compare(x.Feed, y.Feed),
		cmp.Compare(x.Kind, y.Kind),
		cmp.Compare(x.Canonical, y.Canonical),
		cmp.Compare(x.Relation, y.Relation),
		cmp.Compare(letter(x), letter(y)),
		cmp.Compare(x.Confidence, y.Confidence),
		x.LastSeen.Compare(y.LastSeen),
		since(x).Compare(since(y)),
	)
}
