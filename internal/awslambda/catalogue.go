package awslambda

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/feed"
)

// DefinitionsPrefix is where the feed definitions lie in the store.
const DefinitionsPrefix = "feeds.d/"

// Catalogue is the feed catalogue of a store: the objects feeds.d/*.json, or the
// built-in one where there are none. Safe for concurrent use.
type Catalogue struct {
	store blob.Store
	built fs.FS
	dir   string // where the definitions are put to be read

	mu   sync.Mutex
	cur  *feed.Catalogue
	seen string // what the objects looked like when cur was read
	err  error  // what was wrong in them
}

// OpenCatalogue reads a store's catalogue; temp is a folder for it. Definitions that
// are wrong are in the error of Reload, and the others used.
func OpenCatalogue(ctx context.Context, store blob.Store, built fs.FS, temp string) (*Catalogue, error) {
	c := &Catalogue{store: store, built: built, dir: temp}
	_, err := c.Reload(ctx)
	if c.cur == nil {
		return nil, err
	}
	return c, nil
}

// Current returns the catalogue as last read.
func (c *Catalogue) Current() *feed.Catalogue {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cur
}

// Reload reads the definitions again if any of them changed, came or went. The
// error also says what is wrong in those that are in use.
func (c *Catalogue) Reload(ctx context.Context) (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, err := c.store.List(ctx, DefinitionsPrefix)
	if err != nil {
		return false, fmt.Errorf("feed definitions: %w", err)
	}
	var look strings.Builder
	var keys []string
	for _, o := range list {
		if name := strings.TrimPrefix(o.Key, DefinitionsPrefix); strings.HasSuffix(name, ".json") && !strings.Contains(name, "/") {
			keys = append(keys, o.Key)
			fmt.Fprintf(&look, "%s %s %d %d\n", o.Key, o.ETag, o.Size, o.Modified.UnixNano())
		}
	}
	if c.cur != nil && look.String() == c.seen {
		return false, c.err
	}
	fsys := c.built
	if len(keys) > 0 {
		dir, err := c.download(ctx, keys)
		if err != nil {
			return false, fmt.Errorf("feed definitions: %w", err)
		}
		defer os.RemoveAll(dir)
		fsys = os.DirFS(dir)
	}
	c.cur, c.err = feed.Load(fsys)
	c.seen = look.String()
	return true, c.err
}

func (c *Catalogue) download(ctx context.Context, keys []string) (string, error) {
	dir, err := os.MkdirTemp(c.dir, "feeds-")
	if err != nil {
		return "", err
	}
	for _, key := range keys {
		data, _, err := blob.Read(ctx, c.store, key)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, strings.TrimPrefix(key, DefinitionsPrefix)), data, 0o600)
		}
		if err != nil && !errors.Is(err, blob.ErrNotFound) { // it was deleted in between
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}
