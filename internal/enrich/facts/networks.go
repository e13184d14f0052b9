package facts

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/ranges"
	"github.com/elasticintel/elasticintel/internal/enrich/table"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// info is what one source says of a range.
type info struct {
	prefixes []netip.Prefix // of the answer; nil: the range that a table has
	facts    intel.NetworkFacts
	asked    bool      // a registry was, so that it counts as enriched
	retry    time.Time // of layerNothing
}

// The layers, each of which fills what those before it leave open; after them come
// those of tables.
const (
	layerRDAP = iota
	layerWhois
	layerCymru
	layerNothing
	layerTables
	maxLayers = 16
)

// networks is what is known of addresses. It never changes.
type networks struct {
	infos  [layerTables][]info
	tables []*table.Table
	v4     []ranges.Layer[ranges.IP4]
	v6     []ranges.Layer[ranges.IP6]
	asName map[uint32]string
}

// fromTables makes the layers of tables: first of those that say only who was given a
// range, so that an answer shows that range.
func fromTables(tables []*table.Table) *networks {
	n := &networks{v4: make([]ranges.Layer[ranges.IP4], layerTables), v6: make([]ranges.Layer[ranges.IP6], layerTables)}
	n.tables = slices.Clone(tables[:min(len(tables), maxLayers-layerTables)])
	slices.SortStableFunc(n.tables, func(a, b *table.Table) int { return cmp.Compare(announces(a), announces(b)) })
	for _, t := range n.tables {
		n.v4, n.v6 = append(n.v4, t.V4), append(n.v6, t.V6)
	}
	return n
}

// announces is 1 for a table that says who announces ranges.
func announces(t *table.Table) int {
	if slices.ContainsFunc(t.Facts, func(f table.Facts) bool { return f.ASN != 0 }) {
		return 1
	}
	return 0
}

// info returns what number i of layer l is.
func (n *networks) info(l int, i int32) info {
	if l < layerTables {
		return n.infos[l][i]
	}
	t := n.tables[l-layerTables]
	f := &t.Facts[i]
	return info{facts: intel.NetworkFacts{Org: f.Org, Country: f.Country, Registry: f.Registry, ASN: f.ASN, ASName: f.ASName, Allocated: f.Allocated,
		Source: t.Meta.Feed, FetchedAt: t.Meta.Made}}
}

// builder collects ranges.
type builder struct {
	infos [layerTables][]info
	v4    [layerTables][]ranges.Span[ranges.IP4]
	v6    [layerTables][]ranges.Span[ranges.IP6]
}

func (b *builder) add(layer int, p netip.Prefix, n int32) {
	first, last := p.Addr(), intel.LastAddr(p)
	if first.Is4() {
		b.v4[layer] = append(b.v4[layer], ranges.Span[ranges.IP4]{First: ranges.From4(first), Last: ranges.From4(last), Info: n})
	} else {
		b.v6[layer] = append(b.v6[layer], ranges.Span[ranges.IP6]{First: ranges.From6(first), Last: ranges.From6(last), Info: n})
	}
}

// withFindings adds what was found by asking to the layers of tables.
func withFindings(tables *networks, found []enrich.Finding, names map[uint32]string) *networks {
	n := *tables
	n.asName, n.v4, n.v6 = names, slices.Clone(n.v4), slices.Clone(n.v6)
	slices.SortFunc(found, newest)
	slices.Reverse(found) // the number in a layer grows with time
	var b builder
	old := contradicted(found)
	for i, f := range found {
		l := layerOf(f.Source)
		switch {
		case f.Network == nil && l == layerCymru: // who announces it is not known; no registry was asked
		case f.Network == nil:
			p := block(f.Subject.Addr)
			b.infos[layerNothing] = append(b.infos[layerNothing], info{facts: intel.NetworkFacts{FetchedAt: f.Fetched}, asked: true, retry: f.Retry})
			b.add(layerNothing, p, int32(len(b.infos[layerNothing])-1))
		case !old[i]:
			in := found[i].Network
			x := info{asked: l != layerCymru, facts: intel.NetworkFacts{Name: in.Name, Org: in.Org, Country: in.Country, Registry: in.Registry, Abuse: in.Abuse,
				ASN: in.ASN, ASName: f.ASName, Allocated: in.Allocated, Source: f.Source, FetchedAt: f.Fetched}}
			x.prefixes = prefixes(in)
			b.infos[l] = append(b.infos[l], x)
			for _, p := range x.prefixes {
				b.add(l, p, int32(len(b.infos[l])-1))
			}
		}
	}
	for l := range layerTables {
		n.infos[l], n.v4[l], n.v6[l] = b.infos[l], ranges.Flatten(b.v4[l]), ranges.Flatten(b.v6[l])
	}
	return &n
}

