package query

import (
	"slices"
	"strings"
)

// MatchForm says whether a text node (Term, Phrase, Prefix, Wildcard, Equal,
// Exists) that looks at a field of words or whole values matches a text whose
// form, as Doc.Facet gives it, is this. It is not for FieldAny and FieldValue. The answer
// is that of the original text, because forms have the tokens of their texts.
func MatchForm(n Node, form string) bool {
	switch n := n.(type) {
	case Term:
		return slices.Contains(tokensOf(form), n.Token)
	case Prefix:
		return slices.ContainsFunc(tokensOf(form), func(t string) bool { return strings.HasPrefix(t, n.Text) })
	case Phrase:
		return phraseIn(tokensOf(form), n.Tokens, n.Prefix)
	case Equal:
		return form == n.Value
	case Wildcard:
		if n.Whole {
			return n.Pattern.Match(form)
		}
		return slices.ContainsFunc(tokensOf(form), n.Pattern.Match)
	case Exists:
		return true
	}
	return false
}

// phraseIn says whether the phrase stands in the tokens of a text, its last
// token whole or as the beginning of one.
func phraseIn(tokens, phrase []string, prefix bool) bool {
	last := len(phrase) - 1
	for i := 0; i+last < len(tokens); i++ {
		end := tokens[i+last]
		if slices.Equal(tokens[i:i+last], phrase[:last]) && (end == phrase[last] || prefix && strings.HasPrefix(end, phrase[last])) {
			return true
		}
	}
	return false
}
