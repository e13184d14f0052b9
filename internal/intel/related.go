package intel

import (
	"strconv"
	"time"
)

// Related is what else is listed near an answer's value, on request. A group
// that makes no sense for the value's kind is nil. Nothing is in two groups, and
// the value itself is in none.
type Related struct {
	Networks   *RelatedGroup `json:"networks,omitempty"`   // listed networks that cover it, the narrowest first; then those next to it
	Neighbours *RelatedGroup `json:"neighbours,omitempty"` // listed in its /24, or /64 for IPv6
	Domains    *RelatedGroup `json:"domains,omitempty"`    // other listed names under its registered domain
	URLs       *RelatedGroup `json:"urls,omitempty"`       // other listed URLs at its host
	File       *RelatedGroup `json:"file,omitempty"`       // other hashes of the same file, and what else names this one
	Shared     *RelatedGroup `json:"shared,omitempty"`     // has the same malware family, or the rarest of its tags
	Partial    bool          `json:"partial"`              // the time for it ran out, or not all data can be read: there may be more
}

// RelatedGroup holds the newest related indicators of one sort, and how many there are.
type RelatedGroup struct {
	Total int           `json:"total"` // indicators, those in Items too
	Exact bool          `json:"exact"` // false: there are at least Total
	Items []RelatedItem `json:"items"`
}

// RelatedItem is one related indicator.
type RelatedItem struct {
	Kind      Kind      `json:"kind"`
	Canonical string    `json:"canonical"`
	Feeds     []string  `json:"feeds"`  // that list it, sorted; where none does, those whose listings name it
	Listed    bool      `json:"listed"` // false: it is only named, by a listing of the value
	LastSeen  time.Time `json:"last_seen"`
	Why       string    `json:"why"` // how it is related, in words
}

// NamedGroup is a group under its JSON name.
type NamedGroup struct {
	Name string
	*RelatedGroup
}

// Groups returns the groups that are there, in the order of the JSON.
func (r *Related) Groups() []NamedGroup {
	var out []NamedGroup
	for _, g := range []NamedGroup{{"networks", r.Networks}, {"neighbours", r.Neighbours}, {"domains", r.Domains},
		{"urls", r.URLs}, {"file", r.File}, {"shared", r.Shared}} {
		if g.RelatedGroup != nil {
			out = append(out, g)
		}
	}
	return out
}

// AppendJSON appends the JSON to b, under the rules of Answer.AppendJSON.
func (r *Related) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	for _, g := range r.Groups() {
		b = append(appendString(b, g.Name), ':')
		b = strconv.AppendInt(append(b, `{"total":`...), int64(g.Total), 10)
		b = strconv.AppendBool(append(b, `,"exact":`...), g.Exact)
		b = append(b, `,"items":[`...)
		for i := range g.Items {
			b = g.Items[i].appendJSON(comma(b, i))
		}
		b = append(b, "]},"...)
	}
	b = strconv.AppendBool(append(b, `"partial":`...), r.Partial)
	return append(b, '}')
}

// MarshalJSON is AppendJSON.
func (r Related) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

func (i *RelatedItem) appendJSON(b []byte) []byte {
	b = appendString(append(b, `{"kind":`...), i.Kind.String())
	b = appendString(append(b, `,"canonical":`...), i.Canonical)
	b = appendStrings(append(b, `,"feeds":`...), i.Feeds)
	b = strconv.AppendBool(append(b, `,"listed":`...), i.Listed)
	b = appendTime(append(b, `,"last_seen":`...), &i.LastSeen)
	b = appendString(append(b, `,"why":`...), i.Why)
	return append(b, '}')
}
