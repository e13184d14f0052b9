package query

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Facts is what enrichment knows of indicators: a snapshot that never changes.
// Engines find and count by it what country:, asn:, org:, registered: and enriched:
// ask for, besides what feeds say. Safe for concurrent use; it never waits.
type Facts interface {
	// Of returns what is known of an indicator: of the registered domain of its host
	// name, or of its address; of a network, that of its first address.
	Of(i intel.Indicator) Fact
	// Networks hands on, upwards (IPv4 before IPv6) and without overlap, the ranges of
	// addresses, both ends in, of each of which Of says something that is accepts. It
	// ends where emit returns false.
	Networks(is func(Fact) bool, emit func(first, last netip.Addr) bool)
	// Domains hands on, in any order, the registered domains of which Of says something
	// that is accepts.
	Domains(is func(Fact) bool, emit func(name string) bool)
}

// Fact is what queries ask about an indicator. The zero Fact is of one that nothing
// is known of.
type Fact struct {
	Country    string    // ISO 3166-1 alpha-2, upper case
	ASN        uint32    // 0 = not known
	ASName     string    // counts for org: too
	Org        string    // that holds the network
	Registered time.Time // when the domain was registered
	// Asked is when a registry was last asked about it, whatever it said: only then it
	// counts as enriched, not where offline data alone knows it.
	Asked time.Time
}

// Known says whether there is anything in it.
func (f Fact) Known() bool { return f != Fact{} }

// Fields returns the facts as Doc.Facts has them, nil where there are none.
func (f Fact) Fields() intel.Fields {
	var out intel.Fields
	add := func(name string, values ...string) { out = append(out, intel.Field{Name: name, Values: values}) }
	if f.Country != "" {
		add("country", f.Country)
	}
	if f.ASN != 0 {
		add("asn", strconv.FormatUint(uint64(f.ASN), 10))
	}
	if f.ASName != "" {
		add("as name", f.ASName)
	}
	if f.Org != "" {
		add("org", f.Org)
	}
	if !f.Registered.IsZero() {
		add("registered", f.Registered.UTC().Format(time.RFC3339))
	}
	if !f.Asked.IsZero() {
		add("enriched", f.Asked.UTC().Format(time.RFC3339))
	}
	return out
}

// FactsChange is where two snapshots of facts differ: a range of addresses, both ends
// in, or a registered domain.
type FactsChange struct {
	First, Last netip.Addr
	Domain      string
}
