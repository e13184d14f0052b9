package opensearch

import (
	"cmp"
	"maps"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// maxLeaves is how many leaves a clause may have: less than a cluster takes by
// default (indices.query.bool.max_clause_count, 1024), since some are added.
const maxLeaves = 900

// leaves counts what is not bool in a clause.
func leaves(c clause) (n int) {
	b, ok := c["bool"].(clause)
	if !ok {
		return 1
	}
	for _, how := range []string{"filter", "should", "must_not"} {
		all, _ := b[how].([]clause)
		for _, inner := range all {
			n += leaves(inner)
		}
	}
	return n
}

// join joins nodes by And, else by Or.
func (c *compiler) join(nodes []query.Node, and bool) part {
	parts, rest := c.alike(nodes, and)
	for _, n := range rest {
		parts = append(parts, c.node(n))
	}
	return fitting(parts, and)
}

// fitting joins parts. Where they are too many for the cluster, an And goes
// without the largest, and an Or matches everything.
func fitting(parts []part, and bool) part {
	out := part{exact: true}
	var clauses []clause
	if and {
		slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(leaves(a.c), leaves(b.c)) })
	}
	n := 0
	for _, p := range parts {
		switch n += leaves(p.c); {
		case n <= maxLeaves:
		case and:
			out.exact = false
			continue
		default:
			return atLeast(matchAll())
		}
		clauses = append(clauses, p.c)
		out.exact = out.exact && p.exact
	}
	if out.c = anyOf(clauses...); and {
		out.c = allOf(clauses...)
	}
	return out
}

// alike makes one part of all indicators among the nodes, and one of all words in
// one field: in an Or of those that are asked for, in an And of those that are
// not to be. Hundreds of them are common in what is found out by the program.
func (c *compiler) alike(nodes []query.Node, and bool) (parts []part, rest []query.Node) {
	var keys []intel.Key
	words := map[query.Field][]string{}
	for _, n := range nodes {
		leaf := n
		if and {
			not, ok := n.(query.Not)
			if !ok {
				rest = append(rest, n)
				continue
			}
			leaf = not.Node
		}
		switch l := leaf.(type) {
		case query.Exact:
			if l.Tokens == nil {
				keys = append(keys, intel.Key{Indicator: l.Indicator})
				continue
			}
		case query.Term:
			words[l.Field] = append(words[l.Field], l.Token)
			continue
		}
		rest = append(rest, n)
	}
	if keys != nil {
		parts = append(parts, exactly(keysOf(keys)))
	}
	for _, f := range slices.Sorted(maps.Keys(words)) {
		parts = append(parts, c.anyWord(f, words[f]))
	}
	if and {
		for i, p := range parts {
			parts[i] = opposite(p)
		}
	}
	return parts, rest
}

// anyWord matches what has one of the words in the field.
func (c *compiler) anyWord(f query.Field, words []string) part {
	return c.in(f, func(path, key string) part {
		keyed := make([]string, len(words))
		for i, w := range words {
			keyed[i] = key + w
		}
		return exactly(terms(path, keyed))
	})
}

// opposite matches what a part does not. That of one which matches too much would
// match too little.
func opposite(p part) part {
	if !p.exact {
		return atLeast(matchAll())
	}
	return exactly(noneOf(p.c))
}
