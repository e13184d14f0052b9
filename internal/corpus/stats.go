package corpus

import "github.com/elasticintel/elasticintel/internal/intel"

// Stats counts what the view holds: open listings as of each feed's last change,
// and the different indicators among them. The first call after a change counts
// the indicators; ByKind must not be changed.
func (v *View) Stats() intel.Stats {
	st := v.stats
	st.Indicators = v.indicators()
	return st
}

// countIndicators counts the indicators that some feed lists now. The directory
// counted all that are in the segments; those of which every listing is closed
// come off. Where nothing is closed, no record is touched.
func (v *View) countIndicators() int {
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
				slots = v.dir.find(ofValue, h, slots[:0])
				if !v.anyOpen(slots, &r) {
					gone++
				}
			}
		}
		return nil
	})
	return v.dir.distinct - gone
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
