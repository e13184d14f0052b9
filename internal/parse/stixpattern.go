package parse

import (
	"fmt"
	"strings"
)

// Patterns of STIX 2.0 and 2.1 ("STIX Patterning", part 5 of 2.0, section 9 of
// 2.1): [ipv4-addr:value = '192.0.2.1' OR domain-name:value IN ('a.example')].
// They are read for the comparisons in them; how observations follow each other
// and when does not matter to what is listed.

// maxPatternDepth is how many brackets may be open inside each other in a pattern.
const maxPatternDepth = 64

// patternTerm is one comparison.
type patternTerm struct {
	path   string // object:property, without quotes
	op     string // = != < > <= >= IN LIKE MATCHES ISSUBSET ISSUPERSET EXISTS
	not    bool
	values []string
}

// pattern is a pattern taken apart.
type pattern struct {
	s     string
	pos   int
	depth int
	terms []patternTerm
	or    bool // a comparison or observation is one of several
}

// parsePattern reads a pattern into p, whose terms are reused.
func (p *pattern) parse(s string) error {
	p.s, p.pos, p.depth, p.or, p.terms = s, 0, 0, false, p.terms[:0]
	if err := p.observations(); err != nil {
		return err
	}
	if p.space(); p.pos < len(s) {
		return p.bad("nothing more")
	}
	return nil
}

func (p *pattern) bad(want string) error {
	p.space()
	if p.pos >= len(p.s) {
		return fmt.Errorf("the pattern ends where %s belongs", want)
	}
	return fmt.Errorf("the pattern has %q where %s belongs", shorten(p.s[p.pos:min(len(p.s), p.pos+20)]), want)
}

func (p *pattern) space() {
	for p.pos < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.pos]) >= 0 {
		p.pos++
	}
}

