package intel

import (
	"net/netip"
	"strings"
)

// block is a network whose addresses belong to nobody in particular.
type block struct {
	prefix netip.Prefix
	why    string
}

// reserved4 and reserved6 are the networks that a feed lists by mistake only:
// RFC 6890 and its registries, without the documentation networks, which
// examples use. Read-only.
var (
	reserved4 = []block{
		{netip.MustParsePrefix("0.0.0.0/8"), "this network (0.0.0.0/8)"},
		{netip.MustParsePrefix("10.0.0.0/8"), "private (10.0.0.0/8)"},
		{netip.MustParsePrefix("100.64.0.0/10"), "shared by carriers (100.64.0.0/10)"},
		{netip.MustParsePrefix("127.0.0.0/8"), "loopback (127.0.0.0/8)"},
		{netip.MustParsePrefix("169.254.0.0/16"), "link-local (169.254.0.0/16)"},
		{netip.MustParsePrefix("172.16.0.0/12"), "private (172.16.0.0/12)"},
		{netip.MustParsePrefix("192.168.0.0/16"), "private (192.168.0.0/16)"},
		{netip.MustParsePrefix("224.0.0.0/4"), "multicast (224.0.0.0/4)"},
		{netip.MustParsePrefix("240.0.0.0/4"), "reserved for future use (240.0.0.0/4)"},
	}
	reserved6 = []block{
		{netip.MustParsePrefix("::/128"), "unspecified (::)"},
		{netip.MustParsePrefix("::1/128"), "loopback (::1)"},
		{netip.MustParsePrefix("fc00::/7"), "unique local, private (fc00::/7)"},
		{netip.MustParsePrefix("fe80::/10"), "link-local (fe80::/10)"},
		{netip.MustParsePrefix("fec0::/10"), "site-local, private (fec0::/10)"},
		{netip.MustParsePrefix("ff00::/8"), "multicast (ff00::/8)"},
	}
)

// Reserved says in a few words why i can be no threat on the internet: it, or
// its host, is a private, loopback, link-local, multicast or otherwise reserved
// address; a network wholly inside such ones; localhost or a .local name. It
// returns "" for all others, documentation networks and names among them.
func Reserved(i Indicator) string {
	switch i.Kind {
	case CIDR:
		if p, ok := i.Prefix(); ok {
			return reservedPrefix(p)
		}
		return ""
	case Domain, Email:
		return reservedName(i.Host())
	case IPv4, IPv6, IPPort, URL:
		if a, ok := i.Addr(); ok {
			return reservedAddr(a)
		}
		return reservedName(i.Host())
	}
	return ""
}

// reservedName is Reserved for a canonical host name.
func reservedName(d string) string {
	switch {
	case d == "localhost" || strings.HasSuffix(d, ".localhost"):
		return "loopback (localhost)"
	case strings.HasSuffix(d, ".local"):
		return "link-local (.local)"
	}
	return ""
}

// reservedAddr is Reserved for an address.
func reservedAddr(a netip.Addr) string {
	for _, b := range reservedBlocks(a) {
		if b.prefix.Contains(a) {
			return b.why
		}
	}
	return ""
}

// reservedBlocks returns the table for the address's family.
func reservedBlocks(a netip.Addr) []block {
	if a.Is4() {
		return reserved4
	}
	return reserved6
}

// reservedPrefix is Reserved for a network: one block may hold it, or several
// together, as 224.0.0.0/3 is multicast and future use.
func reservedPrefix(p netip.Prefix) string {
	overlap := false
	for _, b := range reservedBlocks(p.Addr()) {
		if b.prefix.Bits() <= p.Bits() && b.prefix.Contains(p.Addr()) {
			return b.why
		}
		overlap = overlap || b.prefix.Overlaps(p)
	}
	if !overlap || p.IsSingleIP() {
		return ""
	}
	low, high := halves(p)
	l := reservedPrefix(low)
	if l == "" {
		return ""
	}
	h := reservedPrefix(high)
	if h == "" || h == l {
		return h
	}
	return l + " and " + h
}

// halves splits a network in two.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	n := p.Bits()
	b := p.Addr().AsSlice()
	b[n/8] |= 0x80 >> (n % 8)
	a, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(p.Addr(), n+1), netip.PrefixFrom(a, n+1)
}
