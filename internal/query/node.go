package query

import (
	"net/netip"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Node is a part of a query: one of the types below. Trees are read-only.
type Node interface {
	// Column is where the node begins in the text, in characters, 1-based; 0 where
	// it was not parsed.
	Column() int
	// String writes the node in canonical form. Parsing that gives the same tree,
	// columns apart, so two nodes are equal if their strings are.
	String() string
}

// Pos is the column of a node.
type Pos int

// Column returns the position.
func (p Pos) Column() int { return int(p) }

// And matches what all of its nodes match; without nodes, everything.
type And struct {
	Pos
	Nodes []Node
}

// Or matches what any of its nodes matches; without nodes, nothing.
type Or struct {
	Pos
	Nodes []Node
}

// Not matches what its node does not.
type Not struct {
	Pos
	Node Node
}

// All matches every listing.
type All struct{ Pos }

// Term matches a listing in which a text of the field has the token.
type Term struct {
	Pos
	Field Field
	Token string
}

// Phrase matches a listing in which a text of the field has the tokens side by
// side, in this order. With Prefix the last one is the beginning of a token.
type Phrase struct {
	Pos
	Field  Field
	Tokens []string // at least two
	Prefix bool
}

// Prefix matches a listing in which a text of the field has a token that begins so.
type Prefix struct {
	Pos
	Field Field
	Text  string
}

// Wildcard matches a listing in which a text of the field has a token that the
// pattern matches; with Whole, a text that it matches from end to end, in
// keyword form, or for value, domain, feed, country and tlp in folded form.
type Wildcard struct {
	Pos
	Field   Field
	Pattern Pattern
	Whole   bool
}

// Equal matches a listing in which a text of the field is this one: in keyword
// form, or for value, feed, country and tlp in folded form.
type Equal struct {
	Pos
	Field Field
	Value string
}

// Exists matches a listing that has any value for the field.
type Exists struct {
	Pos
	Field Field
}

// Exact matches the listings of an indicator, and those in which a text of the
// field (FieldAny or FieldValue) has its tokens side by side. Tokens is nil where
// only the indicator is meant (value:=).
type Exact struct {
	Pos
	Field     Field
	Indicator intel.Indicator
	Tokens    []string
}

// Kinds matches the listings of indicators of these kinds.
type Kinds struct {
	Pos
	Set intel.KindSet
}

// Number matches a listing that has a number from Min to Max in the field.
// A side without a bound is infinite. The bounds themselves belong to it unless
// MinOpen or MaxOpen is set, which only happens in context fields: all others
// hold whole numbers.
type Number struct {
	Pos
	Field            Field
	Min, Max         float64
	MinOpen, MaxOpen bool
}

// Date matches a listing that has an instant in [From, To) in the field. A zero
// bound is no bound. Ages were turned into instants when the query was parsed.
type Date struct {
	Pos
	Field    Field
	From, To time.Time
	Written  string // the comparison as the query has it, ">=2026-01" or "<30d", for String; may be ""
}

// Listed matches what its feed lists now (or at the instant searched at), or no
// longer does.
type Listed struct {
	Pos
	Listed bool
}

// Net matches what lies in the network: addresses, ip:ports at them, networks,
// and URLs whose host is an address.
type Net struct {
	Pos
	Prefix netip.Prefix // masked
}

// Domain matches by the host name of a domain, URL or email: that name, or with
// Below the names under it and not itself.
type Domain struct {
	Pos
	Name  string // canonical, as in intel; for Below also a single label
	Below bool
}
