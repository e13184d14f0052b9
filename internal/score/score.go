// Package score turns what feeds say of one value into a number, a word and the
// arithmetic in words. Everything in it is a pure function.
//
// The score is 100 · (1 − Π(1 − rᵢ·cᵢ·dᵢ)), rounded, over the listings that are
// open: the chance that at least one source is right, where source i alone is
// right with the chance rᵢ·cᵢ·dᵢ.
//
//   - rᵢ, the reliability of the feed: Reliability
//   - cᵢ, the confidence of the listing (0-100) / 100, times how much a listing
//     of something near the value says about it: Relation
//   - dᵢ, how fresh the listing is: Decay
//
// The formula holds for independent sources, and the feeds of one provider are
// none: of each provider only the strongest listing is a factor. Others show in
// the reasons with no points. So a listing more never lowers a score, and
// the order of listings does not matter.
package score

import (
	"math"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// The scores from which a value is called malicious and suspicious. One source
// of reliability B that is 90 sure (72) makes the first, one that is fairly
// reliable and 70 sure (42) the second.
const (
	MaliciousFrom  = 70
	SuspiciousFrom = 40
)

// Result is the score of one value with the reasons that add up to it.
type Result struct {
	Score   int            // 0-100
	Verdict intel.Verdict  // malicious, suspicious, listed (some listing counts) or unknown
	Reasons []intel.Reason // the strongest first; never nil; their points add up to Score
}

// Score fuses listings at an instant. Listings that are not open (Listed), and
// those of allow lists, count for nothing. The verdict "allowed" is none of its: allow lists decide that.
func Score(listings []intel.Listing, at time.Time) Result {
	terms := Terms(listings, at)
	if len(terms) == 0 {
		return Result{Verdict: intel.Unknown, Reasons: []intel.Reason{}}
	}
	total := 0
	for i := range terms {
		total += terms[i].Points
	}
	return Result{Score: total, Verdict: verdict(total), Reasons: reasons(terms)}
}

// verdict is the word for the score of a value that is listed.
func verdict(score int) intel.Verdict {
	switch {
	case score >= MaliciousFrom:
		return intel.Malicious
	case score >= SuspiciousFrom:
		return intel.Suspicious
	}
	return intel.Listed
}

// share sets the points of the terms that count, strongest first: what each adds
// to the score of those before it, in whole points that add up to the rounded
// score. What rounding leaves over goes to the largest remainders.
func share(terms []Term) {
	rest := 1.0 // Π(1 − value) so far
	left := 0
	var few [8]float64
	remainders := few[:0]
	if len(terms) > len(few) {
		remainders = make([]float64, 0, len(terms))
	}
	for i := range terms {
		exact := 100 * rest * terms[i].Value
		rest *= 1 - terms[i].Value
		terms[i].Points = int(exact)
		remainders = append(remainders, exact-math.Floor(exact))
		left -= terms[i].Points
	}
	left += int(100*(1-rest) + 0.5 + 1e-9) // a half is rounded up, whatever floats make of it
	for ; left > 0; left-- {
		most := 0
		for i, r := range remainders {
			if r > remainders[most] {
				most = i
			}
		}
		terms[most].Points++
		remainders[most] = 0
	}
}
