package opensearch

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Feeds returns what the index knows of the feeds in it, by id: what Sync was
// told of them. ErrUnsynced where it was never filled.
func (e *Engine) Feeds(ctx context.Context) ([]Feed, error) {
	p, err := e.client.open(ctx, e.alias)
	if err != nil {
		return nil, err
	}
	defer e.client.close(ctx, p)
	f, err := e.read(ctx, p)
	if err != nil {
		return nil, err
	}
	if !f.Filled {
		return nil, ErrUnsynced
	}
	var out []Feed
	for _, id := range slices.Sorted(maps.Keys(f.Feeds)) {
		have := f.Feeds[id]
		out = append(out, Feed{Info: have.Info, LastGood: time.UnixMilli(have.LastGood).UTC(), Purged: instantOf(have.Purged), Lost: instantOf(have.Lost)})
	}
	return out, nil
}

// instantOf is the inverse of millisOf.
func instantOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
