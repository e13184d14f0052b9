package corpus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup/lookuptest"
	"github.com/elasticintel/elasticintel/internal/query"
)

// searchWorld is a corpus with every sort of feed, value and context, and words
// few enough to meet often.
type searchWorld struct {
	*Corpus
	now time.Time
	rnd *rand.Rand
}

func newSearchWorld(t testing.TB, seed uint64, o Options) *searchWorld {
	w := &searchWorld{now: t0, rnd: rand.New(rand.NewPCG(seed, 1))}
	o.Now = func() time.Time { return w.now }
	w.Corpus = openCorpus(t, newStore(t), o)
	return w
}

var searchFeeds = []intel.FeedInfo{
	{ID: "drop", Name: "Drop list of networks", Provider: "Example CERT", Presence: intel.Snapshot, Confidence: 90, TLP: "clear", Tags: []string{"network"}, ThreatType: "hijacked_network"},
	{ID: "phish", Name: "Fresh phishing", Provider: "abuse.ch", Presence: intel.Rolling, TTL: intel.Duration(48 * time.Hour), Confidence: 60, Tags: []string{"phishing"}, Description: "Serves a phishing kit."},
	{ID: "c2", Name: "C2 tracker", Provider: "abuse.ch", Presence: intel.Append, TTL: intel.Duration(72 * time.Hour), Confidence: 100, TLP: "green", Malware: "Emotet"},
	{ID: "plain", Name: "Plain", Presence: intel.Append},
}

var searchValues = []string{
	"192.0.2.1", "192.0.2.77", "198.51.100.9", "2001:db8::1", "2001:db8:1::/48", "192.0.2.0/24", "192.0.2.128/25", "198.51.0.0/16", "192.0.2.1:443", "[2001:db8::1]:8080",
	"bad.example", "www.bad.example", "login.bad.example", "paypal-secure.example", "a.b.paypal-secure.example", "xn--bcher-kva.example", "evil.zip",
	"http://bad.example/gate.php?id=7", "https://www.bad.example/a/phishing/kit.exe", "http://192.0.2.77:8080/x", "http://[2001:db8::1]/mozi.m", "https://login.paypal-secure.example/gate",
	"anna@bad.example", "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
}

var searchContext = []intel.Field{
	{Name: "tags", Values: []string{"#Phishing", "phishing", "Cobalt_Strike", "elf", "brand:PayPal", "network", "ünïcode"}},
	{Name: "malware", Values: []string{"Emotet", "win.emotet", "Mirai", "Cobalt Strike"}},
	{Name: "threat_type", Values: []string{"phishing", "botnet_cc", "malware_download"}},
	{Name: "description", Values: []string{"a phishing kit", "kit of gate.php", "bad thing on port 443"}},
	{Name: "reference", Values: []string{"https://abuse.ch/1", "https://abuse.ch/2"}},
	{Name: "tlp", Values: []string{"red", "amber+strict"}},
	{Name: "confidence", Values: []string{"10", "75", "100", "high", "180"}},
	{Name: "country", Values: []string{"NL", "us", "DE"}},
	{Name: "asn", Values: []string{"AS64500", "64501"}},
	{Name: "as_name", Values: []string{"Example Hosting B.V."}},
	{Name: "port", Values: []string{"22", "443", "8080"}},
	{Name: "File Name", Values: []string{"invoice.pdf.exe", "index.html", "-"}},
	{Name: "risk", Values: []string{"7.5", "-3", "9%"}},
	{Name: "feed_first_seen", Values: []string{"2026-02-27 10:00:00", "2026-03-01", "garbage"}},
	{Name: "reporter", Values: []string{"anna", "Anna Kit", "bob"}},
}

func (w *searchWorld) entry(t testing.TB) intel.Entry {
	e := intel.Entry{Indicator: ind(t, searchValues[w.rnd.IntN(len(searchValues))])}
	if w.rnd.IntN(3) == 0 {
		e.Original = intel.Defang(e.Indicator.Value)
	}
	for _, f := range searchContext {
		for w.rnd.IntN(5) == 0 {
			e.Fields.Add(f.Name, f.Values[w.rnd.IntN(len(f.Values))])
		}
	}
	return e
}

// step runs a feed, or lets time pass.
func (w *searchWorld) step(t testing.TB) {
	w.now = w.now.Add(time.Duration(1+w.rnd.IntN(3)) * 7 * time.Hour)
	var entries []intel.Entry
	seen := map[intel.Indicator]bool{}
	for range w.rnd.IntN(12) {
		if e := w.entry(t); !seen[e.Indicator] {
			seen[e.Indicator] = true
			entries = append(entries, e)
		}
	}
	mustRun(t, w.Corpus, searchFeeds[w.rnd.IntN(len(searchFeeds))], w.now, entries...)
	if w.rnd.IntN(2) == 0 {
		regroup(t, w.Corpus)
	}
}

