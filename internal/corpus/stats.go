package corpus

import (
	"unsafe"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Stats counts what the view holds: open listings as of each feed's last change,
// and the different indicators among them. The first call after a change counts
// the indicators; ByKind must not be changed.
func (v *View) Stats() intel.Stats {
	st := v.stats
	st.Indicators = v.indicators()
	sh := v.shelf()
	st.Segments, st.Indexes = len(v.segs), len(sh.units)
	st.Memory = v.memory(sh)
	return st
}

// netBytes is what the table of networks takes for each: 20 to 100 bytes were
// measured, the more the sparser they are. The library does not say.
const netBytes = 80

// memory is what the view and what it searches take.
func (v *View) memory(sh *shelf) (m intel.Memory) {
	files := &m.Copied
	if _, mapped := v.c.store.(blob.Mapper); mapped {
		files = &m.Mapped
	}
	for _, s := range sh.files {
		*files += int64(len(s.data))
	}
	for _, d := range v.dead {
		if d != nil {
			m.Replaced += int64(d.GetSizeInBytes())
		}
	}
	if d := v.dir.dir.Load(); d != nil {
		m.Directory = d.bytes()
	}
	m.Networks = int64(v.nets.table.Size())*netBytes + int64(cap(v.nets.refs))*int64(unsafe.Sizeof(netRef{}))
	return m
}

// countIndicators counts the indicators that some feed lists now. The directory
// counted all that are in the segments; those of which every listing is closed
// come off. Where nothing is closed, no record is touched.
func (v *View) countIndicators() int {
	if v.dir.make(v.c.opt.Workers) != nil {
		return 0 // Corpus.Stats says why
	}
	d := v.dir.dir.Load()
	closed := map[uint64]bool{} // hashes of values with a closed listing
	gone := 0
	// A fault cuts the count short; whoever looks such a value up is told.
	_ = guard(v.segs, func() error {
		var slots []uint64
		for n, s := range v.segs {
			if s.foot.open == s.foot.listings {
				continue
			}
			for i := range s.roff.n {
				if v.dead[n] != nil && v.dead[n].Contains(uint32(i)) {
					continue
				}
				r, err := s.nth(i)
				if err != nil || r.flags&flagOpen != 0 {
					continue
				}
				h := v.c.hash.sumBytes(r.kind, r.value)
				if closed[h] {
					continue
				}
				closed[h] = true
				slots = d.find(ofValue, h, slots[:0])
				if !v.anyOpen(slots, &r) {
					gone++
				}
			}
		}
		return nil
	})
	return d.distinct - gone
}

// anyOpen says whether one of the slots holds an open listing of r's value.
func (v *View) anyOpen(slots []uint64, r *record) bool {
	for _, x := range slots {
		seg, ref := slotRecord(x)
		o, err := v.segs[seg].record(ref)
		if err == nil && o.flags&flagOpen != 0 && o.is(r.kind, string(r.value)) {
			return true
		}
	}
	return false
}
