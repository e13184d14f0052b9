package query

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxToken is the length of a token in bytes. Longer ones are cut, at the start
// of a character, in indexes and in queries alike; a SHA-512 is just as long.
const MaxToken = 128

// Tokens appends the tokens of s to dst: the longest runs of letters, digits and
// the marks on them in the folded text (Fold), each cut to MaxToken. They are
// parts of s where that is folded already, else of one copy of it. Tokens of
// tokens are themselves.
//
// A phrase is tokens that stand side by side in one text. "#Phishing" has the
// token phishing, and "bad-site.example" is the phrase bad site example.
func Tokens(dst []string, s string) []string {
	s = foldString(s)
	for i := 0; ; {
		start, end := nextToken(s, i)
		if start == end {
			return dst
		}
		dst = append(dst, s[start:cutToken(s, start, end)])
		i = end
	}
}

// A Tokenizer gives the tokens of one text after another without allocating,
// save for text that is not ASCII. The zero value is ready for Reset.
type Tokenizer struct {
	text []byte
	at   int
}

// Reset begins a new text.
func (t *Tokenizer) Reset(s string) {
	t.text, t.at = Fold(t.text[:0], s), 0
}

// Next returns the next token, nil after the last one. Tokens stay valid until Reset.
func (t *Tokenizer) Next() []byte {
	start, end := nextToken(t.text, t.at)
	t.at = end
	if start == end {
		return nil
	}
	return t.text[start:cutToken(t.text, start, end)]
}

// Classes of bytes in folded text.
const (
	classGap  = iota // ASCII that is in no token
	classWord        // ASCII letters and digits
	classRune        // part of a character that is not ASCII
)

// byteClass is the class of each byte. Read-only.
var byteClass = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= utf8.RuneSelf:
			t[c] = classRune
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			t[c] = classWord
		}
	}
	return t
}()

// nextToken finds the first token of folded text at or after i. There is none
// where it is empty.
func nextToken[T string | []byte](text T, i int) (start, end int) {
	for i < len(text) && byteClass[text[i]] != classWord {
		if byteClass[text[i]] == classGap {
			i++
			continue
		}
		r, n := decode(text, i)
		if unicode.IsLetter(r) || unicode.IsNumber(r) {
			break
		}
		i += n
	}
	start = i
	for i < len(text) && byteClass[text[i]] != classGap {
		if byteClass[text[i]] == classWord {
			i++
			continue
		}
		r, n := decode(text, i)
		if !inToken(r) {
			break
		}
		i += n
	}
	return start, i
}

// inToken says whether r continues a token.
func inToken(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// decode returns the rune at i and its length.
func decode[T string | []byte](text T, i int) (rune, int) {
	return utf8.DecodeRuneInString(string(text[i:min(i+utf8.UTFMax, len(text))]))
}

// cutToken returns the end of the token text[start:end] after cutting.
func cutToken[T string | []byte](text T, start, end int) int {
	if end-start <= MaxToken {
		return end
	}
	end = start + MaxToken
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return end
}

// Keyword returns the form in which whole texts are compared: the words of s,
// uncut, with one blank between them, so that #Cobalt_Strike is cobalt strike.
// Text without any letter or digit is only folded.
func Keyword(s string) string {
	folded := foldString(s)
	var b strings.Builder
	for i := 0; ; {
		start, end := nextToken(folded, i)
		switch {
		case start == end && b.Len() == 0:
			return strings.TrimSpace(folded)
		case start == end:
			return b.String()
		case start == 0 && end == len(folded):
			return folded
		case b.Len() > 0:
			b.WriteByte(' ')
		}
		b.WriteString(folded[start:end])
		i = end
	}
}
