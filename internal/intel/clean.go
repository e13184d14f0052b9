package intel

import (
	"unicode"
	"unicode/utf8"
)

// Trim removes what nobody sees from both ends: white space, controls (NUL
// too), NBSP, BOM, zero-width and directional characters, soft hyphens.
func Trim(s string) string {
	for s != "" {
		c := s[0]
		if c > ' ' && c < 0x7f {
			break
		}
		r, n := utf8.DecodeRuneInString(s)
		if !invisible(r) {
			break
		}
		s = s[n:]
	}
	for s != "" {
		c := s[len(s)-1]
		if c > ' ' && c < 0x7f {
			break
		}
		r, n := utf8.DecodeLastRuneInString(s)
		if !invisible(r) {
			break
		}
		s = s[:len(s)-n]
	}
	return s
}

// invisible says whether r leaves no mark: white space, controls (Cc) and format
// characters (Cf, which has the BOM, zero-width and directional ones).
func invisible(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r)
}
