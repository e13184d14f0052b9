package facts

import (
	"context"
	"errors"
	"fmt"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Verify reads the head and every batch that it names, and reports what is wrong with
// each object. An error is one of the store.
func Verify(ctx context.Context, store blob.Store, report func(key, problem string)) error {
	b := &Book{store: store}
	h, err := b.head(ctx)
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNewer) {
		report(HeadKey, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	for _, ref := range h.Batches {
		x, err := b.open(ctx, ref)
		switch {
		case errors.Is(err, blob.ErrNotFound):
			report(ref.Key, "is missing, and "+HeadKey+" names it")
		case errors.Is(err, ErrDamaged) || errors.Is(err, ErrNewer):
			report(ref.Key, err.Error())
		case err != nil:
			return err
		case len(x.at) != ref.Findings:
			report(ref.Key, fmt.Sprintf("has %d findings, %s says %d", len(x.at), HeadKey, ref.Findings))
		}
	}
	return nil
}
