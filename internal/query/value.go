package query

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// value reads [op] value for a field; the clause begins at the index at.
func (p *parser) value(f fieldInfo, at int) (Node, *Error) {
	opAt := p.at
	op := p.operator()
	if op == "!=" {
		return nil, p.fail(opAt, `"!="`, "a comparison: = < <= > >=", "write NOT "+f.field.String()+":…")
	}
	p.blanks()
	if p.end() || p.is(0, ')') || p.is(0, '(') {
		return nil, p.missing("a value for " + f.field.String())
	}
	w, err := p.scan()
	if err != nil {
		return nil, err
	}
	if err := p.checkValue(f, op, opAt, w); err != nil {
		return nil, err
	}
	if w.pattern == "*" && op == "" {
		return p.exists(f, at)
	}
	switch f.class {
	case classWords:
		if op == "=" {
			return p.whole(f.field, w, at)
		}
		return p.words(f.field, w, at)
	case classWhole:
		return p.whole(f.field, w, at)
	case classNumber:
		return p.number(f, op, w, at)
	case classDate:
		return p.date(f, op, w, at)
	case classAsked:
		return p.asked(f, op, w, at)
	case classContext:
		return p.context(f, op, w, at)
	case classValue:
		return p.indicator(op, w, at)
	}
	if w.wild() && f.class != classDomain {
		return nil, p.fail(w.at, "a wildcard", "a value of "+f.field.String()+", which takes none", "")
	}
	return p.special(f, w, at)
}

// checkValue refuses comparisons of what has no order, and exclusion in the wrong place.
func (p *parser) checkValue(f fieldInfo, op string, opAt int, w word) *Error {
	if op != "" && op != "=" && f.class != classNumber && f.class != classDate && f.class != classAsked && f.class != classContext {
		return p.fail(opAt, quote(op), "words: "+f.field.String()+" has no order", "")
	}
	if op != "" || w.quoted {
		return nil
	}
	sign := p.text[w.at]
	if _, isNumber := parseDecimal(w.text); sign == '!' || sign == '-' && !isNumber {
		return p.fail(w.at, quote(string(sign))+" in front of a value", "a value", "to exclude it, write -"+f.field.String()+":…")
	}
	return nil
}

// special reads the values of the fields with a form of their own.
func (p *parser) special(f fieldInfo, w word, at int) (Node, *Error) {
	pos, err := p.leaf(at)
	if err != nil {
		return nil, err
	}
	switch f.class {
	case classKind:
		set, ok := kindSet(w.text)
		if !ok {
			return nil, p.fail(w.at, "the unknown kind "+quote(w.text), "one of "+strings.Join(kindNames(), " "), "")
		}
		return Kinds{pos, set}, nil
	case classNet:
		prefix, reason := network(w.text)
		if reason != "" {
			return nil, p.fail(w.at, quote(w.text), "an address or a network such as 203.0.113.0/24", reason)
		}
		return Net{pos, prefix}, nil
	case classListed:
		if v := strings.ToLower(w.text); v == "true" || v == "false" {
			return Listed{pos, v == "true"}, nil
		}
		return nil, p.fail(w.at, quote(w.text), "true or false", "")
	}
	return p.domain(w, pos)
}

// asked reads true, false, or a date.
func (p *parser) asked(f fieldInfo, op string, w word, at int) (Node, *Error) {
	v := strings.ToLower(w.text)
	if op != "" && op != "=" || v != "true" && v != "false" {
		return p.date(f, op, w, at)
	}
	n, err := p.exists(f, at)
	if err != nil || v == "true" {
		return n, err
	}
	return Not{Pos(at + 1), n}, nil
}

// exists is field:*, for the fields that a listing may be without.
func (p *parser) exists(f fieldInfo, at int) (Node, *Error) {
	pos, err := p.leaf(at)
	if err != nil {
		return nil, err
	}
	switch f.class {
	case classKind, classListed, classValue:
		return nil, p.fail(at, f.field.String()+":*", "a value for "+f.field.String(), "every listing has one: write * for everything")
	case classNet:
		return nil, p.fail(at, "net:*", "an address or a network such as 203.0.113.0/24", "write kind:ip for everything that is one")
	}
	return Exists{pos, f.field}, nil
}

