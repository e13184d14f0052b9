package facts

import (
	"context"
	"errors"
	"fmt"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/enrich/table"
)

// Verify reads the head and every batch that it names, and the tables of feeds, and reports what is wrong with
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
	return verifyTables(ctx, store, report)
}

// verifyTables reads every table that a head names.
func verifyTables(ctx context.Context, store blob.Store, report func(key, problem string)) error {
	heads, err := store.List(ctx, feedHeads)
	if err != nil {
		return err
	}
	for _, o := range heads {
		key, err := tableIn(ctx, store, o.Key)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
		if key == "" {
			continue
		}
		data, _, err := blob.Read(ctx, store, key)
		if err == nil {
			_, err = table.Read(data)
		}
		switch {
		case errors.Is(err, blob.ErrNotFound):
			report(key, "is missing, and "+o.Key+" names it")
		case errors.Is(err, table.ErrDamaged) || errors.Is(err, table.ErrNewer):
			report(key, err.Error())
		case err != nil:
			return err
		}
	}
	return nil
}
