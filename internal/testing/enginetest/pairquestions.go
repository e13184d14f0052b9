package enginetest

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/query"
)

// guideQueries are the examples of docs/query.md.
func guideQueries() (out []string, err error) {
	_, here, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "..", "docs", "query.md"))
	if err != nil {
		return nil, err
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	if len(out) < 100 {
		return nil, fmt.Errorf("only %d examples in docs/query.md", len(out))
	}
	return out, nil
}

// facetFields are all fields that have facets.
func facetFields() (out []string) {
	for _, f := range query.Fields() {
		if query.CanFacet(f) {
			out = append(out, f.String())
		}
	}
	return out
}

// fixed are the questions of every round: many values at once, the guide's queries (a part of them but in
// the last), facets of every field, pages in every order both ways.
func (p *pairRun) fixed(a *asker, last bool) (out []question) {
	for i, text := range p.guide {
		if !last && i%4 != len(p.world.times)%4 {
			continue
		}
		q := pageQuestion{text: text, o: lookup.SearchOptions{Limit: 20}, pages: 2}
		if i%5 == len(p.world.times)%5 {
			q.o.AsOf = ago(a.instant())
		}
		q.node, _ = query.Parse(text, p.world.now)
		out = append(out, q)
	}
	out = append(out, p.bulk(a, 300, lookup.Options{}), p.bulk(a, 100, lookup.Options{AsOf: a.instant(), Timeline: true}))
	fields := facetFields()
	for len(fields) > 0 {
		n := min(8, len(fields))
		out = append(out, p.search(query.All{}, lookup.SearchOptions{Limit: -1, Facets: fields[:n], FacetLimit: 50}, 1),
			p.search(p.narrow(a, a.tree(1)), lookup.SearchOptions{Limit: -1, Facets: fields[:n], AsOf: ago(a.instant())}, 1))
		fields = fields[n:]
	}
	for i, name := range query.SortNames() {
		if !last && p.much() && i%4 != len(p.world.times)%4 {
			continue
		}
		for _, sort := range []string{name, "-" + name} {
			out = append(out, p.search(query.All{}, lookup.SearchOptions{Limit: 40, Sort: sort}, 4),
				p.search(p.narrow(a, a.tree(1)), lookup.SearchOptions{Limit: 30, Sort: sort, AsOf: ago(a.instant())}, 3))
			if last {
				out = append(out, p.search(a.tree(2), lookup.SearchOptions{Limit: 499, Sort: sort}, 6))
			}
			if last && soaking() {
				out = append(out, p.search(query.All{}, lookup.SearchOptions{Sort: sort}, 1))
			}
		}
	}
	if !last && p.much() { // to compare all feeds is to read everything
		return out
	}
	return append(out, statsQuestion{[]string{"misp", "none of them"}[len(p.world.times)%2]})
}

// much says that there is so much to look at that not everything is asked of all of it.
func (p *pairRun) much() bool { return p.held > 20_000 && !soaking() }

// narrow asks of a few feeds only, most of the time where there is much to look at:
// what has to be read and compared takes long then. The long run asks for all of it.
func (p *pairRun) narrow(a *asker, n query.Node) query.Node {
	if !p.much() || a.rnd.IntN(8) == 0 {
		return n
	}
	var feeds []query.Node
	for range 1 + a.rnd.IntN(3) {
		if l := a.listing(); l != nil {
			feeds = append(feeds, query.Equal{Field: query.FieldFeed, Value: strings.TrimSpace(string(query.Fold(nil, l.Feed)))})
		}
	}
	return query.And{Nodes: []query.Node{query.Or{Nodes: feeds}, n}}
}

func (p *pairRun) search(n query.Node, o lookup.SearchOptions, pages int) pageQuestion {
	return pageQuestion{n, n.String(), o, pages}
}

