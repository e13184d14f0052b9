package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// KeepIn keeps IANA's lists in a store, as objects enrichment/registries/NAME, so
// that processes that live shortly do not fetch them each time.
func KeepIn(store blob.Store) Keeper { return storeKeeper{store} }

type storeKeeper struct{ store blob.Store }

// kept is the content of an object.
type kept struct {
	Saved time.Time       `json:"saved"`
	File  json.RawMessage `json:"file"`
}

func keptKey(name string) string { return "enrichment/registries/" + name }

// Load implements [Keeper].
func (k storeKeeper) Load(ctx context.Context, name string) ([]byte, time.Time, error) {
	r, _, err := k.store.Get(ctx, keptKey(name))
	if err != nil {
		return nil, time.Time{}, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, maxBootstrap+1<<10))
	if err != nil {
		return nil, time.Time{}, err
	}
	var have kept
	if err := json.Unmarshal(raw, &have); err != nil {
		return nil, time.Time{}, fmt.Errorf("%s: %w", keptKey(name), err)
	}
	return have.File, have.Saved, nil
}

// Save implements [Keeper].
func (k storeKeeper) Save(ctx context.Context, name string, data []byte, now time.Time) error {
	raw, err := json.Marshal(kept{now, data})
	if err != nil {
		return err
	}
	_, err = blob.Write(ctx, k.store, keptKey(name), raw, blob.Cond{})
	return err
}
