package query

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Parse reads a query. Ages (last_seen:<30d) are counted back from now. The
// error is an *Error. It takes time in proportion to the length of text.
//
// Grammar, loosest first:
//
//	query   = and { "OR" and }
//	and     = not { ["AND"] not }
//	not     = ("NOT" | "-") not | primary
//	primary = "(" query ")" | field ":" "(" values ")" | field ":" [op] value | value
//
// where values is a query without fields, a value is a word or a quoted string
// with or without * behind it, and op is one of = < <= > >=.
func Parse(text string, now time.Time) (Node, error) {
	if len(text) > MaxLength {
		return nil, &Error{Column: utf8.RuneCountInString(text[:MaxLength]) + 1, Got: fmt.Sprintf("a query of %d bytes", len(text)),
			Expected: fmt.Sprintf("at most %d", MaxLength), Hint: "look up many values at once with lookup instead"}
	}
	if !utf8.ValidString(text) {
		valid := 0
		for i, r := range text {
			if _, n := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && n == 1 {
				break
			}
			valid++
		}
		return nil, &Error{Column: valid + 1, Got: "a byte that is not UTF-8", Expected: "text in UTF-8"}
	}
	p := parser{text: []rune(text), now: now}
	p.pairs = pairs(p.text)
	n, err := p.query()
	if err == nil && !p.end() {
		err = p.fail(p.at, `")"`, "another term or the end", `no "(" is open`)
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

// parser reads one query, from left to right.
type parser struct {
	text    []rune
	now     time.Time
	at      int          // index of the next character
	pairs   map[int]bool // see func pairs
	field   *fieldInfo   // inside field:( … )
	depth   int          // open parentheses and NOTs
	clauses int          // leaves so far
}

// fail makes the error at the index of a character.
func (p *parser) fail(at int, got, expected, hint string) *Error {
	return &Error{Column: at + 1, Got: got, Expected: expected, Hint: hint}
}

// missing is the error where something should stand at the cursor and does not.
func (p *parser) missing(expected string) *Error {
	if p.end() {
		return p.fail(len(p.text), "the end", expected, "")
	}
	if k := p.keyword(); k != "" {
		return p.fail(p.at, k, expected, "to search for the word itself, write it in lower case")
	}
	return p.fail(p.at, quote(string(p.text[p.at])), expected, "")
}

// deeper counts one more level of nesting.
func (p *parser) deeper(at int) *Error {
	if p.depth++; p.depth > MaxDepth {
		return p.fail(at, "a level too many", fmt.Sprintf("at most %d parentheses and NOTs inside each other", MaxDepth), "")
	}
	return nil
}

func (p *parser) query() (Node, *Error) {
	var nodes []Node
	for {
		n, err := p.and()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if p.keyword() != "OR" {
			break
		}
		p.at += len("OR")
	}
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	return Or{Pos(nodes[0].Column()), nodes}, nil
}

// and reads terms up to the end, a closing parenthesis or OR.
func (p *parser) and() (Node, *Error) {
	var nodes []Node
	for {
		n, err := p.not()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		p.blanks()
		k := p.keyword()
		if p.end() || p.is(0, ')') || k == "OR" {
			break
		}
		if k == "AND" {
			p.at += len(k)
		}
	}
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	return And{Pos(nodes[0].Column()), nodes}, nil
}

func (p *parser) not() (Node, *Error) {
	p.blanks()
	at := p.at
	switch {
	case p.keyword() == "NOT":
		p.at += len("NOT")
	case p.is(0, '-'):
		p.at++
		if p.end() || isBlank(p.text[p.at]) {
			return nil, p.fail(at, `"-" alone`, "a term right behind it", "")
		}
	default:
		return p.primary()
	}
	if err := p.deeper(at); err != nil {
		return nil, err
	}
	n, err := p.not()
	p.depth--
	if err != nil {
		return nil, err
	}
	return Not{Pos(at + 1), n}, nil
}

func (p *parser) primary() (Node, *Error) {
	switch {
	case p.end() || p.is(0, ')') || p.keyword() != "":
		return nil, p.missing("a term")
	case p.is(0, '('):
		return p.group(p.field)
	case p.field != nil:
		if name, _, ok := p.fieldName(); ok {
			if _, known := lookupField(name); known {
				f := p.field.field.String()
				return nil, p.fail(p.at, "the field "+name+" inside "+f+":( )", "a value of "+f, "put text that has a colon in quotes")
			}
		}
		return p.value(*p.field, p.at)
	case isQuote(p.text[p.at]):
		return p.bare()
	}
	return p.fielded()
}

// group reads ( … ), all of whose values belong to the field if there is one.
func (p *parser) group(field *fieldInfo) (Node, *Error) {
	open, outer := p.at, p.field
	if err := p.deeper(open); err != nil {
		return nil, err
	}
	p.at++
	p.field = field
	n, err := p.query()
	p.field = outer
	p.depth--
	if err != nil {
		return nil, err
	}
	if p.end() {
		return nil, p.fail(open, `a "(" that is never closed`, `a ")" behind the terms`, "")
	}
	p.at++
	return n, nil
}

// fielded reads field:value, or the bare word that is none.
func (p *parser) fielded() (Node, *Error) {
	start := p.at
	name, after, ok := p.fieldName()
	if !ok {
		return p.bare()
	}
	f, known := lookupField(name)
	if !known || f.field == FieldFeed { // feed:1::2 is an IPv6 address
		w, err := p.scanWord()
		if err == nil && !w.star {
			if i, err := intel.Detect(w.text); err == nil && (!known || strings.Count(i.Value, ":") > 1) {
				return p.exact(start, i)
			}
		}
		p.at = start
	}
	if !known {
		return nil, p.fail(start, "the unknown field "+quote(name), "a field's name in front of the colon", fieldHint(name))
	}
	p.at = after
	p.blanks()
	switch k := p.keyword(); {
	case p.end() || p.is(0, ')') || k != "" && p.at > after:
		return nil, p.missing("a value for " + f.field.String())
	case p.is(0, '('):
		return p.group(&f)
	}
	return p.value(f, start)
}

// leaf counts a leaf that begins at the index.
func (p *parser) leaf(at int) (Pos, *Error) {
	if p.clauses++; p.clauses > MaxClauses {
		return 0, p.fail(at, "a clause too many", fmt.Sprintf("at most %d", MaxClauses), "look up many values at once with lookup instead")
	}
	return Pos(at + 1), nil
}

// exact is the node of an indicator, or of a text that has its words.
func (p *parser) exact(at int, i intel.Indicator) (Node, *Error) {
	pos, err := p.leaf(at)
	if err != nil {
		return nil, err
	}
	return Exact{pos, FieldAny, i, tokensOf(i.Value)}, nil
}

// bare reads a word or quoted string without a field.
func (p *parser) bare() (Node, *Error) {
	if err := p.misread(); err != nil {
		return nil, err
	}
	w, err := p.scan()
	switch {
	case err != nil:
		return nil, err
	case w.quoted:
		return p.words(FieldAny, w, w.at)
	case w.pattern == "*":
		pos, err := p.leaf(w.at)
		if err != nil {
			return nil, err
		}
		return All{pos}, nil
	case strings.HasPrefix(w.text, "*.") && !p.inner(w):
		if name, ok := below(w.text[2:]); ok {
			pos, err := p.leaf(w.at)
			if err != nil {
				return nil, err
			}
			return Domain{pos, name, true}, nil
		}
	case !w.star:
		if i, err := intel.Detect(w.text); err == nil {
			return p.exact(w.at, i)
		}
	}
	return p.words(FieldAny, w, w.at)
}

// inner says whether the word has wildcards beyond its first character.
func (p *parser) inner(w word) bool { return len(w.pattern.Literals()) > 2 || w.pattern[0] != '*' }

// misread refuses what other languages write and ours would take for text,
// without a word of warning.
func (p *parser) misread() *Error {
	r := p.text[p.at]
	rest := string(p.text[p.at:min(p.at+2, len(p.text))])
	switch {
	case r == '!':
		return p.fail(p.at, `"!" in front of a term`, "a term", "write NOT or - to exclude one")
	case r == '<' || r == '>':
		return p.fail(p.at, "a comparison without a field", "a field in front of it", "write it as in confidence:>=80")
	case rest == "&&":
		return p.fail(p.at, `"&&"`, "a term", "write AND, or nothing at all")
	case rest == "||":
		return p.fail(p.at, `"||"`, "a term", "write OR")
	}
	i := p.at
	for i < len(p.text) && (isName(p.text[i], i > p.at) || p.text[i] == '.') {
		i++
	}
	if i == p.at || i == len(p.text) || !strings.ContainsRune("<>=", p.text[i]) && !(p.text[i] == '!' && i+1 < len(p.text) && p.text[i+1] == '=') {
		return nil
	}
	name := string(p.text[p.at:i])
	if _, ok := lookupField(name); !ok {
		return nil
	}
	return p.fail(i, quote(string(p.text[i])), "a colon behind "+name, "write "+name+":"+strings.TrimPrefix(string(p.text[i]), "=")+"…")
}
