package parse

import (
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// comments knows what is no record: which lines, and which ends of lines.
type comments struct {
	start   []string
	inline  []string
	exclude string
}

// newComments takes the spec's prefixes, or the format's. JSON has no comments
// unless a spec says so.
func newComments(s Spec) comments {
	c := comments{exclude: s.Exclude}
	switch s.Type {
	case "txt", "hosts":
		c.start, c.inline = []string{"#", ";", "!", "//"}, []string{"#", ";"}
	case "dnsmasq":
		c.start, c.inline = []string{"#"}, []string{"#"}
	case "rbldnsd":
		c.start = []string{"#", ";"} // its reader finds those behind a value
	case "dshield", "rules":
		c.start = []string{"#"}
	case "ipset":
		c.start, c.inline = []string{"#", ";"}, []string{"#", ";"}
	case "rpz":
		c.start = []string{";"} // its reader finds those behind a value
	case "unbound":
		c.start = []string{"#"} // its reader finds those behind a value
	case "adblock":
		c.start, c.inline = []string{"!"}, []string{"#"} // # can begin a rule too
	case "csv":
		c.start = []string{"#", ";"}
	}
	if s.Comments != nil {
		c.start = *s.Comments
	}
	if s.Inline != nil {
		c.inline = *s.Inline
	}
	return c
}

// What a line is.
const (
	lineRecord = iota
	lineBlank
	lineComment
	lineExclusion
)

// classify says what a line is. For a comment it also gives its text without the
// prefix. An exclusion prefix is stronger than a comment prefix.
func (c *comments) classify(line string) (kind int, text string) {
	t := intel.Trim(line)
	if t == "" {
		return lineBlank, ""
	}
	if c.exclude != "" && strings.HasPrefix(t, c.exclude) {
		return lineExclusion, t
	}
	for _, p := range c.start {
		if strings.HasPrefix(t, p) {
			for strings.HasPrefix(t, p) {
				t = t[len(p):]
			}
			return lineComment, intel.Trim(t)
		}
	}
	return lineRecord, t
}

// cut removes a comment that begins after a blank, and the blanks before it.
func (c *comments) cut(s string) string {
	for i := range len(s) {
		if s[i] != ' ' && s[i] != '\t' {
			continue
		}
		for _, p := range c.inline {
			if strings.HasPrefix(s[i+1:], p) {
				return intel.Trim(s[:i])
			}
		}
	}
	return s
}
