package parse

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// readBind reads configurations of named.conf(5) that make this server the
// master of names that it blocks. Each zone statement is a record.
func readBind(ctx context.Context, r io.Reader, c *collector) error {
	b := &bind{c: c, start: true}
	err := readLayout(ctx, r, c, b.line)
	switch {
	case err != nil:
	case b.comment:
		c.reject(b.no, b.first, "a comment behind this does not end")
	case b.depth > 0 || !b.start:
		c.reject(b.no, b.first, "the file ends inside this statement")
	}
	return err
}

// bind walks over the statements of a file. What is kept of one that goes over
// lines is its first words.
type bind struct {
	c       *collector
	depth   int    // open braces
	start   bool   // the next word begins a statement
	comment bool   // inside /* */
	no      int    // the line on which the statement at hand, outside of views, began
	first   string // its first word
	hold    []byte // the name of the zone
	words   int
	zone    int    // depth inside the zone at hand, 0 = none
	kind    string // the zone's type
	typed   bool   // the next word is it
}

// line takes the words of one line.
func (b *bind) line(no int, text string) {
	for text != "" {
		var word string
		if word, text = b.next(text); word != "" {
			b.word(no, word)
		}
	}
}

// next cuts the next word off, which is one of { } ; too. A quoted one keeps its
// first quote. "" is a comment or blanks.
func (b *bind) next(text string) (word, rest string) {
	if b.comment {
		_, rest, ended := strings.Cut(text, "*/")
		b.comment = !ended
		return "", rest
	}
	switch text = strings.TrimLeft(text, " \t"); {
	case text == "" || text[0] == '#' || strings.HasPrefix(text, "//"):
		return "", ""
	case strings.HasPrefix(text, "/*"):
		b.comment = true
		return "", text[2:]
	case strings.IndexByte("{};", text[0]) >= 0:
		return text[:1], text[1:]
	case text[0] == '"':
		word, rest, _ = strings.Cut(text[1:], `"`)
		return text[:1+len(word)], rest
	}
	end := strings.IndexAny(text, " \t\"{};")
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}

// word takes one word.
func (b *bind) word(no int, word string) {
	switch word {
	case "{":
		b.open()
	case "}":
		b.depth = max(0, b.depth-1)
		b.start = false
	case ";":
		b.end()
		b.start, b.typed = true, false
	default:
		b.plain(no, strings.TrimPrefix(word, `"`))
	}
}

// plain takes a word that is no sign.
func (b *bind) plain(no int, word string) {
	outside := b.zone == 0 && b.depth == 0
	switch {
	case b.start && (outside || b.zone == 0 && word == "zone"):
		b.no, b.first, b.hold, b.kind, b.words = no, b.keyword(word), b.hold[:0], "", 1
	case b.start:
		b.typed = b.zone == b.depth && word == "type"
	case b.typed:
		b.kind, b.typed = b.keyword(word), false
	case b.zone == 0:
		if b.words++; b.words == 2 {
			b.hold = append(b.hold[:0], word...) // the block that it is a piece of may go
		}
	}
	b.start = false
}

// keyword returns a copy of a word that one of few is expected for.
func (b *bind) keyword(word string) string {
	for _, k := range [...]string{"zone", "master", "primary", "options", "view"} {
		if word == k {
			return k
		}
	}
	return strings.Clone(shorten(word))
}

// open takes a brace. It may begin a zone's settings.
func (b *bind) open() {
	b.depth++
	if b.zone == 0 && b.first == "zone" && b.words > 1 {
		b.zone = b.depth
	}
	b.start = true
}

// end takes the end of a statement.
func (b *bind) end() {
	switch {
	case b.zone > 0 && b.depth < b.zone:
		b.zone = 0
		b.listed()
	case b.zone > 0 || b.depth > 0 || b.words == 0:
		return
	case b.first == "zone":
		b.c.reject(b.no, string(b.hold), "a zone without settings")
	case strings.IndexByte(b.first, '.') >= 0:
		b.c.reject(b.no, b.first, "no statement of a configuration")
	default:
		b.c.suppress(suppressedSetting, 1)
	}
	b.first, b.words = "", 0
}

// listed takes a whole zone.
func (b *bind) listed() {
	switch name := string(b.hold); {
	case localName(name) || name == "." || strings.HasSuffix(name, ".arpa"):
		b.c.suppress("a zone that the server needs itself", 1)
	case b.kind == "master" || b.kind == "primary":
		b.c.value(b.no, name)
	default:
		b.c.reject(b.no, name, fmt.Sprintf("a zone of the type %q does not block the name", b.kind))
	}
}
