package enginetest

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/query"
)

// TestSuiteCovers: the scripts ask for every kind of node, every field, every
// order, and facets of every field that has them.
func TestSuiteCovers(t *testing.T) {
	seen := map[string]bool{}
	names, err := fs.Glob(files, "testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		s := readScript(t, name)
		for _, step := range s.Steps {
			if q := step.Search; q != nil {
				seen["sort "+q.Sort.String()] = true
				for _, f := range q.Facets {
					seen["facet "+f.String()] = true
				}
				if n, err := query.Parse(q.Query, step.Now); err == nil {
					see(seen, n)
				}
			}
		}
		again, err := ParseScript(name, s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%s: printed and read again it is another script: %v", name, err)
		}
	}
	var want []string
	for _, n := range []query.Node{query.And{}, query.Or{}, query.Not{}, query.All{}, query.Term{}, query.Phrase{}, query.Prefix{}, query.Wildcard{}, query.Equal{}, query.Exists{},
		query.Exact{}, query.Kinds{}, query.Number{}, query.Date{}, query.Listed{}, query.Net{}, query.Domain{}} {
		want = append(want, fmt.Sprintf("%T", n))
	}
	for _, f := range query.Fields() {
		want = append(want, f.String()+":")
		if query.CanFacet(f) {
			want = append(want, "facet "+f.String())
		}
	}
	for _, s := range query.SortNames() {
		want = append(want, "sort "+s, "sort -"+s)
	}
	for _, w := range want {
		if !seen[w] {
			t.Errorf("no script asks for %s", w)
		}
	}
}

// see notes the kinds of the nodes and the fields that they name.
func see(seen map[string]bool, n query.Node) {
	seen[fmt.Sprintf("%T", n)] = true
	switch n := n.(type) {
	case query.And:
		for _, m := range n.Nodes {
			see(seen, m)
		}
	case query.Or:
		for _, m := range n.Nodes {
			see(seen, m)
		}
	case query.Not:
		see(seen, n.Node)
	default:
		field, _, _ := strings.Cut(n.String(), ":")
		seen[field+":"] = true
	}
}
