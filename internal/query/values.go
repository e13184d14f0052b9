package query

import (
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Doc is what a query is held against: a listing, as it stands at the instant
// searched at, and what enrichment knows of its indicator. Its methods are what
// engines index; they and Match cannot differ.
type Doc struct {
	Listing *intel.Listing
	Facts   intel.Fields // country, asn, org, registered, under any of ContextNames; often nil
}

// Values yields the texts of a field, empty ones left out; no phrase goes from
// one to the next. Some may come twice. The texts of FieldAny are: the canonical
// value and what the feed wrote; tags, malware, threat type, description,
// reference; the feed's id, name and provider; every value of the context.
// Fields of numbers and instants have none, nor have net, kind and listed.
func (d Doc) Values(f Field) iter.Seq[string] {
	return func(yield func(string) bool) {
		d.values(f, func(s string) bool { return s == "" || yield(s) })
	}
}

// anyFields are the parts of FieldAny that have a field of their own, but for
// the feed's name and the context. Read-only.
var anyFields = []Field{FieldValue, FieldTag, FieldMalware, FieldThreatType, FieldDescription, FieldReference, FieldFeed, FieldProvider}

func (d Doc) values(f Field, yield func(string) bool) bool {
	l := d.Listing
	switch f {
	case FieldAny:
		return d.anyText(yield)
	case FieldValue:
		return yield(l.Canonical) && (l.Original == l.Canonical || yield(l.Original))
	case FieldDomain:
		return yield(d.Host())
	case FieldFeed:
		return yield(l.Feed)
	case FieldProvider:
		return yield(l.Provider)
	case FieldTag:
		return each(l.Tags, yield)
	case FieldMalware:
		return d.typed(l.Malware, intel.FieldMalware, yield)
	case FieldThreatType:
		return d.typed(l.ThreatType, intel.FieldThreatType, yield)
	case FieldDescription:
		return d.typed(l.Description, intel.FieldDescription, yield)
	case FieldReference:
		return d.typed(l.Reference, intel.FieldReference, yield)
	case FieldTLP:
		return d.typed(l.TLP, intel.FieldTLP, yield)
	case FieldCountry, FieldOrg:
		return d.named(contextNames[f], yield)
	}
	if name, ok := f.Context(); ok {
		return named(l.Context, []string{name}, yield)
	}
	return true
}

func (d Doc) anyText(yield func(string) bool) bool {
	for _, f := range anyFields {
		if !d.values(f, yield) {
			return false
		}
	}
	if i := d.Listing.Info; i != nil && !yield(i.Name) {
		return false
	}
	for _, e := range d.Listing.Context {
		if !each(e.Values, yield) {
			return false
		}
	}
	return true
}

// typed yields the value that a listing shows in a place of its own, and all of
// them where it has several.
func (d Doc) typed(first, name string, yield func(string) bool) bool {
	return yield(first) && each(d.Listing.Context.Get(name), yield)
}

// named yields the values of facts and context fields with one of the names.
func (d Doc) named(names []string, yield func(string) bool) bool {
	return named(d.Facts, names, yield) && named(d.Listing.Context, names, yield)
}

func named(fields intel.Fields, names []string, yield func(string) bool) bool {
	for _, e := range fields {
		if slices.Contains(names, Keyword(e.Name)) && !each(e.Values, yield) {
			return false
		}
	}
	return true
}

func each(values []string, yield func(string) bool) bool {
	for _, v := range values {
		if !yield(v) {
			return false
		}
	}
	return true
}

// Numbers returns the numbers of a field: confidence; the port in an ip:port, in
// a URL that names one, or in the context; the number of an autonomous system;
// for context fields, every value that is a plain number, with or without %.
func (d Doc) Numbers(f Field) []float64 {
	var out []float64
	switch f {
	case FieldConfidence:
		return []float64{float64(d.Listing.Confidence)}
	case FieldPort:
		if n, ok := parseUint(port(d.indicator()), 16); ok {
			out = append(out, n)
		}
		d.named(contextNames[f], func(s string) bool {
			for _, t := range tokensOf(s) {
				if n, ok := parseUint(t, 16); ok {
					out = append(out, n)
				}
			}
			return true
		})
	case FieldASN:
		d.named(contextNames[f], func(s string) bool {
			if t := tokensOf(s); len(t) > 0 {
				if n, ok := parseUint(strings.TrimPrefix(t[0], "as"), 32); ok {
					out = append(out, n)
				}
			}
			return true
		})
	default:
		if _, ok := f.Context(); !ok {
			return nil
		}
		d.values(f, func(s string) bool {
			if n, ok := parseDecimal(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "%"))); ok {
				out = append(out, n)
			}
			return true
		})
	}
	return out
}

func parseUint(s string, bits int) (float64, bool) {
	n, err := strconv.ParseUint(s, 10, bits)
	return float64(n), err == nil
}

// Times returns the instants of a field: our first and last seen; the feed's own
// dates, registered and context fields where FeedTime can read them.
func (d Doc) Times(f Field) []time.Time {
	l := d.Listing
	switch f {
	case FieldFirstSeen:
		return known(l.FirstSeen)
	case FieldLastSeen:
		return known(l.LastSeen)
	}
	var out []time.Time
	add := func(s string) bool {
		if t, ok := FeedTime(s); ok {
			out = append(out, t)
		}
		return true
	}
	switch f {
	case FieldFeedFirstSeen:
		d.typed(l.FeedFirstSeen, intel.FieldFeedFirstSeen, add)
	case FieldFeedLastSeen:
		d.typed(l.FeedLastSeen, intel.FieldFeedLastSeen, add)
	case FieldRegistered:
		d.named(contextNames[f], add)
	case FieldEnriched:
		named(d.Facts, []string{"enriched"}, add)
	default:
		if _, ok := f.Context(); ok {
			d.values(f, add)
		}
	}
	return out
}

func known(t time.Time) []time.Time {
	if t.IsZero() {
		return nil
	}
	return []time.Time{t}
}

func (d Doc) indicator() intel.Indicator {
	return intel.Indicator{Kind: d.Listing.Kind, Value: d.Listing.Canonical}
}

// Host returns the host name of a domain, URL or email, "" where the listing has
// none or an address in its place.
func (d Doc) Host() string {
	switch i := d.indicator(); i.Kind {
	case intel.Domain, intel.URL, intel.Email:
		if _, isAddr := i.Addr(); !isAddr {
			return i.Host()
		}
	}
	return ""
}

// Prefix returns the network that the listing is about: a listed one, or the
// single address of an address, an ip:port or a URL.
func (d Doc) Prefix() (netip.Prefix, bool) {
	i := d.indicator()
	if p, ok := i.Prefix(); ok {
		return p, true
	}
	if a, ok := i.Addr(); ok {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.Prefix{}, false
}

// port returns the port that an ip:port or URL names, else "".
func port(i intel.Indicator) string {
	s := i.Value
	switch i.Kind {
	case intel.IPPort:
	case intel.URL:
		_, s, _ = strings.Cut(s, "://")
		if end := strings.IndexAny(s, "/?"); end >= 0 {
			s = s[:end]
		}
		s = s[strings.LastIndexByte(s, '@')+1:]
	default:
		return ""
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < strings.LastIndexByte(s, ']') || colon < 0 {
		return ""
	}
	return s[colon+1:]
}
