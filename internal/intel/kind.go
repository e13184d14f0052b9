package intel

import (
	"fmt"
	"math/bits"
	"strings"
)

// Kind is what sort of value an indicator is. The numbers are stored on disk:
// append new kinds at the end and never renumber.
type Kind uint8

// The kinds ElasticIntel holds.
const (
	KindNone Kind = iota
	IPv4          // an IPv4 address, 192.0.2.1
	IPv6          // an IPv6 address in RFC 5952 form
	CIDR          // a network with its host bits masked, 192.0.2.0/24
	IPPort        // an address with a port, 192.0.2.1:443 or [2001:db8::1]:443
	Domain        // a host name in lower-case A-label form, without trailing dot
	URL           // a WHATWG-serialised URL without fragment and default port
	Email         // local@domain, the domain as Domain
	MD5           // 32 hex digits
	SHA1          // 40 hex digits
	SHA256        // 64 hex digits
	SHA512        // 128 hex digits
	kindEnd
)

var kindNames = [...]string{"", "ipv4", "ipv6", "cidr", "ip-port", "domain", "url", "email", "md5", "sha1", "sha256", "sha512"}

// String returns the name used in JSON, queries and files: "ipv4", "ip-port", …
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a single kind's name as String writes it.
func (k *Kind) UnmarshalText(b []byte) error {
	for i, n := range kindNames {
		if i > 0 && n == string(b) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("unknown kind %q (known: %s)", b, strings.Join(kindNames[1:], " "))
}

// KindSet is a set of kinds, one bit a kind: what a feed says it holds.
type KindSet uint32

// Sets of kinds that have a name of their own.
const (
	Hashes   KindSet = 1<<MD5 | 1<<SHA1 | 1<<SHA256 | 1<<SHA512
	Address  KindSet = 1<<IPv4 | 1<<IPv6
	Networks KindSet = Address | 1<<CIDR
	AnyKind  KindSet = 1<<kindEnd - 2
)

// Set returns the set that holds k alone.
func (k Kind) Set() KindSet { return 1 << k }

// Has says whether k is in the set.
func (s KindSet) Has(k Kind) bool { return s&(1<<k) != 0 }

// Kinds lists the set's members in number order.
func (s KindSet) Kinds() []Kind {
	out := make([]Kind, 0, bits.OnesCount32(uint32(s)))
	for k := IPv4; k < kindEnd; k++ {
		if s.Has(k) {
			out = append(out, k)
		}
	}
	return out
}

// String lists the members' names, comma separated, or "auto" for all kinds.
func (s KindSet) String() string {
	if s == AnyKind {
		return "auto"
	}
	names := make([]string, 0, 4)
	for _, k := range s.Kinds() {
		names = append(names, k.String())
	}
	return strings.Join(names, ",")
}

// setNames are the names a feed definition may use for indicator_type beyond the
// kinds' own: those of the 2018 feed format, and "auto". Read-only.
var setNames = map[string]KindSet{
	"auto":      AnyKind,
	"ipaddress": Address,
	"ip":        Networks,
	"hash":      Hashes,
	"proxy":     IPPort.Set(),
	"cidr":      Networks, // a bare address or a /32 in a list of networks is an address
	"ipv6":      IPv6.Set(),
}

// ParseKindSet reads a kind's name, a seed name (ipaddress, hash, proxy) or "auto".
// A cidr feed accepts bare addresses, since a /32 is an address.
func ParseKindSet(name string) (KindSet, error) {
	n := strings.ToLower(strings.TrimSpace(name))
	if s, ok := setNames[n]; ok {
		return s, nil
	}
	var k Kind
	if err := k.UnmarshalText([]byte(n)); err != nil {
		return 0, fmt.Errorf("unknown indicator type %q (known: auto ipaddress ip hash proxy %s)", name, strings.Join(kindNames[1:], " "))
	}
	return k.Set(), nil
}
