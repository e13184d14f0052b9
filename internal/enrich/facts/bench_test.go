package facts

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/elasticintel/elasticintel/internal/enrich"
	"github.com/elasticintel/elasticintel/internal/enrich/ranges"
	"github.com/elasticintel/elasticintel/internal/enrich/table"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// delegated makes the rows of files of all registries: n ranges of 256 to 65,536
// addresses one after the other, as many of IPv6.
func delegated(n int, asn bool) []table.Row {
	r := rand.New(rand.NewPCG(1, 1))
	var rows []table.Row
	at := ranges.IP4(1 << 24)
	for i := range n {
		size := ranges.IP4(256) << r.IntN(7)
		if at+size < at {
			break
		}
		x := table.Row{First: at.Addr(), Last: (at + size - 1).Addr(), Country: string([]byte{'A' + byte(i%26), 'A' + byte(i/26%26)}), Registry: "ripencc",
			Allocated: intel.Date(noon.AddDate(0, 0, -r.IntN(9000)).Truncate(24 * 3600e9).Format("2006-01-02T15:04:05Z"))}
		if asn {
			x.Registry, x.Allocated, x.ASN, x.ASName = "", "", uint32(1+i%80_000), fmt.Sprint("AS-", i%80_000)
		}
		rows = append(rows, x)
		at += size
	}
	for i := range n / 2 {
		a := ranges.IP6{High: 0x2a00<<48 + uint64(i)<<16}
		x := rows[i%len(rows)]
		x.First, x.Last = a.Addr(), ranges.IP6{High: a.High | 0xffff, Low: 1<<64 - 1}.Addr()
		rows = append(rows, x)
	}
	return rows
}

func addresses(n int) []intel.Indicator {
	r := rand.New(rand.NewPCG(2, 2))
	out := make([]intel.Indicator, n)
	for i := range out {
		out[i] = intel.Indicator{Kind: intel.IPv4, Value: ranges.IP4(1<<24 + r.Uint32N(50<<24)).Addr().String()}
	}
	return out
}

// Benchmark100kAddresses enriches 100,000 addresses from a store that has nothing but
// the table of a delegated file: open it, build the layers, answer all.
func Benchmark100kAddresses(b *testing.B) {
	s := dir(b)
	tables := withTable(b, s, delegated(200_000, false)...)
	asked := addresses(100_000)
	for b.Loop() {
		snapshot := open(b, s, tables).Snapshot()
		known := 0
		for _, i := range asked {
			if snapshot.Enrichment(i, noon).Network != nil {
				known++
			}
		}
		if known < len(asked)/2 {
			b.Fatalf("%d known", known)
		}
		b.ReportMetric(float64(known), "known")
	}
}

// BenchmarkLarge is a store with 1.2 M ranges of tables, 300 k networks of registries
// and a million domains.
func BenchmarkLarge(b *testing.B) {
	s := dir(b)
	rows := slices.Concat(delegated(400_000, false), delegated(400_000, true))
	tables := withTable(b, s, rows...)
	book := open(b, s, tables)
	var found []enrich.Finding
	r := rand.New(rand.NewPCG(3, 3))
	for range 300_000 {
		p, _ := ranges.IP4(1<<24 + r.Uint32N(200<<24)).Addr().Prefix(24 - r.IntN(5))
		found = append(found, network(p.Addr().String(), "rdap", noon, enrich.Network{CIDR: []string{p.String()}, Name: "NET-" + p.String(), Org: "Org " + p.String(), Country: "DE"}))
	}
	for i := range 1_000_000 {
		found = append(found, domain(fmt.Sprintf("some-domain-%d.com", i), noon, "2020-01-01T00:00:00Z"))
	}
	add(b, book, found...)
	b.Logf("%d rows", len(rows))
	asked := addresses(1_000)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			open(b, s, tables)
		}
	})
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			open(b, s, tables).Snapshot().Of(asked[0])
		}
	})
	b.Run("memory", func(b *testing.B) {
		var before, after runtime.MemStats
		for b.Loop() {
			found = nil
			runtime.GC()
			runtime.ReadMemStats(&before)
			x := open(b, s, tables)
			x.Snapshot().Of(asked[0])
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
			runtime.KeepAlive(x)
		}
	})
	snapshot := open(b, s, tables).Snapshot()
	b.Run("address", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			snapshot.Of(asked[i%len(asked)])
		}
	})
	b.Run("domain", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			snapshot.Of(intel.Indicator{Kind: intel.Domain, Value: "www.some-domain-7.com"})
		}
	})
	b.Run("changed", func(b *testing.B) {
		add(b, book, network("1.2.3.4", "rdap", noon, enrich.Network{CIDR: []string{"1.2.3.0/24"}, Country: "FR"}))
		for b.Loop() {
			n := 0
			book.Snapshot().Changed(snapshot, func(c query.FactsChange) bool { n++; return true })
			if n == 0 {
				b.Fatal("nothing changed")
			}
		}
	})
}
