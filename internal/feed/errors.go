package feed

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnknown is returned where a feed id is in no catalogue.
var ErrUnknown = errors.New("unknown feed")

// Error is one mistake in a file of feed definitions.
type Error struct {
	File   string
	Line   int    // 1-based; 0 where the file as a whole is meant
	Feed   string // id, else name, else "#3" for the third; "" outside any feed
	Key    string // dotted path within the feed: "field_mapping.separator"
	Reason string
}

// Error says where the mistake is and what to do about it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Feed != "" {
		fmt.Fprintf(&b, ": feed %q", e.Feed)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, ": key %q", e.Key)
	}
	b.WriteString(": " + e.Reason)
	return b.String()
}

// short keeps a value that is quoted in a message to a length that can be read.
func short(s string) string {
	const limit = 80
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
