package feed

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Catalogue is a set of definitions with distinct ids. It is immutable.
type Catalogue struct {
	all  []*Definition
	byID map[string]*Definition
}

// Load reads every *.json in the root of fsys, in order of name. What is wrong
// is reported in the error (errors.Join of *Error and file errors); the feeds that are right
// are in the catalogue, which is never nil. Where two files use one id the first keeps it.
func Load(fsys fs.FS) (*Catalogue, error) {
	c := &Catalogue{byID: map[string]*Definition{}}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return c, fmt.Errorf("feed definitions: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() || path.Ext(e.Name()) != ".json" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := c.add(fsys, e.Name()); err != nil {
			errs = append(errs, err)
		}
	}
	slices.SortFunc(c.all, func(a, b *Definition) int { return strings.Compare(a.ID, b.ID) })
	return c, errors.Join(errs...)
}

func (c *Catalogue) add(fsys fs.FS, file string) error {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return fmt.Errorf("feed definitions: %w", err)
	}
	defs, err := Decode(file, data)
	errs := []error{err}
	for _, d := range defs {
		if first := c.byID[d.ID]; first != nil {
			errs = append(errs, &Error{File: file, Line: d.Line, Feed: d.ID, Key: "id",
				Reason: fmt.Sprintf("%q is the id of a feed in %s:%d, too", d.ID, first.File, first.Line)})
			continue
		}
		c.byID[d.ID] = d
		c.all = append(c.all, d)
	}
	return errors.Join(errs...)
}

// All returns the definitions in order of id.
func (c *Catalogue) All() []*Definition { return slices.Clone(c.all) }

// Get returns the definition with this id, or nil.
func (c *Catalogue) Get(id string) *Definition { return c.byID[id] }

// Nearest returns the known id that looks most like id, or "" where none does.
func (c *Catalogue) Nearest(id string) string {
	ids := make([]string, len(c.all))
	for i, d := range c.all {
		ids[i] = d.ID
	}
	return nearest(id, ids)
}
