package query

import (
	"math"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Binding strengths for printing.
const (
	looseOr = iota
	looseAnd
	tight
)

// String writes the terms with AND between them.
func (n And) String() string { return join(n.Nodes, " AND ", All{}, tight) }

// String writes the terms with OR between them.
func (n Or) String() string { return join(n.Nodes, " OR ", Not{Node: All{}}, looseAnd) }

// join writes nodes that bind at least so tightly, others in parentheses.
func join(nodes []Node, with string, empty Node, least int) string {
	switch len(nodes) {
	case 0:
		return empty.String()
	case 1:
		return nodes[0].String()
	}
	var b strings.Builder
	for i, n := range nodes {
		if i > 0 {
			b.WriteString(with)
		}
		b.WriteString(wrap(n, least))
	}
	return b.String()
}

func wrap(n Node, least int) string {
	if strength(n) < least {
		return "(" + n.String() + ")"
	}
	return n.String()
}

// strength is how tightly what String writes holds together.
func strength(n Node) int {
	switch n := n.(type) {
	case And:
		if len(n.Nodes) == 1 {
			return strength(n.Nodes[0])
		}
		if len(n.Nodes) > 1 {
			return looseAnd
		}
	case Or:
		if len(n.Nodes) == 1 {
			return strength(n.Nodes[0])
		}
		if len(n.Nodes) > 1 {
			return looseOr
		}
	case Date:
		if len(n.bounds()) > 1 {
			return looseAnd
		}
	case Number:
		if len(n.bounds()) > 1 {
			return looseAnd
		}
	case Kinds:
		if kindName(n.Set) == "" {
			return looseOr
		}
	}
	return tight
}

// String writes NOT in front of the term.
func (n Not) String() string { return "NOT " + wrap(n.Node, tight) }

// String writes an asterisk.
func (n All) String() string { return "*" }

// prefix returns the field's name and colon, nothing for FieldAny.
func (f Field) prefix() string {
	if f == FieldAny {
		return ""
	}
	return f.String() + ":"
}

// String writes the token, in quotes where it would be read as an indicator.
func (n Term) String() string {
	if n.Field == FieldAny || n.Field == FieldValue {
		if _, err := intel.Detect(n.Token); err == nil {
			return n.Field.prefix() + `"` + n.Token + `"`
		}
	}
	return n.Field.prefix() + n.Token
}

// String writes the tokens in quotes.
func (n Phrase) String() string {
	s := n.Field.prefix() + `"` + strings.Join(n.Tokens, " ") + `"`
	if n.Prefix {
		s += "*"
	}
	return s
}

// String writes the beginning and an asterisk.
func (n Prefix) String() string { return n.Field.prefix() + n.Text + "*" }

// String writes the pattern, for whole keywords after an equals sign.
func (n Wildcard) String() string {
	eq := ""
	if n.Whole && keywordForm(n.Field) {
		eq = "="
	}
	return n.Field.prefix() + eq + bareWord(n.Pattern)
}

// String writes the value in quotes, after an equals sign.
func (n Equal) String() string {
	if keywordForm(n.Field) || n.Field == FieldValue {
		return n.Field.prefix() + "=" + quoted(n.Value)
	}
	if n.Value == Keyword(n.Value) && !strings.Contains(n.Value, " ") || n.Field == FieldFeed || n.Field == FieldTLP {
		return n.Field.prefix() + bareWord(literal(n.Value))
	}
	return n.Field.prefix() + quoted(n.Value)
}

// String writes the field and an asterisk.
func (n Exists) String() string { return n.Field.prefix() + "*" }

// String writes the canonical value.
func (n Exact) String() string {
	switch {
	case n.Tokens == nil:
		return FieldValue.prefix() + "=" + quoted(n.Indicator.Value)
	case n.Field == FieldValue:
		return FieldValue.prefix() + quoted(n.Indicator.Value)
	}
	s := bareWord(literal(n.Indicator.Value))
	p := parser{text: []rune(s)}
	if name, after, ok := p.fieldName(); ok { // names are ASCII, so that the index is one into s too
		if _, known := lookupField(name); known {
			return s[:after-1] + `\` + s[after-1:]
		}
	}
	if err := p.misread(); err != nil {
		return s[:err.Column-1] + `\` + s[err.Column-1:]
	}
	return s
}

// String writes the kind's name.
func (n Kinds) String() string {
	if name := kindName(n.Set); name != "" {
		return "kind:" + name
	}
	var names []string
	for _, k := range n.Set.Kinds() {
		names = append(names, "kind:"+k.String())
	}
	if len(names) == 0 {
		return "NOT *"
	}
	return strings.Join(names, " OR ")
}

// kindName returns the name of a kind or set of kinds, "" where it has none.
func kindName(s intel.KindSet) string {
	if k := s.Kinds(); len(k) == 1 {
		return k[0].String()
	}
	switch s {
	case intel.Hashes:
		return "hash"
	case intel.Address:
		return "ipaddress"
	case intel.Networks:
		return "ip"
	}
	return ""
}

// String writes the comparison.
func (n Number) String() string { return strings.Join(n.bounds(), " AND ") }

func (n Number) bounds() []string {
	f := n.Field.prefix()
	_, inContext := n.Field.Context()
	low, high := math.IsInf(n.Min, -1), math.IsInf(n.Max, 1)
	switch {
	case low && high:
		return []string{f + "*"}
	case n.Min == n.Max && !inContext && !n.MinOpen && !n.MaxOpen:
		return []string{f + formatNumber(n.Min)}
	case !low && !high && !n.MinOpen && !n.MaxOpen:
		return []string{f + formatNumber(n.Min) + ".." + formatNumber(n.Max)}
	}
	var out []string
	if !low {
		out = append(out, f+">"+orEqual(!n.MinOpen)+formatNumber(n.Min))
	}
	if !high {
		out = append(out, f+"<"+orEqual(!n.MaxOpen)+formatNumber(n.Max))
	}
	return out
}

func orEqual(b bool) string {
	if b {
		return "="
	}
	return ""
}

// String writes the comparison as it was written, or with instants.
func (n Date) String() string { return strings.Join(n.bounds(), " AND ") }

func (n Date) bounds() []string {
	f := n.Field.prefix()
	if n.Written != "" {
		return []string{f + n.Written}
	}
	var out []string
	if !n.From.IsZero() {
		out = append(out, f+">="+n.From.UTC().Format(time.RFC3339Nano))
	}
	if !n.To.IsZero() {
		out = append(out, f+"<"+n.To.UTC().Format(time.RFC3339Nano))
	}
	if out == nil {
		return []string{f + "*"}
	}
	return out
}

// String writes listed:true or listed:false.
func (n Listed) String() string {
	if n.Listed {
		return "listed:true"
	}
	return "listed:false"
}

// String writes the network, or the address that is all of it.
func (n Net) String() string {
	if n.Prefix.IsSingleIP() {
		return "net:" + n.Prefix.Addr().String()
	}
	return "net:" + n.Prefix.String()
}

// String writes the name, for Below after an asterisk and a dot.
func (n Domain) String() string {
	if n.Below {
		return "domain:*." + n.Name
	}
	return "domain:" + n.Name
}

// quoted writes s as a quoted string.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// bareWord writes a pattern as a word without quotes: what would end or change
// it gets a backslash.
func bareWord(p Pattern) string {
	var b strings.Builder
	escaped := false
	for i, r := range string(p) {
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case isBlank(r), isQuote(r), r == '(', r == ')',
			i == 0 && (strings.ContainsRune("-!<>=&|", r) || strings.HasPrefix(string(p), "//")):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
