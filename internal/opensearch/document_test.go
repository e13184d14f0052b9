package opensearch

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

var t0 = time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)

// listings are one of each kind, with what is awkward.
func listings() []intel.Listing {
	urls := &intel.FeedInfo{ID: "urls", Name: "Recent URLs", Provider: "abuse.ch", Presence: intel.Rolling}
	end := t0.AddDate(0, 0, 9)
	open := []intel.Interval{{From: t0}}
	make := func(kind intel.Kind, value string) intel.Listing {
		return intel.Listing{Info: urls, Feed: "urls", Provider: "abuse.ch", Kind: kind, Canonical: value, Original: value, Intervals: open,
			FirstSeen: t0, Changed: t0, Tags: []string{}, Context: intel.Fields{}}
	}
	u := make(intel.URL, "http://bad-site.example:8080/gate.php?id=7")
	u.Original, u.Tags, u.Malware, u.Confidence, u.TLP = "hxxp://BAD-site[.]example:8080/gate.php?id=7", []string{"#Phishing", "brand:PayPal"}, "win.Emotet", 90, "clear"
	u.ThreatType, u.Reference, u.Description, u.FeedFirstSeen = "malware_download", "https://abuse.example/url/1/", "Served malware.", "2026-08-31 22:10:04"
	u.Context = intel.Fields{
		{Name: "File Name", Values: []string{"Rechnung Überfällig.pdf", "b.exe"}},
		{Name: "risk", Values: []string{"7.5"}},
		{Name: "seen-at", Values: []string{"2026-08-30T01:02:03Z"}},
		{Name: "asn", Values: []string{"AS64500"}},
		{Name: "country", Values: []string{"NL"}},
		{Name: "as_name", Values: []string{"Example Hosting B.V."}},
	}
	was := make(intel.SHA256, strings.Repeat("ab", 32))
	was.Intervals = []intel.Interval{{From: t0, To: &end}, {From: end, To: &end}, {From: end.AddDate(0, 1, 0), To: &end}} // two are empty
	was.Context = intel.Fields{}
	for _, name := range []string{"", ".", "..", "a..b", "a.", ".a", "a.b", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z", " ", "=", "a=b", "*", "_id", "\"", "\n", strings.Repeat("n", 9000)} {
		was.Context.Add(name, "v")
	}
	long := make(intel.URL, "http://long.example/"+strings.Repeat("a", intel.MaxValue-20))
	long.Context = intel.Fields{{Name: "script", Values: []string{strings.Repeat("x ", 40000), strings.Repeat("y", 70000)}}}
	return []intel.Listing{u, was, long, make(intel.IPv4, "203.0.113.7"), make(intel.IPv6, "2001:db8::7"), make(intel.CIDR, "203.0.113.0/25"), make(intel.CIDR, "2001:db8::/48"),
		make(intel.IPPort, "198.51.100.23:8443"), make(intel.Domain, "a.b.example"), make(intel.Email, "x@mail.example"), make(intel.URL, "http://203.0.113.9/x"),
		make(intel.MD5, strings.Repeat("0", 32)), make(intel.SHA1, strings.Repeat("1", 40)), make(intel.SHA512, strings.Repeat("2", 128))}
}

// mapped returns the types of the fields of the template, by path.
func mapped(t *testing.T) map[string]string {
	t.Helper()
	raw, err := Template(Alias, Shape{})
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(raw, &top); err != nil {
		t.Fatal(err)
	}
	m, ok := dig(top, "template", "mappings", "properties")
	if !ok {
		t.Fatal("no mappings")
	}
	out := map[string]string{}
	var walk func(prefix string, m map[string]any)
	walk = func(prefix string, m map[string]any) {
		for name, v := range m {
			v := v.(map[string]any)
			if inner, ok := v["properties"].(map[string]any); ok {
				walk(prefix+name+".", inner)
				continue
			}
			out[prefix+name], _ = v["type"].(string)
			if to, ok := v["path"].(string); ok {
				out[prefix+name] += " " + to
			}
		}
	}
	walk("", m)
	return out
}

