package enrich

import (
	"net/netip"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Subject is what a source is asked about: exactly one of the three is set.
type Subject struct {
	Addr   netip.Addr `json:"addr,omitzero"`
	Domain string     `json:"domain,omitempty"` // a registered domain, canonical
	ASN    uint32     `json:"asn,omitempty"`
}

// SubjectOf returns what to ask about an indicator: the address, that of an ip:port
// or URL, the first one of a network; or the registered domain of its host name.
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
		if name := intel.Registered(i.Host()); name != "" {
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
	// Negative is why there is nothing: "unregistered", "refused", "unreachable", "unreadable", "private" …
	// It is remembered, so that nobody asks again before Retry.
	Negative string    `json:"negative,omitempty"`
	Retry    time.Time `json:"retry,omitzero"`
}
