package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
)

// ErrNoData says that a data folder holds nothing to answer from.
var ErrNoData = errors.New("no threat data here yet")

// Folder is an open data folder.
type Folder struct {
	Root   string // of a bucket its URL
	Store  blob.Store
	Corpus *corpus.Corpus
}

// Create opens root for writing and makes it a store where it is none yet.
func Create(ctx context.Context, root string, now func() time.Time) (*Folder, error) {
	store, err := blob.NewDir(root)
	if err != nil {
		return nil, err
	}
	if err := corpus.Init(ctx, store); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", root, err)
	}
	return open(ctx, root, store, now)
}

// Open opens root as it is and creates nothing. ErrNoData where there is no store.
func Open(ctx context.Context, root string, now func() time.Time) (*Folder, error) {
	store, err := blob.OpenDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("data folder %s: %w: there is no such folder", root, ErrNoData)
	} else if err != nil {
		return nil, err
	}
	return open(ctx, root, store, now)
}

// OpenStore opens what lies in a store that is no folder of this machine; root is
// its name for people. ErrNoData where it is none of ours.
func OpenStore(ctx context.Context, root string, store blob.Store, now func() time.Time) (*Folder, error) {
	return open(ctx, root, store, now)
}

// CleanTemp removes what killed processes left half-written in a folder, when it is older than age.
func (f *Folder) CleanTemp(age time.Duration, now time.Time) {
	if d, ok := f.Store.(*blob.Dir); ok {
		d.CleanTemp(age, now)
	}
}

func open(ctx context.Context, root string, store blob.Store, now func() time.Time) (*Folder, error) {
	c, err := corpus.Open(ctx, store, corpus.Options{Now: now})
	if errors.Is(err, corpus.ErrNoStore) {
		return nil, fmt.Errorf("data folder %s: %w", root, ErrNoData)
	} else if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", root, err)
	}
	return &Folder{Root: root, Store: store, Corpus: c}, nil
}

// Engine returns the folder's corpus as the engine of an app.
func (f *Folder) Engine() Engine { return Engine{f.Corpus} }

// Engine is a corpus as an app.Engine.
type Engine struct{ *corpus.Corpus }

var _ app.Engine = Engine{}

// Held says what is held, by feed.
func (e Engine) Held() map[string]app.Held { return app.HeldOf(e.Corpus) }