// listings are all there are, read one by one.
func (w *searchWorld) listings(t testing.TB, at time.Time) []intel.Listing {
	var out []intel.Listing
	v := w.View()
	for _, s := range searchValues {
		n := len(out)
		out = v.Exact(ind(t, s), at, out)
		for i := n; i < len(out); i++ {
			out[i].Changed = w.changed(t, v, &out[i])
		}
	}
	return out
}

// changed reads when a listing changed from its record.
func (w *searchWorld) changed(t testing.TB, v *View, l *intel.Listing) time.Time {
	slots, err := v.dir.find(ofValue, w.hash.sum(l.Kind, l.Canonical), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range slots {
		seg, ref := slotRecord(x)
		r, err := v.segs[seg].record(ref)
		if err != nil {
			t.Fatal(err)
		}
		if h, _, _ := r.history(nil); v.owner[seg].head.Feed == l.Feed && r.is(l.Kind, l.Canonical) {
			return toTime(h.changed)
		}
	}
	t.Fatalf("%s is not there", l.Canonical)
	return time.Time{}
}

var searchLeaves = []string{
	"phishing", "kit", "emotet", "gate.php", `"phishing kit"`, `"kit phishing"`, "phish*", `"phishing ki"*`, "em?tet", "*aypal*", "*hish*", "anna", "abuse", "abuse.ch", "fresh", "cert", "192.0.2.1", "bad.example",
	"bad[.]example", "value:bad", "value:=bad.example", "value:gate.php", "value:*paypal*", "value:http*gate*", "value:http://192.0.2.*", "value:*ample", "value:bad*", "value:*.exe",
	"tag:phishing", "tag:=phishing", "tag:cobalt", "tag:=cobalt*", "tag:\"cobalt strike\"", "tag:pay*", "tag:*", "tag:ünïcode", "malware:emotet", "malware:=emotet", "malware:*", "malware:win*", "threat_type:phishing", "threat_type:*",
	"description:kit", "description:\"phishing kit\"", "description:*", "reference:abuse.ch", "reference:*", "tlp:red", "tlp:white", "tlp:amber+strict", "tlp:*", "country:nl", "country:*", "country:nl?", "country:nl*", "org:hosting", "org:*",
	"asn:64500", "asn:64000..64500", "asn:*", "port:443", "port:1..1024", "port:>8000", "port:*", "confidence:>=75", "confidence:0", "confidence:10..60", "kind:url", "kind:ip", "kind:hash", "kind:domain", "feed:phish", "feed:c2", "feed:pl*in",
	"provider:abuse.ch", "provider:example", "provider:*", "listed:true", "listed:false", "first_seen:2026-03-01", "first_seen:>2026-03-02", "first_seen:<30h", "last_seen:<1d", "last_seen:>2d", "last_seen:2026-03", "feed_first_seen:<2026-03-01",
	"feed_first_seen:*", "feed_first_seen:2026-02..2026-03", "registered:*", "context.reporter:anna", "context.reporter:=anna", "context.reporter:*", "context.file_name:invoice", "context.file_name:*", "context.risk:>5", "context.risk:<0",
	"context.asn:64501", "net:192.0.2.0/24", "net:192.0.2.77", "net:2001:db8::/32", "net:128.0.0.0/1", "domain:bad.example", "domain:*.bad.example", "*.example", "domain:*.zip", "domain:login.*", "domain:*paypal*", "domain:*", "*", "nothing",
}

func (w *searchWorld) query(t testing.TB, depth int) query.Node {
	if depth == 0 || w.rnd.IntN(3) == 0 {
		n, err := query.Parse(searchLeaves[w.rnd.IntN(len(searchLeaves))], w.now)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	nodes := []query.Node{w.query(t, depth-1), w.query(t, depth-1)}
	switch w.rnd.IntN(3) {
	case 0:
		return query.And{Nodes: nodes}
	case 1:
		return query.Or{Nodes: nodes}
	}
	return query.And{Nodes: []query.Node{nodes[0], query.Not{Node: nodes[1]}}}
}

var searchFacets = []query.Field{
	query.FieldFeed, query.FieldProvider, query.FieldKind, query.FieldTag, query.FieldMalware, query.FieldThreatType, query.FieldTLP, query.FieldCountry, query.FieldASN, query.FieldPort,
	query.FieldConfidence, query.FieldListed, query.FieldOrg, query.FieldDomain, query.FieldFirstSeen, query.FieldLastSeen, query.FieldFeedFirstSeen, query.Context("reporter"), query.Context("file name"), query.FieldDescription,
}

// check holds one search against the reference.
func (w *searchWorld) check(t *testing.T, s query.Search, all []intel.Listing) {
	t.Helper()
	var got, want []intel.Listing
	take := func(to *[]intel.Listing) func(*intel.Listing) error {
		return func(l *intel.Listing) error { *to = append(*to, *l); return nil }
	}
	page, err := w.Search(context.Background(), s, take(&got))
	if err != nil {
		t.Fatalf("%s: %v", s.Query, err)
	}
	ref, _ := lookuptest.Run(slices.Values(all), s, take(&want))
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s sort %s as of %v after %v limit %d (-want +got):\n%s", s.Query, s.Sort, s.AsOf, s.After, s.Limit, d)
	}
	if d := cmp.Diff(ref, page); d != "" {
		t.Fatalf("%s: page (-want +got):\n%s", s.Query, d)
	}
}

// TestSearch holds the answers of all sorts of queries against the reference
// evaluator, over data that changes.
func TestSearch(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			o := Options{}
			if seed > 0 {
				o = Options{ShardSize: 6, Small: 1}
			}
			w := newSearchWorld(t, seed, o)
			if seed > 1 {
				w.limits = searchLimits{verify: 1 << 20} // values and postings only
			}
			for range 12 {
				w.step(t)
				var at time.Time
				if w.rnd.IntN(3) == 0 {
					at = t0.Add(time.Duration(w.rnd.IntN(100)) * time.Hour)
				}
				all := w.listings(t, at)
				for _, text := range searchLeaves {
					n, err := query.Parse(text, w.now)
					if err != nil {
						t.Fatal(err)
					}
					w.check(t, query.Search{Query: n, AsOf: at}, all)
				}
				for range 100 {
					s := query.Search{Query: w.query(t, 3), AsOf: at, Limit: w.rnd.IntN(8) - 1, Sort: query.Sort{By: query.SortBy(w.rnd.IntN(5)), Reverse: w.rnd.IntN(2) == 0}}
					if w.rnd.IntN(2) == 0 && len(all) > 0 {
						p := s.Sort.Position(&all[w.rnd.IntN(len(all))])
						s.After = &p
					}
					s.Facets = []query.Field{searchFacets[w.rnd.IntN(len(searchFacets))], searchFacets[w.rnd.IntN(len(searchFacets))]}
					w.check(t, s, all)
				}
			}
		})
	}
}

