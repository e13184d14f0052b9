package corpus

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// What enrichment knows is in no segment: it changes without them. A part of a query
// about it is turned into ranges of addresses and names of domains, which are found in
// the sections that are sorted by address and among the names of hosts.

// doc is a listing with what is known of its indicator.
func (r *searching) doc(l *intel.Listing) query.Doc {
	d := query.Doc{Listing: l}
	if r.s.Facts != nil {
		d.Facts = r.s.Facts.Of(intel.Indicator{Kind: l.Kind, Value: l.Canonical}).Fields()
	}
	return d
}

// withFacts adds to a leaf's own matches those that facts make.
func (p *planner) withFacts(n query.Node, own plan) plan {
	is := query.FactMatch(n)
	if is == nil || p.r.s.Facts == nil {
		return own
	}
	k := p.r.v.c.knowns.of(p.r.s, n, is)
	return func(e *evaluator) set { return own(e).or(certain(e.known(k))) }
}

// known is of what a fact is so.
type known struct {
	ranges []addrRange // in order, IPv4 first
	names  map[string]bool
}

type addrRange struct{ first, last netip.Addr }

// knowns keeps what was found out for parts of queries until the facts change: a walk
// through a million ranges takes longer than all else. The zero value is ready.
type knowns struct {
	mu   sync.Mutex
	id   string // of the facts
	kept map[string]*known
}

// mostKept is of how many parts of queries, and mostRanges how many ranges and names
// together are kept: some 60 bytes each.
const (
	mostKept   = 64
	mostRanges = 1 << 20
)

// of returns what facts make a leaf match.
func (c *knowns) of(s *query.Search, leaf query.Node, is func(query.Fact) bool) *known {
	key := leaf.String()
	if d, ok := leaf.(query.Date); ok { // an age is written the same every day
		key = fmt.Sprintf("%s %d %d", key, d.From.UnixNano(), d.To.UnixNano())
	}
	c.mu.Lock()
	k := c.kept[key]
	if c.id != s.FactsID {
		k = nil
	}
	c.mu.Unlock()
	if k != nil && s.FactsID != "" {
		return k
	}
	k = knownOf(s.Facts, is)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.FactsID == "" {
		return k
	}
	if c.id != s.FactsID || len(c.kept) >= mostKept || c.size()+k.size() > mostRanges {
		c.id, c.kept = s.FactsID, map[string]*known{}
	}
	c.kept[key] = k
	return k
}

func (c *knowns) size() (n int) {
	for _, k := range c.kept {
		n += k.size()
	}
	return n
}

func (k *known) size() int { return len(k.ranges) + len(k.names) }

func knownOf(f query.Facts, is func(query.Fact) bool) *known {
	k := &known{names: map[string]bool{}}
	f.Networks(is, func(first, last netip.Addr) bool {
		k.ranges = append(k.ranges, addrRange{first, last})
		return true
	})
	f.Domains(is, func(name string) bool {
		k.names[name] = true
		return true
	})
	return k
}

// known returns the documents of whose indicators a fact is so.
func (e *evaluator) known(k *known) *roaring.Bitmap {
	var docs []uint32
	six := sort.Search(len(k.ranges), func(i int) bool { return k.ranges[i].first.Is6() })
	for _, m := range e.u.members {
		add := func(ref uint32, s *segment) {
			if n, ok := s.number(ref); ok {
				docs = append(docs, m.base+uint32(n))
			}
		}
		s := e.r.v.segs[m.seg]
		e.inRanges(s, s.addr4, k.ranges[:six], add)
		e.inRanges(s, s.addr6, k.ranges[six:], add)
		e.networksIn(s, k.ranges, add)
		if e.r.stopped() {
			return nil
		}
	}
	return union(bitmapOf(docs, e.u.docs), e.named(k.names))
}

// inRanges hands on what a section of addresses has in ranges. It goes through both in
// step, and leaps over what lies between.
func (e *evaluator) inRanges(s *segment, sec rows, ranges []addrRange, yield func(ref uint32, s *segment)) {
	at := 0
	for n := 0; n < len(ranges) && at < sec.n; n++ {
		first, last := ranges[n].first.AsSlice(), ranges[n].last.AsSlice()
		at = e.leap(s, sec, at, first)
		for ; at < sec.n; at++ {
			row, err := s.row(sec, at)
			if err != nil {
				e.fail(err)
				return
			}
			if slices.Compare(row[:len(last)], last) > 0 {
				break
			}
			yield(le.Uint32(row[len(row)-4:]), s)
		}
		if n%checkEvery == 0 && e.r.late() {
			return
		}
		if at < sec.n && n+1 < len(ranges) { // leap over ranges too
			n = e.leapRanges(s, sec, at, ranges, n)
		}
	}
}

// leap returns the first row from at on that is not below first, by steps that double.
func (e *evaluator) leap(s *segment, sec rows, at int, first []byte) int {
	below := func(i int) bool {
		row, err := s.row(sec, i)
		if err != nil {
			e.fail(err)
			return false
		}
		return slices.Compare(row[:len(first)], first) < 0
	}
	step := 1
	for at+step < sec.n && below(at+step) {
		at, step = at+step, 2*step
	}
	return at + sort.Search(min(step, sec.n-at), func(i int) bool { return !below(at + i) })
}

