package terms

import (
	"bytes"
	"fmt"
	"math"
	"sync"
)

// Index reads an index. It is safe for concurrent use.
type Index struct {
	post  []byte
	dict  dict
	docs  uint32
	keys  uint64
	check func(off, n int) error
	walks sync.Pool // of *walk that are not in use
}

// Open reads an index in place: post and fst must stay as they are while it is
// in use. check is called before bytes of post are used and says whether they
// are what was written. Where it is nil, they are looked at more closely, which
// takes longer. The bytes of fst should have been checked by the caller; damage
// in them gives errors or other answers, but nothing worse.
func Open(post, fst []byte, check func(off, n int) error) (*Index, error) {
	if len(fst) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(fst))
	}
	if v := le.Uint32(fst); v != format {
		return nil, fmt.Errorf("%w: format %d; this program reads %d", ErrCorrupt, v, format)
	}
	x := &Index{post: post, docs: le.Uint32(fst[4:]), keys: le.Uint64(fst[8:]), check: check}
	if x.docs > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d documents", ErrCorrupt, x.docs)
	}
	var err error
	if x.dict, err = openDict(fst[headerSize:], x.keys); err != nil {
		return nil, err
	}
	return x, nil
}

// Docs is how many documents the index is of.
func (x *Index) Docs() int { return int(x.docs) }

// Keys is how many keys they have.
func (x *Index) Keys() int { return int(min(x.keys, math.MaxInt)) }

// Get returns the documents that have the key, none where there is no such key.
func (x *Index) Get(key []byte) (Postings, error) {
	value, ok, err := x.dict.get(key)
	if err != nil || !ok {
		return Postings{}, err
	}
	return x.postings(value)
}

// Range calls f for every key at or after from and before to, in order, until f
// returns false. A nil to is the end. The key is valid only inside f.
func (x *Index) Range(from, to []byte, f func(key []byte, p Postings) bool) error {
	w, _ := x.walks.Get().(*walk)
	if w == nil {
		w = new(walk)
	}
	defer w.free(x)
	if err := w.start(x, from); err != nil {
		return err
	}
	for {
		ok, err := w.next()
		if err != nil || !ok || to != nil && bytes.Compare(w.key, to) >= 0 {
			return err
		}
		p, err := x.postings(w.value)
		if err != nil {
			return err
		}
		if !f(w.key, p) {
			return nil
		}
	}
}
