package intel

import (
	"errors"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// plainIPv4 reads a dotted quad without leading zeros, whole.
func plainIPv4(s string) (netip.Addr, bool) {
	if len(s) < 7 || len(s) > 15 {
		return netip.Addr{}, false
	}
	var a [4]byte
	part, digits, n := 0, 0, 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			if digits > 0 && n == 0 {
				return netip.Addr{}, false
			}
			n = n*10 + int(c-'0')
			digits++
			if n > 255 {
				return netip.Addr{}, false
			}
		case c == '.' && digits > 0 && part < 3:
			a[part] = byte(n)
			part++
			digits, n = 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if part != 3 || digits == 0 {
		return netip.Addr{}, false
	}
	a[3] = byte(n)
	return netip.AddrFrom4(a), true
}

// plainAddress recognises an IPv4 address, alone, with a prefix length or with a
// port, that is canonical already.
func plainAddress(s string) (Indicator, bool) {
	end := strings.IndexAny(s, "/:")
	if end < 0 {
		_, ok := plainIPv4(s)
		return Indicator{IPv4, s}, ok
	}
	a, ok := plainIPv4(s[:end])
	if !ok {
		return Indicator{}, false
	}
	n, ok := decimal(s[end+1:], 65535)
	if s[end] == ':' {
		return Indicator{IPPort, s}, ok && n > 0
	}
	p := netip.PrefixFrom(a, n) // invalid above 32
	return Indicator{CIDR, s}, ok && n > 0 && n < 32 && p.Masked() == p
}

// parseAddr reads an address of either family as netip does, unmapped and
// without zones.
func parseAddr(s string) (netip.Addr, error) {
	if a, ok := plainIPv4(s); ok {
		return a, nil
	}
	a, err := netip.ParseAddr(s)
	if err == nil && a.Zone() != "" {
		return netip.Addr{}, errors.New("has a zone")
	}
	return a.Unmap(), err
}

// addrIndicator returns the indicator of an address.
func addrIndicator(a netip.Addr) Indicator {
	if a = a.Unmap(); a.Is4() {
		return Indicator{IPv4, a.String()}
	}
	return Indicator{IPv6, a.String()}
}

// parseIPv4 reads what has the shape of an IPv4 address.
func parseIPv4(s string) (Indicator, *fault) {
	if _, ok := plainIPv4(s); ok {
		return Indicator{IPv4, s}, nil
	}
	parts := strings.Split(s, ".")
	if len(parts) == 1 {
		return Indicator{}, &fault{CodeNotIndicator, "a bare number"}
	}
	if len(parts) != 4 {
		return Indicator{}, bad("an IPv4 address has four numbers")
	}
	for _, p := range parts {
		if len(p) > 1 && p[0] == '0' {
			return Indicator{}, bad("a number of an IPv4 address has a leading zero: octal to some programs, decimal to others")
		}
	}
	return Indicator{}, bad("a number of an IPv4 address is missing or above 255")
}

// parseIPv6 reads what has the shape of an IPv6 address without brackets.
func parseIPv6(s string) (Indicator, *fault) {
	if strings.IndexByte(s, '%') >= 0 {
		return Indicator{}, bad("an IPv6 address with a zone means something on one machine only")
	}
	a, err := parseAddr(s)
	if err != nil {
		return Indicator{}, bad("not an IPv6 address")
	}
	return addrIndicator(a), nil
}

// parseCIDR reads a network given as address and prefix length or netmask.
func parseCIDR(addr, length string) (Indicator, *fault) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		_, f := parseIPv4(addr)
		if strings.IndexByte(addr, ':') >= 0 {
			f = bad("not an IPv6 address")
		}
		return Indicator{}, f
	}
	n, ok := prefixLength(a, length)
	if !ok {
		return Indicator{}, bad("the prefix length is not a number from 1 to " + strconv.Itoa(a.BitLen()))
	}
	if a.Is4In6() && n >= 96 {
		a, n = a.Unmap(), n-96
	}
	if n == 0 {
		return Indicator{}, bad("covers the whole address space")
	}
	p := netip.PrefixFrom(a, n).Masked()
	if p.IsSingleIP() {
		return addrIndicator(p.Addr()), nil
	}
	return Indicator{CIDR, p.String()}, nil
}

// prefixLength reads a prefix length, or the netmask of an IPv4 network.
func prefixLength(a netip.Addr, s string) (int, bool) {
	if m, ok := plainIPv4(s); ok && a.Is4() {
		b := m.As4()
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		n := bits.LeadingZeros32(^v)
		return n, v<<n == 0
	}
	n, ok := decimal(s, a.BitLen())
	return n, ok
}

// parseIPPort reads address:port, [address]:port, or an IPv6 address in brackets.
func parseIPPort(s string) (Indicator, *fault) {
	if s[0] == '[' {
		return parseBracketed(s[1:])
	}
	host, port, _ := strings.Cut(s, ":")
	if _, f := parseIPv4(host); f != nil {
		return Indicator{}, f
	}
	return Indicator{IPPort, s}, checkPort(port)
}

// parseBracketed reads what follows the opening bracket of an IPv6 address.
func parseBracketed(s string) (Indicator, *fault) {
	host, port, ok := strings.Cut(s, "]")
	if !ok || strings.IndexByte(host, ':') < 0 {
		return Indicator{}, bad("brackets hold an IPv6 address and nothing else")
	}
	i, f := parseIPv6(host)
	if f != nil || port == "" {
		return i, f
	}
	if port[0] != ':' {
		return Indicator{}, bad("what follows the bracket is no port")
	}
	if f := checkPort(port[1:]); f != nil {
		return Indicator{}, f
	}
	if i.Kind == IPv6 {
		i.Value = "[" + i.Value + "]"
	}
	return Indicator{IPPort, i.Value + port}, nil
}

// checkPort refuses what is not a port in plain decimal.
func checkPort(s string) *fault {
	if n, ok := decimal(s, 65535); !ok || n == 0 {
		return bad("the port is not a number from 1 to 65535")
	}
	return nil
}

// decimal reads a number from 0 to limit, written without a leading zero or sign.
func decimal(s string, limit int) (int, bool) {
	if s == "" || len(s) > 6 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, n <= limit
}
