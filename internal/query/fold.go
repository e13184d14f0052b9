package query

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// lower maps an ASCII letter or digit to its folded form, everything else of
// ASCII to 0, and all that is not ASCII to itself. Read-only.
var lower = func() (t [256]byte) {
	for c := range t {
		switch {
		case c >= 'A' && c <= 'Z':
			t[c] = byte(c) + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= utf8.RuneSelf:
			t[c] = byte(c)
		}
	}
	return t
}()

// maxMarks is how many combining marks in a row are kept. No script has more on
// one letter; text that does wants to hide, or to cost time.
const maxMarks = 8

// Fold appends to dst the form of s in which case, width and composition make
// no difference: NFKC and Unicode simple case folding, without format
// characters (zero-width ones, soft hyphens), variation selectors and other
// invisible characters. A dotted I is an i. Folding twice changes nothing.
func Fold(dst []byte, s string) []byte {
	start := len(dst)
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return append(dst[:start], foldUnicode(s)...)
		}
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// foldString is Fold for strings; it returns s itself where that is folded.
func foldString(s string) string {
	upper := false
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return foldUnicode(s)
		}
		upper = upper || c-'A' < 26
	}
	if !upper {
		return s
	}
	return strings.ToLower(s)
}

// foldUnicode folds the long way. What folding changes may compose anew (J with
// a caron has no composed form, j with one has), so it is normalised again, and
// the result once more, until it stays.
func foldUnicode(s string) string {
	for range 4 {
		t := norm.NFKC.String(foldRunes(norm.NFKC.String(s)))
		if t == s {
			break
		}
		s = t
	}
	return s
}

// The dotted I, which lower-case i with the dot above as a mark is the other case
// of: I with that mark composes to it, i does not.
const (
	dottedI  = '\u0130'
	dotAbove = '\u0307'
)

// foldRunes folds every rune for itself and drops the invisible ones.
func foldRunes(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	marks, last := 0, rune(0)
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf || !unicode.In(r, unicode.M, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
			r, marks = foldRune(r), 0
		case !unicode.IsMark(r) || unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
			continue
		case r == dotAbove && last == 'i':
			continue
		default:
			if marks++; marks > maxMarks {
				continue
			}
		}
		b.WriteRune(r)
		last = r
	}
	return b.String()
}

// foldRune returns the rune that stands for all those that differ from r by
// simple case folding: the lower-case letter among them that is the lower case of
// its upper case and that NFKC leaves alone, else the first of them in lower case.
func foldRune(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	case r == dottedI:
		return 'i'
	case unicode.SimpleFold(r) == r:
		return r
	}
	first := r
	for c, n := r, 0; n == 0 || c != r; c, n = unicode.SimpleFold(c), n+1 {
		if unicode.Is(unicode.Ll, c) && unicode.ToLower(unicode.ToUpper(c)) == c && norm.NFKC.IsNormalString(string(c)) {
			return c
		}
		first = min(first, c)
	}
	return unicode.ToLower(first)
}
