package facts

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/ranges"
	"github.com/elasticintel/elasticintel/internal/enrich/table"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// within is address n of the space that models look at whole: 1,024 addresses at the
// edge of a block, of either family.
func within(n int, six bool) netip.Addr {
	if six {
		a := ranges.From6(netip.MustParseAddr("2a00::fffe:0"))
		a.Low += uint64(n)
		return a.Addr()
	}
	return (ranges.From4(netip.MustParseAddr("50.0.254.0")) + ranges.IP4(n)).Addr()
}

const space = 1024

func randomFindings(r *rand.Rand, six bool) []enrich.Finding {
	var out []enrich.Finding
	for i := range r.IntN(10) {
		asked := within(r.IntN(space), six)
		p, _ := asked.Prefix(asked.BitLen() - r.IntN(11))
		f := network(asked.String(), []string{"rdap", "whois", "cymru"}[r.IntN(3)], noon.Add(time.Duration(r.IntN(5))*time.Hour), enrich.Network{CIDR: []string{p.String()},
			Country: []string{"", "DE", "FR"}[r.IntN(3)], ASN: uint32(r.IntN(3)), Org: []string{"", "A", "B"}[r.IntN(3)], Name: fmt.Sprint(i)})
		if r.IntN(6) == 0 {
			f.Network, f.Negative, f.Retry = nil, enrich.Refused, noon
		}
		out = append(out, f)
	}
	return out
}

func randomRows(r *rand.Rand, six bool) []table.Row {
	var rows []table.Row
	for range r.IntN(6) {
		a, b := r.IntN(space), r.IntN(space)
		x := row(within(min(a, b), six).String(), within(max(a, b), six).String(), []string{"", "GB", "IT"}[r.IntN(3)], uint32(r.IntN(3)), "")
		rows = append(rows, x)
	}
	return rows
}

// tableOf makes a table of the rows that are accepted.
func tableOf(t testing.TB, rows []table.Row, is func(table.Row) bool) *table.Table {
	t.Helper()
	var b bytes.Buffer
	err := table.Write(&b, table.Meta{Feed: "t", Made: noon}, func(yield func(table.Row) bool) {
		for _, r := range rows {
			if is(r) && !yield(r) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := table.Read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// naive is the fact of an address by looking at every finding and row.
func naive(found []enrich.Finding, rows []table.Row, a netip.Addr) query.Fact {
	var out query.Fact
	fill := func(country, org string, asn uint32) {
		if out.Country == "" {
			out.Country = country
		}
		if out.Org == "" {
			out.Org = org
		}
		if out.ASN == 0 {
			out.ASN = asn
		}
	}
	asked := func(f *enrich.Finding) {
		if f.Fetched.After(out.Asked) && f.Source != "cymru" {
			out.Asked = f.Fetched
		}
	}
	for _, source := range []string{"rdap", "whois", "cymru"} {
		var best *enrich.Finding
		for i := range found {
			f := &found[i]
			if f.Network == nil || f.Source != source || !prefixes(f.Network)[0].Contains(a) || naivelyOld(found, f) {
				continue
			}
			if best == nil || widest(f.Network) > widest(best.Network) || widest(f.Network) == widest(best.Network) && newest(*f, *best) < 0 {
				best = f
			}
		}
		if best != nil {
			fill(best.Network.Country, best.Network.Org, best.Network.ASN)
			asked(best)
		}
	}
	for _, announced := range []bool{false, true} {
		best := -1
		for i, r := range rows {
			if (r.ASN != 0) != announced || a.Less(r.First) || r.Last.Less(a) {
				continue
			}
			if best < 0 || cmp.Or(width(r).Compare(width(rows[best])), cmp.Compare(like(rows, best), like(rows, i))) < 0 {
				best = i
			}
		}
		if best >= 0 {
			fill(rows[best].Country, "", rows[best].ASN)
		}
	}
	for i := range found {
		if f := &found[i]; f.Network == nil && block(f.Subject.Addr).Contains(a) {
			asked(f)
		}
	}
	return out
}

// like returns the first row that says what row i does: rows that say the same count as one.
func like(rows []table.Row, i int) int {
	return slices.IndexFunc(rows, func(r table.Row) bool { return r.Country == rows[i].Country && r.ASN == rows[i].ASN })
}

func width(r table.Row) ranges.IP6 { return ranges.From6(r.Last).Minus(ranges.From6(r.First)) }

func naivelyOld(found []enrich.Finding, f *enrich.Finding) bool {
	return slices.ContainsFunc(found, func(g enrich.Finding) bool {
		return g.Network != nil && g.Source == f.Source && newest(g, *f) < 0 && prefixes(f.Network)[0].Contains(g.Subject.Addr) && widest(g.Network) <= widest(f.Network)
	})
}

// TestModel compares facts, ranges and changes with looking at every address.
func TestModel(t *testing.T) {
	accepts := func(f query.Fact) bool { return f.Country == "DE" || f.ASN == 2 }
	var before *Snapshot
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 3))
		six := r.IntN(2) == 0
		var list []*batch
		byKey := map[string]enrich.Finding{}
		for range 1 + r.IntN(2) {
			found := randomFindings(r, six)
			x, err := openBatch(encode(found))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, x)
			slices.SortStableFunc(found, func(a, b enrich.Finding) int { return a.Fetched.Compare(b.Fetched) })
			for _, f := range found {
				byKey[string(key(&f))] = f
			}
		}
		var found []enrich.Finding
		for _, f := range byKey {
			found = append(found, f)
		}
		rows := randomRows(r, six)
		given := []*table.Table{tableOf(t, rows, func(r table.Row) bool { return r.ASN != 0 }), tableOf(t, rows, func(r table.Row) bool { return r.ASN == 0 })}
		s := newSnapshot(fmt.Sprint(seed), list, func() *networks { return fromTables(given) })
		var ranges, changes [][2]netip.Addr
		s.Networks(accepts, func(first, last netip.Addr) bool { ranges = append(ranges, [2]netip.Addr{first, last}); return true })
		s.Changed(before, func(c query.FactsChange) bool { changes = append(changes, [2]netip.Addr{c.First, c.Last}); return true })
		for n := range space {
			a := within(n, six)
			i := indicator(t, a.String())
			want := naive(found, rows, a)
			got := s.Of(i)
			if got != want {
				t.Fatalf("seed %d: %s: %+v, want %+v\n%+v\n%+v", seed, a, got, want, found, rows)
			}
			if in(ranges, a) != (want.Known() && accepts(want)) {
				t.Fatalf("seed %d: %s of %+v in %v", seed, a, want, ranges)
			}
			var old query.Fact
			if before != nil {
				old = before.Of(i)
			}
			if in(changes, a) != (old != want) {
				t.Fatalf("seed %d: %s was %+v, is %+v; changes %v", seed, a, old, want, changes)
			}
		}
		before = s
	}
}

