package facts

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Where runs of feeds of offline data keep their tables, and the heads that say which
// table of a feed is current (corpus.Head.Table).
const (
	tables     = "tables/" // tables/FEED/RUN.eitb
	feedHeads  = "heads/"
	headSuffix = ".json"
)

// Tables returns the tables that runs of feeds keep in a store. Heads are read only
// where the tables are others than before.
func Tables(store blob.Store) TablesFunc {
	var mu sync.Mutex
	var seen []string
	var current []TableRef
	return func(ctx context.Context) ([]TableRef, error) {
		mu.Lock()
		defer mu.Unlock()
		list, err := store.List(ctx, tables)
		if err != nil {
			return nil, err
		}
		var keys []string
		for _, o := range list {
			keys = append(keys, o.Key)
		}
		if seen != nil && slices.Equal(keys, seen) {
			return current, nil
		}
		named, err := tablesOf(ctx, store, keys)
		if err != nil {
			return nil, err
		}
		seen, current = nil, named
		if len(named) == len(keys) { // else a run is between its table and its head
			seen = append([]string{}, keys...)
		}
		return named, nil
	}
}

// tablesOf reads the heads of the feeds that have a table.
func tablesOf(ctx context.Context, store blob.Store, keys []string) ([]TableRef, error) {
	var out []TableRef
	done := ""
	for _, k := range keys {
		feed, _, ok := strings.Cut(strings.TrimPrefix(k, tables), "/")
		if !ok || feed == done {
			continue
		}
		done = feed
		key, err := tableIn(ctx, store, feedHeads+feed+headSuffix)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return nil, err
		}
		if key != "" {
			out = append(out, TableRef{feed, key})
		}
	}
	return out, nil
}

// tableIn returns the table that a head names, "" for none. That a head is damaged is
// the corpus's to tell.
func tableIn(ctx context.Context, store blob.Store, head string) (string, error) {
	data, _, err := blob.Read(ctx, store, head)
	if err != nil {
		return "", err
	}
	var h struct {
		Table struct {
			Key string `json:"key"`
		} `json:"table"`
	}
	if json.Unmarshal(data, &h) != nil || !strings.HasPrefix(h.Table.Key, tables) || blob.CheckKey(h.Table.Key) != nil {
		return "", nil
	}
	return h.Table.Key, nil
}
