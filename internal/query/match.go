package query

import (
	"slices"
	"strings"
	"time"
)

// Match says whether the listing is one that the query asks for. It is slow: it
// reads and cuts every text anew. It is what the nodes mean: an engine that finds
// anything else is wrong.
func Match(n Node, d Doc) bool {
	switch n := n.(type) {
	case And:
		return !slices.ContainsFunc(n.Nodes, func(m Node) bool { return !Match(m, d) })
	case Or:
		return slices.ContainsFunc(n.Nodes, func(m Node) bool { return Match(m, d) })
	case Not:
		return !Match(n.Node, d)
	case All:
		return true
	case Listed:
		return d.Listing.Listed == n.Listed
	case Kinds:
		return n.Set.Has(d.Listing.Kind)
	case Exact:
		return d.indicator() == n.Indicator || n.Tokens != nil && d.hasPhrase(n.Field, n.Tokens, false)
	case Number:
		return slices.ContainsFunc(d.Numbers(n.Field), n.has)
	case Date:
		return slices.ContainsFunc(d.Times(n.Field), n.has)
	case Net:
		p, ok := d.Prefix()
		return ok && n.Prefix.Bits() <= p.Bits() && n.Prefix.Contains(p.Addr())
	case Domain:
		host := d.Host()
		if n.Below {
			return strings.HasSuffix(host, "."+n.Name)
		}
		return host != "" && host == n.Name
	case Exists:
		return d.exists(n.Field)
	}
	return matchText(n, d)
}

// matchText is Match for the nodes that look at texts.
func matchText(n Node, d Doc) bool {
	switch n := n.(type) {
	case Term:
		return d.hasPhrase(n.Field, []string{n.Token}, false)
	case Prefix:
		return d.hasPhrase(n.Field, []string{n.Text}, true)
	case Phrase:
		return d.hasPhrase(n.Field, n.Tokens, n.Prefix)
	case Equal:
		norm := wholeForm(n.Field)
		return d.hasText(n.Field, func(s string) bool { return norm(s) == n.Value })
	case Wildcard:
		if n.Whole {
			norm := wholeForm(n.Field)
			return d.hasText(n.Field, func(s string) bool { return n.Pattern.Match(norm(s)) })
		}
		return d.hasText(n.Field, func(s string) bool { return slices.ContainsFunc(tokensOf(s), n.Pattern.Match) })
	}
	return false
}

func (d Doc) hasText(f Field, is func(string) bool) bool {
	for s := range d.Values(f) {
		if is(s) {
			return true
		}
	}
	return false
}

// hasPhrase says whether the tokens stand side by side in a text of the field,
// the last of them whole or as the beginning of one.
func (d Doc) hasPhrase(f Field, phrase []string, prefix bool) bool {
	return d.hasText(f, func(s string) bool {
		s = foldString(s)
		return strings.Contains(s, phrase[0]) && phraseIn(tokensOf(s), phrase, prefix) // most texts do not have it
	})
}

func (d Doc) exists(f Field) bool {
	switch info, _ := lookupField(string(f)); info.class {
	case classNumber:
		return len(d.Numbers(f)) > 0
	case classDate, classAsked:
		return len(d.Times(f)) > 0
	case classNet:
		_, ok := d.Prefix()
		return ok
	case classKind, classListed:
		return true
	}
	return d.hasText(f, func(string) bool { return true })
}

// has says whether v is in the range.
func (n Number) has(v float64) bool {
	return (v > n.Min || v == n.Min && !n.MinOpen) && (v < n.Max || v == n.Max && !n.MaxOpen)
}

// has says whether t is in the range.
func (n Date) has(t time.Time) bool {
	return (n.From.IsZero() || !t.Before(n.From)) && (n.To.IsZero() || t.Before(n.To))
}
