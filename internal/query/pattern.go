package query

import (
	"strings"
	"unicode/utf8"
)

// Pattern is a wildcard pattern over folded text: * stands for any characters,
// none too, and ? for exactly one. A backslash makes the next of * ? \ an
// ordinary character. Patterns in a parsed tree have no ** and no *? (it is ?*).
type Pattern string

// Match says whether the pattern matches all of s, which must be folded as the
// pattern is. It takes no memory, and len(p)*len(s) steps at worst.
func (p Pattern) Match(s string) bool {
	at, i := 0, 0
	star, retry := -1, 0
	for i < len(s) {
		if at < len(p) {
			switch c := p[at]; {
			case c == '*':
				star, retry, at = at, i, at+1
				continue
			case c == '?':
				_, n := utf8.DecodeRuneInString(s[i:])
				i, at = i+n, at+1
				continue
			case c == '\\' && at+1 < len(p) && p[at+1] == s[i]:
				i, at = i+1, at+2
				continue
			case c == s[i] && c != '\\':
				i, at = i+1, at+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[retry:])
		retry += n
		i, at = retry, star+1
	}
	return strings.Trim(string(p[at:]), "*") == ""
}

// Literals returns the plain text between the wildcards, in order: with one
// wildcard two pieces, either of which may be empty.
func (p Pattern) Literals() []string {
	var out []string
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '*' || c == '?':
			out = append(out, b.String())
			b.Reset()
		case c == '\\' && i+1 < len(p):
			i++
			b.WriteByte(p[i])
		default:
			b.WriteByte(c)
		}
	}
	return append(out, b.String())
}

// Prefix returns the plain text in front of the first wildcard.
func (p Pattern) Prefix() string { return p.Literals()[0] }

// Longest returns the longest plain text in the pattern, in bytes: what an
// engine looks for first.
func (p Pattern) Longest() string {
	best := ""
	for _, l := range p.Literals() {
		if len(l) > len(best) {
			best = l
		}
	}
	return best
}

// literal returns the pattern that matches s and nothing else.
func literal(s string) Pattern { return Pattern(escapeWild.Replace(s)) }

var escapeWild = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

// mapLiterals rewrites the plain pieces of a pattern by f, which is told whether
// the piece begins or ends the pattern, and puts its wildcards in order.
func (p Pattern) mapLiterals(f func(s string, first, last bool) string) Pattern {
	pieces := p.Literals()
	var b strings.Builder
	ones, star := 0, false
	rest := string(p)
	for i, l := range pieces {
		if s := f(l, i == 0, i == len(pieces)-1); s != "" {
			writeWild(&b, ones, star)
			ones, star = 0, false
			b.WriteString(string(literal(s)))
		}
		rest = rest[len(literal(l)):]
		if rest != "" {
			star = star || rest[0] == '*'
			if rest[0] == '?' {
				ones++
			}
			rest = rest[1:]
		}
	}
	writeWild(&b, ones, star)
	return Pattern(b.String())
}

func writeWild(b *strings.Builder, ones int, star bool) {
	b.WriteString(strings.Repeat("?", ones))
	if star {
		b.WriteByte('*')
	}
}

// folded returns the pattern over folded text, punctuation kept.
func (p Pattern) folded() Pattern {
	return p.mapLiterals(func(s string, _, _ bool) string { return foldString(s) })
}

// keyword returns the pattern over the form that Keyword gives.
func (p Pattern) keyword() Pattern {
	return p.mapLiterals(func(s string, first, last bool) string {
		folded := foldString(s)
		var b strings.Builder
		for i := 0; i < len(folded); {
			start, end := nextToken(folded, i)
			if start > i && !(first && i == 0) && !(last && start == end) {
				b.WriteByte(' ')
			}
			b.WriteString(folded[start:end])
			i = max(end, start)
		}
		return b.String()
	})
}
