package opensearch

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// TestRealMapping: both major versions take the template and every document, and
// find in each field what the query language asks for.
func TestRealMapping(t *testing.T) {
	for _, version := range []string{opensearchtest.V2, opensearchtest.V3} {
		t.Run(version, func(t *testing.T) {
			c := realClient(t, opensearchtest.Shared(t, version))
			name := indexed(t, c, listings(), func(*intel.Listing) Presence { return Presence{} })
			for _, q := range questions {
				t.Run(q.name, func(t *testing.T) {
					if got := found(t, c, name, q.body); !slices.Equal(got, q.want) {
						t.Errorf("%s\nfinds %q, want %q", q.body, got, q.want)
					}
				})
			}
		})
	}
}

// indexed makes an index of the template and writes the listings into it.
func indexed(t *testing.T, c *Client, ls []intel.Listing, presence func(*intel.Listing) Presence) string {
	t.Helper()
	template, err := Template(Alias, Shape{})
	if err != nil {
		t.Fatal(err)
	}
	const name = "test-" + Alias // with OPENSEARCH_URL somebody may have listings in there
	do(t, c, "PUT", "/_index_template/"+name, strings.Replace(string(template), IndexPattern(Alias), name+"-*", 1))
	_ = c.call(t.Context(), request{method: http.MethodDelete, path: "/" + name + "-1"}, nil) // of a run before
	do(t, c, "PUT", "/"+name+"-1", `{"aliases":{"`+name+`":{}}}`)
	b := c.NewBulk(t.Context(), BulkOptions{Alias: name})
	for i := range ls {
		op, err := ListingOp(&ls[i], presence(&ls[i]))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Add(op); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := b.Close(); err != nil || st.Written != len(ls) {
		var e *BulkError
		if errors.As(err, &e) {
			for _, r := range e.Rejected {
				t.Errorf("%s: %s", r.Type, r.Reason)
			}
		}
		t.Fatalf("%+v", st)
	}
	do(t, c, "POST", "/"+name+"/_refresh", "")
	return name
}

// found returns the values that the query finds, up to 30 bytes of each.
func found(t *testing.T, c *Client, index, body string) []string {
	t.Helper()
	var got struct {
		Hits struct {
			Hits []struct {
				Source struct {
					Listing intel.Listing `json:"listing"`
				} `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	r := request{method: "POST", path: "/" + index + "/_search", body: []byte(`{"size":100,"sort":["ei.order","threat.indicator.name"],"query":` + body + `}`)}
	if err := c.call(t.Context(), r, &got); err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, h := range got.Hits.Hits {
		out = append(out, short(h.Source.Listing.Canonical, 30))
	}
	return out
}

const bad = "http://bad-site.example:8080/g…"

var questions = []struct {
	name, body string
	want       []string
}{
	{"word anywhere", `{"multi_match":{"query":"phishing","fields":["ei.words.*"]}}`, []string{bad}},
	{"folded", `{"multi_match":{"query":"überfällig","fields":["ei.words.*"]}}`, []string{bad}},
	{"phrase", `{"multi_match":{"query":"gate php","type":"phrase","fields":["ei.words.*"]}}`, []string{bad}},
	{"no phrase from one text to the next", `{"match_phrase":{"ei.words.tag":"phishing brand"}}`, []string{}},
	{"word in a field", `{"term":{"ei.words.malware":"emotet"}}`, []string{bad}},
	{"whole", `{"term":{"ei.whole.malware":"win emotet"}}`, []string{bad}},
	{"not whole", `{"term":{"ei.whole.malware":"emotet"}}`, []string{}},
	{"part of a word", `{"wildcard":{"ei.words.malware":"*mote*"}}`, []string{bad}},
	{"feed's name is found", `{"multi_match":{"query":"recent urls","type":"phrase","fields":["ei.words.*"]}}`, all()},
	{"below a domain", `{"prefix":{"ei.host":"example.b."}}`, []string{"a.b.example"}},
	{"host", `{"term":{"ei.host":"example.mail."}}`, []string{"x@mail.example"}},
	{"inside a network", `{"term":{"threat.indicator.ip":"203.0.113.0/24"}}`, []string{"203.0.113.7", "http://203.0.113.9/x"}},
	{"networks inside", `{"range":{"ei.range":{"gte":"203.0.113.0","lte":"203.0.113.255","relation":"within"}}}`, []string{"203.0.113.0/25"}},
	{"networks that cover", `{"term":{"ei.range":"203.0.113.7"}}`, []string{"203.0.113.0/25"}},
	{"networks that cover, v6", `{"range":{"ei.range":{"gte":"2001:db8:0:1::","lte":"2001:db8:0:1:ffff:ffff:ffff:ffff","relation":"contains"}}}`, []string{"2001:db8::/48"}},
	{"port", `{"range":{"threat.indicator.port":{"gte":8000,"lte":9000}}}`, []string{"198.51.100.23:8443", bad}},
	{"as of, in it", `{"bool":{"must":[{"range":{"ei.intervals":{"gte":"2026-09-05T00:00:00Z","lte":"2026-09-05T00:00:00Z","relation":"contains"}}},{"term":{"ei.kind":"sha256"}}]}}`, []string{"ababababababababababababababab…"}},
	{"as of, its end", `{"bool":{"must":[{"range":{"ei.intervals":{"gte":"2026-09-10T06:00:00Z","lte":"2026-09-10T06:00:00Z","relation":"contains"}}},{"term":{"ei.kind":"sha256"}}]}}`, []string{}},
	{"listed long after", `{"bool":{"must":[{"range":{"ei.intervals":{"gte":"2030-01-01T00:00:00Z","lte":"2030-01-01T00:00:00Z","relation":"contains"}}},{"term":{"ei.kind":"domain"}}]}}`, []string{"a.b.example"}},
	{"context word", `{"term":{"ei.context.words":"file_name=rechnung"}}`, []string{bad}},
	{"context phrase", `{"match_phrase":{"ei.context.words":"file_name=rechnung file_name=überfällig"}}`, []string{bad}},
	{"context number", `{"range":{"ei.context.number":{"gte":"risk=` + sortableNumber(7) + `","lte":"risk=` + sortableNumber(8) + `"}}}`, []string{bad}},
	{"context number outside", `{"range":{"ei.context.number":{"gte":"risk=` + sortableNumber(-8) + `","lte":"risk=` + sortableNumber(7) + `"}}}`, []string{}},
	{"context name", `{"term":{"ei.context.name":"seen_at="}}`, []string{bad}},
	{"flat object", `{"term":{"context.risk":"7.5"}}`, []string{bad}},
	{"ECS name of a hash", `{"term":{"threat.indicator.file.hash.md5":"00000000000000000000000000000000"}}`, []string{"000000000000000000000000000000…"}},
	{"ECS name of a family", `{"term":{"threat.software.name":"win emotet"}}`, []string{bad}},
	{"ECS name of a network's owner", `{"term":{"threat.indicator.as.organization.name":"example hosting b v"}}`, []string{bad}},
}

// all are the values of listings in order.
func all() []string {
	ls := listings()
	slices.SortFunc(ls, func(a, b intel.Listing) int {
		s := query.Sort{By: query.ByValue}
		return s.Compare(s.Position(&a), s.Position(&b))
	})
	var out []string
	for i := range ls {
		out = append(out, short(ls[i].Canonical, 30))
	}
	return out
}
