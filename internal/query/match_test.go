package query

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// find parses and matches.
func find(t testing.TB, q string, d Doc) bool {
	t.Helper()
	n, err := Parse(q, now)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return Match(n, d)
}

// TestAnyText: a bare word is found in each of these places and in no other.
func TestAnyText(t *testing.T) {
	places := map[string]func(l *intel.Listing, w string){
		"canonical":   func(l *intel.Listing, w string) { l.Canonical = w },
		"original":    func(l *intel.Listing, w string) { l.Original = w },
		"tag":         func(l *intel.Listing, w string) { l.Tags = []string{"a", w} },
		"malware":     func(l *intel.Listing, w string) { l.Malware = w },
		"threat_type": func(l *intel.Listing, w string) { l.ThreatType = w },
		"description": func(l *intel.Listing, w string) { l.Description = w },
		"reference":   func(l *intel.Listing, w string) { l.Reference = w },
		"feed":        func(l *intel.Listing, w string) { l.Feed = w },
		"feed name":   func(l *intel.Listing, w string) { l.Info = &intel.FeedInfo{Name: w} },
		"provider":    func(l *intel.Listing, w string) { l.Provider = w },
		"context":     func(l *intel.Listing, w string) { l.Context.Add("x", "a"); l.Context.Add("x", w) },

		"-tlp":             func(l *intel.Listing, w string) { l.TLP = w },
		"-feed_first_seen": func(l *intel.Listing, w string) { l.FeedFirstSeen = w },
		"-snapshot":        func(l *intel.Listing, w string) { l.Snapshot = w },
		"-context name":    func(l *intel.Listing, w string) { l.Context.Add(w, "a") },
		"-homepage":        func(l *intel.Listing, w string) { l.Info = &intel.FeedInfo{Homepage: w} },
	}
	for place, put := range places {
		l := &intel.Listing{Kind: intel.Domain, Canonical: "a.example", Original: "a.example"}
		put(l, "some Bad-Word here")
		for _, q := range []string{"word", "bad-word", "bad-wor*", "ba?", `"bad word here"`} {
			if got := find(t, q, Doc{Listing: l}); got == strings.HasPrefix(place, "-") {
				t.Errorf("%s in %s: %v", q, place, got)
			}
		}
		if find(t, `"here a"`, Doc{Listing: l}) || find(t, `"a some"`, Doc{Listing: l}) {
			t.Errorf("%s: a phrase goes over the end of a text", place)
		}
	}
	facts := intel.Fields{}
	facts.Add("org", "word")
	if find(t, "word", Doc{&intel.Listing{}, facts}) {
		t.Error("a bare word is found in facts")
	}
}

