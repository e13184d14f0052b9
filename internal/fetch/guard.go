package fetch

import (
	"net/netip"
	"slices"
	"strconv"
)

// special is one block of addresses that is not the public internet.
type special struct {
	prefix netip.Prefix
	what   string
}

// specials4 is the IANA IPv4 Special-Purpose Address Registry (RFC 6890 and
// later), multicast (RFC 5771), class E, and the one public address under which
// a cloud serves its own machines. Read-only.
var specials4 = []special{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared address space of carriers"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "the platform service of Azure"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "IETF protocol assignments"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.31.196.0/24"), "AS112 service"},
	{netip.MustParsePrefix("192.52.193.0/24"), "AMT relay service"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("192.175.48.0/24"), "AS112 service"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved or broadcast"},
}

// specials6 is the IANA IPv6 Special-Purpose Address Registry and what
// addresses of old transition schemes are left. The last rule of reserved6
// refuses everything outside 2000::/3, which is all that is assigned. Read-only.
var specials6 = []special{
	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local-use NAT64"},
	{netip.MustParsePrefix("100::/64"), "discard-only"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "dummy prefix"},
	{netip.MustParsePrefix("2001::/32"), "Teredo"},
	{netip.MustParsePrefix("2001::/23"), "IETF protocol assignments"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "AS112 service"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing"},
	{netip.MustParsePrefix("fc00::/7"), "unique local, private"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052, the well-known prefix
	globalUni6 = netip.MustParsePrefix("2000::/3")     // all that IANA has assigned for global unicast
)

// Reserved says why an address is not the public internet; "" if it is.
// Addresses that carry an IPv4 address (IPv4-mapped, NAT64, ISATAP) are as
// public as that one; those of dead transition schemes never are.
func Reserved(ip netip.Addr) string {
	if !ip.IsValid() {
		return "not an address"
	}
	ip = ip.WithZone("").Unmap()
	if ip.Is4() {
		return in(specials4, ip)
	}
	return reserved6(ip)
}

func reserved6(ip netip.Addr) string {
	b := ip.As16()
	if nat64.Contains(ip) {
		if why := in(specials4, netip.AddrFrom4([4]byte(b[12:]))); why != "" {
			return "NAT64 of an address that is " + why
		}
		return ""
	}
	if why := in(specials6, ip); why != "" {
		return why
	}
	if !globalUni6.Contains(ip) {
		return "not assigned for public use"
	}
	// ISATAP (RFC 5214): the interface id 0[02]00:5efe holds an IPv4 address.
	if (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		if why := in(specials4, netip.AddrFrom4([4]byte(b[12:]))); why != "" {
			return "ISATAP of an address that is " + why
		}
	}
	return ""
}

func in(table []special, ip netip.Addr) string {
	for _, s := range table {
		if s.prefix.Contains(ip) {
			return s.what
		}
	}
	return ""
}

// guard decides which addresses and ports one request may connect to.
type guard struct {
	allow []netip.Prefix // the exceptions of this request, and of no other
	ports []uint16       // of other services that are meant to be asked
}

// newGuard keeps the usable ones of allow. An IPv4-mapped prefix means its IPv4 one.
func newGuard(allow []netip.Prefix) guard {
	var g guard
	for _, p := range allow {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.IsValid() {
			g.allow = append(g.allow, p.Masked())
		}
	}
	return g
}

// check says why an address and port must not be connected to; "" if they may.
// An address of the request's own networks may be asked on any port.
func (g guard) check(ip netip.Addr, port uint16) string {
	plain := ip.WithZone("").Unmap()
	if slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(plain) }) {
		return ""
	}
	if why := Reserved(ip); why != "" {
		return ip.String() + ", which is " + why
	}
	if badPort(port) && !slices.Contains(g.ports, port) {
		return ip.String() + " on port " + strconv.Itoa(int(port)) + ", which belongs to another service than the web"
	}
	return ""
}

// badPort refuses ports that speak something else, so that a feed cannot make
// this program talk to mail servers, databases and the like. It is the bad
// ports of the WHATWG Fetch standard plus well-known data stores.
func badPort(p uint16) bool {
	switch p {
	case 80, 443:
		return false
	case 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, // WHATWG
		1433, 1521, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5900, 5984, 5985, 5986, 6379, 6443, 8500, 9042, 9092, 9200, 9300, 10250, 11211, 27017:
		return true
	}
	return p < 1024 && p != 81 && p != 591 && p != 981
}
