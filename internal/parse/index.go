package parse

import (
	"hash/maphash"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// index finds the entry of an indicator. It holds 8 bytes a slot and compares
// values on a hit; a Go map would hold every indicator a second time.
type index struct {
	seed  maphash.Seed // random, so that no feed can make its values collide
	slots []slot       // length a power of two
	used  int
}

// slot is one place of the table; entry is a position plus one, 0 = free.
type slot struct {
	hash  uint32
	entry uint32
}

func newIndex() *index {
	return &index{seed: maphash.MakeSeed(), slots: make([]slot, 1<<10)}
}

// hash mixes the kind into the value's hash. 32 bits place a slot in tables of up
// to 4 G slots, far more than entries fit into memory.
func (x *index) hash(ind intel.Indicator) uint32 {
	h := maphash.String(x.seed, ind.Value) + uint64(ind.Kind)*0x9e3779b97f4a7c15
	return uint32(h ^ h>>32)
}

// find returns the position of ind's entry, or -1 and the hash to put it with.
func (x *index) find(ind intel.Indicator, list *entries) (int, uint32) {
	h := x.hash(ind)
	mask := uint32(len(x.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := x.slots[i]
		if s.entry == 0 {
			return -1, h
		}
		if s.hash == h && list.at(int(s.entry-1)).Indicator == ind {
			return int(s.entry - 1), h
		}
	}
}

// put records that the entry at pos has hash h. It must not be there yet.
func (x *index) put(h uint32, pos int) {
	if x.used++; x.used > len(x.slots)/4*3 {
		old := x.slots
		x.slots = make([]slot, 2*len(old))
		for _, s := range old {
			if s.entry != 0 {
				x.place(s)
			}
		}
	}
	x.place(slot{h, uint32(pos + 1)})
}

func (x *index) place(s slot) {
	mask := uint32(len(x.slots) - 1)
	i := s.hash & mask
	for x.slots[i].entry != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}
