package terms

import (
	"errors"

	"github.com/RoaringBitmap/roaring/v2"
)

// Index reads an index. It is safe for concurrent use.
type Index struct{}

// Open reads an index in place. fst must be checked by the caller; check is
// called before bytes of post are used, and nil where they need no check.
func Open(post, fst []byte, check func(off, n int) error) (*Index, error) {
	return nil, errors.New("being written")
}

// Docs is how many documents the index is of.
func (x *Index) Docs() int { return 0 }

// Get returns the documents that have the key, none where there is no such key.
func (x *Index) Get(key []byte) (Postings, error) { return Postings{}, nil }

// Range calls f for every key at or after from and before to, in order, until f
// returns false. A nil to is the end. The key is valid only inside f.
func (x *Index) Range(from, to []byte, f func(key []byte, p Postings) bool) error { return nil }

// Postings are the documents that have a key, in ascending order. They refer to
// the bytes of the index.
type Postings struct{}

// Len is how many they are.
func (p Postings) Len() int { return 0 }

// Or adds them to dst.
func (p Postings) Or(dst *roaring.Bitmap) {}

// Bitmap returns them as a bitmap, which must not be modified.
func (p Postings) Bitmap() *roaring.Bitmap { return roaring.New() }

// Append appends them to dst.
func (p Postings) Append(dst []uint32) []uint32 { return dst }
