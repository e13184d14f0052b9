package opensearch

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Standing is how far an index was brought, as it says itself.
type Standing struct {
	Feeds  []Feed   // that it knows, by id: what the last whole Sync was told of them
	Begun  []string // of which a Sync that was ended by force may have left something, by id
	Damage string   // what the source of the last Sync could not read
	Torn   bool     // a Sync was ended by force while it said what it had brought
}

// Standing asks the index how far it was brought, whatever is remembered here.
// ErrUnsynced where it was never filled, ErrMapping where it is of another version.
func (e *Engine) Standing(ctx context.Context) (s Standing, err error) {
	if _, err := e.Current(ctx); err != nil {
		return s, err
	}
	p, err := e.client.open(ctx, e.alias)
	if err != nil {
		return s, err
	}
	defer e.client.close(ctx, p)
	f, err := e.load(ctx, p) // those at hand may not know of a Sync that was ended by force
	if err != nil {
		return s, err
	}
	if !f.Filled {
		return s, ErrUnsynced
	}
	named, err := e.read(ctx, p)
	if err != nil {
		return s, err
	}
	s = Standing{Begun: slices.Sorted(maps.Keys(f.Sending)), Damage: f.Damage, Torn: named.torn || named.Seq != f.Seq, Feeds: f.list()}
	return s, nil
}

// list returns what the facts say of the feeds, by id.
func (f *facts) list() (out []Feed) {
	for _, id := range slices.Sorted(maps.Keys(f.Feeds)) {
		have := f.Feeds[id]
		out = append(out, Feed{Info: have.Info, LastGood: time.UnixMilli(have.LastGood).UTC(), Purged: instantOf(have.Purged), Lost: instantOf(have.Lost)})
	}
	return out
}

// Same says whether an index that knows a feed as f has all that it has as g.
func (f *Feed) Same(g *Feed) bool { return sameJSON(f.fact(), g.fact()) }
