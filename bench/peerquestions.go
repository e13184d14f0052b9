package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// questionnaire is everything that all engines are asked, the same for all.
type questionnaire struct {
	exact    []intel.Indicator // every second one listed
	searches map[string][]question
	covering []netip.Addr
	facets   []string
}

// searchSorts are the keys of questionnaire.searches in the order of the table.
var searchSorts = []string{"term", "and", "phrase", "prefix", "subdomains", "net"}

func newQuestionnaire(d *dataset) *questionnaire {
	r := rand.New(rand.NewPCG(1, 2))
	q := &questionnaire{searches: map[string][]question{}}
	draw := func() *intel.Entry { // each listing as likely as any other
		n := r.IntN(d.listings)
		for _, f := range d.feeds {
			if n < len(f) {
				return &f[n]
			}
			n -= len(f)
		}
		panic("unreachable")
	}
	asked := map[intel.Indicator]bool{} // each once: peers that are given a set answer a value once
	for len(q.exact) < min(100_000, d.listings) {
		ind := intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("no-%x.example", r.Uint64())}
		if len(q.exact)%2 == 0 {
			ind = draw().Indicator
		}
		if !asked[ind] {
			asked[ind] = true
			q.exact = append(q.exact, ind)
		}
	}
	for len(q.searches["prefix"]) < 200 {
		row := makeRow(0, "", draw())
		q.addWords(r, row.texts)
	}
	q.addHosts(r, d)
	for len(q.searches["net"]) < 100 {
		if a, ok := draw().Indicator.Addr(); ok && a.Is4() {
			p, _ := a.Prefix(16)
			q.searches["net"] = append(q.searches["net"], question{sort: "net", net: p})
		}
	}
	q.addCovering(r, d)
	q.addFacets(d, draw)
	return q
}

// addWords draws a question of each sort from one listing's texts, so each finds something.
func (q *questionnaire) addWords(r *rand.Rand, texts [][]string) {
	put := func(sort string, words ...string) {
		if len(q.searches[sort]) < 200 {
			q.searches[sort] = append(q.searches[sort], question{sort: sort, words: words})
		}
	}
	if len(texts) == 0 {
		return
	}
	t := texts[r.IntN(len(texts))]
	w := t[r.IntN(len(t))]
	put("term", w)
	if len(w) >= 4 && isASCII(w) {
		put("prefix", w[:max(3, len(w)*2/3)])
	}
	if other := texts[r.IntN(len(texts))]; other[len(other)-1] != w {
		put("and", w, other[len(other)-1])
	}
	if len(t) > 1 {
		n := min(len(t), 2+r.IntN(2))
		at := r.IntN(len(t) - n + 1)
		put("phrase", t[at:at+n]...)
	}
}

func isASCII(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(b byte) bool { return b >= 0x80 })
}

// addHosts picks names with about 100 listings below them.
func (q *questionnaire) addHosts(r *rand.Rand, d *dataset) {
	below := map[string]int{}
	for _, f := range d.feeds {
		for i := range f {
			if h := hostOf(f[i].Indicator); h != "" {
				for _, p := range intel.Parents(h) {
					below[p]++
				}
			}
		}
	}
	names := slices.Sorted(maps.Keys(below))
	far := func(n string) int { return max(below[n]-100, 100-below[n]) }
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(far(a), far(b)) })
	names = names[:min(100, len(names))]
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, n := range names {
		q.searches["subdomains"] = append(q.searches["subdomains"], question{sort: "subdomains", host: n})
	}
}

// addCovering draws addresses, every second one from a listed network where there are any.
func (q *questionnaire) addCovering(r *rand.Rand, d *dataset) {
	var nets []netip.Prefix
	for _, f := range d.feeds {
		for i := range f {
			if p, ok := f[i].Indicator.Prefix(); ok && p.Addr().Is4() && f[i].Indicator.Kind == intel.CIDR {
				nets = append(nets, p)
			}
		}
	}
	for i := range 200 {
		a := netip.AddrFrom4([4]byte{byte(1 + r.IntN(223)), byte(r.IntN(256)), byte(r.IntN(256)), byte(1 + r.IntN(254))})
		if i%2 == 0 && len(nets) > 0 {
			a = nets[r.IntN(len(nets))].Addr()
		}
		q.covering = append(q.covering, a)
	}
}

// addFacets finds words that about 100,000 listings have, less where there are few listings.
func (q *questionnaire) addFacets(d *dataset, draw func() *intel.Entry) {
	const sample = 20_000
	seen := map[string]int{}
	for range sample {
		row := makeRow(0, "", draw())
		words := slices.Concat(row.texts...)
		slices.Sort(words)
		for _, w := range slices.Compact(words) {
			seen[w]++
		}
	}
	target := float64(min(100_000, d.listings/6)) * sample / float64(d.listings)
	words := slices.Sorted(maps.Keys(seen))
	far := func(w string) float64 { return math.Abs(math.Log(float64(seen[w]) / target)) }
	slices.SortStableFunc(words, func(a, b string) int { return cmp.Compare(far(a), far(b)) })
	q.facets = words[:min(3, len(words))]
}
