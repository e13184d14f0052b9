package terms

import "errors"

// Builder collects the keys of documents 0, 1, 2 … and writes an index of them.
// It is for one goroutine.
type Builder struct{}

// NewBuilder returns a builder for about so many documents.
func NewBuilder(docs int) *Builder { return &Builder{} }

// Add says that the current document has the key. Saying it again changes nothing.
func (b *Builder) Add(key []byte) { b.AddID(b.ID(key)) }

// ID returns the number of a key, which it has in this builder from now on. A
// key that no document has is not in the index.
func (b *Builder) ID(key []byte) uint32 { return 0 }

// AddID is Add for a key whose number is known.
func (b *Builder) AddID(id uint32) {}

// Next ends the current document.
func (b *Builder) Next() {}

// Replace makes one key of all that begin with prefix: documents that have one of
// those have key instead in the index.
func (b *Builder) Replace(prefix, key []byte) {}

// Finish returns the index. The builder is of no use afterwards.
func (b *Builder) Finish() (post, fst []byte, err error) {
	return nil, nil, errors.New("being written")
}
