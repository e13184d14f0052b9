package opensearch

import (
	"context"
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
	return f.list(), nil
}

// instantOf is the inverse of millisOf.
func instantOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Current returns the index behind the alias. ErrUnsynced where there is none,
// ErrMapping (wrapped, beside its name) where it is of another mapping version.
func (e *Engine) Current(ctx context.Context) (index string, err error) {
	if index, err = e.current(ctx); err != nil {
		return "", err
	}
	if index == "" {
		return "", ErrUnsynced
	}
	return index, e.versioned(index)
}

// TryWrite finds out whether the index takes what this client writes, by deleting
// a document that is not there: nobody sees anything of it.
func (e *Engine) TryWrite(ctx context.Context) error {
	index, err := e.Current(ctx)
	if err != nil {
		return err
	}
	b := e.client.NewBulk(ctx, BulkOptions{Alias: writeAlias(index), Tries: 1})
	_ = b.Add(Op{ID: "nothing", Name: "a document that is not there"}) // Close tells
	_, err = b.Close()
	return err
}
