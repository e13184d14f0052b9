package corpus

import (
	"net/netip"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/gaissmai/bart"
)

// networks finds the listed networks that cover an address or network. It is
// derived from the cidr sections and depends on nothing else, so that views
// share it as long as no segment with networks changes.
type networks struct {
	segs  []*segment // those that list networks
	table bart.Table[uint32]
	refs  []netRef // refs[0] is not used
}

// netRef is one listing of a network and the next one of the same network.
type netRef struct {
	next uint32
	ref  uint32 // heap offset/4
	seg  uint16 // in networks.segs
}

// buildNetworks makes the table of these segments, all of which list networks,
// without their dead records.
func buildNetworks(segs []*segment, dead []*roaring.Bitmap) (*networks, error) {
	n := &networks{segs: segs, refs: make([]netRef, 1)}
	if len(segs) > maxSegments {
		return nil, errTooMany
	}
	// The last one inserted is the first of a chain: go backwards to have the
	// listings of one network in segment order.
	err := guard(segs, func() error {
		for i, s := range slices.Backward(segs) {
			for j := range s.cidr.n {
				row, err := s.row(s.cidr, j)
				if err != nil {
					return err
				}
				p, ref, ok := cidrOf(row)
				if !ok {
					return s.bad(int(ref) * 4)
				}
				if s.isDead(dead[i], ref) {
					continue
				}
				head := uint32(len(n.refs))
				n.table.Modify(p, func(next uint32, _ bool) (uint32, bool) {
					n.refs = append(n.refs, netRef{next: next, ref: ref, seg: uint16(i)})
					return head, false
				})
			}
		}
		return nil
	})
	return n, err
}

// covering calls yield with the place in segs and the heap offset/4 of every
// listing of a network that covers p (or is p), the most specific network first,
// until it returns false.
func (n *networks) covering(p netip.Prefix, yield func(seg int, ref uint32) bool) {
	for _, head := range n.table.Supernets(p) {
		for i := head; i != 0; i = n.refs[i].next {
			if !yield(int(n.refs[i].seg), n.refs[i].ref) {
				return
			}
		}
	}
}

// appendCIDR encodes a row of a cidr section but for the heap offset.
func appendCIDR(b []byte, p netip.Prefix) []byte {
	a := p.Addr().As16()
	family := byte(6)
	if p.Addr().Is4() {
		family = 4
	}
	return append(append(b, a[:]...), byte(p.Bits()), family, 0, 0)
}

// cidrOf decodes a row of a cidr section.
func cidrOf(row []byte) (p netip.Prefix, ref uint32, ok bool) {
	a := netip.AddrFrom16([16]byte(row[:16]))
	if row[17] == 4 {
		a = a.Unmap()
	}
	p = netip.PrefixFrom(a, int(row[16]))
	return p, le.Uint32(row[20:]), p.IsValid()
}