// TestEveryFieldIsMapped: whatever the query language can ask has a place, of a
// type that can answer it.
func TestEveryFieldIsMapped(t *testing.T) {
	types := mapped(t)
	exact := map[query.Field]string{
		query.FieldValue: "keyword", query.FieldKind: "keyword", query.FieldDomain: "keyword", query.FieldNet: "ip", query.FieldPort: "integer",
		query.FieldFeed: "keyword", query.FieldConfidence: "byte", query.FieldListed: "date_range", query.FieldASN: "long",
		query.FieldFirstSeen: "date", query.FieldLastSeen: "date", query.FieldFeedFirstSeen: "date", query.FieldFeedLastSeen: "date", query.FieldRegistered: "date",
	}
	for _, f := range query.Fields() {
		if f == query.FieldEnriched { // in no document
			continue
		}
		p, ok := places[f]
		if !ok || p == (place{}) {
			t.Errorf("%s has no place", f)
		}
		for path, want := range map[string]string{p.words: "text", p.whole: "keyword", p.exact: exact[f]} {
			if path != "" && types[path] != want {
				t.Errorf("%s is looked for in %s, which is of type %q, want %q", f, path, types[path], want)
			}
		}
		if query.CanFacet(f) && p.whole == "" && p.exact == "" {
			t.Errorf("the values of %s can be counted nowhere", f)
		}
	}
	if len(places) != len(query.Fields())-1 {
		t.Errorf("%d places for %d fields", len(places), len(query.Fields()))
	}
	for _, path := range anyWords {
		if types[path] != "text" {
			t.Errorf("%s is of type %q", path, types[path])
		}
	}
	for _, path := range []string{contextName, contextWhole, contextNumber, contextDate} {
		if types[path] != "keyword" {
			t.Errorf("%s is of type %q", path, types[path])
		}
	}
	if types[contextWords] != "text" || types[places[query.FieldNet].more] != "ip_range" {
		t.Errorf("%q, %q", types[contextWords], types[places[query.FieldNet].more])
	}
	for path, typ := range types {
		if to, ok := strings.CutPrefix(typ, "alias "); ok && types[to] == "" {
			t.Errorf("%s is another name of %s, which is not there", path, to)
		}
	}
}

