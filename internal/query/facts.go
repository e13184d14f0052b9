package query

import (
	"net/netip"
	"slices"
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
	// At is Of of an address.
	At(a netip.Addr) Fact
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

// HasFacts says whether enrichment says something of a field.
func HasFacts(f Field) bool {
	switch f {
	case FieldCountry, FieldASN, FieldOrg, FieldRegistered, FieldEnriched:
		return true
	}
	return false
}

// AsksFacts says whether something in the query is about a field of enrichment.
func AsksFacts(n Node) bool {
	switch n := n.(type) {
	case And:
		return slices.ContainsFunc(n.Nodes, AsksFacts)
	case Or:
		return slices.ContainsFunc(n.Nodes, AsksFacts)
	case Not:
		return AsksFacts(n.Node)
	}
	f, ok := leafField(n)
	return ok && HasFacts(f)
}

// leafField returns the field of a node that has one.
func leafField(n Node) (Field, bool) {
	switch n := n.(type) {
	case Term:
		return n.Field, true
	case Phrase:
		return n.Field, true
	case Prefix:
		return n.Field, true
	case Wildcard:
		return n.Field, true
	case Equal:
		return n.Field, true
	case Exists:
		return n.Field, true
	case Number:
		return n.Field, true
	case Date:
		return n.Field, true
	}
	return "", false
}

// FactMatch returns whether a fact alone makes a leaf match, nil where no fact can:
// where the leaf is not about a field of enrichment. What it returns is not safe for
// concurrent use: it remembers what it said.
func FactMatch(n Node) func(Fact) bool {
	f, ok := leafField(n)
	if !ok || !HasFacts(f) {
		return nil
	}
	// Most facts have one of few values in the field: what was said of one is remembered,
	// but for numbers and times, which are as fast to compare.
	switch n := n.(type) {
	case Number:
		return func(f Fact) bool { return f.ASN != 0 && n.has(float64(f.ASN)) }
	case Date:
		if f == FieldEnriched {
			return func(f Fact) bool { return !f.Asked.IsZero() && n.has(f.Asked.Truncate(time.Second)) }
		}
	}
	nothing := intel.Listing{}
	said := map[Fact]bool{}
	return func(x Fact) bool {
		x = x.only(f)
		yes, ok := said[x]
		if !ok {
			yes = Match(n, Doc{Listing: &nothing, Facts: x.Fields()})
			said[x] = yes
		}
		return yes
	}
}

// only returns what a fact says of one field.
func (f Fact) only(field Field) Fact {
	switch field {
	case FieldCountry:
		return Fact{Country: f.Country}
	case FieldASN:
		return Fact{ASN: f.ASN}
	case FieldOrg:
		return Fact{Org: f.Org, ASName: f.ASName}
	case FieldRegistered:
		return Fact{Registered: f.Registered}
	}
	return Fact{Asked: f.Asked}
}

// NewlyRegistered returns the query with whatever asks for the tag of newly registered
// domains (intel.TagNew) asking for the dates of registration as well: answers show
// the tag by those, and no listing has it for that.
func NewlyRegistered(n Node, now time.Time) Node {
	switch n := n.(type) {
	case And:
		return And{n.Pos, eachNode(n.Nodes, now)}
	case Or:
		return Or{n.Pos, eachNode(n.Nodes, now)}
	case Not:
		return Not{n.Pos, NewlyRegistered(n.Node, now)}
	}
	tagged := intel.Listing{Tags: []string{intel.TagNew}}
	if f, ok := leafField(n); !ok || f != FieldTag || !Match(n, Doc{Listing: &tagged}) || Match(n, Doc{Listing: &intel.Listing{Tags: []string{"another"}}}) {
		return n
	}
	return Or{Pos(n.Column()), []Node{n, Date{Pos: Pos(n.Column()), Field: FieldRegistered, From: now.Add(-intel.NewDomain)}}}
}

func eachNode(nodes []Node, now time.Time) []Node {
	out := make([]Node, len(nodes))
	for i, n := range nodes {
		out[i] = NewlyRegistered(n, now)
	}
	return out
}
