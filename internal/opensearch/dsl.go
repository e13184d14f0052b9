package opensearch

import (
	"net/netip"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// clause is a query of the cluster. Clauses are made by the functions of this
// file and by nothing else: their keys are names of queries and paths of the
// mapping, and what somebody wrote is only ever a value.
type clause map[string]any

func matchAll() clause  { return clause{"match_all": clause{}} }
func matchNone() clause { return clause{"match_none": clause{}} }

func term(path string, v any) clause {
	return clause{"term": clause{path: clause{"value": v}}}
}

func terms[T any](path string, values []T) clause { return clause{"terms": clause{path: values}} }

func prefixed(path, text string) clause {
	return clause{"prefix": clause{path: clause{"value": text}}}
}

func wildcard(path, pattern string) clause {
	return clause{"wildcard": clause{path: clause{"value": pattern}}}
}

// phrase takes tokens with a blank between; the analyser cuts them there and does nothing else.
func phrase(path, tokens string) clause {
	return clause{"match_phrase": clause{path: clause{"query": tokens}}}
}

// phraseBegun is a phrase whose last token is the beginning of one, of the first
// maxBegun that the index has.
func phraseBegun(path, tokens string) clause {
	return clause{"match_phrase_prefix": clause{path: clause{"query": tokens, "max_expansions": maxBegun}}}
}

func exists(path string) clause { return clause{"exists": clause{"field": path}} }

func ids(id ...string) clause { return clause{"ids": clause{"values": id}} }

func allOf(c ...clause) clause { return clause{"bool": clause{"filter": c}} }

// anyOf of nothing matches nothing; a bool without clauses would match all.
func anyOf(c ...clause) clause {
	if len(c) == 0 {
		return matchNone()
	}
	return clause{"bool": clause{"should": c, "minimum_should_match": 1}}
}

func noneOf(c ...clause) clause { return clause{"bool": clause{"must_not": c}} }

// between compares with bounds of which each is nil or belongs to it, low under gte
// or gt, high under lte or lt.
func between(path, lowOp string, low any, highOp string, high any) clause {
	r := clause{}
	if low != nil {
		r[lowOp] = low
	}
	if high != nil {
		r[highOp] = high
	}
	return clause{"range": clause{path: r}}
}

// millis is the half-open range [from, to) of instants in Unix milliseconds; nil is no bound.
func millis(path string, from, to *int64) clause {
	r := clause{"format": "epoch_millis"}
	if from != nil {
		r["gte"] = *from
	}
	if to != nil {
		r["lt"] = *to
	}
	return clause{"range": clause{path: r}}
}

// at matches where an interval has the instant.
func at(path string, ms int64) clause {
	return clause{"range": clause{path: clause{"gte": ms, "lte": ms, "format": "epoch_millis", "relation": "intersects"}}}
}

// ranges of addresses that contain a network, or lie within it.
func network(path string, p netip.Prefix, relation string) clause {
	return clause{"range": clause{path: clause{"gte": p.Masked().Addr().String(), "lte": intel.LastAddr(p).String(), "relation": relation}}}
}

// insideOf matches listed networks, and what has an address, inside of p; more
// than that where mixed says so.
func insideOf(p netip.Prefix) clause {
	return anyOf(term(pathIP, p.Masked().String()), network(pathRange, p, "within"))
}

// mixed says whether the index takes IPv4 addresses for members of this IPv6
// network: it writes them as IPv4-mapped ones.
func mixed(p netip.Prefix) bool {
	return p.Addr().Is6() && p.Bits() <= 96 && p.Contains(netip.MustParseAddr("::ffff:0:0"))
}

// contains says whether the outer network covers the inner one.
func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// Paths of the mapping that are not in the table of fields.
const (
	pathName      = "threat.indicator.name"
	pathIP        = "threat.indicator.ip"
	pathRange     = "ei.range"
	pathKind      = "ei.kind"
	pathOrder     = "ei.order"
	pathFeed      = "ei.feed"
	pathIntervals = "ei.intervals"
	pathFirstSeen = "threat.indicator.first_seen"
	pathGone      = "threat.indicator.last_seen"
	pathChanged   = "@timestamp"
	pathConfident = "ei.confidence"
	pathHost      = "ei.host"
)

// listing matches every document of a listing, and no other.
func aListing() clause { return exists(pathKind) }

func kindNames(s intel.KindSet) []string {
	var out []string
	for _, k := range s.Kinds() {
		out = append(out, k.String())
	}
	return out
}

// floorMillis and ceilMillis are the millisecond at or before an instant, and at or behind it.
func floorMillis(t time.Time) int64 { return t.UnixMilli() }

func ceilMillis(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}
