package query

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Search is what an engine is asked: which listings, in which order, and how
// much of the answer is wanted. Engines implement it and hold to Match, Compare
// and Doc.Facet for what it means.
type Search struct {
	Query Node
	AsOf  time.Time // listings as they stood then, those that began later left out; zero = now
	Sort  Sort
	After *Position // only what comes behind it; nil = from the beginning

	Limit      int           // most listings to emit; 0 = all, negative = none (count and facets)
	Facets     []Field       // fields to count the values of, over all that matches; CanFacet
	FacetLimit int           // values per facet, the most frequent first; 0 = 10
	Budget     time.Duration // how long it may take; 0 = as long as ctx
	// Facts is what enrichment knows, for engines that do not keep it themselves; nil =
	// nothing. Whatever AsOf is, it is what is known now.
	Facts Facts
	// FactsID tells contents of Facts apart, so that what was made of them is kept for
	// the next search; "" = nothing is kept.
	FactsID string
}

// Page says what a search found beyond the listings it emitted.
type Page struct {
	Total   int  // listings that match, wherever the page begins
	Exact   bool // false: there are at least Total
	Partial bool // the budget ended the search: what was emitted is right and in order, but more may follow
	More    bool // the limit ended the page: more follows the last position, or may
	Facets  []Facet
}

// Facet counts the listings that match by their values in one field.
type Facet struct {
	Field  Field
	Values []FacetValue // by count, the largest first, then by value
	Other  int          // counts of the values that did not fit in, together
	Exact  bool         // false: counts are of a part of what matches
}

// FacetValue is one value of a facet and how many listings have it.
type FacetValue struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// NewFacet makes a facet of exact counts by value. limit is Search.FacetLimit.
func NewFacet(f Field, counts map[string]int, limit int) Facet {
	out := Facet{Field: f, Exact: true}
	for v, n := range counts {
		out.Values = append(out.Values, FacetValue{Value: v, Count: n})
	}
	slices.SortFunc(out.Values, func(a, b FacetValue) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	if limit <= 0 {
		limit = 10
	}
	for _, v := range out.Values[min(limit, len(out.Values)):] {
		out.Other += v.Count
	}
	out.Values = out.Values[:min(limit, len(out.Values))]
	return out
}

// CanFacet says whether the values of the field can be counted.
func CanFacet(f Field) bool {
	if _, ok := f.Context(); ok {
		return true
	}
	info, ok := lookupField(string(f))
	return ok && info.class != classNet && info.class != classAsked && info.class != classNone
}

// Facet returns the values by which a listing is counted in a field, all
// different: texts in the form in which they are compared as a whole (Keyword;
// folded for value, domain, feed, country and tlp), numbers in decimal, dates as
// days (UTC), kinds by name, listed as true or false.
func (d Doc) Facet(f Field) []string {
	var out []string
	info, _ := lookupField(string(f))
	switch info.class {
	case classKind:
		return []string{d.Listing.Kind.String()}
	case classListed:
		return []string{strconv.FormatBool(d.Listing.Listed)}
	case classNumber:
		for _, n := range d.Numbers(f) {
			out = append(out, formatNumber(n))
		}
	case classDate, classAsked:
		for _, t := range d.Times(f) {
			out = append(out, t.UTC().Format(time.DateOnly))
		}
	case classValue:
		return []string{d.Listing.Canonical}
	default:
		norm := wholeForm(f)
		for s := range d.Values(f) {
			if s = norm(s); s != "" {
				out = append(out, s)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// SortBy is what a search is ordered by.
type SortBy uint8

// The orders. Each has its natural direction: the newest and the surest first,
// values upwards.
const (
	ByChanged    SortBy = iota // when the listing last changed: listed, updated or no longer listed
	ByFirstSeen                // our first seen
	ByLastSeen                 // our last seen
	ByConfidence               // 0-100
	ByValue                    // kind, then the canonical value in byte order
)

// sortNames are the names of the orders. Read-only.
var sortNames = [...]string{ByChanged: "changed", ByFirstSeen: "first_seen", ByLastSeen: "last_seen", ByConfidence: "confidence", ByValue: "value"}

// Sort is an order: a key, and then, whatever the direction, feed id, kind and
// value upwards. It is total, since a feed lists an indicator once.
type Sort struct {
	By      SortBy
	Reverse bool // against the natural direction of By
}

// SortNames returns what ParseSort takes, for help: each name also with - in front.
func SortNames() []string { return slices.Clone(sortNames[:]) }

// ParseSort reads the name of an order, with - in front for the reverse. Empty
// is newest change first.
func ParseSort(s string) (Sort, error) {
	name, reverse := strings.CutPrefix(s, "-")
	if i := slices.Index(sortNames[:], name); i >= 0 {
		return Sort{SortBy(i), reverse}, nil
	}
	if s == "" {
		return Sort{}, nil
	}
	return Sort{}, fmt.Errorf("order %q: expected one of %s, or one of them with - in front for the reverse", s, strings.Join(sortNames[:], ", "))
}

// String returns what ParseSort reads.
func (s Sort) String() string {
	if s.Reverse {
		return "-" + sortNames[s.By]
	}
	return sortNames[s.By]
}

// Position is where a listing stands in an order.
type Position struct {
	Key       int64 // Unix milliseconds, or the confidence; 0 for ByValue
	Feed      string
	Indicator intel.Indicator
}

// Position returns where a listing stands in this order. For ByChanged the
// listing's Changed must be set.
func (s Sort) Position(l *intel.Listing) Position {
	p := Position{Feed: l.Feed, Indicator: intel.Indicator{Kind: l.Kind, Value: l.Canonical}}
	switch s.By {
	case ByChanged:
		p.Key = l.Changed.UnixMilli()
	case ByFirstSeen:
		p.Key = l.FirstSeen.UnixMilli()
	case ByLastSeen:
		p.Key = l.LastSeen.UnixMilli()
	case ByConfidence:
		p.Key = int64(l.Confidence)
	}
	return p
}

// Compare is negative where a comes before b in the order.
func (s Sort) Compare(a, b Position) int {
	c := cmp.Compare(b.Key, a.Key) // the newest and surest first
	if s.By == ByValue {
		c = compareIndicators(a.Indicator, b.Indicator)
	}
	if s.Reverse {
		c = -c
	}
	if c == 0 {
		c = strings.Compare(a.Feed, b.Feed)
	}
	if c == 0 {
		c = compareIndicators(a.Indicator, b.Indicator)
	}
	return c
}

func compareIndicators(a, b intel.Indicator) int {
	if c := cmp.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	return strings.Compare(a.Value, b.Value)
}
