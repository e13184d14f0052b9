package query

import (
	"fmt"
	"strings"
)

// The limits of a query. What breaks one is refused with an *Error.
const (
	MaxLength  = 8 << 10 // bytes of the text
	MaxClauses = 256     // leaves of the tree
	MaxDepth   = 32      // parentheses and NOTs inside each other
	MinPrefix  = 2       // characters in front of the first wildcard
	MinLiteral = 3       // plain characters in a row, where a wildcard comes first
)

// Error says where a query is wrong, what stands there, and what should.
type Error struct {
	Column   int    // in characters (runes) of the text, 1-based; one past the end where it ends too early
	Got      string // what stands there, in words
	Expected string // what should stand there, in words
	Hint     string // how to write what was probably meant; "" where nobody knows
}

// Error is one sentence: column 7: got …, expected …; hint.
func (e *Error) Error() string {
	s := fmt.Sprintf("column %d: got %s, expected %s", e.Column, e.Got, e.Expected)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// quote shows a piece of the query in an error, shortened and on one line.
func quote(s string) string {
	const most = 40
	r := []rune(strings.ToValidUTF8(s, "\uFFFD"))
	if len(r) > most {
		r = append(r[:most:most], '…')
	}
	return fmt.Sprintf("%q", string(r))
}
