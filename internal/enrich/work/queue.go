package work

import (
	"net/netip"

	"github.com/elasticintel/elasticintel/internal/enrich"
)

// queue holds what is to be asked, the first that was added first, but for addresses of
// a block about which somebody asks: those wait for what he learns.
type queue struct {
	n       int // that were ever added
	domains []item
	blocks  map[netip.Prefix]*block
	asking  int // blocks that are busy
}

type item struct {
	at int // place in the order
	s  enrich.Subject
}

type block struct {
	items []item
	busy  bool
}

func (q *queue) add(s enrich.Subject) {
	x := item{q.n, s}
	q.n++
	p := Block(s)
	if !p.IsValid() {
		q.domains = append(q.domains, x)
		return
	}
	if q.blocks[p] == nil {
		q.blocks[p] = &block{}
	}
	q.blocks[p].items = append(q.blocks[p].items, x)
}

// pop takes the next subject that is not covered; its block is busy until release.
// Where ok is false, wait says that there may be one when a block is released.
func (q *queue) pop(covered func(enrich.Subject) bool) (s enrich.Subject, ok, wait bool) {
	var best *block
	for p, b := range q.blocks {
		if b.busy {
			continue
		}
		for len(b.items) > 0 && covered(b.items[0].s) {
			b.items = b.items[1:]
		}
		if len(b.items) == 0 {
			delete(q.blocks, p)
		} else if best == nil || b.items[0].at < best.items[0].at {
			best = b
		}
	}
	switch {
	case len(q.domains) > 0 && (best == nil || q.domains[0].at < best.items[0].at):
		s, q.domains = q.domains[0].s, q.domains[1:]
		return s, true, false
	case best != nil:
		s = best.items[0].s
		best.items, best.busy = best.items[1:], true
		q.asking++
		return s, true, false
	}
	return s, false, q.asking > 0
}

// release ends what pop began.
func (q *queue) release(s enrich.Subject) {
	if b := q.blocks[Block(s)]; b != nil && b.busy {
		b.busy = false
		q.asking--
	}
}

// left counts what was not taken.
func (q *queue) left() int {
	n := len(q.domains)
	for _, b := range q.blocks {
		n += len(b.items)
	}
	return n
}
