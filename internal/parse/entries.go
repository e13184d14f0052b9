package parse

import "github.com/elasticintel/elasticintel/internal/intel"

// entryBlock is how many entries a block has, a power of two.
const entryBlock = 1 << 12

// entries is a list that grows by blocks: a slice that grows by copying would
// move a million entries five times.
type entries struct {
	blocks [][]intel.Entry
	count  int
}

// at returns entry i for reading and changing.
func (e *entries) at(i int) *intel.Entry {
	return &e.blocks[i/entryBlock][i%entryBlock]
}

// add appends an entry.
func (e *entries) add(x intel.Entry) {
	if e.count%entryBlock == 0 {
		// The first block grows from little: most feeds are small.
		e.blocks = append(e.blocks, make([]intel.Entry, 0, min(entryBlock, 16+e.count)))
	}
	last := len(e.blocks) - 1
	e.blocks[last] = append(e.blocks[last], x)
	e.count++
}

// take returns all entries as one slice and forgets them, block by block, so that
// both are never in memory whole.
func (e *entries) take() []intel.Entry {
	all := make([]intel.Entry, 0, e.count)
	for i, b := range e.blocks {
		all = append(all, b...)
		e.blocks[i] = nil
	}
	*e = entries{}
	return all
}