// TestDocumentsFitTheMapping: no document has a field that a strict mapping refuses.
func TestDocumentsFitTheMapping(t *testing.T) {
	types := mapped(t)
	seen := map[string]bool{}
	for _, l := range listings() {
		op, err := ListingOp(&l, Presence{Gone: t0, Ends: t0.AddDate(0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		var top map[string]any
		if err := json.Unmarshal(op.Source, &top); err != nil {
			t.Fatal(err)
		}
		var walk func(path string, v any)
		walk = func(path string, v any) {
			if m, ok := v.(map[string]any); ok && types[path] == "" {
				for name, v := range m {
					walk(strings.TrimPrefix(path+"."+name, "."), v)
				}
				return
			}
			seen[path] = true
			if types[path] == "" || strings.HasPrefix(types[path], "alias ") {
				t.Errorf("%s %s has %s, which is of type %q", l.Kind, l.Canonical[:10], path, types[path])
			}
		}
		walk("", top)
	}
	for path, typ := range types { // and nothing is mapped that no document has
		if !seen[path] && !strings.HasPrefix(typ, "alias ") && path != "ei.snapshot" && path != "ei.registered" && path != "ei.feed_last_seen" {
			t.Errorf("no document has %s", path)
		}
	}
}

// TestDocument: what a document says, where it matters.
func TestDocument(t *testing.T) {
	l := listings()[0]
	d := newDocument(&l, Presence{})
	if got := d.EI.Words["value"]; !slices.Equal(got, []string{"http bad site example 8080 gate php id 7", "hxxp bad site example 8080 gate php id 7"}) {
		t.Errorf("%q", got)
	}
	for name, want := range map[string]string{"tag": "brand paypal,phishing", "malware": "win emotet", "domain": "bad-site.example", "country": "nl", "org": "example hosting b v"} {
		if got := strings.Join(d.EI.Whole[name], ","); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !slices.Contains(d.EI.Words["more"], "rechnung überfällig pdf") || !slices.Contains(d.EI.Words["more"], "recent urls") {
		t.Errorf("%q", d.EI.Words["more"])
	}
	c := d.EI.Context
	if !slices.Contains(c.Name, "file_name=") || !slices.Contains(c.Words, "file_name=rechnung file_name=überfällig file_name=pdf") ||
		!slices.Contains(c.Number, "risk="+sortableNumber(7.5)) || !slices.Contains(c.Date, "seen_at="+sortableTime(time.Date(2026, 8, 30, 1, 2, 3, 0, time.UTC))) {
		t.Errorf("%+v", c)
	}
	if d.EI.Host != "example.bad-site." || !slices.Equal(d.Threat.Indicator.Port, []int{8080}) || d.Threat.Indicator.AS.Number[0] != 64500 || d.Threat.Indicator.Confidence != "High" {
		t.Errorf("%+v, %+v", d.EI, d.Threat.Indicator)
	}
	if d.Threat.Indicator.LastSeen != nil || d.EI.Intervals[0].To != nil {
		t.Error("what is present has an end")
	}
	if was := listings()[1]; len(newDocument(&was, Presence{}).EI.Intervals) != 1 {
		t.Error("an empty interval is kept, which OpenSearch refuses")
	}
	ends := t0.AddDate(0, 0, 7)
	if d = newDocument(&l, Presence{Gone: t0, Ends: ends}); !d.EI.Intervals[0].To.Equal(ends) || !d.Threat.Indicator.LastSeen.Equal(t0) {
		t.Errorf("%+v", d.EI.Intervals)
	}
}

// TestUnchangedIsTheSame: a run that only saw a listing again gives the same document.
func TestUnchangedIsTheSame(t *testing.T) {
	a, b := listings()[0], listings()[0]
	b.LastSeen, b.Listed, b.Relation = t0.AddDate(0, 0, 3), true, intel.RelHost
	x, _ := ListingOp(&a, Presence{})
	y, _ := ListingOp(&b, Presence{})
	if string(x.Source) != string(y.Source) || x.ID != y.ID || x.Routing != y.Routing {
		t.Errorf("%s\n%s", x.Source, y.Source)
	}
}

// TestListingComesBack: what is kept is enough to make the listing again, with
// what its feed says of itself and without.
func TestListingComesBack(t *testing.T) {
	ls := append(listings(), manyListings(3)...)
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 300 {
		l := oddListing(rnd)
		l.Intervals = append(l.Intervals, intel.Interval{From: t0.AddDate(1, 0, 0)})
		ls = append(ls, l)
		l.Info = &intel.FeedInfo{Provider: l.Provider, Description: l.Description, ThreatType: l.ThreatType, TLP: l.TLP, Confidence: l.Confidence}
		ls = append(ls, l)
		l.Provider, l.Description, l.ThreatType, l.TLP, l.Confidence = "", "", "", "", 0
		ls = append(ls, l)
	}
	for _, l := range ls {
		op, err := ListingOp(&l, Presence{Gone: t0})
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Listing json.RawMessage `json:"listing"`
		}
		if err := json.Unmarshal(op.Source, &d); err != nil {
			t.Fatal(err)
		}
		got, err := readKept(d.Listing, func(feed string) *intel.FeedInfo {
			if feed != l.Feed {
				t.Errorf("asked for %q", feed)
			}
			return l.Info
		})
		if err != nil {
			t.Fatal(err)
		}
		got.Relation, l.LastSeen = l.Relation, t0
		l.Context = slices.Clone(l.Context)
		for _, l := range []*intel.Listing{&l, &got} {
			slices.SortFunc(l.Context, func(a, b intel.Field) int { return strings.Compare(a.Name, b.Name) })
		}
		if a, b := normalJSON(t, l.AppendJSON(nil)), normalJSON(t, got.AppendJSON(nil)); a != b || got.Info != l.Info {
			t.Errorf("%.500s\n%.500s", a, b)
		}
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range []intel.Indicator{{Kind: intel.Domain, Value: "a.example"}, {Kind: intel.Email, Value: "a.example"}, {Kind: intel.Domain, Value: "b.example"}} {
		for _, feed := range []string{"x", "y"} {
			id := DocumentID(i, feed)
			if seen[id] || len(id) != 22 {
				t.Errorf("%s of %s: id %s", i.Value, feed, id)
			}
			seen[id] = true
		}
	}
	set := idSet{}
	for id := range seen {
		set.add(id)
	}
	set.add(stateID)
	for id := range seen {
		if !set.has(id) || set.has(id[1:]+"_") {
			t.Error(id)
		}
	}
	if set.has(stateID) || len(set) != len(seen) {
		t.Errorf("%d ids of %d", len(set), len(seen))
	}
	l := listings()[0]
	if op, err := newEncoder(&facts{Routed: true}).op(&l, Presence{}); err != nil || op.Routing != RoutingOf(intel.Indicator{Kind: l.Kind, Value: l.Canonical}) {
		t.Errorf("routing %q, %v", op.Routing, err)
	}
	if i := (intel.Indicator{Kind: intel.Domain, Value: "a.example"}); len(RoutingOf(i)) != 8 {
		t.Error(RoutingOf(i))
	}
}

func TestSortable(t *testing.T) {
	numbers := []float64{math.Inf(-1), -1e9, -7.5, -1, -0.1, 0, 0.1, 1, 7.5, 10, 1e9, math.Inf(1)}
	for i := 1; i < len(numbers); i++ {
		if sortableNumber(numbers[i-1]) >= sortableNumber(numbers[i]) {
			t.Errorf("%v, %v", numbers[i-1], numbers[i])
		}
	}
	if sortableNumber(0) != sortableNumber(math.Copysign(0, -1)) {
		t.Error("two zeros")
	}
	times := []time.Time{time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(-1, 0), time.Unix(0, 0), t0, t0.Add(time.Millisecond)}
	for i := 1; i < len(times); i++ {
		if sortableTime(times[i-1]) >= sortableTime(times[i]) {
			t.Errorf("%v, %v", times[i-1], times[i])
		}
	}
	if got := reversedHost("a.b.example"); got != "example.b.a." {
		t.Error(got)
	}
}
