package opensearch

import (
	"encoding/json"
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
		"gate.ph*": true, "-gate.ph*": true, "feed_first_seen:<30d": false, "net:::/8": false, "-net:::/8": false,
		"value:*a?b?c?d?e?f?g?h?xyz*": false, "context." + strings.Repeat("n", 200) + ":x": false,
	} {
		n, err := query.Parse(text, t0)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.compile(n).exact; got != want {
			t.Errorf("%s: exact %v, want %v", text, got, want)
		}
	}
}
