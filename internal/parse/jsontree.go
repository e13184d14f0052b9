package parse

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// tree is one JSON value taken apart: a flat list of nodes over its text, which
// is reused from record to record.
type tree struct {
	text  string
	valid bool // text is UTF-8
	nodes []node
	pos   int
	depth int
}

// node is one value or member name. Numbers, true, false and null keep their text.
type node struct {
	kind       byte // { [ " or the first byte of a literal
	escaped    bool // a string with escapes
	start, end int32
	next       int32 // the node behind this one and all that is in it
}

// syntaxError says where a text is no JSON.
type syntaxError struct {
	pos    int // in bytes from the beginning of the text
	reason string
}

func (e *syntaxError) Error() string { return e.reason }

// parse takes text apart. Unlike the standard it lets control characters stand
// in strings, which publishers forget to escape.
func (t *tree) parse(text string) *syntaxError {
	t.text, t.nodes, t.pos, t.depth = text, t.nodes[:0], 0, 0
	t.valid = utf8.ValidString(text)
	if err := t.value(); err != nil {
		return err
	}
	if t.space(); t.pos < len(text) {
		return t.bad("%s behind the value", t.here())
	}
	return nil
}

func (t *tree) bad(reason string, args ...any) *syntaxError {
	return &syntaxError{t.pos, fmt.Sprintf(reason, args...)}
}

// here names what stands at pos.
func (t *tree) here() string {
	if t.pos >= len(t.text) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(t.text[t.pos:])
	return fmt.Sprintf("%q", r)
}

func (t *tree) space() {
	for t.pos < len(t.text) {
		switch t.text[t.pos] {
		case ' ', '\t', '\r', '\n':
			t.pos++
		default:
			return
		}
	}
}

// value parses the value at pos, behind white space.
func (t *tree) value() *syntaxError {
	t.space()
	if t.pos >= len(t.text) {
		return t.bad("the end, where a value belongs")
	}
	at := len(t.nodes)
	c := t.text[t.pos]
	t.nodes = append(t.nodes, node{kind: c, start: int32(t.pos)})
	var err *syntaxError
	switch c {
	case '{':
		err = t.container('}')
	case '[':
		err = t.container(']')
	case '"':
		err = t.quoted(at)
	default:
		err = t.literal(at)
	}
	t.nodes[at].next = int32(len(t.nodes))
	return err
}

// container parses an object or array up to its closing bracket.
func (t *tree) container(end byte) *syntaxError {
	if t.depth++; t.depth > maxDepth {
		return t.bad("more than %d objects and arrays inside each other", maxDepth)
	}
	t.pos++
	if t.space(); t.pos < len(t.text) && t.text[t.pos] == end {
		t.pos++
		t.depth--
		return nil
	}
	for {
		if end == '}' {
			if err := t.memberName(); err != nil {
				return err
			}
		}
		if err := t.value(); err != nil {
			return err
		}
		t.space()
		if t.pos < len(t.text) && t.text[t.pos] == end {
			t.pos++
			t.depth--
			return nil
		}
		if t.pos >= len(t.text) || t.text[t.pos] != ',' {
			return t.bad("%s, where , or %c belongs", t.here(), end)
		}
		t.pos++
	}
}

func (t *tree) memberName() *syntaxError {
	if t.space(); t.pos >= len(t.text) || t.text[t.pos] != '"' {
		return t.bad("%s, where a name in quotes belongs", t.here())
	}
	if err := t.value(); err != nil {
		return err
	}
	if t.space(); t.pos >= len(t.text) || t.text[t.pos] != ':' {
		return t.bad("%s, where : belongs", t.here())
	}
	t.pos++
	return nil
}

// quoted parses the string at pos; its node holds what is between the quotes.
func (t *tree) quoted(at int) *syntaxError {
	n := &t.nodes[at]
	n.start++
	for i := t.pos + 1; i < len(t.text); i++ {
		switch t.text[i] {
		case '"':
			n.end = int32(i)
			t.pos = i + 1
			return nil
		case '\\':
			n.escaped = true
			size := escapeSize(t.text[i:])
			if size == 0 {
				t.pos = i
				return t.bad("an escape that JSON does not have")
			}
			i += size - 1
		}
	}
	return t.bad("a string that is not closed")
}

// escapeSize returns the length of the escape that s begins with, 0 if it is none.
func escapeSize(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(s); ok {
			return 6
		}
	}
	return 0
}

// hex4 reads \uXXXX.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// literal parses a number, true, false or null.
func (t *tree) literal(at int) *syntaxError {
	i := t.pos
	for i < len(t.text) && !strings.ContainsRune(" \t\r\n,:]}[{\"", rune(t.text[i])) {
		i++
	}
	switch word := t.text[t.pos:i]; {
	case word == "":
		return t.bad("%s, where a value belongs", t.here())
	case word != "true" && word != "false" && word != "null" && !isNumber(word):
		return t.bad("%.40q, which is no value", word)
	}
	t.nodes[at].end = int32(i)
	t.pos = i
	return nil
}

// isNumber says whether s is a number as JSON writes it.
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	if s = s[whole:]; strings.HasPrefix(s, ".") {
		n := digits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s != "" && s[0]|0x20 == 'e' {
		if s = s[1:]; s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		n := digits(s)
		return n > 0 && n == len(s)
	}
	return s == ""
}

// digits counts the decimal digits that s begins with.
func digits(s string) int {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return i
		}
	}
	return len(s)
}

// string returns the text of a string or literal. A string that is not UTF-8 is
// read as latin-1.
func (t *tree) string(n *node) string {
	s := t.text[n.start:n.end]
	if n.escaped {
		s = unescape(s)
	}
	if !t.valid && !utf8.ValidString(s) {
		s = latin1(s)
	}
	return s
}

// unescape resolves the escapes of a string, which are known to be good. Half a
// surrogate pair becomes U+FFFD.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		s = s[i:]
		switch c := s[1]; c {
		case 'u':
			r, _ := hex4(s)
			s = s[6:]
			if utf16.IsSurrogate(r) {
				low, ok := hex4(s)
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					s = s[6:]
				}
			}
			b.WriteRune(r)
			continue
		case 'b', 'f', 'n', 'r', 't':
			b.WriteByte("\b\f\n\r\t"[strings.IndexByte("bfnrt", c)])
		default:
			b.WriteByte(c)
		}
		s = s[2:]
	}
}
