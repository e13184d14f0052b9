package terms

import (
	"bytes"
	"container/heap"
	"fmt"
)

// Part is an index to merge, and the number that its document 0 gets.
type Part struct {
	Index *Index
	Base  uint32
}

// Merge writes the index of all parts together. Their documents come in
// ascending order and must not overlap.
func Merge(parts []Part) (post, fst []byte, err error) {
	docs, text := uint64(0), 0
	for i, p := range parts {
		if uint64(p.Base) < docs {
			return nil, nil, fmt.Errorf("part %d begins at document %d, the one before ends at %d", i, p.Base, docs)
		}
		docs = uint64(p.Base) + uint64(p.Index.docs)
		text += len(p.Index.dict)
	}
	w, err := newWriter(int(docs), text)
	if err != nil {
		return nil, nil, err
	}
	h, err := openParts(parts)
	if err != nil {
		return nil, nil, err
	}
	var key []byte
	var list, own []uint32
	for len(h) > 0 {
		key, list = append(key[:0], h[0].key...), list[:0]
		for len(h) > 0 && bytes.Equal(h[0].key, key) {
			if list, own, err = h[0].appendTo(list, own); err != nil {
				return nil, nil, err
			}
			if err := h.advance(); err != nil {
				return nil, nil, err
			}
		}
		if err := w.put(key, list); err != nil {
			return nil, nil, err
		}
	}
	return w.finish()
}

// partWalk is a part and where its walk stands.
type partWalk struct {
	walk
	Part
}

// appendTo appends the documents of the current key. own is scratch memory.
func (p *partWalk) appendTo(list, own []uint32) (out, scratch []uint32, err error) {
	docs, err := p.Index.postings(p.value)
	if err != nil {
		return list, own, err
	}
	own = docs.Append(own[:0])
	for _, d := range own {
		list = append(list, d+p.Base)
	}
	return list, own, nil
}

// walks are those that stand at a key, a heap by key and then by document.
type walks []*partWalk

func openParts(parts []Part) (h walks, err error) {
	for _, p := range parts {
		w := &partWalk{Part: p}
		if err := w.start(p.Index, nil); err != nil {
			return nil, err
		}
		if ok, err := w.next(); err != nil {
			return nil, err
		} else if ok {
			h = append(h, w)
		}
	}
	heap.Init(&h)
	return h, nil
}

// advance takes the first walk to its next key, or out of the heap.
func (h *walks) advance() error {
	ok, err := (*h)[0].next()
	if err != nil {
		return err
	}
	if ok {
		heap.Fix(h, 0)
	} else {
		heap.Pop(h)
	}
	return nil
}

func (h walks) Len() int { return len(h) }
func (h walks) Less(i, j int) bool {
	if c := bytes.Compare(h[i].key, h[j].key); c != 0 {
		return c < 0
	}
	return h[i].Base < h[j].Base
}
func (h walks) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *walks) Push(x any) { *h = append(*h, x.(*partWalk)) }

// Pop is for container/heap.
func (h *walks) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