func in(ranges [][2]netip.Addr, a netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r [2]netip.Addr) bool { return !a.Less(r[0]) && !r[1].Less(a) })
}

// TestDomainChanges compares two sets of batches with looking at every name.
func TestDomainChanges(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 4))
		var all []*batch
		for range 5 {
			var found []enrich.Finding
			for range r.IntN(5) {
				name := fmt.Sprintf("d%d.com", r.IntN(8))
				f := domain(name, noon.Add(time.Duration(r.IntN(2))*time.Hour), []intel.Date{"", "2020-01-01T00:00:00Z"}[r.IntN(2)])
				if r.IntN(3) == 0 {
					f = failure(enrich.Subject{Domain: name}, []string{enrich.Refused, enrich.Unregistered}[r.IntN(2)], noon.Add(time.Duration(r.IntN(2))*time.Hour), 0)
				}
				found = append(found, f)
			}
			x, err := openBatch(encode(found))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, x)
		}
		tables := func() *networks { return fromTables(nil) }
		old, now := newSnapshot("a", all[:r.IntN(4)], tables), newSnapshot("b", all[r.IntN(2):], tables)
		got := map[string]int{}
		now.Changed(old, func(c query.FactsChange) bool { got[c.Domain]++; return true })
		var names []string
		now.Domains(query.Fact.Known, func(name string) bool { names = append(names, name); return true })
		slices.Sort(names)
		for n := range 8 {
			i := indicator(t, fmt.Sprintf("www.d%d.com", n))
			want := 0
			if now.Of(i) != old.Of(i) {
				want = 1
			}
			if name := i.Host()[4:]; got[name] != want {
				t.Fatalf("seed %d: %s was %+v, is %+v: handed on %d times", seed, name, old.Of(i), now.Of(i), got[name])
			} else if _, known := slices.BinarySearch(names, name); known != now.Of(i).Known() {
				t.Fatalf("seed %d: %s in %v", seed, name, names)
			}
		}
		if len(names) != len(slices.Compact(names)) {
			t.Fatalf("seed %d: %v", seed, names)
		}
	}
}

// FuzzBatch gives bodies of which the checksum is right.
func FuzzBatch(f *testing.F) {
	good := encode([]enrich.Finding{domain("a.com", noon, "2020-01-01T00:00:00Z"), network("5.6.7.8", "rdap", noon, enrich.Network{CIDR: []string{"5.6.7.0/24"}})})
	f.Add(good[:len(good)-32])
	f.Fuzz(func(t *testing.T, body []byte) {
		x, err := openBatch(append(slices.Clone(body), sumOf(body)...))
		if err != nil {
			return
		}
		s := newSnapshot("x", []*batch{x}, func() *networks { return fromTables(nil) })
		for _, v := range []string{"a.com", "5.6.7.8", "2a00::1"} {
			i := indicator(t, v)
			s.Of(i)
			s.Enrichment(i, noon)
		}
		s.Due(noon, func(enrich.Subject) bool { return true })
		s.Counts()
	})
}
