package intel

import (
	"slices"
	"strings"
)

// Indicator is a kind and a canonical value: the identity of what feeds list.
// Two feeds that write one thing in different ways give one Indicator.
type Indicator struct {
	Kind  Kind   `json:"kind"`
	Value string `json:"canonical"`
}

// Field is one named piece of context with one or more values.
type Field struct {
	Name   string
	Values []string
}

// Fields is the context of one listing, sorted by name; values are sorted and
// distinct. The names in TypedFields are shown in typed places of an answer.
type Fields []Field

// Names of context fields that answers show in a place of their own.
const (
	FieldConfidence    = "confidence"      // 0-100
	FieldTLP           = "tlp"             // clear green amber amber+strict red
	FieldTags          = "tags"            // one value a tag
	FieldMalware       = "malware"         // family
	FieldThreatType    = "threat_type"     // botnet_cc, phishing, …
	FieldReference     = "reference"       // where the feed explains itself
	FieldFeedFirstSeen = "feed_first_seen" // the feed's own date, as it wrote it
	FieldFeedLastSeen  = "feed_last_seen"
	FieldDescription   = "description"
)

// Add puts value into the named field unless it is there already. Empty values
// are left out. The set stays sorted.
func (f *Fields) Add(name, value string) {
	if value == "" || name == "" {
		return
	}
	i, ok := slices.BinarySearchFunc(*f, name, func(e Field, n string) int { return strings.Compare(e.Name, n) })
	if !ok {
		*f = slices.Insert(*f, i, Field{Name: name, Values: []string{value}})
		return
	}
	vs := (*f)[i].Values
	if j, ok := slices.BinarySearch(vs, value); !ok {
		(*f)[i].Values = slices.Insert(vs, j, value)
	}
}

// Merge adds every value of o: the set union per field.
func (f *Fields) Merge(o Fields) {
	for _, e := range o {
		for _, v := range e.Values {
			f.Add(e.Name, v)
		}
	}
}

// Get returns the named field's values, nil where it is absent.
func (f Fields) Get(name string) []string {
	for _, e := range f {
		if e.Name == name {
			return e.Values
		}
	}
	return nil
}

// First returns the first value of the named field, or "".
func (f Fields) First(name string) string {
	if v := f.Get(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Entry is one thing a feed listed in one run: what parsing gives and storing takes.
type Entry struct {
	Indicator Indicator
	Original  string // what the feed wrote; the canonical value where it wrote just that
	Fields    Fields
	Line      int // 1-based line (or record, where a format has no lines) of its first mention
}
