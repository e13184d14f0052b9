package intel

import (
	"maps"
	"slices"
	"time"
)

// TieWithin is how far apart two feeds may have begun to list something and yet
// neither be called first: feeds are pulled every hour or so, which says nothing
// of minutes.
const TieWithin = time.Hour

// Comparison is how far feeds list the same indicators, and who lists them first.
// Indicators are compared by kind and canonical value alone: a network that
// covers an address, or a domain above a name, is another indicator.
type Comparison struct {
	Feeds []Compared // by id; every feed that holds data
}

// Compared is one feed beside all others.
type Compared struct {
	Feed     string
	Listings int          // open now
	Kinds    map[Kind]int // of these, by kind
	Unique   int          // of these, those that no other feed lists now
	Since    time.Time    // the first pull, as far as is known: the beginning of its first listing; zero: none, or starter data
	Early    Early        // against the earliest of the others
	Pairs    []Pair       // with every feed that shares something, by id
}

// Pair is what a feed shares with another one.
type Pair struct {
	Feed   string
	Shared int // indicators that both list now

	// Of the indicators that both have ever listed and that can be compared: in how
	// many the feed was first, neither was, the other was.
	First, Tied, Later int
}

// Early says how early a feed lists what others list as well, then or later.
//
// What two feeds have ever listed, as far as that is kept, can be compared where
// both began to list it behind the first pull of both: what a first pull brings is
// as old as the feed's list, not as the pull. Compared with all others a feed is
// held against the earliest of those that can be compared; where one that cannot
// be had listed it before, the indicator does not count.
type Early struct {
	First, Tied, Later int       // how many indicators; tied: less than TieWithin apart
	Lead, Lag          Quantiles // of those where it was first, or later
}

// Compared is how many indicators count.
func (e *Early) Compared() int { return e.First + e.Tied + e.Later }

// Quantiles are of times, in whole hours, rounded down: the smallest that at
// least half, or nine tenths, of them do not exceed. 0 where there are none.
type Quantiles struct{ Median, P90 int }

// QuantilesOf finds them in counts of times by whole hours, none of which is negative.
func QuantilesOf[H ~int | ~int32](hours map[H]int) (q Quantiles) {
	n := 0
	for _, c := range hours {
		n += c
	}
	seen := 0
	for _, h := range slices.Sorted(maps.Keys(hours)) {
		before := seen
		seen += hours[h]
		if 2*before < n && 2*seen >= n {
			q.Median = int(h)
		}
		if 10*before < 9*n && 10*seen >= 9*n {
			q.P90 = int(h)
		}
	}
	return q
}
