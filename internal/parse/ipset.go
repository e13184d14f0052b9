package parse

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// readIPSet reads what ipset(8) saves and restores, the lists .ipset and .netset
// that update-ipsets makes, and lists of ranges: an address, a network or
// first-last a line. Each is a record, a range as many as it has networks.
func readIPSet(ctx context.Context, r io.Reader, c *collector) error {
	return readLayout(ctx, r, c, c.ipsetLine)
}

// ipsetLine takes one line.
func (c *collector) ipsetLine(no int, text string) {
	words := c.cutWords(text)
	switch words[0] {
	case "add", "-A", "--add":
		if len(words) < 3 {
			c.reject(no, text, "add has a set and an entry")
			return
		}
		c.ipsetEntry(no, words[1], words[2], text)
	case "del", "-D", "--del":
		if len(words) < 3 {
			c.reject(no, text, "del has a set and an entry")
			return
		}
		c.except(words[2])
	case "create", "-N", "--create", "destroy", "-X", "flush", "-F", "swap", "-W", "rename", "-E", "COMMIT", "quit":
		c.suppress(suppressedSetting, 1)
	default:
		c.network(no, c.comments.cut(text)) // a # in a comment of add is one of its characters
	}
}

// network takes an address, a network or a range and what is known of it.
func (c *collector) network(no int, text string, context ...pair) {
	if first, last, ok := parseRange(text); ok {
		c.spread(no, text, first, last, context...)
		return
	}
	c.listing(no, text, context...)
}

// ipsetEntry takes an entry of a set. What stands behind a comma belongs to it:
// a port, perhaps with its protocol, an interface, a mark or a second address.
func (c *collector) ipsetEntry(no int, set, entry, text string) {
	context := []pair{{"set", set}}
	entry, more, _ := strings.Cut(entry, ",")
	if protocol, port, ok := strings.Cut(more, ":"); ok && strings.IndexByte(port, ':') < 0 {
		context = append(context, pair{"protocol", protocol}, pair{"port", port})
	} else if strings.Trim(more, "0123456789-") == "" {
		context = append(context, pair{"port", more})
	} else {
		context = append(context, pair{"with", more})
	}
	said, comment, _ := strings.Cut(text, ` comment "`)
	comment, rest, _ := strings.Cut(comment, `"`)
	context = append(context, pair{intel.FieldDescription, comment})
	words := c.cutWords(said)
	for w := range strings.FieldsSeq(rest) {
		words = append(words, w)
	}
	for i := 3; i < len(words) && i < maxColumns; i++ {
		switch word := words[i]; word {
		case "nomatch":
			c.except(entry)
			return
		case "timeout", "packets", "bytes", "skbmark", "skbprio", "skbqueue":
			if i+1 < len(words) {
				context = append(context, pair{word, words[i+1]})
			}
			i++
		case "-exist", "-!":
		default:
			c.reject(no, text, fmt.Sprintf("%q is no option of an entry", shorten(word)))
			return
		}
	}
	c.network(no, entry, context...)
}
