package opensearch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// dslWords are all keys that clauses have, but for paths of the mapping.
var dslWords = strings.Fields(`query bool filter should must_not minimum_should_match match_all match_none term terms value values prefix wildcard match_phrase match_phrase_prefix max_expansions range exists field ids
	gte gt lte lt format relation`)

// TestUserTextIsNoKey: whatever somebody writes is a value in what is sent.
func TestUserTextIsNoKey(t *testing.T) {
	known := map[string]bool{}
	for _, w := range dslWords {
		known[w] = true
	}
	for path := range mapped(t) {
		known[path] = true
	}
	for _, nasty := range []string{`"`, `"}`, `{"script":{}}`, "_id", "a.b", "*", `\`, "\n", "a\x00b", "field", strings.Repeat("x", 40000), "ünï"} {
		for _, f := range append(query.Fields(), query.FieldAny, query.Context(nasty), query.Field("context."+nasty), query.Field(nasty)) {
			for _, n := range nastyNodes(f, nasty) {
				for _, asOf := range []bool{false, true} {
					c := compiler{facts: &facts{Feeds: map[string]*feedFact{nasty: {LastGood: 1 << 50}}, Long: map[string]bool{"ei.whole.tag": true}}, asOf: asOf, when: t0.UnixMilli()}
					b, err := json.Marshal(c.compile(n).c)
					if err != nil {
						t.Fatal(err)
					}
					var top any
					if err := json.Unmarshal(b, &top); err != nil {
						t.Fatal(err)
					}
					keys(top, func(key string) {
						if !known[key] {
							t.Fatalf("%T of field %.40q: the key %.60q in %.300s", n, f, key, b)
						}
					})
				}
			}
		}
	}
}

// TestRandomQueriesHaveOurKeys: of whatever somebody types, and of trees of it, no
// word is a key, and neither a script nor a query string is made.
func TestRandomQueriesHaveOurKeys(t *testing.T) {
	known := map[string]bool{}
	for _, w := range dslWords {
		known[w] = true
	}
	for path := range mapped(t) {
		known[path] = true
	}
	rnd := rand.New(rand.NewPCG(11, 3))
	parts := strings.Fields(`script query_string source lang painless bool must term _id _source {"a":{}} a"b \\ ü * ?x x* =y 198.51.100.7 http://e.example/x context.script:x context._index:* tag:script
		"two words" "open phr"* net:10.0.0.0/8 first_seen:<30d last_seen:>=2026-01 confidence:>5 kind:url -x ( ) OR AND NOT listed:true domain:*.e.example value:*y* feed:=script`)
	parsed := 0
	for range 4000 {
		var words []string
		for range 1 + rnd.IntN(6) {
			words = append(words, parts[rnd.IntN(len(parts))])
		}
		n, err := query.Parse(strings.Join(words, " "), t0)
		if err != nil {
			continue
		}
		parsed++
		c := compiler{facts: &facts{Feeds: map[string]*feedFact{"script": {LastGood: 1}}}, asOf: rnd.IntN(2) == 0, when: t0.UnixMilli()}
		b, err := json.Marshal(c.compile(n).c)
		if err != nil {
			t.Fatal(err)
		}
		var top any
		if err := json.Unmarshal(b, &top); err != nil {
			t.Fatal(err)
		}
		keys(top, func(key string) {
			if !known[key] {
				t.Fatalf("%s: the key %.60q in %.300s", strings.Join(words, " "), key, b)
			}
		})
	}
	if parsed < 500 {
		t.Errorf("%d queries", parsed)
	}
}

func nastyNodes(f query.Field, s string) []query.Node {
	return []query.Node{
		query.Term{Field: f, Token: s}, query.Phrase{Field: f, Tokens: []string{s, s}}, query.Phrase{Field: f, Tokens: []string{s, s}, Prefix: true},
		query.Prefix{Field: f, Text: s}, query.Wildcard{Field: f, Pattern: query.Pattern(s)}, query.Wildcard{Field: f, Pattern: query.Pattern(s), Whole: true},
		query.Equal{Field: f, Value: s}, query.Exists{Field: f}, query.Not{Node: query.Equal{Field: f, Value: s}},
		query.Exact{Field: f, Indicator: intel.Indicator{Kind: intel.URL, Value: s}, Tokens: []string{s}},
		query.Number{Field: f, Max: 7}, query.Date{Field: f, From: t0}, query.Date{Field: f, To: t0.Add(time.Nanosecond)}, query.Listed{Listed: true}, query.Listed{},
		query.Kinds{Set: intel.Hashes}, query.Domain{Name: s}, query.Domain{Name: s, Below: true}, query.Net{Prefix: netip.MustParsePrefix("::/0")}, query.All{}, query.Not{Node: query.All{}},
	}
}

// keys calls f with every key of every object.
func keys(v any, f func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			f(k)
			keys(inner, f)
		}
	case []any:
		for _, inner := range v {
			keys(inner, f)
		}
	}
}

// TestWhatIsExact: what the cluster can say is left to it; of the rest each listing
// is looked at.
func TestWhatIsExact(t *testing.T) {
	c := compiler{facts: &facts{Feeds: map[string]*feedFact{"f": {LastGood: t0.UnixMilli()}}}, when: t0.UnixMilli()}
	for text, want := range map[string]bool{
		"emotet": true, "tag:phish*": true, `"a phishing kit"`: true, "port:443": true, "first_seen:<30d": true, "last_seen:<1d": true, "feed_first_seen:>=2026-01": true,
		"value:*gate*": true, "domain:*.example.org": true, "net:198.51.100.0/24": true, "-tag:x AND listed:true OR kind:url": true, "context.risk:>5": true,
		"gate.ph*": false, "-gate.ph*": false, "feed_first_seen:<30d": false, "net:::/8": false, "-net:::/8": false,
		"value:*a?b?c?d?e?f?g?h?xyz*": false, "context." + strings.Repeat("n", 200) + ":x": true,
	} {
		n, err := query.Parse(text, t0)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.compile(n).exact; got != want {
			t.Errorf("%s: exact %v, want %v", text, got, want)
		}
		if tight := c; text == "gate.ph*" {
			tight.tight = true // as a search asks first, and counts whether that is all
			if !tight.compile(n).exact {
				t.Errorf("%s: not exact with few words", text)
			}
		}
	}
}

// TestLongValuesOfOthers: that one field of the context has a value too long for
// the index is no reason to read all listings for others.
func TestLongValuesOfOthers(t *testing.T) {
	f := &facts{}
	long := strings.Repeat("x", maxFlat+1)
	l := intel.Listing{Feed: "a", Kind: intel.IPv4, Canonical: "192.0.2.1", Context: intel.Fields{{Name: "Note", Values: []string{long}}, {Name: "other", Values: []string{"y"}}}}
	if _, err := newEncoder(f).op(&l, Presence{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"note": true, "other": false, "not": false} {
		if got := f.longIn(contextKey(name)); got != want {
			t.Errorf("%s: %v", name, got)
		}
		c := compiler{facts: f}
		if p := c.compile(query.Wildcard{Field: query.Context(name), Pattern: "x*", Whole: true}); p.exact == want {
			t.Errorf("%s: exact %v", name, p.exact)
		}
	}
	for i := range 300 {
		f.noteContext(strings.Repeat("n", i%50+1) + string(rune('a'+i%26)) + "=")
	}
	if len(f.Long) > maxLong+2 || !f.longIn("never=") {
		t.Errorf("%d names", len(f.Long))
	}
}

// TestManyClauses: however many parts a query has, and feeds there are, the
// cluster is asked with as many as it takes, and what that leaves out is looked at here.
func TestManyClauses(t *testing.T) {
	many := func(n int, f func(i int) query.Node) (out []query.Node) {
		for i := range n {
			out = append(out, f(i))
		}
		return out
	}
	word := func(i int) query.Node { return query.Term{Token: fmt.Sprint("w", i)} }
	begun := func(i int) query.Node { return query.Prefix{Text: fmt.Sprint("w", i)} }
	value := func(i int) query.Node {
		return query.Exact{Field: query.FieldValue, Indicator: intel.Indicator{Kind: intel.Domain, Value: fmt.Sprint(i, ".example")}}
	}
	not := func(f func(int) query.Node) func(int) query.Node {
		return func(i int) query.Node { return query.Not{Node: f(i)} }
	}
	ahead := &facts{Feeds: map[string]*feedFact{}}
	for i := range 500 {
		ahead.Feeds[fmt.Sprint(i)] = &feedFact{LastGood: 1 << 50}
	}
	for name, x := range map[string]struct {
		n     query.Node
		exact bool
	}{
		"any word":             {query.Or{Nodes: many(256, word)}, true},
		"no word":              {query.And{Nodes: many(256, not(word))}, true},
		"all words":            {query.And{Nodes: many(256, word)}, false},
		"any beginning":        {query.Or{Nodes: many(256, begun)}, false},
		"all beginnings":       {query.And{Nodes: many(256, begun)}, false},
		"no beginning":         {query.And{Nodes: many(256, not(begun))}, false},
		"any value":            {query.Or{Nodes: many(5000, value)}, true},
		"no value":             {query.And{Nodes: many(5000, not(value))}, true},
		"a word, no beginning": {query.And{Nodes: append(many(256, not(begun)), word(1), query.Or{Nodes: many(90, begun)})}, false},
		"listed":               {query.Listed{Listed: true}, false},
	} {
		f := &facts{}
		if name == "listed" {
			f = ahead
		}
		c := compiler{facts: f, when: t0.UnixMilli()}
		p := c.compile(x.n)
		if n := leaves(p.c); n > maxLeaves+20 || p.exact != x.exact {
			t.Errorf("%s: %d leaves, exact %v", name, n, p.exact)
		}
	}
	since := &mark{Feeds: map[string]feedMark{}}
	f := &facts{Feeds: map[string]*feedFact{}}
	for i := range 1000 {
		id := fmt.Sprint(i)
		f.Feeds[id] = &feedFact{LastGood: int64(2000 + i), Info: intel.FeedInfo{TTL: intel.Duration(i/10) * intel.Duration(time.Hour)}}
		since.Feeds[id] = feedMark{Told: int64(1000 + i)}
	}
	tell := &teller{r: &searching{reader: reader{facts: f}}, since: since}
	if n := leaves(anyOf(tell.candidates()...)); n > 100 {
		t.Errorf("changes of %d feeds: %d leaves", len(f.Feeds), n)
	}
	seen := map[string]bool{}
	for _, g := range grouped([]bound{{5, "a"}, {3, "b"}, {5, "c"}, {4, "d"}}) {
		for _, id := range g.feeds {
			seen[fmt.Sprint(g.from, id)] = true
		}
	}
	if !seen["5a"] || !seen["3b"] || !seen["5c"] || !seen["4d"] {
		t.Error(seen)
	}
}
