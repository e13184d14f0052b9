package corpus

import (
	"bytes"
	"net/netip"
)

// refsInside calls yield with the heap offset/4 of everything that the segment
// has inside p, dead or not, URLs at an address too, until it returns false.
func (f *finder) refsInside(s *segment, p netip.Prefix, yield func(ref uint32) bool) {
	for _, networks := range []bool{false, true} {
		r := newInsideRows(s, nil, p, networks)
		for r.seek(f); r.i < r.sec.n && f.err == nil; r.i++ {
			row, err := s.row(r.sec, r.i)
			if err != nil {
				f.fail(err)
				return
			}
			if bytes.Compare(row[:len(r.last)], r.last) > 0 {
				break
			}
			r.ref = le.Uint32(row[len(row)-4:])
			if networks {
				in, err := r.member(row)
				if err != nil {
					f.fail(err)
				}
				if !in {
					continue
				}
			}
			if !yield(r.ref) {
				return
			}
		}
	}
}
