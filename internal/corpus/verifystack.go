package corpus

import (
	"fmt"
	"runtime"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// verifyStacks checks what the segments of a feed say of each other: that every
// record is in its shard and every indicator listed once, and that what is
// replaced is what the replacing ones and the head say.
func verifyStacks(head *Head, segs []*segment) (problems []Problem) {
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
			return st.checkRecords(head.shardBits())
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
// listed above, and no indicator twice.
func (st *stack) checkRecords(bits uint) error {
	var all []hashed
	dead := make([]bitset, len(st.segs))
	for i, s := range st.segs {
		var err error
		if dead[i], err = st.deadRefs(i); err != nil {
			return err
		}
		for j := range s.byHash.len() {
			h := hashed{u64at(s.byHash.hash, j), u32at(s.byHash.ref, j), uint32(i)}
			if shardOf(h.hash, bits) != st.shard {
				return fmt.Errorf("%w: it belongs to another shard", s.bad(int(h.ref)*4))
			}
			all = append(all, h)
		}
	}
	for all = sortHashed(all, bits); len(all) > 0; {
		n := same(all, all[0].hash)
		for i, h := range all[:n] {
			if err := st.checkRecord(h, all[:n], i, dead); err != nil {
				return err
			}
		}
		all = all[n:]
	}
	return nil
}

// checkRecord holds one record against those of the same hash.
func (st *stack) checkRecord(h hashed, alike []hashed, place int, dead []bitset) error {
	isDead, replaced, twice := dead[h.seg].has(h.ref), false, false
	if len(alike) > 1 {
		r, err := st.segs[h.seg].record(h.ref)
		if err != nil {
			return err
		}
		for i, o := range alike {
			other, err := st.segs[o.seg].record(o.ref)
			if err != nil {
				return err
			}
			if i != place && other.is(r.kind, string(r.value)) {
				replaced = replaced || o.seg > h.seg
				twice = twice || !dead[o.seg].has(o.ref)
			}
		}
	}
	switch {
	case isDead && !replaced:
		return fmt.Errorf("%w: nothing replaces it", st.segs[h.seg].bad(int(h.ref)*4))
	case !isDead && twice:
		return fmt.Errorf("%w: its indicator is listed twice", st.segs[h.seg].bad(int(h.ref)*4))
	}
	return nil
}
