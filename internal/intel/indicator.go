package intel

import (
	"net/netip"
	"strings"
)

// Addr returns the address of an ipv4, ipv6 or ip-port, and a URL's host where
// that is an address. It is never an IPv4-mapped one.
func (i Indicator) Addr() (netip.Addr, bool) {
	switch i.Kind {
	case IPv4, IPv6, IPPort, URL:
		h := i.Host()
		if h == "" || h[0] > '9' && strings.IndexByte(h, ':') < 0 {
			return netip.Addr{}, false // a name
		}
		a, err := parseAddr(h)
		return a, err == nil
	}
	return netip.Addr{}, false
}

// Prefix returns a cidr's network, and the address of an ipv4 or ipv6 as /32 or
// /128.
func (i Indicator) Prefix() (netip.Prefix, bool) {
	switch i.Kind {
	case CIDR:
		p, err := netip.ParsePrefix(i.Value)
		return p, err == nil
	case IPv4, IPv6:
		if a, ok := i.Addr(); ok {
			return netip.PrefixFrom(a, a.BitLen()), true
		}
	}
	return netip.Prefix{}, false
}

// Host returns the host of a url, ip-port, email, domain or address as a domain
// or address would be listed: without brackets and trailing dot; "" for hashes
// and networks.
func (i Indicator) Host() string {
	switch i.Kind {
	case IPv4, IPv6, Domain:
		return i.Value
	case IPPort:
		return unbracket(i.Value[:max(strings.LastIndexByte(i.Value, ':'), 0)]) // damaged data may lack the colon
	case Email:
		return i.Value[strings.LastIndexByte(i.Value, '@')+1:]
	case URL:
		return urlHost(i.Value)
	}
	return ""
}

// urlHost returns the host of a canonical URL.
func urlHost(u string) string {
	scheme, rest, ok := strings.Cut(u, "://")
	if !ok {
		return ""
	}
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		rest = rest[:end]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if strings.HasPrefix(rest, "[") {
		return unmapped(unbracket(rest[:strings.LastIndexByte(rest, ']')+1]))
	}
	rest, _, _ = strings.Cut(rest, ":")
	if !special(scheme) { // as written; only special URLs have canonical hosts
		if _, ok := plainIPv4(rest); ok {
			return rest
		}
		if d, f := parseDomain(rest); f == nil {
			return d
		}
	}
	return strings.TrimSuffix(rest, ".")
}

// unbracket drops the brackets around an IPv6 address.
func unbracket(h string) string {
	return strings.TrimSuffix(strings.TrimPrefix(h, "["), "]")
}

// unmapped returns an IPv6 host as text, an IPv4-mapped one as IPv4.
func unmapped(h string) string {
	if a, err := netip.ParseAddr(h); err == nil && a.Is4In6() {
		return a.Unmap().String()
	}
	return h
}

// LastAddr returns the last address of a network.
func LastAddr(p netip.Prefix) netip.Addr {
	if p.Addr().Is4() {
		b := p.Addr().As4()
		setBits(b[:], p.Bits())
		return netip.AddrFrom4(b)
	}
	b := p.Addr().As16()
	setBits(b[:], p.Bits())
	return netip.AddrFrom16(b)
}

// setBits sets the bits from one on.
func setBits(b []byte, from int) {
	for i := range b {
		b[i] |= byte(0xff >> min(max(from-8*i, 0), 8))
	}
}
