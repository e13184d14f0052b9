package terms

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Builder collects the keys of documents 0, 1, 2 … and writes an index of them.
// It is for one goroutine. It holds each key once and, for every document, the
// numbers of its keys.
type Builder struct {
	text  []byte   // the keys, one behind the other
	ends  []uint32 // of each key in text
	table []uint64 // open addressing: upper half of the key's hash, number+1; 0 = free
	shift uint     // a place in table is hash>>shift

	uses   []use
	stream []uint32 // numbers of keys, document by document
	counts []uint32 // how many of them each document has
	here   uint32   // how many the current one has

	replace []replacement
	err     error
}

// use is how a key is used.
type use struct {
	last uint32 // document+1; while finishing, where its next document goes
	docs uint32
}

type replacement struct {
	prefix []byte
	id     uint32
}

// NewBuilder returns a builder for about so many documents.
func NewBuilder(docs int) *Builder {
	return &Builder{table: make([]uint64, 1<<10), shift: 64 - 10, counts: make([]uint32, 0, docs)}
}

// Add says that the current document has the key. Saying it again changes nothing.
func (b *Builder) Add(key []byte) { b.AddID(b.ID(key)) }

// ID returns the number of a key, which it has in this builder from now on. A
// key that no document has is not in the index.
func (b *Builder) ID(key []byte) uint32 {
	h := xxhash.Sum64(key)
	mask := uint64(len(b.table) - 1)
	for i := h >> b.shift; ; i = (i + 1) & mask {
		e := b.table[i]
		if e == 0 {
			return b.insert(key, h, i)
		}
		if id := uint32(e) - 1; e>>32 == h>>32 && bytes.Equal(b.key(id), key) {
			return id
		}
	}
}

// key returns a key by its number, in place.
func (b *Builder) key(id uint32) []byte {
	start := uint32(0)
	if id > 0 {
		start = b.ends[id-1]
	}
	return b.text[start:b.ends[id]]
}

// insert puts a new key into the free place i of the table.
func (b *Builder) insert(key []byte, h, i uint64) uint32 {
	if len(b.text)+len(key) > math.MaxUint32 {
		b.err = fmt.Errorf("key %.40q: more than %d bytes of keys", key, uint32(math.MaxUint32))
		key = nil
	}
	id := uint32(len(b.ends))
	b.text = append(b.text, key...)
	b.ends = append(b.ends, uint32(len(b.text)))
	b.uses = append(b.uses, use{})
	b.table[i] = h>>32<<32 | uint64(id+1)
	if len(b.ends) > len(b.table)/2 {
		b.grow()
	}
	return id
}

// grow doubles the table. Of the hash only the upper half is kept, which is
// where a place comes from.
func (b *Builder) grow() {
	old := b.table
	b.table, b.shift = make([]uint64, 2*len(old)), b.shift-1
	mask := uint64(len(b.table) - 1)
	for _, e := range old {
		if e == 0 {
			continue
		}
		i := e >> b.shift
		for b.table[i] != 0 {
			i = (i + 1) & mask
		}
		b.table[i] = e
	}
}

// Keys is how many different keys there are so far: the number that the next new
// one gets.
func (b *Builder) Keys() int { return len(b.ends) }

// AddID is Add for a key whose number is known.
func (b *Builder) AddID(id uint32) {
	u, doc := &b.uses[id], uint32(len(b.counts))+1
	if u.last == doc {
		return
	}
	u.last = doc
	u.docs++
	b.here++
	b.stream = append(b.stream, id)
}

// Next ends the current document.
func (b *Builder) Next() {
	b.counts = append(b.counts, b.here)
	b.here = 0
}

// Replace makes one key of all that begin with prefix: documents that have one of
// those have key instead in the index.
func (b *Builder) Replace(prefix, key []byte) {
	b.replace = append(b.replace, replacement{bytes.Clone(prefix), b.ID(key)})
}

