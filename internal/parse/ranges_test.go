package parse

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// TestPrefixes compares with all ranges of a small block, address by address.
func TestPrefixes(t *testing.T) {
	for _, format := range []string{"192.0.2.%d", "2001:db8::%x"} {
		at := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf(format, i)) }
		for first := range 66 {
			for last := first; last < 66; last++ {
				list := prefixes(at(first), at(last))
				next := at(first)
				for i, p := range list {
					if p.Addr() != next || p.Masked() != p {
						t.Fatalf("%v-%v: %v", next, at(last), list)
					}
					if i > 0 && p.Bits() > 0 {
						wide := netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
						if list[i-1] == netip.PrefixFrom(wide.Addr(), p.Bits()) {
							t.Fatalf("%v and %v are one network", list[i-1], p)
						}
					}
					next = intel.LastAddr(p).Next()
				}
				if next != at(last+1) {
					t.Fatalf("%v-%v: %v", at(first), at(last), list)
				}
			}
		}
	}
	most := prefixes(netip.MustParseAddr("::1"), netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"))
	all := prefixes(netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("255.255.255.255"))
	if len(most) != 254 || len(all) != 1 || prefixes(at4(2), at4(1)) != nil {
		t.Errorf("%d, %v", len(most), all)
	}
}

func at4(i byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, i}) }
