package enginetest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// word is a word of a line, or NAME=VALUE.
type word struct {
	text string // all of it, without quotes
	eq   int    // where the first = outside of quotes is in text; -1 = nowhere
}

// pair returns the name and the value.
func (w word) pair() (name, value string, ok bool) {
	if w.eq < 0 {
		return "", "", false
	}
	return w.text[:w.eq], w.text[w.eq+1:], true
}

// words cuts a line.
func words(line string) ([]word, error) {
	var out []word
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return out, nil
		}
		w := word{eq: -1}
		var b strings.Builder
		for line != "" && line[0] != ' ' && line[0] != '\t' {
			if line[0] != '"' {
				if line[0] == '=' && w.eq < 0 {
					w.eq = b.Len()
				}
				b.WriteByte(line[0])
				line = line[1:]
				continue
			}
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("a quote that is never closed: %s", line)
			}
			s, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			b.WriteString(s)
			line = line[len(quoted):]
		}
		w.text = b.String()
		out = append(out, w)
	}
}

// plain writes s so that words reads it again.
func plain(s string) string {
	bad := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == '"' || r == '\uFFFD' }
	if s == "" || s[0] == '#' || strings.ContainsFunc(s, bad) {
		return strconv.Quote(s)
	}
	return s
}

// name writes the name in front of an =.
func name(s string) string {
	if strings.Contains(s, "=") {
		return strconv.Quote(s)
	}
	return plain(s)
}
