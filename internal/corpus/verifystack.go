package corpus

import (
	"fmt"
	"runtime"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// verifyStacks checks what the segments of a feed say of each other: that every
// record is in its shard and every indicator listed once, and that what is
// replaced is what the replacing ones and the head say.
func verifyStacks(head *Head, segs []*segment, h hasher) (problems []Problem) {
	defer runtime.KeepAlive(segs)
	report := func(i int, err error) {
		if err != nil {
			problems = append(problems, Problem{head.Segments[i].Key, err.Error()})
		}
	}
	dead, err := deadOf(head.Segments, segs)
	if err != nil {
		return []Problem{{headDir + head.Feed + headExt, err.Error()}}
	}
	f := feedState{head: head, segs: segs, dead: dead}
	at := 0
	for _, st := range f.stacks() {
		first := at
		at += len(st.refs)
		err := guard(st.segs, func() error {
			for i := range st.refs {
				report(first+i, st.checkReplaced(i))
			}
			listed := map[uint64][]spot{} // of every hash, the records above that are not dead
			for i := len(st.segs) - 1; i >= 0; i-- {
				report(first+i, st.checkRecords(i, head.shardBits(), h, listed))
			}
			return nil
		})
		if err != nil {
			report(first, err)
		}
	}
	return problems
}

// checkReplaced compares what a segment replaces with the counts in head and segment.
func (st *stack) checkReplaced(i int) error {
	groups := kept(st.segs[i].replaces, st.refs[:i])
	all, open := 0, map[intel.Kind]int{}
	for below := range i {
		for _, g := range groups {
			if g.segment != nameHash(st.refs[below].Name) {
				continue
			}
			all += len(g.records)
			for _, n := range g.records {
				r, err := st.segs[below].nth(int(n))
				if err != nil {
					return err
				}
				if r.flags&flagOpen != 0 {
					open[r.kind]++
				}
			}
		}
	}
	if all != st.refs[i].Replaces {
		return fmt.Errorf("%w: it replaces %d records; its head says %d", ErrCorrupt, all, st.refs[i].Replaces)
	}
	for _, k := range st.segs[i].kinds {
		if k.openBelow != open[k.kind] {
			return fmt.Errorf("%w: it replaces %d open records of kind %v, and says %d", ErrCorrupt, open[k.kind], k.kind, k.openBelow)
		}
		delete(open, k.kind)
	}
	if len(open) > 0 {
		return fmt.Errorf("%w: it replaces open records of kinds that it does not count", ErrCorrupt)
	}
	return nil
}

// checkRecords checks that every record is one of the shard, that a dead one is
// listed above and another one not.
func (st *stack) checkRecords(i int, bits uint, h hasher, listed map[uint64][]spot) error {
	s, dead := st.segs[i], st.dead[i]
	for n := range s.roff.n {
		r, err := s.nth(n)
		if err != nil {
			return err
		}
		hash := h.sumBytes(r.kind, r.value)
		if shardOf(hash, bits) != st.shard {
			return fmt.Errorf("%w: record at byte %d belongs to another shard", ErrCorrupt, r.off)
		}
		above, isDead := false, dead != nil && dead.Contains(uint32(n))
		for _, p := range listed[hash] {
			o, err := st.segs[p.seg].record(p.ref)
			if err != nil {
				return err
			}
			above = above || o.is(r.kind, string(r.value))
		}
		switch {
		case above && !isDead:
			return fmt.Errorf("%w: the indicator of the record at byte %d is listed twice", ErrCorrupt, r.off)
		case isDead && !above:
			return fmt.Errorf("%w: the record at byte %d is replaced by none", ErrCorrupt, r.off)
		case !isDead:
			listed[hash] = append(listed[hash], spot{uint32(i), uint32(r.off / 4)})
		}
	}
	return nil
}
