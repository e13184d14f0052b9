package intel

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

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

// Ask returns the question that a look-up of i asks:
//
//   - ipv4, ipv6: itself, the networks that cover it, the ip:ports at it
//   - cidr: itself, the networks that cover it, everything listed inside it
//   - ip-port: itself, its address, the networks that cover that
//   - domain: itself and the domains above it
//   - url: itself, its host, the domains above or the networks that cover that
//   - email, hashes: itself
func Ask(i Indicator) Question {
	q := Question{Indicator: i}
	switch i.Kind {
	case IPv4, IPv6, CIDR:
		p, ok := i.Prefix()
		q.Keys = []Key{{i, RelExact}}
		if ok {
			q.Covers, q.Inside = p, p
		}
	case IPPort, URL:
		q.askHost()
	case Domain:
		q.Keys = appendParents(append(make([]Key, 0, 1+strings.Count(i.Value, ".")), Key{i, RelExact}), i.Value)
	default:
		q.Keys = []Key{{i, RelExact}}
	}
	return q
}

// askHost fills in the question about something that has a host.
func (q *Question) askHost() {
	i := q.Indicator
	host := i.Host()
	q.Keys = append(make([]Key, 0, 2+strings.Count(host, ".")), Key{i, RelExact})
	if a, ok := i.Addr(); ok {
		q.Keys = append(q.Keys, Key{addrIndicator(a), RelHost})
		q.Covers = netip.PrefixFrom(a, a.BitLen())
		return
	}
	if host != "" {
		q.Keys = appendParents(append(q.Keys, Key{Indicator{Domain, host}, RelHost}), host)
	}
}

// appendParents appends a key for each of the domain's parents.
func appendParents(keys []Key, domain string) []Key {
	for p := range parents(domain) {
		keys = append(keys, Key{Indicator{Domain, p}, RelParent})
	}
	return keys
}

// Parents returns the domains above domain, nearest first, down to the one that
// was registered: none of them is a public suffix (the public suffix list, with
// its private part, so that neighbours at a hoster are not each other's kin).
// A name whose last label the list does not have counts as registered below that.
func Parents(domain string) []string {
	var out []string
	for p := range parents(domain) {
		out = append(out, p)
	}
	return out
}

// Registered returns the domain under which domain was registered, domain itself
// where it is that one, and "" where it is a public suffix.
func Registered(domain string) string {
	name, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return ""
	}
	return name
}

// Registrable returns the domain that a registry gave under which domain is, domain
// itself where it is that one, and "" where it is a public suffix of a registry.
// Registered goes by all public suffixes, those of hosters too: of a.github.io it is
// a.github.io, while it is github.io that somebody registered.
func Registrable(domain string) string {
	suffix, registry := publicsuffix.PublicSuffix(domain)
	for !registry {
		_, above, ok := strings.Cut(suffix, ".")
		if !ok {
			break
		}
		suffix, registry = publicsuffix.PublicSuffix(above)
	}
	rest, ok := strings.CutSuffix(domain, "."+suffix)
	if !ok || rest == "" {
		return ""
	}
	return rest[strings.LastIndexByte(rest, '.')+1:] + "." + suffix
}

// parents yields what Parents returns.
func parents(domain string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		suffix, _ := publicsuffix.PublicSuffix(domain)
		for {
			_, rest, ok := strings.Cut(domain, ".")
			if !ok || len(rest) <= len(suffix) || !yield(rest) {
				return
			}
			domain = rest
		}
	}
}