func TestMatchFields(t *testing.T) {
	addr := func(kind intel.Kind, v string) *intel.Listing {
		return &intel.Listing{Kind: kind, Canonical: v, Original: v}
	}
	with := func(pairs ...string) *intel.Listing {
		l := addr(intel.MD5, strings.Repeat("0", 32))
		for i := 0; i < len(pairs); i += 2 {
			l.Context.Add(pairs[i], pairs[i+1])
		}
		return l
	}
	for _, c := range []struct {
		l       *intel.Listing
		yes, no string // queries, by semicolons
	}{
		{addr(intel.IPv4, "203.0.113.7"), "net:203.0.113.0/24;net:203.0.113.7;net:203.0.113.7/32", "net:203.0.113.8/29;domain:*;port:*;net:2001:db8::/32"},
		{addr(intel.CIDR, "203.0.113.0/25"), "net:203.0.113.0/24;net:203.0.113.0/25", "net:203.0.113.0/26;net:203.0.113.0"},
		{addr(intel.IPv6, "2001:db8::1"), "net:2001:db8::/32;2001:DB8:0::1", "net:203.0.113.0/24;net:2001:db9::/32"},
		{addr(intel.IPPort, "203.0.113.7:8080"), "net:203.0.113.0/24;port:8080;port:8000..8080", "port:80;value:=203.0.113.7"},
		{addr(intel.IPPort, "[2001:db8::1]:443"), "net:2001:db8::1;port:443", "port:1"},
		{addr(intel.URL, "http://203.0.113.7:81/a:9"), "net:203.0.113.7;port:81;203.0.113.7", "domain:*;port:9;port:80"},
		{addr(intel.URL, "http://[2001:db8::1]:81/"), "net:2001:db8::1;port:81", "port:1"},
		{addr(intel.URL, "http://u:9@a.b.example/x:80"), "domain:a.b.example;domain:*.b.example;domain:*.example;domain:*", "port:9;port:80;domain:b.example;net:0.0.0.0/1"},
		{addr(intel.URL, "https://a.example/"), "domain:a.example;value:*.example/", "port:443;domain:*.a.example"},
		{addr(intel.Email, "me@a.example"), "domain:a.example;kind:email", "domain:m.example;kind:domain"},
		{addr(intel.Domain, "ba.example"), "domain:ba.example;domain:?a.exam*", "domain:*.a.example;domain:a.example;domain:=*.example.x"},
		{with("port", "22, 80/tcp", "Dst Port", "99999"), "port:22;port:80", "port:99"},
		{with("asn", "AS64500 EXAMPLE-2"), "asn:64500;asn:AS64500", "asn:2"},
		{with("as_number", "64500", "as-name", "Example, Inc."), "asn:64500;org:example;org:\"example inc\";org:=example-inc", "org:=example"},
		{with("countryCode", "NL", "country", "Netherlands"), "country:nl;country:netherlands;country:nether*", "country:n;country:land*"},
		{with("risk", "7.5", "score", "80 %", "neg", "-3", "bad", "1e5"), "context.risk:>7;context.risk:7.5..8;context.score:>=80;context.neg:<0;context.risk:*", "context.risk:>7.5;context.bad:>1;context.none:*;context.ris:*"},
		{with("seen", "2026-09-20 10:00:00", "seen2", "20/09/2026"), "context.seen:2026-09-20;context.seen:<30d;context.seen:>2026-08", "context.seen:<5d;context.seen2:<30d"},
		{with("registered", "2026-09-20"), "registered:2026-09;registered:<30d", "registered:>30d"},
		{with("tags", "x"), "context.tags:x;x", "tag:x"},
		{with("malware", "x", "malware", "y"), "malware:x;malware:=y", "malware:z"},
	} {
		for want, queries := range map[bool]string{true: c.yes, false: c.no} {
			for q := range strings.SplitSeq(queries, ";") {
				if got := find(t, q, Doc{Listing: c.l}); got != want {
					t.Errorf("%s on %s %v: %v", q, c.l.Canonical, c.l.Context, got)
				}
			}
		}
	}
}

func TestFacts(t *testing.T) {
	facts := intel.Fields{}
	for name, v := range map[string]string{"country": "NL", "asn": "64500", "org": "Example", "registered": "2026-09-20T00:00:00Z"} {
		facts.Add(name, v)
	}
	d := Doc{&intel.Listing{Kind: intel.Domain, Canonical: "a.example"}, facts}
	for _, q := range []string{"country:nl", "asn:64500", "org:example", "registered:<30d"} {
		if !find(t, q, d) {
			t.Errorf("%s: not found", q)
		}
	}
	for _, q := range []string{"context.asn:64500", "enriched:true", "enriched:<30d"} {
		if find(t, q, d) {
			t.Errorf("%s: found", q)
		}
	}
	if !find(t, "enriched:false", d) {
		t.Error("enriched:false: not found")
	}
	asked := Fact{Country: "DE", ASN: 64500, ASName: "EXAMPLE-AS", Org: "Example", Registered: now.AddDate(0, 0, -40), Asked: now.AddDate(0, 0, -2)}
	d = Doc{&intel.Listing{Kind: intel.Domain, Canonical: "a.example", Context: intel.Fields{{Name: "enriched", Values: []string{"2020-01-01"}}}}, asked.Fields()}
	for q, want := range map[string]bool{"enriched:true": true, "enriched:*": true, "enriched:<3d": true, "enriched:>3d": false, "enriched:2020-01-01": false, "enriched:false": false,
		"org:example-as": true, "asn:64500": true, "country:DE": true, "registered:>30d": true, "registered:<30d": false} {
		if find(t, q, d) != want {
			t.Errorf("%s: found %v", q, !want)
		}
	}
}