func layerOf(source string) int {
	switch source {
	case "rdap":
		return layerRDAP
	case "whois":
		return layerWhois
	}
	return layerCymru
}

// contradicted says which of the findings, oldest first, are no longer so: their
// source answered since about one of their addresses, with a range as wide or wider.
func contradicted(found []enrich.Finding) []bool {
	out := make([]bool, len(found))
	type asked struct {
		addr netip.Addr
		i    int
	}
	var by [layerTables][]asked
	for i, f := range found {
		if f.Network != nil {
			by[layerOf(f.Source)] = append(by[layerOf(f.Source)], asked{f.Subject.Addr, i})
		}
	}
	for _, list := range by {
		slices.SortFunc(list, func(a, b asked) int { return a.addr.Compare(b.addr) })
		for _, x := range list {
			wide := widest(found[x.i].Network)
			for _, p := range prefixes(found[x.i].Network) {
				at, _ := slices.BinarySearchFunc(list, p.Addr(), func(a asked, addr netip.Addr) int { return a.addr.Compare(addr) })
				for ; at < len(list) && p.Contains(list[at].addr) && !out[x.i]; at++ {
					out[x.i] = list[at].i > x.i && widest(found[list[at].i].Network) <= wide
				}
			}
		}
	}
	return out
}

// widest returns the length of the shortest prefix.
func widest(n *enrich.Network) int {
	out := 128
	for _, p := range prefixes(n) {
		out = min(out, p.Bits())
	}
	return out
}

func prefixes(n *enrich.Network) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(n.CIDR))
	for _, s := range n.CIDR {
		if p, err := netip.ParsePrefix(s); err == nil && p == p.Masked() {
			out = append(out, p)
		}
	}
	return out
}

// ends returns the first and the last address of a network that has prefixes.
func ends(n *enrich.Network) (first, last netip.Addr) {
	for _, p := range prefixes(n) {
		if !first.IsValid() || p.Addr().Less(first) {
			first = p.Addr()
		}
		if end := intel.LastAddr(p); !last.IsValid() || last.Less(end) {
			last = end
		}
	}
	return first, last
}

// at returns the numbers of what the layers say of an address, in the array it is given.
func (n *networks) at(a netip.Addr, buffer *[maxLayers]int32) []int32 {
	where := buffer[:len(n.v4)]
	if a.Is4() {
		k := ranges.From4(a)
		for l := range where {
			where[l] = n.v4[l].Find(k)
		}
		return where
	}
	k := ranges.From6(a)
	for l := range where {
		where[l] = n.v6[l].Find(k)
	}
	return where
}

// fact puts together what queries ask of what the layers say.
func (n *networks) fact(where []int32) query.Fact {
	var f query.Fact
	for l, i := range where[:layerTables] {
		if i < 0 {
			continue
		}
		in := &n.infos[l][i]
		fill(&f, in.facts.Country, in.facts.Org, in.facts.ASN, in.facts.ASName)
		if in.asked && f.Asked.Before(in.facts.FetchedAt) {
			f.Asked = in.facts.FetchedAt
		}
	}
	for l, i := range where[layerTables:] {
		if i >= 0 {
			t := &n.tables[l].Facts[i]
			fill(&f, t.Country, t.Org, t.ASN, t.ASName)
		}
	}
	if f.ASName == "" && f.ASN != 0 {
		f.ASName = n.asName[f.ASN]
	}
	return f
}

// fill sets what is not known yet.
func fill(f *query.Fact, country, org string, asn uint32, asName string) {
	if f.Country == "" {
		f.Country = country
	}
	if f.Org == "" {
		f.Org = org
	}
	if f.ASN == 0 {
		f.ASN, f.ASName = asn, asName
	} else if f.ASName == "" && asn == f.ASN {
		f.ASName = asName
	}
}