// words makes the node of text: a term, phrase, prefix or wildcard.
func (p *parser) words(field Field, w word, at int) (Node, *Error) {
	pos, err := p.leaf(at)
	if err != nil {
		return nil, err
	}
	text := w.text
	if w.wild() {
		head, isPrefix := prefixOf(w)
		if !isPrefix {
			return p.wildcard(field, w, pos)
		}
		text = head
	}
	tokens := tokensOf(text)
	if len(tokens) == 0 {
		return nil, p.fail(w.at, quote(w.text), "at least one letter or digit", "punctuation cannot be searched for by itself")
	}
	last := tokens[len(tokens)-1]
	switch {
	case w.star && utf8.RuneCountInString(last) < MinPrefix:
		return nil, p.fail(w.at, quote(w.text), "at least 2 characters in front of *", "")
	case len(tokens) > 1:
		return Phrase{pos, field, tokens, w.star}, nil
	case w.star:
		return Prefix{pos, field, last}, nil
	}
	return Term{pos, field, last}, nil
}

// prefixOf returns what stands in front of the only wildcard of the word, where
// that is a * at the end with a letter or digit before it.
func prefixOf(w word) (string, bool) {
	pieces := w.pattern.Literals()
	if len(pieces) != 2 || w.one || pieces[1] != "" {
		return "", false
	}
	folded := foldString(pieces[0])
	r, _ := utf8.DecodeLastRuneInString(folded)
	return pieces[0], folded != "" && inToken(r)
}

// wildcard makes the node of a pattern for single words.
func (p *parser) wildcard(field Field, w word, pos Pos) (Node, *Error) {
	pattern := w.pattern.folded()
	for _, l := range pattern.Literals() {
		if Keyword(l) == l && !strings.Contains(l, " ") {
			continue
		}
		instead := string(field) + ":="
		if field == FieldAny {
			instead = "value:"
		}
		return nil, p.fail(w.at, quote(w.text), "letters and digits around a wildcard, which stands for part of one word",
			"to match whole values, write "+instead+"PATTERN")
	}
	if err := p.checkPattern(w, pattern); err != nil {
		return nil, err
	}
	return Wildcard{pos, field, pattern, false}, nil
}

// checkPattern refuses patterns that would match nearly everything.
func (p *parser) checkPattern(w word, pattern Pattern) *Error {
	pieces := pattern.Literals()
	if utf8.RuneCountInString(pieces[0]) >= MinPrefix {
		return nil
	}
	for _, l := range pieces {
		if utf8.RuneCountInString(l) >= MinLiteral {
			return nil
		}
	}
	return p.fail(w.at, quote(w.text), "at least 2 characters in front of the first wildcard, or 3 in a row behind it", "")
}

// whole makes the node that compares whole values.
func (p *parser) whole(field Field, w word, at int) (Node, *Error) {
	pos, err := p.leaf(at)
	if err != nil {
		return nil, err
	}
	norm, pattern := wholeForm(field), w.pattern.folded()
	if keywordForm(field) {
		pattern = w.pattern.keyword()
	}
	if w.wild() {
		if err := p.checkPattern(w, pattern); err != nil {
			return nil, err
		}
		return Wildcard{pos, field, pattern, true}, nil
	}
	v := norm(w.text)
	if field == FieldTLP {
		if v = tlps[strings.TrimPrefix(v, "tlp:")]; v == "" {
			return nil, p.fail(w.at, quote(w.text), "one of clear green amber amber+strict red", "")
		}
	}
	if v == "" {
		return nil, p.fail(w.at, quote(w.text), "a value for "+field.String(), "")
	}
	return Equal{pos, field, v}, nil
}

// tlps are the labels of TLP 2.0, and the white of TLP 1.0. Read-only.
var tlps = map[string]string{
	"clear": "clear", "white": "clear", "green": "green", "amber": "amber", "amber+strict": "amber+strict", "red": "red",
}

