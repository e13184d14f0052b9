package corpus

import (
	"context"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// A feed is cut into 2^bits shards by the first bits of its records' hashes.

// maxShardBits is the most a feed is cut: 65,536 shards.
const maxShardBits = 16

// shardBits is how finely a feed of n records is cut so that a shard has at most limit.
func shardBits(n, limit int) (bits uint) {
	for bits < maxShardBits && n > limit<<bits {
		bits++
	}
	return bits
}

// shardOf is the shard of a hash.
func shardOf(hash uint64, bits uint) int { return int(hash >> (64 - bits)) }

// shardBits is how finely the feed is cut.
func (h *Head) shardBits() uint { return shardBits(h.Shards, 1) }

// stack is one shard of a feed, open: history, the oldest first, then the base
// and the delta, as far as they are there.
type stack struct {
	shard int
	refs  []SegmentRef
	segs  []*segment
	dead  []*roaring.Bitmap // per segment: record numbers; nil = none

	lost   int   // records of segments that cannot be opened
	damage error // why
}

// openStacks opens every shard's segments, in view as a rule. What cannot be
// opened is left out, and what lies below it too, because nobody knows what of
// that was replaced; the stack says so. Its error is for everything but damage.
func (c *Corpus) openStacks(ctx context.Context, head *Head) ([]*stack, error) {
	var state *feedState
	if v := c.View(); v != nil {
		if i, ok := v.feedIndex(head.Feed); ok {
			state = v.feeds[i]
		}
	}
	out := make([]*stack, 1<<head.shardBits())
	for i := range out {
		out[i] = &stack{shard: i}
	}
	for _, ref := range head.Segments {
		out[ref.Shard].refs = append(out[ref.Shard].refs, ref)
	}
	for _, st := range out {
		if err := st.open(ctx, c, state); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// stacks returns the shards of a feed in view.
func (f *feedState) stacks() []*stack {
	out := make([]*stack, 1<<f.head.shardBits())
	for i := range out {
		out[i] = &stack{shard: i}
	}
	for i, ref := range f.head.Segments {
		st := out[ref.Shard]
		st.refs, st.segs, st.dead = append(st.refs, ref), append(st.segs, f.segs[i]), append(st.dead, f.dead[i])
	}
	return out
}

func (st *stack) open(ctx context.Context, c *Corpus, state *feedState) error {
	for i := len(st.refs) - 1; i >= 0; i-- {
		s := state.segment(st.refs[i].Key)
		if s == nil {
			var err error
			if s, err = openSegment(ctx, c.store, st.refs[i], c.hash); isDamage(err) {
				st.cut(i, err)
				break
			} else if err != nil {
				return err
			}
		}
		st.segs = append(st.segs, s)
	}
	slices.Reverse(st.segs)
	dead, err := deadOf(st.refs, st.segs)
	if isDamage(err) {
		st.segs = nil
		st.cut(len(st.refs)-1, err)
		return nil
	}
	st.dead = dead
	return err
}

// cut leaves out the i-th segment and all below.
func (st *stack) cut(i int, err error) {
	st.damage = err
	for k, ref := range st.refs {
		if k <= i {
			st.lost += ref.Listings
		}
		st.lost -= ref.Replaces
	}
	st.lost = max(st.lost, 0)
	st.refs = st.refs[i+1:]
}

// listings counts the records that are not dead.
func (st *stack) listings() (n int) {
	if st == nil {
		return 0
	}
	for _, ref := range st.refs {
		n += ref.Listings - ref.Replaces
	}
	return n
}

// history is how many segments of closed listings there are: the base, or what
// there is above, has this place.
func (st *stack) history() (n int) {
	for n < len(st.refs) && st.refs[n].History {
		n++
	}
	return n
}

// base and delta return their place in the stack, -1 where there is none.
func (st *stack) base() int {
	if n := st.history(); n < len(st.refs) && !st.refs[n].Delta {
		return n
	}
	return -1
}

func (st *stack) delta() int {
	if n := len(st.refs) - 1; n >= 0 && st.refs[n].Delta {
		return n
	}
	return -1
}

// deadRefs returns the heap offsets/4 of the i-th segment's dead records.
func (st *stack) deadRefs(i int) (bitset, error) { return st.segs[i].refsOf(st.dead[i]) }

// roffs returns the heap offsets/4 of all records, by number, checked.
func (s *segment) roffs() ([]byte, error) {
	b := s.bytes(secRoff)
	if len(b) == 0 {
		return b, nil
	}
	return b, s.check(s.roff.off, len(b))
}

// refsOf returns the heap offsets/4 of the records with these numbers.
func (s *segment) refsOf(numbers *roaring.Bitmap) (bitset, error) {
	out := newBitset(len(s.heap) / 4)
	if numbers == nil {
		return out, nil
	}
	roff, err := s.roffs()
	if err != nil {
		return nil, err
	}
	for it := numbers.Iterator(); it.HasNext(); {
		out.set(u32at(roff, int(it.Next()))) // deadOf checked the number
	}
	return out, nil
}

// numbers returns the numbers of the records at these heap offsets/4, upwards.
func (s *segment) numbers(refs []uint32) ([]uint32, error) {
	roff, err := s.roffs()
	if err != nil {
		return nil, err
	}
	slices.Sort(refs)
	out := make([]uint32, 0, len(refs))
	n := 0
	for _, ref := range refs {
		for n < len(roff)/4 && u32at(roff, n) < ref {
			n++
		}
		if n == len(roff)/4 || u32at(roff, n) != ref {
			return nil, fmt.Errorf("%w: no record begins there", s.bad(int(ref)*4))
		}
		out = append(out, uint32(n))
	}
	return out, nil
}
