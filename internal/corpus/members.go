package corpus

import (
	"bytes"
	"net/netip"
	"sort"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// covering finds the listed networks that cover p, but not the indicator asked for.
func (f *finder) covering(p netip.Prefix) {
	f.v.nets.covering(p, func(seg int, ref uint32) bool {
		f.related(f.v.netOf[seg], f.v.nets.segs[seg], ref, intel.RelNetwork)
		return true
	})
}

// related adds the record unless it is about the indicator asked for.
func (f *finder) related(feed *feedState, s *segment, ref uint32, rel intel.Relation) {
	r, err := s.record(ref)
	if err != nil {
		f.fail(err)
	} else if !r.is(f.skip.Kind, f.skip.Value) {
		f.add(feed, s, &r, rel, "")
	}
}

// members finds the addresses, ip:ports and networks listed inside p.
func (f *finder) members(p netip.Prefix) {
	limit := len(f.out) + f.v.c.opt.MaxMembers
	first, last := prefixRange(p)
	for i, s := range f.v.segs {
		if f.err == nil {
			f.err = f.ctx.Err()
		}
		sec, size := s.addr6, 16
		if p.Addr().Is4() {
			sec, size = s.addr4, 4
		}
		f.walk(s, sec, first[16-size:], func(row []byte) bool {
			if bytes.Compare(row[:size], last[16-size:]) > 0 {
				return false
			}
			f.related(f.v.owner[i], s, le.Uint32(row[size:]), intel.RelMember)
			return len(f.out) <= limit
		})
		f.walk(s, s.cidr, first[:], func(row []byte) bool {
			if bytes.Compare(row[:16], last[:]) > 0 {
				return false
			}
			if in, ref, ok := cidrOf(row); !ok {
				f.fail(s.bad(int(ref) * 4))
			} else if in.Bits() >= p.Bits() && in.Addr().Is4() == p.Addr().Is4() {
				f.related(f.v.owner[i], s, ref, intel.RelMember)
			}
			return len(f.out) <= limit
		})
		if len(f.out) > limit {
			f.out = f.out[:limit]
			f.tooMany(p)
			return
		}
	}
}

// walk calls yield for the rows of a sorted section from the first that is not
// below the address on.
func (f *finder) walk(s *segment, sec rows, from []byte, yield func(row []byte) bool) {
	i := sort.Search(sec.n, func(i int) bool {
		row, err := s.row(sec, i)
		if err != nil {
			f.fail(err)
			return true
		}
		return bytes.Compare(row[:len(from)], from) >= 0
	})
	for ; i < sec.n; i++ {
		row, err := s.row(sec, i)
		if err != nil {
			f.fail(err)
			return
		}
		if !yield(row) {
			return
		}
	}
}

// prefixRange returns the first and last address of p, IPv4 as IPv4-mapped.
func prefixRange(p netip.Prefix) (first, last [16]byte) {
	p = p.Masked()
	first = p.Addr().As16()
	last = first
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for i := bits; i < 128; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	return first, last
}

// addressIn returns the address of an ipv4, ipv6 or ip-port value.
func addressIn(kind intel.Kind, value []byte) (netip.Addr, bool) {
	if kind == intel.IPPort {
		ap, err := netip.ParseAddrPort(string(value))
		return ap.Addr(), err == nil
	}
	a, err := netip.ParseAddr(string(value))
	return a, err == nil
}
