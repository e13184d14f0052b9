package parse

import (
	"cmp"
	"hash/maphash"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// pair is one value of one context field.
type pair struct{ name, value string }

func comparePairs(a, b pair) int {
	if c := cmp.Compare(a.name, b.name); c != 0 {
		return c
	}
	return cmp.Compare(a.value, b.value)
}

// aliases are the destinations that mean a typed field, in lower case. They are
// only what cannot mean anything else: "date" or "score" stays what it is called.
// Read-only.
var aliases = map[string]string{
	"confidence_level":  intel.FieldConfidence,
	"tag":               intel.FieldTags,
	"malware_family":    intel.FieldMalware,
	"malware_printable": intel.FieldMalware,
	"family":            intel.FieldMalware,
	"threat":            intel.FieldThreatType,
	"threattype":        intel.FieldThreatType,
	"ref":               intel.FieldReference,
	"references":        intel.FieldReference,
	"first_seen":        intel.FieldFeedFirstSeen,
	"firstseen":         intel.FieldFeedFirstSeen,
	"first_seen_utc":    intel.FieldFeedFirstSeen,
	"date_added":        intel.FieldFeedFirstSeen,
	"dateadded":         intel.FieldFeedFirstSeen,
	"last_seen":         intel.FieldFeedLastSeen,
	"lastseen":          intel.FieldFeedLastSeen,
	"last_seen_utc":     intel.FieldFeedLastSeen,
	"last_online":       intel.FieldFeedLastSeen,
}

// typedNames are the fields that answers show in a place of their own. Read-only.
var typedNames = []string{
	intel.FieldConfidence, intel.FieldTLP, intel.FieldTags, intel.FieldMalware, intel.FieldThreatType,
	intel.FieldReference, intel.FieldFeedFirstSeen, intel.FieldFeedLastSeen, intel.FieldDescription,
}

// typedName returns the typed field that a destination means, or the destination.
func typedName(destination string) string {
	lower := strings.ToLower(strings.TrimSpace(destination))
	if name, ok := aliases[lower]; ok {
		return name
	}
	if slices.Contains(typedNames, lower) {
		return lower
	}
	return destination
}

// tlps are the labels of TLP 2.0, and the white of TLP 1.0. Read-only.
var tlps = map[string]string{
	"clear": "clear", "white": "clear", "green": "green", "amber": "amber", "amber+strict": "amber+strict", "red": "red",
}

// typed brings the value of a field with a fixed value set into its form: a
// confidence is a whole number from 0 to 100, a TLP one of the labels. What is
// not keeps its text under NAME_text, so that nothing is lost or made up.
func typed(name, value string) pair {
	switch name {
	case intel.FieldConfidence:
		n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(value, "%")))
		if err != nil || n < 0 || n > 100 {
			return pair{name + "_text", value}
		}
		return pair{name, strconv.Itoa(n)}
	case intel.FieldTLP:
		label, ok := tlps[strings.TrimPrefix(strings.ToLower(value), "tlp:")]
		if !ok {
			return pair{name + "_text", value}
		}
		return pair{name, label}
	}
	return pair{name, value}
}

// contexts builds the fields of entries. Feeds repeat themselves: equal fields
// are built once and shared, and what is built lies in few large blocks.
type contexts struct {
	keep      *arena
	seed      maphash.Seed
	constants []pair
	pairs     []pair // of the record at hand
	recent    []remembered
	fields    []intel.Field // free places
	values    []string      // free places
	names     map[string]string
}

// remembered are fields that were built lately, with the hash of their values.
type remembered struct {
	hash   uint64
	fields intel.Fields
}

// recentSize is how many of the last fields are remembered, a power of two.
const recentSize = 1 << 12

func newContexts(keep *arena, constants []intel.Field) *contexts {
	c := &contexts{keep: keep, seed: maphash.MakeSeed(), recent: make([]remembered, recentSize), names: map[string]string{}}
	for _, f := range constants {
		for _, v := range f.Values {
			c.add(f.Name, v)
		}
	}
	c.constants = slices.Clone(c.pairs)
	return c
}

// reset begins a record's fields.
func (c *contexts) reset() { c.pairs = append(c.pairs[:0], c.constants...) }

// add puts one value into the fields at hand.
func (c *contexts) add(name, value string) {
	if value = intel.Trim(value); value != "" && name != "" {
		c.pairs = append(c.pairs, typed(name, value))
	}
}

// normal returns the fields at hand, sorted and distinct. They are good until
// the next reset.
func (c *contexts) normal() []pair {
	c.pairs = normal(c.pairs)
	return c.pairs
}

// normal sorts pairs in place and drops repeated ones.
func normal(pairs []pair) []pair {
	slices.SortFunc(pairs, comparePairs)
	return slices.Compact(pairs)
}

// build returns normal pairs as fields.
func (c *contexts) build(pairs []pair) intel.Fields {
	if len(pairs) == 0 {
		return nil
	}
	var h uint64
	for _, p := range pairs {
		h = bits.RotateLeft64(h, 5) ^ maphash.String(c.seed, p.value)
	}
	place := &c.recent[h&(recentSize-1)]
	if place.hash != h || !equal(place.fields, pairs) {
		*place = remembered{h, c.fresh(pairs)}
	}
	return place.fields
}

// equal says whether f is just the pairs.
func equal(f intel.Fields, pairs []pair) bool {
	i := 0
	for _, e := range f {
		for _, v := range e.Values {
			if i == len(pairs) || pairs[i] != (pair{e.Name, v}) {
				return false
			}
			i++
		}
	}
	return i == len(pairs)
}

// fresh makes fields of normal pairs.
func (c *contexts) fresh(pairs []pair) intel.Fields {
	count := 1
	for i := 1; i < len(pairs); i++ {
		if pairs[i].name != pairs[i-1].name {
			count++
		}
	}
	var f intel.Fields
	var vs []string
	f, c.fields = carve(c.fields, count)
	vs, c.values = carve(c.values, len(pairs))
	for i, k := 0, 0; i < len(pairs); k++ {
		name, from := pairs[i].name, i
		for ; i < len(pairs) && pairs[i].name == name; i++ {
			vs[i] = c.keep.keep(pairs[i].value)
		}
		f[k] = intel.Field{Name: c.name([]byte(name)), Values: vs[from:i:i]}
	}
	return f
}

// name returns a copy of a field's name that is shared by all its uses.
func (c *contexts) name(s []byte) string {
	if n, ok := c.names[string(s)]; ok {
		return n
	}
	n := string(s)
	if len(c.names) < 10_000 { // more are no names, and must not cost twice
		c.names[n] = n
	}
	return n
}

// carve cuts n elements off the free ones, making new ones by the thousand.
func carve[T any](free []T, n int) (part, rest []T) {
	if len(free) < n {
		free = make([]T, max(1024, n))
	}
	return free[:n:n], free[n:]
}
