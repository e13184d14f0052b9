// Package score turns listings into one number, one word and the arithmetic in words.
package score

import (
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Result is the score of one indicator with the reasons that add up to it.
type Result struct {
	Score   int            // 0-100
	Verdict intel.Verdict  // never "allowed": allow lists are not the score's business
	Reasons []intel.Reason // never nil; points add up to Score
}

// Score fuses listings at an instant.
func Score(listings []intel.Listing, at time.Time) Result {
	return Result{Verdict: intel.Unknown, Reasons: []intel.Reason{}}
}
