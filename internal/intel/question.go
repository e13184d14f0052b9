package intel

import "net/netip"

// Key is one equality look-up: an indicator to find, and how a listing of it
// bears on the value asked for.
type Key struct {
	Indicator
	Relation Relation
}

// Question is everything to look for about one value. Ask makes it; engines
// answer it, and none of them decides what is related to what.
type Question struct {
	Indicator Indicator
	Keys      []Key        // exact, host, parent: equality look-ups, no duplicates
	Covers    netip.Prefix // valid: listed networks that cover it are wanted (RelNetwork), save one that equals Indicator
	Inside    netip.Prefix // valid: addresses, ip:ports and networks listed inside it are wanted (RelMember), save Indicator itself
}

// Ask returns the question that a look-up of i asks.
func Ask(i Indicator) Question {
	return Question{Indicator: i, Keys: []Key{{i, RelExact}}}
}

// Parents returns the domains above domain, nearest first, none of them a
// public suffix.
func Parents(domain string) []string { return nil }

// Reserved says why i is never a threat ("private", "loopback", …), or "".
func Reserved(i Indicator) string { return "" }

// Addr returns the address of an ipv4, ipv6 or ip-port, and a URL's host where
// that is an address.
func (i Indicator) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(i.Value)
	return a, err == nil
}

// Prefix returns a cidr's network, and an address as /32 or /128.
func (i Indicator) Prefix() (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(i.Value)
	return p, err == nil
}

// Host returns the host of a url, ip-port, email, domain or address; "" for
// hashes and networks.
func (i Indicator) Host() string { return i.Value }