// TestFactMatch: what a fact alone decides is what Match says of a listing that has it.
func TestFactMatch(t *testing.T) {
	fact := Fact{Country: "DE", ASN: 64500, Org: "Example Hosting", Registered: now.AddDate(0, 0, -4), Asked: now}
	for q, want := range map[string]bool{"country:de": true, "asn:>64499": true, "org:host*": true, `org:"example hosting"`: true, "registered:<30d": true,
		"enriched:*": true, "country:fr": false, "asn:1": false, "registered:>30d": false, "org:*": true} {
		n, err := Parse(q, now)
		if err != nil {
			t.Fatal(err)
		}
		is := FactMatch(n)
		if !AsksFacts(n) || is == nil || is(fact) != want || is(fact) != want || is(Fact{}) {
			t.Errorf("%s: a fact does not decide as it should", q)
		}
	}
	for _, q := range []string{"tag:x", "net:10.0.0.0/8", "word", "listed:true"} {
		n, err := Parse(q, now)
		if err != nil {
			t.Fatal(err)
		}
		if AsksFacts(n) || FactMatch(n) != nil {
			t.Errorf("%s asks for facts", q)
		}
	}
	if n, _ := Parse("word -(kind:url (tag:x OR country:de))", now); !AsksFacts(n) {
		t.Error("a field of facts inside is not seen")
	}
}