// sign goes behind a sign, if it comes next.
func (p *pattern) sign(s string) bool {
	p.space()
	if !strings.HasPrefix(p.s[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

// word goes behind a key word, if it comes next.
func (p *pattern) word(w string) bool {
	p.space()
	rest := p.s[p.pos:]
	if len(rest) < len(w) || !strings.EqualFold(rest[:len(w)], w) || len(rest) > len(w) && isNameByte(rest[len(w)]) {
		return false
	}
	p.pos += len(w)
	return true
}

func isNameByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == ':' || c == '.' || c >= 0x80
}

// deeper reads what stands in brackets.
func (p *pattern) deeper(inside func() error, end string) error {
	if p.depth++; p.depth > maxPatternDepth {
		return fmt.Errorf("the pattern has more than %d brackets inside each other", maxPatternDepth)
	}
	if err := inside(); err != nil {
		return err
	}
	p.depth--
	if !p.sign(end) {
		return p.bad(end)
	}
	return nil
}

// observations reads observations and what joins them.
func (p *pattern) observations() error {
	for {
		var err error
		switch {
		case p.sign("["):
			err = p.deeper(p.comparisons, "]")
		case p.sign("("):
			err = p.deeper(p.observations, ")")
		default:
			err = p.bad("[")
		}
		if err == nil {
			err = p.qualifiers()
		}
		if err != nil {
			return err
		}
		switch {
		case p.word("OR"):
			p.or = true
		case p.word("AND"), p.word("FOLLOWEDBY"):
		default:
			return nil
		}
	}
}

// qualifiers goes behind WITHIN 5 SECONDS, REPEATS 3 TIMES, START t'…' STOP t'…'.
func (p *pattern) qualifiers() error {
	for {
		unit := ""
		switch {
		case p.word("WITHIN"):
			unit = "SECONDS"
		case p.word("REPEATS"):
			unit = "TIMES"
		case p.word("START"), p.word("STOP"):
		default:
			return nil
		}
		if _, err := p.literal(); err != nil {
			return err
		}
		if unit != "" && !p.word(unit) {
			return p.bad(unit)
		}
	}
}

// comparisons reads what stands in the square brackets of an observation.
func (p *pattern) comparisons() error {
	for {
		var err error
		if p.sign("(") {
			err = p.deeper(p.comparisons, ")")
		} else {
			err = p.comparison()
		}
		if err != nil {
			return err
		}
		switch {
		case p.word("OR"):
			p.or = true
		case p.word("AND"):
		default:
			return nil
		}
	}
}

// comparison reads one, such as file:hashes.'SHA-256' = '…'.
func (p *pattern) comparison() (err error) {
	t := patternTerm{not: p.word("NOT")}
	exists := p.word("EXISTS")
	if t.path, err = p.path(); err != nil {
		return err
	}
	if exists {
		t.op = "EXISTS"
		p.terms = append(p.terms, t)
		return nil
	}
	t.not = p.word("NOT") != t.not
	if t.op = p.operator(); t.op == "" {
		return p.bad("an operator")
	}
	if t.op == "IN" {
		t.values, err = p.set()
	} else {
		t.values = make([]string, 1)
		t.values[0], err = p.literal()
	}
	p.terms = append(p.terms, t)
	return err
}

func (p *pattern) operator() string {
	for _, s := range [...]string{"!=", "<>", "<=", ">=", "==", "=", "<", ">"} {
		if p.sign(s) {
			return s
		}
	}
	for _, w := range [...]string{"IN", "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET"} {
		if p.word(w) {
			return w
		}
	}
	return ""
}

// path reads an object path and takes the quotes off its names.
func (p *pattern) path() (string, error) {
	p.space()
	from, quotes := p.pos, false
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		switch {
		case isNameByte(c):
			p.pos++
			continue
		case c == '\'' && p.pos > from && p.s[p.pos-1] == '.':
			quotes = true
			if end := strings.IndexByte(p.s[p.pos+1:], '\''); end >= 0 {
				p.pos += end + 2
				continue
			}
		case c == '[' && p.pos > from:
			if end := strings.IndexByte(p.s[p.pos:], ']'); end >= 0 {
				p.pos += end + 1
				continue
			}
		}
		break
	}
	path := p.s[from:p.pos]
	if strings.IndexByte(path, ':') <= 0 {
		p.pos = from
		return "", p.bad("a path such as ipv4-addr:value")
	}
	if quotes {
		path = strings.ReplaceAll(path, "'", "")
	}
	return path, nil
}

// set reads ('a', 'b').
func (p *pattern) set() (values []string, err error) {
	if !p.sign("(") {
		return nil, p.bad("(")
	}
	for {
		v, err := p.literal()
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		if p.sign(")") {
			return values, nil
		}
		if !p.sign(",") {
			return nil, p.bad(", or )")
		}
	}
}

// literal reads a constant: 'text', t'time', h'hex', b'base64', a number or a
// boolean. Of text it returns what is between the quotes.
func (p *pattern) literal() (string, error) {
	p.space()
	rest := p.s[p.pos:]
	if len(rest) > 1 && strings.IndexByte("thb", rest[0]) >= 0 && rest[1] == '\'' {
		p.pos++
		rest = rest[1:]
	}
	if !strings.HasPrefix(rest, "'") {
		n := 0
		for n < len(rest) && (isNameByte(rest[n]) || rest[n] == '+') {
			n++
		}
		if n == 0 {
			return "", p.bad("a constant")
		}
		p.pos += n
		return rest[:n], nil
	}
	for i, escaped := 1, false; i < len(rest); i++ {
		switch {
		case rest[i] == '\\':
			escaped = true
			i++
		case rest[i] == '\'':
			p.pos += i + 1
			if !escaped {
				return rest[1:i], nil
			}
			return unquotePattern(rest[1:i]), nil
		}
	}
	return "", fmt.Errorf("the pattern has a text that is not closed")
}

// unquotePattern resolves \' and \\.
func unquotePattern(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '\'' || s[i+1] == '\\') {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
