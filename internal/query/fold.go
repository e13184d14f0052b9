package query

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

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
// where that changed it, all once more.
func foldUnicode(s string) string {
	s = norm.NFKC.String(strings.ToValidUTF8(s, "\uFFFD"))
	for range 4 {
		folded := foldRunes(s)
		if s = norm.NFKC.String(folded); s == folded {
			break
		}
	}
	return s
}

// foldRunes folds every rune for itself and drops the invisible ones. It returns
// s itself where nothing changes.
func foldRunes(s string) string {
	var out []byte
	marks, last := 0, rune(0)
	for i, r := range s {
		f, keep := foldRune(r), true
		switch {
		case r < utf8.RuneSelf:
			marks = 0
		case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Cf):
			keep = false
		case unicode.IsMark(r):
			if f = r; r == dotAbove && last == 'i' {
				keep = false
			} else {
				marks++
				keep = marks <= maxMarks
			}
		default:
			marks = 0
		}
		if out == nil && (f != r || !keep) {
			out = append(make([]byte, 0, len(s)), s[:i]...)
		}
		if keep {
			last = f
			if out != nil {
				out = utf8.AppendRune(out, f)
			}
		}
	}
	if out == nil {
		return s
	}
	return string(out)
}

// The letters whose case is a matter of language. The dotted I is an i here: what
// I composes to with the dot above as a mark must be what i is with it.
const (
	dottedI  = '\u0130'
	dotlessI = '\u0131'
	dotAbove = '\u0307'
)

// foldRune returns the rune that stands for all those that differ from r by
// simple case folding: the lower case of the upper case.
func foldRune(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	case r == dottedI:
		return 'i'
	case r == dotlessI:
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}
