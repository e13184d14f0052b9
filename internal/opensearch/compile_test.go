package opensearch

import (
	"encoding/json"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// guide reads the listings and the queries of docs/query.md.
func guide(t *testing.T) (ls []intel.Listing, queries []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/query.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```json\n")
	block, _, _ = strings.Cut(block, "\n```")
	for line := range strings.SplitSeq(block, "\n") {
		var l intel.Listing
		var extra struct {
			FeedName string       `json:"feed_name"`
			Facts    intel.Fields `json:"facts"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(line), &extra); err != nil {
			t.Fatal(err)
		}
		l.Info = &intel.FeedInfo{ID: l.Feed, Name: extra.FeedName, Provider: l.Provider}
		for _, f := range extra.Facts { // documents have no facts yet
			l.Context.Add(f.Name, f.Values[0])
		}
		l.Changed = l.FirstSeen
		l.Intervals = []intel.Interval{{From: l.FirstSeen}}
		if !l.Listed {
			l.Intervals[0].To = &l.LastSeen
		}
		ls = append(ls, l)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [A-H ]*\\|").FindAllStringSubmatch(string(text), -1) {
		queries = append(queries, strings.ReplaceAll(m[1], `\|`, "|"))
	}
	return ls, queries
}

// moreQueries ask what the guide's examples leave out.
var moreQueries = []string{
	"rechnung", "ÜBERFÄLLIG", `"rechnung überf"*`, "context.file_name:rech*", `context.file_name:="b exe"`, "context.file_name:=*pdf", "context.file_name:*",
	"context.risk:>7", "context.risk:>=7.5", "context.risk:<7.5", "context.risk:<=7.5", "context.risk:7.5", "context.seen_at:>=2026-08", "context.seen_at:<2026-08",
	"net:2001:db8::/32", "net:203.0.113.0/24", "net:203.0.113.0/25", "net:203.0.113.7", "port:8080", "port:>8000", "domain:*.example", "domain:b.example", "domain:*.b.example",
	"value:*aaaaaaaaaa*", "value:=a.b.example", "kind:hash", "kind:ip", "-kind:url", "asn:64500", "org:hosting", "country:nl", "confidence:0", "confidence:>0",
	"-description:*", "reference:*", "-tag:*", "listed:false", "listed:true", "last_seen:>=2026-09-20", "last_seen:<2026-09-20", "first_seen:<2026-09-05", "feed:ur*", "feed:=urls",
	"provider:abuse.ch -feed:urls", "context.b:*", "context.a_b:*", "host1*", "198.18.0.2", "tag:=elf OR malware:mirai", "*", "-*",
}

// TestRealQueries: a real node finds what the query language means, whatever is asked.
func TestRealQueries(t *testing.T) {
	now := time.Date(2026, 9, 25, 12, 0, 0, 0, time.UTC)
	ls, queries := guide(t)
	if len(queries) < 100 {
		t.Fatalf("%d queries in the guide", len(queries))
	}
	m := &compiler{facts: &facts{Feeds: map[string]*feedFact{}}, when: now.UnixMilli()}
	for _, l := range append(listings(), manyListings(60)...) {
		l.LastSeen, l.Listed = time.Date(2026, 9, 25, 11, 45, 0, 0, time.UTC), l.Intervals[0].To == nil
		if !l.Listed {
			l.LastSeen = t0
		}
		ls = append(ls, l)
	}
	for _, l := range ls {
		if f := m.facts.Feeds[l.Feed]; f == nil || l.LastSeen.UnixMilli() > f.LastGood {
			m.facts.Feeds[l.Feed] = &feedFact{LastGood: l.LastSeen.UnixMilli()}
		}
	}
	for _, version := range []string{opensearchtest.V2, opensearchtest.V3} {
		t.Run(version, func(t *testing.T) {
			c := realClient(t, opensearchtest.Shared(t, version))
			name := indexed(t, c, ls, func(l *intel.Listing) Presence { return PresenceOf(l, time.UnixMilli(m.facts.Feeds[l.Feed].LastGood)) })
			asked := 0
			for _, q := range append(queries, moreQueries...) {
				n, err := query.Parse(q, now)
				if err != nil {
					continue // the guide's examples of what is refused
				}
				asked++
				ask(t, c, name, m, n, q, ls)
			}
			if asked < 150 {
				t.Errorf("asked %d queries", asked)
			}
		})
	}
}

func ask(t *testing.T, c *Client, index string, m *compiler, n query.Node, q string, ls []intel.Listing) {
	t.Helper()
	p := m.compile(n)
	raw, err := json.Marshal(p.c)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{}
	for i := range ls {
		if query.Match(n, query.Doc{Listing: &ls[i]}) {
			want = append(want, short(ls[i].Canonical, 30))
		}
	}
	got := found(t, c, index, string(raw))
	if !p.exact { // the engine looks at each
		got = slices.DeleteFunc(got, func(s string) bool { return !slices.Contains(want, s) })
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s finds %q, want %q\n%s", q, got, want, raw)
	}
}

func TestLastAddr(t *testing.T) {
	for p, want := range map[string]string{"203.0.113.0/25": "203.0.113.127", "0.0.0.0/0": "255.255.255.255", "203.0.113.7/32": "203.0.113.7", "2001:db8::/33": "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"} {
		if got := intel.LastAddr(netip.MustParsePrefix(p)); got.String() != want {
			t.Errorf("%s: %s", p, got)
		}
	}
}
