package feed

import (
	"errors"
	"io/fs"
)

// ErrUnknown is returned where a feed id is in no catalogue.
var ErrUnknown = errors.New("unknown feed")

// Catalogue is a set of definitions with distinct ids. It is immutable.
type Catalogue struct {
	all  []*Definition
	byID map[string]*Definition
}

// Load reads every *.json in the root of fsys. What is wrong is reported in the
// error (errors.Join, one error a mistake); the feeds that are right are in the
// catalogue, which is never nil.
func Load(fsys fs.FS) (*Catalogue, error) { panic("todo") }

// Decode reads one file of definitions strictly; good feeds are returned beside the error.
func Decode(file string, data []byte) ([]*Definition, error) { panic("todo") }

// All returns the definitions in order of id.
func (c *Catalogue) All() []*Definition { return c.all }

// Get returns the definition with this id, or nil.
func (c *Catalogue) Get(id string) *Definition { return c.byID[id] }

// Nearest returns the known id that looks most like id, or "".
func (c *Catalogue) Nearest(id string) string { panic("todo") }
