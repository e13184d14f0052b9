package corpus

import (
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// A shard of a feed is a stack of segments. A record in an upper one replaces the
// record of the same indicator below, which is then dead: it stays in its file
// and is not found, not counted and not carried on.

// replacing says which records of lower segments a segment replaces.
type replacing struct {
	groups    []replGroup
	open      map[intel.Kind]int // how many of them are open
	shardBits uint               // first bits that the hashes of all records share
}

// replGroup are records of one lower segment.
type replGroup struct {
	segment uint64   // xxhash64 of its name
	records []uint32 // numbers, upwards
}

// nameHash is how a repl section names a segment.
func nameHash(name string) uint64 { return xxhash.Sum64String(name) }

func (r *replacing) append(b []byte) []byte {
	for _, g := range r.groups {
		b = le.AppendUint64(b, g.segment)
		b = le.AppendUint64(b, uint64(len(g.records)))
		for _, n := range g.records {
			b = le.AppendUint32(b, n)
		}
		if len(g.records)%2 == 1 {
			b = le.AppendUint32(b, 0)
		}
	}
	return b
}

// counts returns how many records are replaced, and how many of them are open.
func (r *replacing) counts() (all, open int) {
	for _, g := range r.groups {
		all += len(g.records)
	}
	for _, n := range r.open {
		open += n
	}
	return all, open
}

// readRepl decodes a repl section.
func readRepl(b []byte) (groups []replGroup, ok bool) {
	for len(b) > 0 {
		if len(b) < 16 {
			return nil, false
		}
		g := replGroup{segment: le.Uint64(b)}
		n := int(le.Uint32(b[8:]))
		b = b[16:]
		if size := (n + n&1) * 4; size > len(b) {
			return nil, false
		}
		g.records = make([]uint32, n)
		for i := range g.records {
			g.records[i] = u32at(b, i)
		}
		if !slices.IsSorted(g.records) {
			return nil, false
		}
		b = b[(n+n&1)*4:]
		groups = append(groups, g)
	}
	return groups, true
}

// deadOf returns which records of each of a feed's segments are dead: those that
// others replace. refs are the segments' references; nil where nothing is dead.
func deadOf(refs []SegmentRef, segs []*segment) ([]*roaring.Bitmap, error) {
	dead := make([]*roaring.Bitmap, len(segs))
	at := make(map[uint64]int, len(refs))
	for i := range refs {
		at[nameHash(refs[i].Name)] = i
	}
	for i, s := range segs {
		for _, g := range s.replaces {
			below, known := at[g.segment]
			if !known {
				continue // dropped since, and what it held with it
			}
			if n := len(g.records); below >= i || refs[below].Shard != refs[i].Shard || n > 0 && int(g.records[n-1]) >= segs[below].listings() {
				return nil, fmt.Errorf("segment %s: %w: it cannot replace records of %s", s.key, ErrCorrupt, segs[below].key)
			}
			if dead[below] == nil {
				dead[below] = roaring.New()
			}
			dead[below].AddMany(g.records)
		}
	}
	return dead, nil
}

// kept returns the groups that are of one of these segments.
func kept(groups []replGroup, refs []SegmentRef) (out []replGroup) {
	for _, g := range groups {
		if slices.ContainsFunc(refs, func(r SegmentRef) bool { return nameHash(r.Name) == g.segment }) {
			out = append(out, g)
		}
	}
	return out
}

// unionGroups unites the record numbers of each segment.
func unionGroups(a, b []replGroup) []replGroup {
	for _, g := range b {
		i := slices.IndexFunc(a, func(o replGroup) bool { return o.segment == g.segment })
		if i < 0 {
			a = append(a, g)
			continue
		}
		both := append(slices.Clone(a[i].records), g.records...)
		slices.Sort(both)
		a[i].records = slices.Compact(both)
	}
	return a
}

// isDead says whether the record at heap offset ref*4 is one of the dead ones.
func (s *segment) isDead(dead *roaring.Bitmap, ref uint32) bool {
	if dead == nil {
		return false
	}
	n, ok := s.number(ref)
	return ok && dead.Contains(uint32(n))
}
