package local

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/elasticintel/elasticintel/internal/feed"
)

// Catalogue is the feed catalogue in use: the one the binary carries, or a
// folder's, which is read again when a file in it changes. Safe for concurrent use.
type Catalogue struct {
	fsys fs.FS

	mu   sync.Mutex
	cur  *feed.Catalogue
	seen string // what the files looked like when cur was read
}

// OpenCatalogue reads a catalogue from dir, or from builtin where dir is "".
// Files that are wrong, or that there are none, is reported in the error, and
// the catalogue holds the rest; it is nil where the folder cannot be read.
func OpenCatalogue(dir string, builtin fs.FS) (*Catalogue, error) {
	c := &Catalogue{fsys: builtin}
	if dir != "" {
		if st, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("feeds folder: %w", err)
		} else if !st.IsDir() {
			return nil, fmt.Errorf("feeds folder %s: is a file, want the folder it lies in", dir)
		}
		c.fsys = os.DirFS(dir)
	}
	_, err := c.Reload()
	if c.cur == nil {
		return nil, err
	}
	if err == nil && len(c.cur.All()) == 0 {
		err = fmt.Errorf("feeds folder %s: no feed definitions (*.json)", dir)
	}
	return c, err
}

// Current returns the catalogue as last read.
func (c *Catalogue) Current() *feed.Catalogue {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cur
}

// Reload reads the files again if any of them changed, came or went. Wrong ones
// are reported once, when they change; the others are in use at once.
func (c *Catalogue) Reload() (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	look, err := signature(c.fsys)
	if err != nil || (c.cur != nil && look == c.seen) {
		return false, err
	}
	c.cur, err = feed.Load(c.fsys)
	c.seen = look
	return true, err
}

// signature describes the files that make up a catalogue.
func signature(fsys fs.FS) (string, error) {
	es, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return "", fmt.Errorf("feeds folder: %w", err)
	}
	var b strings.Builder
	for _, e := range es {
		if path.Ext(e.Name()) != ".json" {
			continue
		}
		if st, err := fs.Stat(fsys, e.Name()); err == nil { // not Info: what a link points to counts
			fmt.Fprintf(&b, "%s %d %d\n", e.Name(), st.Size(), st.ModTime().UnixNano())
		}
	}
	return b.String(), nil
}
