package parse

import (
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Limits on what is held back until its context is known.
const (
	maxHeld      = 1 << 17  // indicators
	maxHeldBytes = 32 << 20 // bytes of the texts that they are pieces of
)

// heldBack are indicators of one event, pulse or the like, whose context may
// stand behind them. One that exceeds the limits is taken in parts; a part lacks
// what comes after it.
type heldBack struct {
	c     *collector
	rec   record
	items []heldItem
	pairs []pair // context of all items
	bytes int
}

type heldItem struct {
	line     int
	value    string
	kinds    intel.KindSet
	from, to int // its own context in pairs
}

// hold keeps one indicator with its own context, both pieces of texts of size
// bytes that were not counted yet. around is the context so far.
func (h *heldBack) hold(line int, f finding, own, around []pair, size int) {
	from := len(h.pairs)
	h.pairs = append(h.pairs, own...)
	h.items = append(h.items, heldItem{line, f.value, f.kinds, from, len(h.pairs)})
	if h.bytes += size; len(h.items) >= maxHeld || h.bytes > maxHeldBytes {
		h.flush(around)
	}
}

// flush takes what was held back; around is the context of all of it.
func (h *heldBack) flush(around []pair) {
	around = normal(slices.Clone(around)) // sorted once, not with every item
	for _, a := range h.items {
		h.rec.begin(a.line, a.value)
		h.rec.extra = append(append(h.rec.extra, h.pairs[a.from:a.to]...), around...)
		h.c.offered(&h.rec, finding{a.value, a.kinds})
	}
	h.drop()
}

// drop forgets what was held back.
func (h *heldBack) drop() {
	clear(h.items)
	clear(h.pairs)
	h.items, h.pairs, h.bytes = h.items[:0], h.pairs[:0], 0
}
