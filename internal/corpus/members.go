package corpus

import (
	"bytes"
	"net/netip"
	"slices"
	"sort"

	"github.com/RoaringBitmap/roaring/v2"

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

// members finds the addresses, ip:ports and networks listed inside p: by feed id
// the addresses, then the networks, both by address.
func (f *finder) members(p netip.Prefix) {
	limit := len(f.out) + f.v.c.opt.MaxMembers
	for i := 0; i < len(f.v.segs); {
		if f.err == nil {
			f.err = f.ctx.Err()
		}
		first := i
		for i < len(f.v.segs) && f.v.owner[i] == f.v.owner[first] {
			i++
		}
		for _, networks := range []bool{false, true} {
			if !f.inside(p, networks, first, i, limit) {
				f.out = f.out[:limit]
				f.tooMany(p)
				return
			}
		}
	}
}

// inside adds what the segments of one feed, from one to before another, list
// inside p: addresses or networks. False says that these are more than the limit.
func (f *finder) inside(p netip.Prefix, networks bool, from, to, limit int) bool {
	var rows []*insideRows
	for i := from; i < to; i++ {
		r := newInsideRows(f.v.segs[i], f.v.dead[i], p, networks)
		r.seek(f)
		if r.next(f); r.row != nil {
			rows = append(rows, r)
		}
	}
	for len(rows) > 0 {
		k := 0
		for i, r := range rows {
			if bytes.Compare(r.key(), rows[k].key()) < 0 {
				k = i
			}
		}
		r := rows[k]
		f.related(f.v.owner[from], r.s, r.ref, intel.RelMember)
		if len(f.out) > limit {
			return false
		}
		if r.next(f); r.row == nil {
			rows = slices.Delete(rows, k, k+1)
		}
	}
	return true
}

// insideRows are the rows of one section that are inside a network.
type insideRows struct {
	s           *segment
	dead        *roaring.Bitmap
	p           netip.Prefix
	networks    bool
	sec         rows
	first, last []byte

	i   int    // the next one
	row []byte // the one in hand; nil at the end
	ref uint32 // its record
}

func newInsideRows(s *segment, dead *roaring.Bitmap, p netip.Prefix, networks bool) *insideRows {
	first, last := prefixRange(p)
	r := &insideRows{s: s, dead: dead, p: p, networks: networks, sec: s.cidr, first: first[:], last: last[:]}
	switch {
	case networks:
	case p.Addr().Is4():
		r.sec, r.first, r.last = s.addr4, first[12:], last[12:]
	default:
		r.sec = s.addr6
	}
	return r
}

// key is what rows are ordered by: the address, and the length of a network.
func (r *insideRows) key() []byte { return r.row[:len(r.row)-4] }

// seek goes to the first row that is not below the network.
func (r *insideRows) seek(f *finder) {
	r.i = sort.Search(r.sec.n, func(i int) bool {
		row, err := r.s.row(r.sec, i)
		if err != nil {
			f.fail(err)
			return true
		}
		return bytes.Compare(row[:len(r.first)], r.first) >= 0
	})
}

// next takes the next row of a record that is a member and not dead.
func (r *insideRows) next(f *finder) {
	for r.row = nil; r.i < r.sec.n; {
		row, err := r.s.row(r.sec, r.i)
		if err != nil {
			f.fail(err)
			return
		}
		if bytes.Compare(row[:len(r.last)], r.last) > 0 {
			return
		}
		r.i++
		r.ref = le.Uint32(row[len(row)-4:])
		if member, err := r.member(row); err != nil {
			f.fail(err)
		} else if member && !r.s.isDead(r.dead, r.ref) {
			r.row = row
			return
		}
	}
}

// member says whether a row is that of a member: URLs at an address are none.
func (r *insideRows) member(row []byte) (bool, error) {
	if r.networks {
		net, ref, ok := cidrOf(row)
		if !ok {
			return false, r.s.bad(int(ref) * 4)
		}
		return net.Bits() >= r.p.Bits() && net.Addr().Is4() == r.p.Addr().Is4(), nil
	}
	at := int(r.ref) * 4
	if at >= len(r.s.heap) {
		return false, r.s.bad(at)
	}
	return intel.Kind(r.s.heap[at]) != intel.URL, r.s.check(at, 1)
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