// facts puts together what an answer shows of an address, nil for nothing.
func (n *networks) facts(a netip.Addr) *intel.NetworkFacts {
	var buffer [maxLayers]int32
	var out intel.NetworkFacts
	for l, i := range n.at(a, &buffer) {
		if i < 0 || l == layerNothing {
			continue
		}
		in := n.info(l, i)
		fill := func(to *string, from string) {
			if *to == "" {
				*to = from
			}
		}
		before := out
		if out.CIDR == "" {
			out.CIDR = n.prefixOf(l, a, in.prefixes)
		}
		fill(&out.Name, in.facts.Name)
		fill(&out.Org, in.facts.Org)
		fill(&out.Country, in.facts.Country)
		fill(&out.Registry, in.facts.Registry)
		fill(&out.Abuse, in.facts.Abuse)
		fill((*string)(&out.Allocated), string(in.facts.Allocated))
		if out.ASN == 0 {
			out.ASN, out.ASName = in.facts.ASN, in.facts.ASName
		} else if out.ASN == in.facts.ASN {
			fill(&out.ASName, in.facts.ASName)
		}
		if out == before {
			continue // it added nothing
		}
		addSource(&out.Source, in.facts.Source)
		if out.FetchedAt.IsZero() || in.facts.FetchedAt.Before(out.FetchedAt) {
			out.FetchedAt = in.facts.FetchedAt
		}
	}
	if out.Source == "" {
		return nil
	}
	if out.ASN != 0 && out.ASName == "" {
		out.ASName = n.asName[out.ASN]
	}
	return &out
}

// addSource adds a source to those that have a + between them, if it is not there.
func addSource(to *string, source string) {
	if *to == "" {
		*to = source
	} else if !slices.Contains(strings.Split(*to, "+"), source) {
		*to += "+" + source
	}
}

// prefixOf returns the prefix of an answer, or the widest within a row, that has a.
func (n *networks) prefixOf(l int, a netip.Addr, of []netip.Prefix) string {
	best := netip.Prefix{}
	for _, p := range of {
		if p.Contains(a) && (!best.IsValid() || p.Bits() > best.Bits()) {
			best = p
		}
	}
	if best.IsValid() {
		return best.String()
	}
	var first, last netip.Addr
	if a.Is4() {
		first, last = spanOf(n.v4[l], ranges.From4(a))
	} else {
		first, last = spanOf(n.v6[l], ranges.From6(a))
	}
	for n := shared(first, last); n <= a.BitLen(); n++ {
		p, _ := a.Prefix(n)
		if !p.Addr().Less(first) && !last.Less(intel.LastAddr(p)) {
			return p.String()
		}
	}
	return ""
}

// shared returns how many leading bits two addresses have in common.
func shared(a, b netip.Addr) int {
	if a.Is4() {
		return bits.LeadingZeros32(uint32(ranges.From4(a) ^ ranges.From4(b)))
	}
	x, y := ranges.From6(a), ranges.From6(b)
	if x.High != y.High {
		return bits.LeadingZeros64(x.High ^ y.High)
	}
	return 64 + bits.LeadingZeros64(x.Low^y.Low)
}

func spanOf[K ranges.IP[K]](l ranges.Layer[K], a K) (first, last netip.Addr) {
	i, _ := slices.BinarySearchFunc(l, a, func(s ranges.Span[K], a K) int { return s.Last.Compare(a) })
	return l[i].First.Addr(), l[i].Last.Addr()
}

// ranges hands on, upwards and joined, the ranges of which the fact is accepted.
func (n *networks) ranges(is func(query.Fact) bool, emit func(first, last netip.Addr) bool) {
	_ = join(n.v4, func(where []int32) bool { return is(n.fact(where)) }, emit) && join(n.v6, func(where []int32) bool { return is(n.fact(where)) }, emit)
}

// join walks layers and hands on, joined, the ranges that are accepted.
func join[K ranges.IP[K]](layers []ranges.Layer[K], is func(where []int32) bool, emit func(first, last netip.Addr) bool) bool {
	var first, last K
	open := false
	more := ranges.Walk(layers, func(from, to K, where []int32) bool {
		accepted := is(where)
		if open {
			if next, _ := last.Next(); accepted && next == from {
				last = to
				return true
			}
			if open = false; !emit(first.Addr(), last.Addr()) {
				return false
			}
		}
		if accepted {
			first, last, open = from, to, true
		}
		return true
	})
	return more && (!open || emit(first.Addr(), last.Addr()))
}

// changed hands on the ranges in which facts differ from those of before.
func (n *networks) changed(old *networks, emit func(first, last netip.Addr) bool) bool {
	differ := func(where []int32) bool { return n.fact(where[:len(n.v4)]) != old.fact(where[len(n.v4):]) }
	return join(slices.Concat(n.v4, old.v4), differ, emit) && join(slices.Concat(n.v6, old.v6), differ, emit)
}
