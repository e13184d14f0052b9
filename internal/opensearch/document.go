package opensearch

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Presence is what a document has to know of a listing beyond the listing. That
// the last good run had it is no news of the listing, and not in its document:
// else an unchanged feed would change every one of them.
type Presence struct {
	Gone time.Time // the last run that had it; zero: the last good run has it
	Ends time.Time // when its time to live passes, where it is gone and still listed
}

// PresenceOf is the presence of a listing, as it stands now, of a feed whose last
// good run was at lastGood.
func PresenceOf(l *intel.Listing, lastGood time.Time) Presence {
	if len(l.Intervals) == 0 {
		return Presence{}
	}
	last := l.Intervals[len(l.Intervals)-1]
	if last.To == nil && !l.LastSeen.Before(lastGood) {
		return Presence{}
	}
	p := Presence{Gone: l.LastSeen}
	if last.To == nil && l.Info != nil {
		if ttl := l.Info.TTLOf(l.Kind); ttl > 0 {
			p.Ends = l.LastSeen.Add(time.Duration(ttl))
		}
	}
	return p
}

// DocumentID is the id of the document of what a feed says of an indicator.
func DocumentID(i intel.Indicator, feed string) string {
	return digest(16, i.Kind.String(), i.Value, feed)
}

// idSet is a set of ids of documents, as the hashes that they are: a large feed has
// millions.
type idSet map[[16]byte]struct{}

func (s idSet) add(id string) {
	if h, ok := hashOf(id); ok {
		s[h] = struct{}{}
	}
}

func (s idSet) has(id string) bool {
	h, ok := hashOf(id)
	_, has := s[h]
	return ok && has
}

// hashOf is the hash that an id of DocumentID is; ok is false for every other one.
func hashOf(id string) (h [16]byte, ok bool) {
	if base64.RawURLEncoding.DecodedLen(len(id)) != len(h) {
		return h, false
	}
	_, err := base64.RawURLEncoding.Strict().Decode(h[:], []byte(id))
	return h, err == nil
}

// RoutingOf decides the shard, where there are several: all that is said of one
// indicator lies in one. In a single one it would take 20 bytes a document.
func RoutingOf(i intel.Indicator) string { return digest(6, i.Kind.String(), i.Value) }

// ListingOp is what writes a listing, whose Changed must be set. One without a
// value or feed is an error.
func ListingOp(l *intel.Listing, p Presence) (Op, error) { return newEncoder(&facts{}).op(l, p) }

// maxFlat is the longest value, in bytes, that the flat object holds: a term of
// an index has at most 32,766, with the path in front. Longer ones are found by
// their words.
const maxFlat = 8191

// flat is the context without what is too long for the flat object.
func flat(in intel.Fields) intel.Fields {
	out := make(intel.Fields, 0, len(in))
	for _, f := range in {
		short := slices.DeleteFunc(slices.Clone(f.Values), func(s string) bool { return len(s) > maxFlat })
		if len(short) > 0 && len(f.Name) <= maxFlat {
			out = append(out, intel.Field{Name: f.Name, Values: short})
		}
	}
	return out
}

// ecsType is the name that ECS has for what is listed.
func ecsType(l *intel.Listing) string {
	switch l.Kind {
	case intel.IPv4, intel.IPv6:
		return l.Kind.String() + "-addr"
	case intel.CIDR: // there is none for networks
		if strings.Contains(l.Canonical, ":") {
			return "ipv6-addr"
		}
		return "ipv4-addr"
	case intel.IPPort:
		return "network-traffic"
	case intel.Domain:
		return "domain-name"
	case intel.URL:
		return "url"
	case intel.Email:
		return "email-addr"
	}
	return "file"
}

// ecsConfidence is the word of the scale of ECS.
func ecsConfidence(n int) string {
	switch {
	case n == 0:
		return "None"
	case n < 30:
		return "Low"
	case n < 70:
		return "Medium"
	}
	return "High"
}
