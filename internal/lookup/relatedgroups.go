package lookup

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// place is the network, or the single address, that the value is about.
func (r *relating) place() (netip.Prefix, bool) {
	if p, ok := r.self.Prefix(); ok {
		return p, true
	}
	if a, ok := r.self.Addr(); ok {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.Prefix{}, false
}

// block is what counts as near: the /24 or /64 around a place, or the place
// itself where that is wider.
func block(p netip.Prefix) netip.Prefix {
	bits := 24
	if p.Addr().Is6() {
		bits = 64
	}
	return netip.PrefixFrom(p.Addr(), min(bits, p.Bits())).Masked()
}

// beside returns the networks of the same size before and behind p.
func beside(p netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	if a := p.Addr().Prev(); a.IsValid() {
		out = append(out, netip.PrefixFrom(a, p.Bits()).Masked())
	}
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(last); i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	if a, ok := netip.AddrFromSlice(last); ok && a.Next().IsValid() {
		out = append(out, netip.PrefixFrom(a.Next(), p.Bits()).Masked())
	}
	return out
}

// networks finds the listed networks that cover the value, and those beside its block.
func (r *relating) networks(a *intel.Answer) (err error) {
	p, ok := r.place()
	if !ok {
		return nil
	}
	var g gathering
	for i := range a.Listings { // in order, the narrowest first
		if l := &a.Listings[i]; l.Relation == intel.RelNetwork && l.Counts() {
			g.add(intel.Indicator{Kind: l.Kind, Value: l.Canonical}, l, true, because("covers "+p.String()))
		}
	}
	b := block(p)
	sides := beside(b)
	var inside []query.Node
	for _, side := range sides {
		if err := r.wide(&g, b, side); err != nil {
			return err
		}
		inside = append(inside, query.Net{Prefix: side})
	}
	r.tellSeen(&g)
	if len(sides) > 0 {
		n := query.And{Nodes: []query.Node{query.Kinds{Set: intel.CIDR.Set()}, query.Or{Nodes: inside}}}
		if err := r.search(&g, n, because("beside "+b.String())); err != nil {
			return err
		}
	}
	r.out.Networks, err = r.group(&g)
	return err
}

// wide adds the listed networks that cover what is beside a block, but not the block.
func (r *relating) wide(g *gathering, b, side netip.Prefix) error {
	found, err := r.s.engine.Find(r.ctx, intel.Question{Covers: side}, r.asOf, nil)
	if err != nil {
		return err
	}
	sortListings(found)
	for i := range found {
		l := &found[i]
		p, err := netip.ParsePrefix(l.Canonical)
		if l.Counts() && err == nil && !p.Overlaps(b) {
			g.add(intel.Indicator{Kind: l.Kind, Value: l.Canonical}, l, true, because("beside "+b.String()))
		}
	}
	return nil
}

// neighbours finds what else is listed in the block around the value. What lies
// in a network asked for, or at an address, stands among the answer's listings.
func (r *relating) neighbours(*intel.Answer) (err error) {
	p, ok := r.place()
	if !ok {
		return nil
	}
	b := block(p)
	if b == p {
		return nil
	}
	own := query.Node(query.Net{Prefix: p})
	if k := r.self.Kind; k == intel.IPPort || k == intel.URL {
		own = query.And{Nodes: []query.Node{own, query.Kinds{Set: intel.URL.Set()}}} // these are in urls
	}
	var g gathering
	n := query.And{Nodes: []query.Node{query.Net{Prefix: b}, query.Not{Node: own}}}
	err = r.search(&g, n, func(l *intel.Listing) string {
		if q, ok := (query.Doc{Listing: l}).Prefix(); ok && q == p {
			return "at the same address"
		}
		return "in " + b.String()
	})
	if err == nil {
		r.out.Neighbours, err = r.group(&g)
	}
	return err
}

// host is the name of the value's host, "" where it has none.
func (r *relating) host() string {
	return query.Doc{Listing: &intel.Listing{Kind: r.self.Kind, Canonical: r.self.Value}}.Host()
}

// under matches a name and those below it.
func under(name string) query.Node {
	return query.Or{Nodes: []query.Node{query.Domain{Name: name}, query.Domain{Name: name, Below: true}}}
}

// domains finds other listed names under the registered domain.
func (r *relating) domains(*intel.Answer) (err error) {
	registered := intel.Registered(r.host())
	if registered == "" {
		return nil
	}
	var g gathering
	n := query.And{Nodes: []query.Node{query.Kinds{Set: intel.Domain.Set()}, under(registered)}}
	if err = r.search(&g, n, because("under "+registered)); err == nil {
		r.out.Domains, err = r.group(&g)
	}
	return err
}

// urls finds the listed URLs at the value's host, those below a domain too.
func (r *relating) urls(*intel.Answer) (err error) {
	var at query.Node
	host := r.host()
	switch p, ok := r.place(); {
	case r.self.Kind == intel.Email:
		return nil
	case ok:
		at = query.Net{Prefix: p}
	case r.self.Kind == intel.Domain:
		at = under(host)
	case host != "":
		at = query.Domain{Name: host}
	default:
		return nil
	}
	var g gathering
	n := query.And{Nodes: []query.Node{query.Kinds{Set: intel.URL.Set()}, at}}
	err = r.search(&g, n, func(l *intel.Listing) string {
		h := query.Doc{Listing: l}.Host()
		switch {
		case r.self.Kind == intel.CIDR:
			return "inside " + r.self.Value
		case h != host:
			return "at " + h
		}
		return "at the same host"
	})
	if err == nil {
		r.out.URLs, err = r.group(&g)
	}
	return err
}

// file finds the hashes that listings of a hash give for the same file, and the
// listings that name the hash.
func (r *relating) file(a *intel.Answer) (err error) {
	if !intel.Hashes.Has(r.self.Kind) {
		return nil
	}
	var g gathering
	for i := range a.Listings {
		l := &a.Listings[i]
		if !l.Listed {
			continue
		}
		for _, f := range l.Context {
			if !namesFile(f.Name) {
				continue
			}
			for _, v := range f.Values {
				if ind, err := intel.Parse(v, intel.Hashes); err == nil && ind != r.self {
					g.add(ind, l, false, because("the "+f.Name+" that "+l.Feed+" gives for this file"))
				}
			}
		}
	}
	r.tellSeen(&g)
	if err = r.search(&g, query.Term{Field: query.FieldAny, Token: r.self.Value}, because("names this hash")); err != nil {
		return err
	}
	r.out.File, err = r.group(&g)
	return err
}

// namesFile says whether a context field of this name holds the hash of the
// listed file: md5, sha256_hash, "File SHA-1"; not imphash, ja3 or a parent's.
func namesFile(field string) bool {
	words := strings.Fields(query.Keyword(field))
	if slices.ContainsFunc(words, func(w string) bool {
		return slices.Contains([]string{"parent", "dropper", "cert", "certificate", "ssl", "tls", "ja3", "ja3s", "icon", "section"}, w)
	}) {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool {
		return slices.Contains([]string{"md5", "sha", "sha1", "sha256", "sha512", "hash"}, w)
	})
}

// shared finds the indicators of the same malware family and those with the
// rarest of the value's tags.
func (r *relating) shared(a *intel.Answer) (err error) {
	var families, tags []string
	for i := range a.Listings {
		l := &a.Listings[i]
		if l.Counts() && (l.Relation == intel.RelExact || l.Relation == intel.RelHost || l.Relation == intel.RelParent) {
			d := query.Doc{Listing: l}
			families, tags = append(families, d.Facet(query.FieldMalware)...), append(tags, d.Facet(query.FieldTag)...)
		}
	}
	if len(families)+len(tags) == 0 {
		return nil
	}
	family := equals(query.FieldMalware, families)
	nodes := slices.Clone(family)
	tag, err := r.rarest(tags)
	if err != nil {
		return err
	}
	if tag != "" {
		nodes = append(nodes, query.Equal{Field: query.FieldTag, Value: tag})
	}
	var g gathering
	if len(nodes) > 0 {
		err = r.search(&g, query.Or{Nodes: nodes}, func(l *intel.Listing) string {
			for _, n := range family {
				if query.Match(n, query.Doc{Listing: l}) {
					return "same malware: " + n.(query.Equal).Value
				}
			}
			return "same tag: " + tag
		})
	}
	if err == nil {
		r.out.Shared, err = r.group(&g)
	}
	return err
}

// equals has a node for each different value.
func equals(f query.Field, values []string) []query.Node {
	slices.Sort(values)
	var out []query.Node
	for _, v := range slices.Compact(values) {
		out = append(out, query.Equal{Field: f, Value: v})
	}
	return out
}

// rarest returns the tag that the fewest others have, "" where none has one.
func (r *relating) rarest(tags []string) (string, error) {
	best, fewest := "", 0
	for i, n := range equals(query.FieldTag, tags) {
		if i == relatedTags || r.late() {
			break
		}
		page, err := r.s.engine.Search(r.ctx, query.Search{Query: r.others(n), AsOf: r.asOf, Limit: -1, Budget: r.end.Sub(r.s.now())},
			func(*intel.Listing) error { return nil })
		if err != nil {
			return "", err
		}
		if page.Total > 0 && (best == "" || page.Total < fewest) {
			best, fewest = n.(query.Equal).Value, page.Total
		}
	}
	return best, nil
}
