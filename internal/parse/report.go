package parse

import (
	"context"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"golang.org/x/net/publicsuffix"
)

// maxWord is how long a word may be that is looked at, in bytes.
const maxWord = 8 << 10

// report finds indicators in free text, such as a report or a paste, defanged or
// not. Each word that is one is a record. Words that are none are no records,
// except defanged ones: somebody meant these, so they are rejected with a reason.
type report struct {
	c       *collector
	rec     record
	version bool // the words before say that what comes next is a version
}

func readReport(ctx context.Context, r io.Reader, c *collector) error {
	in := newLines(ctx, r)
	p := &report{c: c}
	for {
		ln, ok := in.next()
		switch {
		case !ok:
			return in.err
		case ln.long:
			c.reject(ln.no, ln.text, longLine)
		default:
			p.line(ln)
		}
	}
}

// line takes the words of one line.
func (p *report) line(ln line) {
	text := intel.Trim(ln.text)
	p.version = false
	for word := range strings.FieldsFuncSeq(strings.ReplaceAll(text, "](", " "), betweenWords) {
		switch {
		case len(word) > maxWord:
			if strings.Contains(word[:maxWord], "//") {
				p.c.reject(ln.no, word, "a word longer than 8 KiB")
			}
			continue
		case hasScheme(word):
			p.word(ln.no, text, word, true)
			continue
		}
		for part := range strings.FieldsFuncSeq(word, func(r rune) bool { return r == ',' || r == ';' || r == '\'' }) {
			p.word(ln.no, text, part, true)
		}
	}
}

// betweenWords says whether r stands between words and in no indicator.
func betweenWords(r rune) bool {
	return r <= ' ' || r == '<' || r == '>' || r == '"' || r == '|' || r == '`' || r == 0xA0 || r >= 0x2010 && r <= 0x203F || r >= 0x3000 && r <= 0x303F
}

// hasScheme says whether word is a URL with its scheme.
func hasScheme(word string) bool {
	return strings.Contains(word, "//") && strings.Contains(intel.Refang(word), "://")
}

// word takes one word of a line, if it is an indicator or, where that may be, one
// with a label before it.
func (p *report) word(line int, text, word string, label bool) {
	word = bare(word)
	lower := strings.ToLower(word)
	p.version = versionWords[lower] || p.version && (joiningWords[lower] || strings.Trim(lower, "v.0123456789") == "")
	if len(word) < 4 {
		return
	}
	fanged := intel.Refang(word) == word
	i, err := intel.Parse(word, intel.AnyKind)
	if err == nil && fanged && p.version && i.Kind == intel.IPv4 {
		return
	}
	if err != nil || fanged && !plausible(i, word) {
		value, ok := labelled(word) // md5=…, IP:…
		switch {
		case ok && label:
			p.word(line, text, value, false)
		case !fanged:
			p.c.reject(line, word, reasonOf(err))
		}
		return
	}
	p.rec.begin(line, word)
	if word != text {
		p.rec.say(intel.FieldDescription, shorten(text))
	}
	p.c.offered(&p.rec, finding{word, i.Kind.Set()})
}

// versionWords say that a number with dots behind them, and further ones joined to
// it, is a version and no address. Read-only.
var versionWords = map[string]bool{
	"v": true, "ver": true, "version": true, "versions": true, "release": true, "releases": true, "rev": true, "revision": true,
	"build": true, "builds": true, "firmware": true,
}

// joiningWords stand between versions. Read-only.
var joiningWords = map[string]bool{
	"": true, "and": true, "or": true, "to": true, "through": true, "until": true, "up": true, "than": true, "prior": true, "below": true, "number": true,
}

// bare takes the marks off a word that belong to the sentence around it.
func bare(word string) string {
	for range 16 {
		short := strings.TrimRight(strings.TrimLeft(word, `'*_~-=:,;.!`), `.,;:!?'*`)
		for _, b := range [...]string{"()", "[]", "{}"} {
			short = unbalanced(short, b[0], b[1])
		}
		if short == word {
			return word
		}
		word = short
	}
	return word
}

// unbalanced takes brackets off that stand around a word or have no partner in it.
func unbalanced(word string, open, end byte) string {
	if word == "" {
		return word
	}
	first, last := word[0] == open, word[len(word)-1] == end
	opened, closed := strings.Count(word, string(open)), strings.Count(word, string(end))
	switch {
	case first && last && len(word) > 1 && word[1] != ':' && !bracketed(word):
		return word[1 : len(word)-1]
	case first && opened > closed:
		return word[1:]
	case last && closed > opened:
		return word[:len(word)-1]
	}
	return word
}

// bracketed says whether a word is an IPv6 address in brackets.
func bracketed(word string) bool { return word[0] == '[' && strings.Count(word, ":") > 1 }

// labelled takes a label off a value: md5=79054…, IP:192.0.2.1.
func labelled(word string) (value string, ok bool) {
	i := strings.IndexAny(word, "=:")
	if i <= 0 || i > 16 || hasScheme(word) && word[i] == ':' {
		return "", false
	}
	for _, c := range []byte(word[:i]) {
		if !(c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return "", false
		}
	}
	return word[i+1:], word[i+1:] != ""
}

// fileEndings are top-level domains that in a text are more often the ending of a
// file's name. Read-only.
var fileEndings = map[string]bool{
	"zip": true, "sh": true, "py": true, "pl": true, "ps": true, "md": true, "so": true, "rs": true, "mov": true, "cab": true, "app": true, "lnk": true,
}

// plausible says whether a word that can be read as an indicator is meant as one,
// though nobody defanged it: a name must end like one.
func plausible(i intel.Indicator, word string) bool {
	host := i.Host()
	switch i.Kind {
	case intel.URL:
		if _, ok := i.Addr(); ok {
			return true
		}
		if strings.Contains(word, "://") {
			return strings.IndexByte(host, '.') > 0
		}
	case intel.Domain, intel.Email:
	default:
		return true
	}
	suffix, icann := publicsuffix.PublicSuffix(host)
	managed := icann || strings.IndexByte(suffix, '.') >= 0 // by a registry, or by who gives names away, such as pages.dev
	return managed && suffix != host && !fileEndings[host[strings.LastIndexByte(host, '.')+1:]]
}