// leapRanges returns the last range from n on that ends before row at.
func (e *evaluator) leapRanges(s *segment, sec rows, at int, ranges []addrRange, n int) int {
	row, err := s.row(sec, at)
	if err != nil {
		e.fail(err)
		return len(ranges)
	}
	a, _ := netip.AddrFromSlice(row[:len(row)-4])
	ends := func(i int) bool { return ranges[i].last.Less(a) }
	step := 1
	for n+step < len(ranges) && ends(n+step) {
		n, step = n+step, 2*step
	}
	return n + sort.Search(min(step, len(ranges)-n)-1, func(i int) bool { return !ends(n + 1 + i) })
}

// networksIn hands on the networks whose first address is in a range.
func (e *evaluator) networksIn(s *segment, ranges []addrRange, yield func(ref uint32, s *segment)) {
	for i := 0; i < s.cidr.n && len(ranges) > 0; i++ {
		row, err := s.row(s.cidr, i)
		if err != nil {
			e.fail(err)
			return
		}
		p, ref, ok := cidrOf(row)
		if !ok {
			e.fail(s.bad(int(ref) * 4))
			return
		}
		if inRange(ranges, p.Addr()) {
			yield(ref, s)
		}
	}
}

func inRange(ranges []addrRange, a netip.Addr) bool {
	_, ok := slices.BinarySearchFunc(ranges, a, func(r addrRange, a netip.Addr) int {
		switch {
		case r.last.Less(a):
			return -1
		case a.Less(r.first):
			return 1
		}
		return 0
	})
	return ok
}

// fewNames is up to how many names, in a share of a unit's documents, are looked for
// one by one rather than by going through the names of all hosts.
const fewNames = 16

// named returns the documents whose host is one of the domains, or below one.
func (e *evaluator) named(names map[string]bool) *roaring.Bitmap {
	if len(names) == 0 || e.x == nil {
		return nil
	}
	if len(names) > int(e.u.docs)/fewNames {
		var last string
		var yes bool
		return e.collect([]byte{keyHost}, []byte{keyHost + 1}, func(key []byte) bool {
			back := string(key[1:])
			if last == "" || back != last && !strings.HasPrefix(back, last+".") {
				name := intel.Registrable(reversed(back))
				last, yes = reversed(name), names[name]
			}
			return yes
		})
	}
	var all []*roaring.Bitmap
	for _, name := range sortedNames(names) {
		if e.r.stopped() {
			break
		}
		key := hostKey(reversed(name))
		if b := e.get(key); b != nil {
			all = append(all, b)
		}
		if b := e.beginning(append(key, '.')); b != nil {
			all = append(all, b)
		}
	}
	return roaring.FastOr(all...)
}

// sortedNames sorts names as their keys are.
func sortedNames(names map[string]bool) []string {
	out := make([]string, 0, len(names))
	for name := range names {
		out = append(out, name)
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Compare(reversed(a), reversed(b)) })
	return out
}

// byFact returns, for each value that facts give a field, in the form of Doc.Facet, the
// documents that have it by them; nil where the field has none.
func (t *tallyOf) byFact(h *hits, docs *roaring.Bitmap) map[string]*roaring.Bitmap {
	facts := t.r.s.Facts
	if facts == nil || !query.HasFacts(t.field) || isEmpty(docs) {
		return nil
	}
	lists := map[string][]uint32{}
	forms := map[query.Fact][]string{}
	put := func(fact query.Fact, doc uint32) {
		values, ok := forms[fact]
		if !ok {
			values = query.Doc{Listing: &intel.Listing{}, Facts: fact.Fields()}.Facet(t.field)
			forms[fact] = values
		}
		for _, v := range values {
			lists[v] = append(lists[v], doc)
		}
	}
	for _, m := range h.u.members {
		s := t.r.v.segs[m.seg]
		see := func(sec rows, addr func(row []byte) (netip.Addr, bool)) {
			for i := 0; i < sec.n; i++ {
				if i%checkEvery == 0 && t.r.stopped() {
					return
				}
				row, err := s.row(sec, i)
				if err != nil {
					t.r.fail(err)
					return
				}
				n, ok := s.number(le.Uint32(row[len(row)-4:]))
				if !ok || !docs.Contains(m.base+uint32(n)) {
					continue
				}
				if a, ok := addr(row); ok {
					put(facts.At(a), m.base+uint32(n))
				}
			}
		}
		alone := func(row []byte) (netip.Addr, bool) { return netip.AddrFromSlice(row[:len(row)-4]) }
		see(s.addr4, alone)
		see(s.addr6, alone)
		see(s.cidr, func(row []byte) (netip.Addr, bool) { p, _, ok := cidrOf(row); return p.Addr(), ok })
	}
	out := make(map[string]*roaring.Bitmap, len(lists))
	for v, list := range lists {
		out[v] = bitmapOf(list, h.u.docs)
	}
	return out
}
