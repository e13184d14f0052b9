package opensearch

import (
	"strings"

	"github.com/elasticintel/elasticintel/internal/query"
)

// text compiles the nodes that look at texts.
func (c *compiler) text(n query.Node) part {
	switch n := n.(type) {
	case query.Term:
		return c.in(n.Field, func(path, key string) part { return c.sideBySide(path, key, []string{n.Token}, false) })
	case query.Prefix:
		return c.in(n.Field, func(path, key string) part { return exactly(prefixed(path, key+n.Text)) })
	case query.Phrase:
		return c.in(n.Field, func(path, key string) part { return c.sideBySide(path, key, n.Tokens, n.Prefix) })
	case query.Wildcard:
		if n.Whole {
			return c.long(n.Field, c.whole(n.Field, func(path, key string) part { return pattern(path, key, n.Pattern) }))
		}
		return c.in(n.Field, func(path, key string) part { return pattern(path, key, n.Pattern) })
	case query.Equal:
		return c.whole(n.Field, func(path, key string) part {
			if len(key+n.Value) > maxFlat { // the index may not have it
				return atLeast(matchAll())
			}
			return exactly(term(path, key+n.Value))
		})
	}
	return atLeast(matchAll())
}

// in joins what f makes of each path in which tokens of the field are, told what
// stands in front of each token.
func (c *compiler) in(f query.Field, found func(path, key string) part) part {
	if name, ok := f.Context(); ok {
		return found(contextWords, contextKey(name))
	}
	if f == query.FieldAny {
		return eachPath(anyWords, func(path string) part { return found(path, "") })
	}
	if path := places[f].words; path != "" {
		return found(path, "")
	}
	return atLeast(matchAll())
}

// whole does so for the whole values of a field.
func (c *compiler) whole(f query.Field, found func(path, key string) part) part {
	paths, key := []string{places[f].whole}, ""
	if name, ok := f.Context(); ok {
		paths, key = []string{contextWhole}, contextKey(name)
	}
	if f == query.FieldValue { // what is folded by itself is in one place only
		paths = append(paths, places[f].exact)
	}
	if paths[0] == "" {
		return atLeast(matchAll())
	}
	return eachPath(paths, func(path string) part { return found(path, key) })
}

// long adds to a part what has a value in the field that is too long to be found as a whole.
func (c *compiler) long(f query.Field, p part) part {
	if name, ok := f.Context(); ok {
		if !c.facts.longIn(contextKey(name)) {
			return p
		}
		return atLeast(anyOf(p.c, term(contextName, contextKey(name))))
	}
	switch at := places[f]; {
	case !c.facts.Long[at.whole]:
		return p
	case at.words == "":
		return atLeast(matchAll())
	default:
		return atLeast(anyOf(p.c, exists(at.words)))
	}
}

// eachPath joins what f makes of each path.
func eachPath(paths []string, f func(path string) part) part {
	out := part{exact: true}
	var any []clause
	for _, path := range paths {
		p := f(path)
		any = append(any, p.c)
		out.exact = out.exact && p.exact
	}
	if out.c = any[0]; len(any) > 1 {
		out.c = anyOf(any...)
	}
	return out
}

// maxBegun is how many words a clause looks for in place of one that is begun: with
// a hundred thousand, a node of two processors was busy for more than a minute, and did not look at
// its clock meanwhile.
const maxBegun = 1000

// sideBySide matches tokens side by side, the last of them whole or begun. Where it
// is begun, the part is what has the whole ones side by side and a word that begins
// so, anywhere.
func (c *compiler) sideBySide(path, key string, tokens []string, begins bool) part {
	keyed := make([]string, len(tokens))
	for i, t := range tokens {
		keyed[i] = key + t
	}
	switch last := len(keyed) - 1; {
	case begins && last == 0:
		return exactly(prefixed(path, keyed[0]))
	case begins && c.tight:
		return exactly(phraseBegun(path, strings.Join(keyed, " ")))
	case begins:
		return atLeast(allOf(side(path, keyed[:last]), prefixed(path, keyed[last])))
	}
	return exactly(side(path, keyed))
}

func side(path string, tokens []string) clause {
	if len(tokens) == 1 {
		return term(path, tokens[0])
	}
	return phrase(path, strings.Join(tokens, " "))
}

// maxWild is how many wildcards a pattern may have before the automaton that
// the cluster makes of it may become too large.
const maxWild = 8

func pattern(path, key string, p query.Pattern) part {
	literals := p.Literals()
	if len(literals)-1 <= maxWild {
		return exactly(wildcard(path, escapePattern.Replace(key)+string(p)))
	}
	return atLeast(allOf(prefixed(path, key+literals[0]), wildcard(path, escapePattern.Replace(key)+"*"+escapePattern.Replace(p.Longest())+"*")))
}

// escapePattern makes the wildcards of a pattern ordinary characters. Read-only.
var escapePattern = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)
