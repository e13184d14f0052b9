package lookuptest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Many is an Engine that answers many questions at once (lookup.ManyFinder).
type Many struct {
	*Engine
	largest atomic.Int64
}

// Largest says how many questions were asked together at most.
func (e *Many) Largest() int { return int(e.largest.Load()) }

// FindMany implements lookup.ManyFinder.
func (e *Many) FindMany(ctx context.Context, qs []intel.Question, at time.Time, emit func(i int, ls []intel.Listing, err error) error) error {
	for n := int64(len(qs)); ; {
		if most := e.largest.Load(); most >= n || e.largest.CompareAndSwap(most, n) {
			break
		}
	}
	for i := range qs {
		ls, err := e.Find(ctx, qs[i], at, nil)
		if err != nil && !errors.As(err, new(*intel.ValueError)) {
			return err
		}
		if err := emit(i, ls, err); err != nil {
			return err
		}
	}
	return nil
}
