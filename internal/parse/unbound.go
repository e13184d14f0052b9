package parse

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// unboundBlocks are the types of a local-zone that answer with less than the
// truth; unboundPasses are those that do not. Read-only.
var (
	unboundBlocks = []string{"deny", "refuse", "static", "redirect", "inform_deny", "inform_redirect",
		"always_refuse", "always_nxdomain", "always_nodata", "always_deny", "always_null", "block_a"}
	unboundPasses = []string{"transparent", "typetransparent", "always_transparent", "inform", "nodefault", "noview"}
)

// readUnbound reads configurations of unbound.conf(5) that block names. Each
// local-zone is a record, and so is each address that local-data gives a name.
func readUnbound(ctx context.Context, r io.Reader, c *collector) error {
	var words []string
	return readLayout(ctx, r, c, func(no int, text string) {
		if words = unboundWords(words[:0], text); len(words) >= maxColumns {
			c.reject(no, text, fmt.Sprintf("%d words or more", maxColumns))
			return
		}
		for i := 0; i < len(words); {
			n := 1 // what belongs to the keyword
			for i+n < len(words) && !isKeyword(words[i+n]) {
				n++
			}
			c.unboundStatement(no, text, words[i:i+n])
			i += n
		}
	})
}

// unboundWords cuts a line into words. Quotes hold a word together; the first
// byte of a quoted one stays its quote, so that it is never taken for a keyword.
func unboundWords(words []string, text string) []string {
	for len(words) < maxColumns {
		text = strings.TrimLeft(text, " \t")
		if text == "" || text[0] == '#' {
			break
		}
		end := strings.IndexAny(text, " \t\"'")
		switch {
		case end == 0: // a quote
			if end = strings.IndexByte(text[1:], text[0]) + 1; end == 0 {
				end = len(text)
			}
			words = append(words, text[:end])
			text = text[min(end+1, len(text)):]
			continue
		case end < 0:
			end = len(text)
		}
		words = append(words, text[:end])
		text = text[end:]
	}
	return words
}

func isKeyword(word string) bool {
	return word[0] != '"' && word[0] != '\'' && strings.HasSuffix(word, ":")
}

// unquoted takes off the quote that unboundWords leaves.
func unquoted(word string) string {
	if word[0] == '"' || word[0] == '\'' {
		return word[1:]
	}
	return word
}

// unboundStatement takes a keyword and its values.
func (c *collector) unboundStatement(no int, text string, words []string) {
	switch {
	case !isKeyword(words[0]):
		c.reject(no, text, "no keyword with a colon")
	case words[0] == "local-zone:" && len(words) == 3:
		c.unboundZone(no, unquoted(words[1]), unquoted(words[2]))
	case words[0] == "local-data:" && len(words) == 2:
		c.unboundData(no, unquoted(words[1]))
	case words[0] == "local-zone:":
		c.reject(no, text, "a local-zone has a name and a type")
	case words[0] == "local-data:":
		c.reject(no, text, "local-data has one record, in quotes")
	case len(words) > 1: // else it begins a clause
		c.suppress(suppressedSetting, 1)
	}
}

func (c *collector) unboundZone(no int, name, kind string) {
	switch {
	case slices.Contains(unboundBlocks, kind):
		c.value(no, name)
	case slices.Contains(unboundPasses, kind):
		c.except(name)
	default:
		c.reject(no, name, fmt.Sprintf("%q is no type of a zone", shorten(kind)))
	}
}

// unboundData takes a resource record: name, TTL and class where they are said,
// type and data. Only addresses can block.
func (c *collector) unboundData(no int, text string) {
	words := strings.Fields(text)
	at := slices.IndexFunc(words, func(w string) bool { return strings.EqualFold(w, "A") || strings.EqualFold(w, "AAAA") })
	if at < 1 || at != len(words)-2 {
		c.suppress(suppressedSetting, 1)
		return
	}
	if why := notSink(words[at+1]); why != "" {
		c.reject(no, words[0], why)
		return
	}
	c.value(no, words[0])
}