func TestNewlyRegistered(t *testing.T) {
	fresh := Doc{&intel.Listing{Kind: intel.Domain, Canonical: "a.example"}, Fact{Registered: now.AddDate(0, 0, -4)}.Fields()}
	old := Doc{&intel.Listing{Kind: intel.Domain, Canonical: "b.example", Tags: []string{"phishing"}}, Fact{Registered: now.AddDate(0, 0, -40)}.Fields()}
	says := Doc{&intel.Listing{Kind: intel.Domain, Canonical: "c.example", Tags: []string{"newly-registered"}}, nil}
	for q, want := range map[string]string{"tag:newly-registered": "a c", "-tag:newly-registered": "b", "tag:newly": "a c", "tag:*": "b c", "tag:phishing": "b", "kind:domain tag:newly-reg*": "a c"} {
		n, err := Parse(q, now)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, d := range []Doc{fresh, old, says} {
			if Match(NewlyRegistered(n, now), d) {
				got = append(got, string("abc"[i]))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", q, got, want)
		}
	}
}

func TestFeedTime(t *testing.T) {
	at := time.Date(2026, 9, 5, 4, 3, 2, 0, time.UTC)
	day := at.Truncate(24 * time.Hour)
	for s, want := range map[string]time.Time{
		"2026-09-05T04:03:02Z": at, "2026-09-05t04:03:02z": at, "2026-09-05 04:03:02": at, "2026-09-05 04:03:02 UTC": at, "2026-09-05T06:03:02+02:00": at,
		"2026-09-05 06:03:02 +0200": at, "2026-09-05T04:03:02+0000": at, "2026/09/05 04:03:02": at, "2026-09-05T04:03:02": at, " 2026-09-05 04:03:02 ": at,
		"2026-09-05 04:03:02.000000+00:00": at, "2026-09-05 04:03": at.Truncate(time.Minute), "2026-09-05": day, "2026/09/05": day, "2026-09": day.AddDate(0, 0, -4),
		"Sat, 05 Sep 2026 04:03:02 GMT": at, "Sat, 5 Sep 2026 06:03:02 +0200": at, "05 Sep 2026 04:03:02 GMT": at, "Sat Sep  5 04:03:02 2026": at,
		fmt.Sprint(at.Unix()): at, fmt.Sprint(at.UnixMilli()): at,
	} {
		if got, ok := FeedTime(s); !ok || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%q: %v %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "2026", "05/09/2026", "20260905", "yesterday", "2026-13-01", "0001-01-01 00:00:00", "-123456789", strings.Repeat("1", 99)} {
		if got, ok := FeedTime(s); ok {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// TestPattern holds matching against a regular expression.
func TestPattern(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 4_000 {
		p, s := randomOf(r, `ab*?\é`, 8), randomOf(r, `ab*?\é`, 10)
		p = strings.ReplaceAll(p, `\`, `\\`)
		re := "(?s)^" + strings.NewReplacer(`\\\\`, `\\`, `\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(p)) + "$"
		if want := regexp.MustCompile(re).MatchString(s); Pattern(p).Match(s) != want {
			t.Fatalf("%q on %q: want %v (%s)", p, s, want, re)
		}
		inOrder := Pattern(p).folded()
		if inOrder.Match(s) != Pattern(p).Match(s) || strings.Contains(string(inOrder), "**") {
			t.Fatalf("%q in order is %q, which differs on %q", p, inOrder, s)
		}
	}
	if p := Pattern(`ab\*c*de??`); p.Prefix() != "ab*c" || p.Longest() != "ab*c" || !slices.Equal(p.Literals(), []string{"ab*c", "de", "", ""}) {
		t.Errorf("%q", p.Literals())
	}
}

func randomOf(r *rand.Rand, letters string, n int) string {
	runes := []rune(letters)
	out := make([]rune, r.IntN(n+1))
	for i := range out {
		out[i] = runes[r.IntN(len(runes))]
	}
	return string(out)
}

// randomTree builds a tree of the leaves of the guide's examples.
func randomTree(r *rand.Rand, leaves []Node, depth int) Node {
	if depth == 0 || r.IntN(4) == 0 {
		return leaves[r.IntN(len(leaves))]
	}
	switch r.IntN(4) {
	case 0:
		return Not{Node: randomTree(r, leaves, depth-1)}
	case 1, 2:
		nodes := make([]Node, r.IntN(4))
		for i := range nodes {
			nodes[i] = randomTree(r, leaves, depth-1)
		}
		if r.IntN(2) == 0 {
			return And{Nodes: nodes}
		}
		return Or{Nodes: nodes}
	}
	return constant(0, r.IntN(2) == 0)
}

// isNormal holds what Normal promises.
func isNormal(n Node, inside string) bool {
	nodes, kind := []Node(nil), ""
	switch n := n.(type) {
	case And:
		nodes, kind = n.Nodes, "And"
	case Or:
		nodes, kind = n.Nodes, "Or"
	case All:
		return inside == ""
	case Not:
		switch n.Node.(type) {
		case And, Or, Not, Listed:
			return false
		case All:
			return inside == ""
		}
		return true
	default:
		return true
	}
	if len(nodes) < 2 || kind == inside {
		return false
	}
	seen := map[string]bool{}
	for _, m := range nodes {
		if !isNormal(m, kind) || seen[m.String()] {
			return false
		}
		seen[m.String()] = true
	}
	return true
}

// TestTrees: for random trees and the guide's listings, printing and parsing, the
// normal form, and De Morgan's laws leave what matches as it is.
func TestTrees(t *testing.T) {
	listings, finds, _ := guide(t)
	var leaves []Node
	for _, f := range finds {
		if n, err := Parse(f.query, now); err == nil {
			leaves = append(leaves, n)
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 600 {
		a, b := randomTree(r, leaves, 4), randomTree(r, leaves, 4)
		normal, again := Normal(a), reparse(t, a)
		if !isNormal(normal, "") || Normal(normal).String() != normal.String() {
			t.Fatalf("%s\n has the normal form %s", a, normal)
		}
		if s := reparse(t, again).String(); s != again.String() || Normal(again).String() != normal.String() {
			t.Fatalf("%s\n parses as %s, then as %s; normal forms %s, %s", a, again, s, normal, Normal(again))
		}
		for _, l := range listings {
			d := l.doc()
			ma, mb := Match(a, d), Match(b, d)
			if Match(normal, d) != ma || Match(again, d) != ma || Match(Normal(Not{Node: a}), d) == ma {
				t.Fatalf("%s on %s: %v, normal form %s, parsed again %s", a, l.Letter, ma, normal, again)
			}
			if Match(Not{Node: And{Nodes: []Node{a, b}}}, d) != Match(Or{Nodes: []Node{Not{Node: a}, Not{Node: b}}}, d) ||
				Match(Not{Node: Or{Nodes: []Node{a, b}}}, d) != (!ma && !mb) {
				t.Fatalf("De Morgan fails on %s for\n %s\n %s", l.Letter, a, b)
			}
		}
	}
}

func TestNormal(t *testing.T) {
	for q, want := range map[string]string{
		"a (b c)":                  "a AND b AND c",
		"NOT (a OR -b)":            "NOT a AND b",
		"NOT (a b)":                "NOT a OR NOT b",
		"a * a":                    "a",
		"a OR *":                   "*",
		"a -a":                     "NOT *",
		"a OR -a":                  "*",
		"-*":                       "NOT *",
		"a OR -*":                  "a",
		"a (b OR *)":               "a",
		"NOT listed:true":          "listed:false",
		"listed:true -listed:true": "NOT *",
		"a AND (b OR (c OR d))":    "a AND (b OR c OR d)",
	} {
		n, err := Parse(q, now)
		if err != nil || Normal(n).String() != want {
			t.Errorf("%s: %v, %v, want %s", q, Normal(n), err, want)
		}
	}
}

// TestBuilt: trees that no text gives print as text that means the same.
func TestBuilt(t *testing.T) {
	listings, _, _ := guide(t)
	for _, n := range []Node{
		And{}, Or{}, Kinds{}, Kinds{Set: intel.URL.Set() | intel.Domain.Set()}, Not{Node: Kinds{Set: intel.URL.Set() | intel.Domain.Set()}},
		Number{Field: "confidence", Min: 60, Max: 90, MinOpen: true}, Not{Node: Number{Field: "port", Min: 1, Max: 9000, MaxOpen: true}},
		Date{Field: "first_seen", From: now.AddDate(0, -1, 0)}, Not{Node: Date{Field: "last_seen", From: now.AddDate(0, 0, -2), To: now.AddDate(0, 0, -1)}},
		Date{Field: "registered"},
		Exact{Indicator: intel.Indicator{Kind: intel.Email, Value: "tag=x@a.example"}, Tokens: []string{"tag", "x", "a", "example"}},
		Exact{Indicator: intel.Indicator{Kind: intel.URL, Value: "http://a.example/*(x)?a=\\b"}, Tokens: []string{"http", "a", "example", "x", "a", "b"}},
		Equal{Field: FieldFeed, Value: "//x"}, Wildcard{Field: FieldValue, Pattern: "//xy*", Whole: true},
	} {
		again := reparse(t, n)
		for _, l := range listings {
			if d := l.doc(); Match(n, d) != Match(again, d) {
				t.Errorf("%#v and %s differ on %s", n, again, l.Letter)
			}
		}
		if again.String() != reparse(t, again).String() {
			t.Errorf("%s: parsed again %s", again, reparse(t, again))
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	listings, _, _ := guide(b)
	n, err := Parse("phishing kit -tag:test last_seen:<7d", now)
	if err != nil {
		b.Fatal(err)
	}
	d := listings[1].doc()
	b.ReportAllocs()
	for b.Loop() {
		Match(n, d)
	}
}