// TestSearchLazily reads what is uncertain only as far as a page needs: the page
// is right all the same, and the count says that it is a lower bound.
func TestSearchLazily(t *testing.T) {
	w := newSearchWorld(t, 7, Options{})
	for range 12 {
		w.step(t)
	}
	w.limits = searchLimits{verify: -1}
	all := w.listings(t, time.Time{})
	n, err := query.Parse(`"phishing kit" OR value:gate.php`, w.now)
	if err != nil {
		t.Fatal(err)
	}
	var want []intel.Listing
	ref, _ := lookuptest.Run(slices.Values(all), query.Search{Query: n}, func(l *intel.Listing) error { want = append(want, *l); return nil })
	if len(want) < 4 {
		t.Fatalf("only %d listings match", len(want))
	}
	var got []intel.Listing
	s := query.Search{Query: n, Limit: 2}
	for more := true; more; {
		page, err := w.Search(t.Context(), s, func(l *intel.Listing) error { got = append(got, *l); return nil })
		if err != nil {
			t.Fatal(err)
		}
		if page.Exact || page.Total > ref.Total {
			t.Fatalf("a page of 2 of %d says total %d, exact %v", ref.Total, page.Total, page.Exact)
		}
		p := s.Sort.Position(&got[len(got)-1])
		s.After, more = &p, page.More
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("pages (-want +got):\n%s", d)
	}
	whole, err := w.Search(t.Context(), query.Search{Query: n}, func(*intel.Listing) error { return nil })
	if err != nil || !whole.Exact || whole.Total != ref.Total {
		t.Fatalf("all at once: %+v, %v; want %d exactly", whole, err, ref.Total)
	}
}

// TestSearchBudget ends a search whose time is over: it says so and invents nothing.
func TestSearchBudget(t *testing.T) {
	w := newSearchWorld(t, 8, Options{})
	for range 6 {
		w.step(t)
	}
	n, err := query.Parse("* NOT phish*", w.now)
	if err != nil {
		t.Fatal(err)
	}
	page, err := w.Search(t.Context(), query.Search{Query: n, Budget: 1, Facets: []query.Field{query.FieldTag}}, func(l *intel.Listing) error {
		if !query.Match(n, query.Doc{Listing: l}) {
			t.Errorf("%s does not match", l.Canonical)
		}
		return nil
	})
	if err != nil || !page.Partial || page.Exact {
		t.Fatalf("%+v, %v; want a partial page", page, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Search(ctx, query.Search{Query: n}, func(*intel.Listing) error { return nil }); err == nil {
		t.Fatal("a cancelled search gave no error")
	}
}
