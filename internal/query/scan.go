package query

import (
	"strings"
	"unicode"
)

// word is one value as it is written: a run without blanks, or a quoted string.
type word struct {
	at      int    // index of its first character
	text    string // without quotes and escapes
	pattern Pattern
	star    bool // an unquoted, unescaped * is in it
	one     bool // such a ?
	quoted  bool
}

func (w *word) wild() bool { return w.star || w.one }

// isBlank says whether r separates words: white space, and the invisible ones
// that pasted text has in its place.
func isBlank(r rune) bool { return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' }

// isQuote says whether r begins or ends a quoted string. Chat programs and
// phones write the typographic ones.
func isQuote(r rune) bool { return r == '"' || r == '“' || r == '”' || r == '„' }

// escapes says whether the backslash at i makes the next character an ordinary
// one. In front of letters and digits it is one itself.
func escapes(text []rune, i int) bool {
	return text[i] == '\\' && i+1 < len(text) && !unicode.IsLetter(text[i+1]) && !unicode.IsDigit(text[i+1])
}

// pairs finds the parentheses that belong to each other without a blank or a
// quote between them: where they stand inside a word, they are part of it, as in
// evil(.)example. The result holds the openings.
func pairs(text []rune) map[int]bool {
	var out map[int]bool
	var open []int
	for i := 0; i < len(text); i++ {
		switch r := text[i]; {
		case escapes(text, i):
			i++
		case r == '(':
			open = append(open, i)
		case r == ')' && len(open) > 0:
			if out == nil {
				out = map[int]bool{}
			}
			out[open[len(open)-1]] = true
			open = open[:len(open)-1]
		case isBlank(r) || isQuote(r):
			open = open[:0]
		}
	}
	return out
}

// end says whether the cursor is at the end of the text.
func (p *parser) end() bool { return p.at >= len(p.text) }

// is says whether r stands n characters behind the cursor.
func (p *parser) is(n int, r rune) bool { return p.at+n < len(p.text) && p.text[p.at+n] == r }

// blanks moves the cursor to the next character that is no blank.
func (p *parser) blanks() {
	for !p.end() && isBlank(p.text[p.at]) {
		p.at++
	}
}

// keyword returns AND, OR or NOT where one stands at the cursor, else "".
func (p *parser) keyword() string {
	for _, k := range [...]string{"AND", "OR", "NOT"} {
		end := p.at + len(k)
		if end > len(p.text) || string(p.text[p.at:end]) != k {
			continue
		}
		if end == len(p.text) || isBlank(p.text[end]) || isQuote(p.text[end]) || p.text[end] == '(' || p.text[end] == ')' {
			return k
		}
	}
	return ""
}

// fieldName returns the name in front of a colon and the index behind that, where
// a name stands at the cursor. What "://" follows is the scheme of a URL.
func (p *parser) fieldName() (name string, after int, ok bool) {
	i := p.at
	for i < len(p.text) && isName(p.text[i], i > p.at) {
		i++
	}
	if i < len(p.text) && p.text[i] == '.' && strings.EqualFold(string(p.text[p.at:i]), "context") {
		for i++; i < len(p.text) && (inToken(p.text[i]) || strings.ContainsRune("_-.", p.text[i])); {
			i++
		}
	}
	if i == p.at || i >= len(p.text) || p.text[i] != ':' {
		return "", 0, false
	}
	if i+2 < len(p.text) && p.text[i+1] == '/' && p.text[i+2] == '/' {
		return "", 0, false
	}
	return string(p.text[p.at:i]), i + 1, true
}

func isName(r rune, inside bool) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || inside && r >= '0' && r <= '9'
}

// operator reads a comparison at the cursor: "", "=", "<", "<=", ">", ">=", "!=".
func (p *parser) operator() string {
	op := ""
	if !p.end() && strings.ContainsRune("<>=!", p.text[p.at]) {
		op = string(p.text[p.at])
		if p.is(1, '=') && op != "=" {
			op += "="
		}
	}
	if op == "!" {
		return ""
	}
	p.at += len(op)
	return op
}

// scan reads the word or quoted string at the cursor.
func (p *parser) scan() (word, *Error) {
	if isQuote(p.text[p.at]) {
		return p.scanQuoted()
	}
	return p.scanWord()
}

// scanWord reads up to a blank or a parenthesis that is not part of the word.
func (p *parser) scanWord() (word, *Error) {
	w := word{at: p.at}
	var text, pattern strings.Builder
	depth := 0
loop:
	for ; !p.end(); p.at++ {
		r := p.text[p.at]
		switch {
		case isBlank(r):
			break loop
		case isQuote(r):
			return w, p.fail(p.at, "a quote inside a word", "a blank in front of it", `write \" for a quote itself`)
		case r == '(' && !p.pairs[p.at]:
			break loop
		case r == '(':
			depth++
		case r == ')' && depth == 0:
			break loop
		case r == ')':
			depth--
		case r == '\\' && p.at+1 == len(p.text):
			return w, p.fail(p.at, "a backslash at the end", "the character that it is for", `write \\ for a backslash itself`)
		case escapes(p.text, p.at):
			p.at++
			r = p.text[p.at]
		case r == '*' || r == '?':
			w.star, w.one = w.star || r == '*', w.one || r == '?'
			text.WriteRune(r)
			pattern.WriteRune(r)
			continue
		}
		text.WriteRune(r)
		if r == '\\' || r == '*' || r == '?' {
			pattern.WriteByte('\\')
		}
		pattern.WriteRune(r)
	}
	w.text, w.pattern = text.String(), Pattern(pattern.String())
	return w, nil
}

// scanQuoted reads a quoted string and the * that may follow it.
func (p *parser) scanQuoted() (word, *Error) {
	w := word{at: p.at, quoted: true}
	plain := p.text[p.at] == '"'
	closes := func(r rune) bool { return r == '"' || !plain && isQuote(r) }
	var text strings.Builder
	for p.at++; !p.end() && !closes(p.text[p.at]); p.at++ {
		if p.is(0, '\\') && p.at+1 < len(p.text) && (p.is(1, '\\') || isQuote(p.text[p.at+1])) {
			p.at++
		}
		text.WriteRune(p.text[p.at])
	}
	if p.end() {
		return w, p.fail(w.at, "a quote that is never closed", `another " behind the text`, "")
	}
	p.at++
	w.text = text.String()
	w.pattern = literal(w.text)
	if p.is(0, '*') {
		p.at++
		w.star, w.pattern = true, w.pattern+"*"
	}
	if !p.end() && !isBlank(p.text[p.at]) && !p.is(0, ')') {
		return w, p.fail(p.at, quote(string(p.text[p.at])), "a blank behind the closing quote", "")
	}
	return w, nil
}
