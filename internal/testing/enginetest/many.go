package enginetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// askedTogether is how many of the values that were asked for last are asked for
// together with each new one.
const askedTogether = 40

// findMany asks an engine that answers many questions at once for the value and
// those asked before, and holds each answer against that to the single question.
func (r *runner) findMany(i intel.Indicator, at time.Time) error {
	e, ok := r.engine.(lookup.ManyFinder)
	if !ok {
		return nil
	}
	r.asked = append(r.asked, intel.Ask(i))
	r.asked = r.asked[max(len(r.asked)-askedTogether, 0):]
	next := 0
	err := e.FindMany(r.ctx, r.asked, at, func(n int, got []intel.Listing, err error) error {
		if n != next || err != nil {
			return fmt.Errorf("answer %d of many, want %d: %w", n, next, err)
		}
		next++
		want, err := r.model.Find(r.ctx, r.asked[n], at, nil)
		if err != nil {
			return err
		}
		if err := difference(allOf(got), allOf(want)); err != nil {
			return fmt.Errorf("%s among %d: %w", r.asked[n].Indicator.Value, len(r.asked), err)
		}
		return nil
	})
	if err == nil && next != len(r.asked) {
		err = fmt.Errorf("%d answers to %d questions", next, len(r.asked))
	}
	return err
}

// allOf are listings as texts, sorted.
func allOf(ls []intel.Listing) (out []string) {
	for i := range ls {
		ls[i].Changed = time.Time{} // set by searches only
		out = append(out, whole(&ls[i], true))
	}
	slices.Sort(out)
	return out
}
