package corpus

import (
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// fieldName is what is known of a field's name in feeds.
type fieldName struct {
	slot  fieldSlot
	alone role // of the only value, where it is shown in the slot
	rest  role // of one of several values, and of all that are shown in the context
}

// role is what a value is to the index.
type role struct {
	name        string
	slot        fieldSlot     // where it is shown
	text        bool          // its tokens are found
	words       []*indexField // whose values are compared as query.Keyword has it
	asked       []*indexField // whose values query.Doc knows
	tries, hits int
}

func (r *role) empty() bool { return !r.text && len(r.words)+len(r.asked) == 0 }

// worthwhile says whether to look for the value in the cache: not where values
// hardly ever come again.
func (r *role) worthwhile() bool {
	r.tries++
	return r.tries < 1<<12 || r.hits > r.tries/4
}

// only returns the role of a name's only value.
func (n *fieldName) only(v string) *role {
	var l intel.Listing
	if n.slot == inContext || n.slot == inConfidence && !place(&l, n.slot, v) {
		return &n.rest
	}
	return &n.alone
}

// name returns what is known of a name, and finds it out where it is new. See
// scratch.fill for what is shown where, and query.Doc for what that means.
func (k *keyer) name(name string) *fieldName {
	if n := k.names[name]; n != nil {
		return n
	}
	name = strings.Clone(name)
	n := &fieldName{slot: slotOf(name)}
	n.alone, n.rest = role{name: name, slot: n.slot}, role{name: name, text: true}
	var typed query.Field
	switch n.slot {
	case inTags:
		typed = query.FieldTag
	case inMalware:
		typed = query.FieldMalware
	case inThreatType:
		typed = query.FieldThreatType
	case inReference:
		typed = query.FieldReference
	case inDescription:
		typed = query.FieldDescription
	case inTLP:
		n.alone.asked = []*indexField{k.field(query.FieldTLP)}
		n.rest.asked = n.alone.asked
	case inConfidence:
		n.alone.asked = []*indexField{k.field(query.FieldConfidence)}
	case inFeedFirstSeen:
		n.alone.asked = []*indexField{k.field(query.FieldFeedFirstSeen)}
		n.rest.asked = n.alone.asked
	case inFeedLastSeen:
		n.alone.asked = []*indexField{k.field(query.FieldFeedLastSeen)}
		n.rest.asked = n.alone.asked
	}
	if typed != "" {
		n.alone.text, n.alone.words = true, []*indexField{k.field(typed)}
		n.rest.words = slices.Clone(n.alone.words)
	}
	n.rest.words = append(n.rest.words, k.field(query.Context(name)))
	keyword := query.Keyword(name)
	for _, f := range []query.Field{query.FieldCountry, query.FieldASN, query.FieldPort, query.FieldRegistered} {
		if slices.Contains(query.ContextNames(f), keyword) {
			n.rest.asked = append(slices.Clip(n.rest.asked), k.field(f))
		}
	}
	if slices.Contains(query.ContextNames(query.FieldOrg), keyword) {
		n.rest.words = append(n.rest.words, k.field(query.FieldOrg))
	}
	k.names[name] = n
	return n
}
