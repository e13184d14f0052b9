package terms

import (
	"encoding/binary"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
)

// Postings are the documents that have a key, in ascending order. They refer to
// the bytes of the index.
type Postings struct {
	n      int
	one    uint32          // the only document
	list   []byte          // up to maxList, as they are stored
	bitmap *roaring.Bitmap // more
}

// Len is how many they are.
func (p Postings) Len() int { return p.n }

// Or adds them to dst.
func (p Postings) Or(dst *roaring.Bitmap) {
	switch {
	case p.bitmap != nil:
		dst.Or(p.bitmap)
	case p.n > 0:
		var stack [maxList]uint32
		dst.AddMany(p.Append(stack[:0]))
	}
}

// Bitmap returns them as a bitmap, which must not be modified.
func (p Postings) Bitmap() *roaring.Bitmap {
	if p.bitmap != nil {
		return p.bitmap
	}
	b := roaring.New()
	p.Or(b)
	return b
}

// Append appends them to dst.
func (p Postings) Append(dst []uint32) []uint32 {
	switch {
	case p.bitmap != nil:
		start := len(dst)
		dst = append(dst, make([]uint32, p.n)...)
		it := p.bitmap.ManyIterator()
		return dst[:start+it.NextMany(dst[start:])]
	case p.n == 1:
		return append(dst, p.one)
	}
	last := uint32(0)
	for b := p.list; len(b) > 0; {
		d, n := uvarint(b)
		if n == 0 {
			break // was checked
		}
		last += uint32(d)
		dst = append(dst, last)
		b = b[n:]
	}
	return dst
}

// uvarint is binary.Uvarint, quick for small numbers; n is 0 where there is none.
func uvarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	v, n = binary.Uvarint(b)
	return v, max(n, 0)
}

// postings reads what a key's value stands for.
func (x *Index) postings(value uint64) (p Postings, err error) {
	if value&1 == 1 {
		if value>>1 >= uint64(x.docs) {
			return p, fmt.Errorf("%w: document %d of %d", ErrCorrupt, value>>1, x.docs)
		}
		return Postings{n: 1, one: uint32(value >> 1)}, nil
	}
	at := value >> 1
	if at >= uint64(len(x.post)) {
		return p, fmt.Errorf("%w: a list at byte %d of %d", ErrCorrupt, at, len(x.post))
	}
	off := int(at)
	if err := x.verify(off, min(binary.MaxVarintLen32, len(x.post)-off)); err != nil {
		return p, err
	}
	n, size := uvarint(x.post[off:])
	rest := x.post[off+size:]
	switch {
	case size == 0 || n < 2:
		return p, x.badList(off)
	case n <= maxList:
		return x.list(off, int(n), rest)
	case n-maxList > uint64(len(rest)):
		return p, x.badList(off)
	}
	length := int(n - maxList)
	if err := x.verify(off, size+length); err != nil {
		return p, err
	}
	return x.bitmap(off, rest[:length:length])
}

func (x *Index) verify(off, n int) error {
	if x.check == nil {
		return nil
	}
	return x.check(off, n)
}

func (x *Index) badList(off int) error {
	return fmt.Errorf("%w: list at byte %d", ErrCorrupt, off)
}

// list reads a list of n documents, whose numbers begin rest.
func (x *Index) list(off, n int, rest []byte) (p Postings, err error) {
	if err := x.verify(off, min(1+n*binary.MaxVarintLen32, len(x.post)-off)); err != nil {
		return p, err
	}
	doc, b := uint64(0), rest
	for i := range n {
		d, size := uvarint(b)
		doc += d
		if size == 0 || d >= uint64(x.docs) || doc >= uint64(x.docs) || d == 0 && i > 0 {
			return p, x.badList(off)
		}
		b = b[size:]
	}
	return Postings{n: n, list: rest[:len(rest)-len(b)]}, nil
}

// bitmap reads a bitmap in place.
func (x *Index) bitmap(off int, data []byte) (p Postings, err error) {
	defer func() {
		if r := recover(); r != nil && x.check == nil {
			p, err = Postings{}, x.badList(off)
		} else if r != nil {
			panic(r)
		}
	}()
	b := roaring.New()
	if n, err := b.FromBuffer(data); err != nil || n != int64(len(data)) {
		return p, x.badList(off)
	}
	if x.check == nil {
		if err := b.Validate(); err != nil {
			return p, fmt.Errorf("%w: list at byte %d: %w", ErrCorrupt, off, err)
		}
	}
	if b.IsEmpty() || b.Maximum() >= x.docs {
		return p, x.badList(off)
	}
	return Postings{n: int(b.GetCardinality()), bitmap: b}, nil
}
