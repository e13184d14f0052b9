package query

// Normal returns the tree in the form that engines evaluate, which matches the
// same listings:
//
//   - Not stands in front of leaves only;
//   - no And has an And among its nodes, no Or an Or, and both have at least two
//     nodes, all of them different;
//   - All stands alone, and what matches nothing is Not{All}, alone too.
//
// It has no more leaves than n, and Normal of it is the same.
func Normal(n Node) Node { return normal(n, false) }

// normal returns the normal form of n, or of its opposite.
func normal(n Node, not bool) Node {
	switch n := n.(type) {
	case And:
		return combine(n.Pos, n.Nodes, not, !not)
	case Or:
		return combine(n.Pos, n.Nodes, not, not)
	case Not:
		return normal(n.Node, !not)
	case Listed:
		n.Listed = n.Listed != not
		return n
	}
	if not {
		return Not{Pos(n.Column()), n}
	}
	return n
}

// combine brings the nodes into normal form, or their opposites, and joins them
// by And, else by Or.
func combine(pos Pos, nodes []Node, not, and bool) Node {
	c := combination{and: and, keys: map[string]bool{}}
	for _, n := range nodes {
		if c.add(normal(n, not)) {
			return constant(pos, !and)
		}
	}
	switch {
	case len(c.nodes) == 0:
		return constant(pos, and)
	case len(c.nodes) == 1:
		return c.nodes[0]
	case and:
		return And{pos, c.nodes}
	}
	return Or{pos, c.nodes}
}

// combination collects the different nodes of an And or Or.
type combination struct {
	and   bool
	nodes []Node
	keys  map[string]bool
}

// add adds a node in normal form. decided says that it settles the whole: nothing
// or a contradiction in an And, everything in an Or.
func (c *combination) add(n Node) (decided bool) {
	var inner []Node
	switch n := n.(type) {
	case And:
		if c.and {
			inner = n.Nodes
		}
	case Or:
		if !c.and {
			inner = n.Nodes
		}
	case All:
		return !c.and
	case Not:
		if _, ok := n.Node.(All); ok {
			return c.and
		}
	}
	for _, m := range inner {
		if c.add(m) {
			return true
		}
	}
	if inner != nil {
		return false
	}
	key := n.String()
	if c.keys[key] {
		return false
	}
	c.keys[key] = true
	c.nodes = append(c.nodes, n)
	switch n.(type) {
	case And, Or:
		return false // only leaves are held against their opposites: deep trees would take for ever
	}
	return c.keys[normal(n, true).String()]
}

// constant is the node that matches everything or nothing.
func constant(pos Pos, all bool) Node {
	if all {
		return All{pos}
	}
	return Not{pos, All{pos}}
}
