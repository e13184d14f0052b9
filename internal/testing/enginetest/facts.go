package enginetest

import (
	"net/netip"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// knownFacts is what enrichment knows of the world: with some values that feeds say
// too, and others.
type knownFacts struct {
	ranges  []factRange
	domains map[string]query.Fact
}

type factRange struct {
	first, last netip.Addr
	fact        query.Fact
}

// worldFacts returns what is known of the addresses and names of worldValues.
func worldFacts() knownFacts {
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 9, 30, 0, 0, time.UTC) }
	span := func(first, last string, f query.Fact) factRange {
		return factRange{netip.MustParseAddr(first), netip.MustParseAddr(last), f}
	}
	return knownFacts{
		ranges: []factRange{
			span("0.0.0.0", "0.0.0.255", query.Fact{Country: "DE"}),
			span("198.51.0.0", "198.51.100.0", query.Fact{Country: "NL", ASN: 64500, ASName: "KIT-AS", Org: "Kit Hosting", Asked: day(2, 27)}),
			span("198.51.100.1", "198.51.100.8", query.Fact{Country: "FR", ASN: 64501}),
			span("198.51.100.9", "198.51.100.30", query.Fact{Asked: day(3, 2)}),
			span("198.51.100.36", "198.51.255.255", query.Fact{Country: "NL", ASN: 64502, Org: "Example Hosting B.V."}),
			span("2001:db8::2", "2001:db8::4", query.Fact{Country: "US", ASN: 64500, Asked: day(3, 1)}),
			span("2001:db8::6", "2001:db8::ffff", query.Fact{Org: "network of Anna"}),
		},
		domains: map[string]query.Fact{
			"example.org":           {Registered: day(2, 20), Asked: day(3, 1)},
			"example.co.uk":         {Registered: day(1, 3), Asked: day(2, 27)},
			"paypal-secure.example": {Asked: day(3, 3)},
			"never-listed.example":  {Registered: day(2, 1)},
		},
	}
}

// Of implements query.Facts.
func (k knownFacts) Of(i intel.Indicator) query.Fact {
	s, _ := enrich.SubjectOf(i)
	if s.Domain != "" {
		return k.domains[s.Domain]
	}
	return k.At(s.Addr)
}

// At implements query.Facts.
func (k knownFacts) At(a netip.Addr) query.Fact {
	for _, r := range k.ranges {
		if a.IsValid() && !a.Less(r.first) && !r.last.Less(a) {
			return r.fact
		}
	}
	return query.Fact{}
}

// Networks implements query.Facts.
func (k knownFacts) Networks(is func(query.Fact) bool, emit func(first, last netip.Addr) bool) {
	for _, r := range k.ranges {
		if is(r.fact) && !emit(r.first, r.last) {
			return
		}
	}
}

// Domains implements query.Facts.
func (k knownFacts) Domains(is func(query.Fact) bool, emit func(name string) bool) {
	var names []string
	for name := range k.domains {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if is(k.domains[name]) && !emit(name) {
			return
		}
	}
}