// keywordForm says whether whole values of the field are compared as keywords;
// those of the others only folded.
func keywordForm(field Field) bool {
	switch field {
	case FieldValue, FieldDomain, FieldFeed, FieldTLP, FieldCountry:
		return false
	}
	return true
}

// wholeForm returns the function that brings whole values of the field into the
// form in which they are compared.
func wholeForm(field Field) func(string) string {
	if keywordForm(field) {
		return Keyword
	}
	return func(s string) string { return strings.TrimSpace(foldString(s)) }
}

// indicator makes the node of value:.
func (p *parser) indicator(op string, w word, at int) (Node, *Error) {
	if !w.star {
		if i, err := intel.Detect(w.text); err == nil {
			pos, err := p.leaf(at)
			if err != nil {
				return nil, err
			}
			if op == "=" {
				return Exact{pos, FieldValue, i, nil}, nil
			}
			return Exact{pos, FieldValue, i, tokensOf(i.Value)}, nil
		}
	}
	if w.wild() || op == "=" {
		return p.whole(FieldValue, w, at)
	}
	return p.words(FieldValue, w, at)
}

// domain makes the node of domain:.
func (p *parser) domain(w word, pos Pos) (Node, *Error) {
	if rest, ok := strings.CutPrefix(w.text, "*."); ok && !w.quoted && !p.inner(w) {
		name, ok := below(rest)
		if !ok {
			return nil, p.fail(w.at, quote(w.text), "a domain behind *.", "")
		}
		return Domain{pos, name, true}, nil
	}
	if w.wild() {
		pattern := w.pattern.folded()
		if err := p.checkPattern(w, pattern); err != nil {
			return nil, err
		}
		return Wildcard{pos, FieldDomain, pattern, true}, nil
	}
	i, err := intel.Parse(w.text, intel.Domain.Set())
	if err == nil {
		return Domain{pos, i.Value, false}, nil
	}
	hint := ""
	if i, err := intel.Detect(w.text); err == nil {
		switch _, isAddr := i.Addr(); {
		case isAddr || i.Kind == intel.CIDR:
			hint = "write net: for addresses"
		case i.Host() != "":
			hint = "write domain:" + i.Host()
		}
	}
	return nil, p.fail(w.at, quote(w.text), "a domain such as bad.example or *.bad.example", hint)
}

// below returns the canonical form of the name in *.name, which may be a single
// label, as in *.zip.
func below(name string) (string, bool) {
	const label = "x."
	i, err := intel.Parse(label+strings.TrimPrefix(intel.Refang(name), "."), intel.Domain.Set())
	if err != nil || strings.HasPrefix(name, ".") {
		return "", false
	}
	return strings.TrimPrefix(i.Value, label), true
}

// kindSet reads the name of a kind, or of a set of kinds that feeds use.
func kindSet(name string) (intel.KindSet, bool) {
	name = strings.ToLower(name)
	var k intel.Kind
	if err := k.UnmarshalText([]byte(name)); err == nil {
		return k.Set(), true
	}
	for _, n := range kindSets {
		if n == name {
			set, err := intel.ParseKindSet(n)
			return set, err == nil
		}
	}
	return 0, false
}

// kindSets are the names of sets of kinds; proxy is of the 2018 format. Read-only.
var kindSets = []string{"ip", "ipaddress", "hash", "proxy"}

func kindNames() []string {
	var out []string
	for _, k := range intel.AnyKind.Kinds() {
		out = append(out, k.String())
	}
	return append(out, kindSets[:3]...)
}

// network reads an address or network; reason says what is wrong with it.
func network(s string) (p netip.Prefix, reason string) {
	i, err := intel.Parse(s, intel.Networks)
	if err != nil {
		var v *intel.ValueError
		if errors.As(err, &v) {
			return p, v.Reason
		}
		return p, err.Error()
	}
	if p, ok := i.Prefix(); ok {
		return p, ""
	}
	return p, "no network"
}
