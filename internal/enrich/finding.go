package enrich

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Subject is what a source is asked about: exactly one of the three is set.
type Subject struct {
	Addr   netip.Addr `json:"addr,omitzero"`
	Domain string     `json:"domain,omitempty"` // canonical, as intel.Registrable gives it
	ASN    uint32     `json:"asn,omitempty"`
}

// SubjectOf returns what to ask about an indicator: the address, that of an ip:port
// or URL, the first one of a network; or the domain that was registered, of its host name.
// False for hashes and for what has neither.
func SubjectOf(i intel.Indicator) (Subject, bool) {
	if p, ok := i.Prefix(); ok {
		return Subject{Addr: p.Addr()}, true
	}
	if a, ok := i.Addr(); ok {
		return Subject{Addr: a}, true
	}
	switch i.Kind {
	case intel.Domain, intel.URL, intel.Email:
		if name := intel.Registrable(i.Host()); name != "" {
			return Subject{Domain: name}, true
		}
	}
	return Subject{}, false
}

// Finding is what came of asking one source about one subject. Of what was learned
// only the fields that the source knows are set; none of them where Negative says why.
type Finding struct {
	Subject Subject   `json:"subject"`
	Source  string    `json:"source"` // rdap, whois, cymru, dns, or the name of a look-up with a key
	Fetched time.Time `json:"fetched"`

	Network *Network     `json:"network,omitempty"`
	Domain  *Domain      `json:"domain,omitempty"`
	ASName  string       `json:"as_name,omitempty"` // of Network.ASN, or of the ASN asked about
	Names   []string     `json:"names,omitempty"`   // host names of the address, by reverse DNS
	Report  intel.Fields `json:"report,omitempty"`  // of a look-up with a key
	// Negative is why there is nothing: one of the words below. It is remembered, so
	// that nobody asks again before Retry.
	Negative string    `json:"negative,omitempty"`
	Retry    time.Time `json:"retry,omitzero"`
}

// HolderBits returns the length of the widest prefix that one holder has, of an address's
// family: an answer that is wider says only which registry was given the block.
func HolderBits(a netip.Addr) int {
	if a.Is4() {
		return 8
	}
	return 16
}

// Why a finding says nothing.
const (
	Unregistered = "unregistered" // there is no such registration
	Refused      = "refused"      // asked too often, or not served
	Unreachable  = "unreachable"
	Unreadable   = "unreadable" // an answer, but no record in it
)

// Asked says whether anybody could know something of a subject: not of addresses that
// everybody may use for himself or that are for documents, nor of names that no
// registry gives (RFC 6761, RFC 7686, RFC 8375, RFC 9476, ICANN's internal).
func (s Subject) Asked() bool {
	if s.Addr.IsValid() {
		i := intel.Indicator{Kind: intel.IPv4, Value: s.Addr.String()}
		if s.Addr.Is6() {
			i.Kind = intel.IPv6
		}
		return intel.Reserved(i) == "" && !slices.ContainsFunc(documents, func(p netip.Prefix) bool { return p.Contains(s.Addr) })
	}
	for _, suffix := range unregistrable {
		if s.Domain == suffix || strings.HasSuffix(s.Domain, "."+suffix) {
			return false
		}
	}
	return s.Domain != "" || s.ASN != 0
}

// Both are read-only.
var (
	documents = []netip.Prefix{ // RFC 5737, RFC 3849, RFC 9637, RFC 2544
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"),
	}
	unregistrable = []string{"alt", "example", "home.arpa", "internal", "invalid", "local", "localhost", "onion", "test"}
)
