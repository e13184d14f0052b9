package parse

import (
	"math/bits"
	"net/netip"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// prefixes returns the fewest networks that are just the addresses from first to
// last: at most 62 for IPv4, 254 for IPv6. It is empty where there are none.
func prefixes(first, last netip.Addr) []netip.Prefix {
	if first.BitLen() != last.BitLen() || last.Less(first) {
		return nil
	}
	var list []netip.Prefix
	for a := first; ; {
		n := a.BitLen() - trailingZeros(a)
		for netip.PrefixFrom(a, n).Masked().Addr() != a || last.Less(intel.LastAddr(netip.PrefixFrom(a, n))) {
			n++
		}
		p := netip.PrefixFrom(a, n)
		list = append(list, p)
		end := intel.LastAddr(p)
		if end == last {
			return list
		}
		a = end.Next()
	}
}

// trailingZeros counts the zero bits at the end of an address.
func trailingZeros(a netip.Addr) int {
	b := a.AsSlice()
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0 {
			return (len(b)-1-i)*8 + bits.TrailingZeros8(b[i])
		}
	}
	return a.BitLen()
}

// parseRange reads "a-b", two addresses of one family.
func parseRange(s string) (first, last netip.Addr, ok bool) {
	a, b, found := strings.Cut(s, "-")
	if !found {
		return first, last, false
	}
	first, err := netip.ParseAddr(intel.Trim(a))
	if err != nil || first.Zone() != "" {
		return first, last, false
	}
	last, err = netip.ParseAddr(intel.Trim(b))
	return first, last, err == nil && last.Zone() == "" && first.BitLen() == last.BitLen()
}

// spread takes a range as its networks, each of which is a record.
func (c *collector) spread(no int, text string, first, last netip.Addr, context ...pair) {
	list := prefixes(first, last)
	if list == nil {
		c.reject(no, text, "the range ends before it begins")
	}
	for _, p := range list {
		value := p.String()
		if p.IsSingleIP() {
			value = p.Addr().String()
		}
		c.listing(no, value, context...)
	}
}
