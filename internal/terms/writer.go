package terms

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/vellum"
)

// The byte orders: of what is stored, and of bytes compared as numbers. Read-only.
var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

const (
	format     = 1
	headerSize = 16
	maxList    = 64 // documents that are written as a list; more as a bitmap

	// registry is how many states vellum remembers to share ends of keys. Most of
	// our keys share none: its default, 20,000, gives 5 % less at half the speed.
	registry = 256
)

// writer writes an index, key by key.
type writer struct {
	post []byte
	fst  bytes.Buffer
	dict *vellum.Builder
	docs int
	keys uint64

	bitmap *roaring.Bitmap // scratch
	buf    bytes.Buffer    // scratch
}

// newWriter begins an index of so many documents whose keys have about so many bytes.
func newWriter(docs, text int) (w *writer, err error) {
	if docs > math.MaxInt32 {
		return nil, fmt.Errorf("%d documents: an index holds at most %d", docs, math.MaxInt32)
	}
	w = &writer{docs: docs, bitmap: roaring.New()}
	w.fst.Grow(headerSize + text/2)
	w.fst.Write(make([]byte, headerSize))
	if w.dict, err = vellum.New(&w.fst, &vellum.BuilderOpts{Encoder: 1, RegistryTableSize: registry, RegistryMRUSize: 1}); err != nil {
		return nil, fmt.Errorf("dictionary: %w", err)
	}
	return w, nil
}

// put writes the documents of the next key. Keys come in order.
func (w *writer) put(key []byte, docs []uint32) error {
	value := uint64(docs[0])<<1 | 1
	if len(docs) > 1 {
		value = uint64(len(w.post)) << 1
		if err := w.list(docs); err != nil {
			return fmt.Errorf("key %.80q: %w", key, err)
		}
	}
	w.keys++
	if err := w.dict.Insert(key, value); err != nil {
		return fmt.Errorf("key %.80q: %w", key, err)
	}
	return nil
}

// list appends a list of documents to post.
func (w *writer) list(docs []uint32) error {
	if len(docs) <= maxList {
		w.post = binary.AppendUvarint(w.post, uint64(len(docs)))
		last := uint32(0)
		for _, d := range docs {
			w.post = binary.AppendUvarint(w.post, uint64(d-last))
			last = d
		}
		return nil
	}
	first, last := docs[0], docs[len(docs)-1]
	w.bitmap.Clear()
	if int(last-first) == len(docs)-1 {
		w.bitmap.AddRange(uint64(first), uint64(last)+1)
	} else {
		w.bitmap.AddMany(docs)
	}
	w.bitmap.RunOptimize()
	w.buf.Reset()
	if _, err := w.bitmap.WriteTo(&w.buf); err != nil {
		return err
	}
	w.post = binary.AppendUvarint(w.post, uint64(maxList+w.buf.Len()))
	w.post = append(w.post, w.buf.Bytes()...)
	return nil
}

// finish returns what was written.
func (w *writer) finish() (post, fst []byte, err error) {
	if err := w.dict.Close(); err != nil {
		return nil, nil, fmt.Errorf("dictionary: %w", err)
	}
	fst = w.fst.Bytes()
	le.PutUint32(fst, format)
	le.PutUint32(fst[4:], uint32(w.docs))
	le.PutUint64(fst[8:], w.keys)
	return w.post, fst, nil
}
