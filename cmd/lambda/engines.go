package main

import (
	"context"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
)

// engine is a corpus as an app.Engine.
type engine struct{ *corpus.Corpus }

var _ app.Engine = engine{}

// Held implements app.Engine.
func (e engine) Held() map[string]app.Held { return app.HeldOf(e.Corpus) }

// heads is what is held of each feed by the feeds' heads alone: it opens no segment
// and answers no look-up.
type heads struct {
	app.Engine
	held   map[string]app.Held
	broken map[string]error
}

// read reads the heads. It is not for concurrent use; a function has one event at a time.
func (h *heads) read(ctx context.Context, store blob.Store) error {
	all, broken, err := corpus.Heads(ctx, store)
	if err != nil {
		return err
	}
	h.held, h.broken = map[string]app.Held{}, broken
	for id, head := range all {
		h.held[id] = app.Held{Version: head.Version, Listings: head.Open(), Snapshot: head.Info.Snapshot}
	}
	return nil
}

// Held implements app.Engine.
func (h *heads) Held() map[string]app.Held { return h.held }

// Broken implements app.Engine.
func (h *heads) Broken(feed string) error { return h.broken[feed] }