// random makes a question.
func (p *pairRun) random(a *asker) question {
	switch x := a.rnd.IntN(100); {
	case x < 45:
		return valueQuestion{p.value(a), p.options(a)}
	case x < 47:
		return p.bulk(a, 1+a.rnd.IntN(150), p.options(a))
	}
	q := p.search(p.narrow(a, a.tree(a.rnd.IntN(4))), lookup.SearchOptions{}, 1)
	if a.rnd.IntN(2) == 0 {
		q.o.Sort = query.Sort{By: query.SortBy(a.rnd.IntN(5)), Reverse: a.rnd.IntN(2) == 0}.String()
	}
	if a.rnd.IntN(4) == 0 {
		q.o.AsOf = ago(a.instant())
	}
	switch a.rnd.IntN(4) {
	case 0:
		q.o.Limit, q.pages = 1+a.rnd.IntN(7), 5
	case 1:
		q.o.Limit, q.pages = 20+a.rnd.IntN(600), 2
	case 2:
		q.o.Limit = -1
	default:
		q.o.Limit = 10
	}
	for all := facetFields(); a.rnd.IntN(2) == 0; {
		f := all[a.rnd.IntN(len(all))]
		if l := a.listing(); l != nil && len(l.Context) > 0 && a.rnd.IntN(3) == 0 {
			f = query.Context(l.Context[a.rnd.IntN(len(l.Context))].Name).String()
		}
		q.o.Facets, q.o.FacetLimit = append(q.o.Facets, f), a.rnd.IntN(30)
	}
	return q
}

// bulk asks for so many values at once, and for each of them alone.
func (p *pairRun) bulk(a *asker, n int, o lookup.Options) question {
	q := bulkQuestion{o: o}
	q.o.Related = false
	for range n {
		q.values = append(q.values, p.value(a))
	}
	return q
}

func (p *pairRun) options(a *asker) (o lookup.Options) {
	if a.rnd.IntN(3) == 0 {
		o.AsOf = a.instant()
	}
	o.Timeline, o.Summary, o.Related = a.rnd.IntN(3) == 0, a.rnd.IntN(8) == 0, a.rnd.IntN(10) == 0
	return o
}

// value makes one to be looked up out of what is listed: itself, what is near it,
// what is inside it and what it is in, and what is no value at all.
func (p *pairRun) value(a *asker) string {
	l := a.listing()
	if l == nil {
		return "192.0.2.1"
	}
	d := query.Doc{Listing: l}
	host := d.Host()
	prefix, isNet := d.Prefix()
	switch x := a.rnd.IntN(20); {
	case x < 4:
		return l.Canonical
	case x < 6:
		return l.Original
	case x == 6:
		return intel.Defang(l.Canonical)
	case x == 7:
		return strings.ToUpper(l.Canonical)
	case x < 14 && isNet:
		return near(a, prefix)
	case x < 14 && host != "":
		_, parent, _ := strings.Cut(host, ".")
		return []string{host, parent, "deep.er." + host, "http://" + host + "/", "https://" + host + ":8443/x?y#z", "anna@" + host, host + ".", "http://www." + host + "/a%20b"}[a.rnd.IntN(8)]
	case x < 17: // a near miss
		runes := []rune(l.Canonical)
		k := a.rnd.IntN(len(runes))
		runes[k] = []rune("0a.ü/-\x00")[a.rnd.IntN(7)]
		return string(runes)
	case x == 17:
		return l.Canonical[:a.rnd.IntN(len(l.Canonical)+1)] + "\xff"
	case x == 18:
		return "http://" + strings.Repeat(l.Canonical, 1+a.rnd.IntN(40))
	}
	return " \t" + l.Canonical + "\n"
}

// near makes a value out of an address or network.
func near(a *asker, n netip.Prefix) string {
	addr, most := n.Addr(), n.Addr().BitLen()
	switch a.rnd.IntN(6) {
	case 0:
		return addr.Next().String()
	case 1:
		return netip.AddrPortFrom(addr, uint16(80+a.rnd.IntN(2)*363)).String()
	case 2:
		return "http://" + netip.AddrPortFrom(addr, 8080).String() + "/gate.php"
	}
	bits := most - a.rnd.IntN(most-6)
	if a.rnd.IntN(3) > 0 { // as a rule not so wide a one
		bits = most - a.rnd.IntN(14)
	}
	wide, err := addr.Prefix(min(bits, most))
	if err != nil {
		return addr.String()
	}
	return wide.String()
}