// Finish returns the index. The builder is of no use afterwards.
func (b *Builder) Finish() (post, fst []byte, err error) {
	if b.err != nil {
		return nil, nil, b.err
	}
	if uint64(len(b.stream)) > math.MaxUint32 {
		return nil, nil, fmt.Errorf("%d keys of documents are more than an index holds", len(b.stream))
	}
	b.table = nil
	b.applyReplacements()
	ordered := make(chan []uint32)
	go func() { ordered <- b.order() }()
	docs := b.invert()
	order := <-ordered
	w, err := newWriter(len(b.counts), len(b.text))
	if err != nil {
		return nil, nil, err
	}
	for _, id := range order {
		u := b.uses[id]
		if err := w.put(b.key(id), docs[u.last-u.docs:u.last]); err != nil {
			return nil, nil, err
		}
	}
	return w.finish()
}

// applyReplacements renames keys in the stream.
func (b *Builder) applyReplacements() {
	if len(b.replace) == 0 {
		return
	}
	names := make([]uint32, len(b.ends))
	for id := range names {
		names[id] = uint32(id)
		for _, r := range b.replace {
			if bytes.HasPrefix(b.key(uint32(id)), r.prefix) {
				names[id] = r.id
			}
		}
	}
	clear(b.uses)
	old, counts := b.stream, b.counts
	b.stream, b.counts = old[:0], counts[:0]
	for _, n := range counts {
		for _, id := range old[:n] {
			b.AddID(names[id]) // writes behind what was read
		}
		old = old[n:]
		b.Next()
	}
}

// invert turns the stream into the documents of each key: those of a key end at
// its use's last.
func (b *Builder) invert() []uint32 {
	docs := make([]uint32, len(b.stream))
	sum := uint32(0)
	for i := range b.uses {
		b.uses[i].last = sum
		sum += b.uses[i].docs
	}
	stream := b.stream
	for doc, n := range b.counts {
		for _, id := range stream[:n] {
			u := &b.uses[id]
			docs[u.last] = uint32(doc)
			u.last++
		}
		stream = stream[n:]
	}
	b.stream = nil
	return docs
}

// order returns the numbers of the keys that documents have, in the order of the keys.
func (b *Builder) order() []uint32 {
	keys := make([]sortKey, 0, len(b.ends))
	for id := range b.uses {
		if b.uses[id].docs > 0 { // only this: invert writes the rest meanwhile
			keys = append(keys, sortKey{id: uint32(id)})
		}
	}
	b.sort(keys, 0)
	out := make([]uint32, len(keys))
	for i, k := range keys {
		out[i] = k.id
	}
	return out
}

// sortKey is a key and the eight bytes of it that are being looked at.
type sortKey struct {
	bytes uint64
	id    uint32
	left  uint32 // how many bytes the key has from there on, at most 9
}

func compareKeys(a, b sortKey) int {
	switch {
	case a.bytes < b.bytes:
		return -1
	case a.bytes > b.bytes:
		return 1
	}
	return int(a.left) - int(b.left)
}

// sort orders keys that are the same in front of the byte at depth: by the next
// eight bytes, and those that are the same there by what follows. Missing bytes
// count as zeros, and of keys that differ in nothing else the shorter is less.
func (b *Builder) sort(keys []sortKey, depth int) {
	for i := range keys {
		rest := b.key(keys[i].id)[depth:]
		keys[i].left = uint32(min(len(rest), 9))
		keys[i].bytes = prefix8(rest)
	}
	slices.SortFunc(keys, compareKeys)
	for len(keys) > 1 {
		n := 1
		for n < len(keys) && keys[n].bytes == keys[0].bytes && keys[n].left == keys[0].left {
			n++
		}
		if n > 1 && keys[0].left > 8 {
			b.sort(keys[:n], depth+8)
		}
		keys = keys[n:]
	}
}

// prefix8 returns the first eight bytes as a number.
func prefix8(s []byte) (n uint64) {
	if len(s) >= 8 {
		return be.Uint64(s)
	}
	for i, c := range s {
		n |= uint64(c) << (56 - 8*i)
	}
	return n
}
