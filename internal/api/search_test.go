package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/query"
)

func pageOf(t testing.TB, a answer) lookup.SearchPage {
	t.Helper()
	var p lookup.SearchPage
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != 200 {
		t.Fatalf("%v in %d %s", err, a.status, a.body)
	}
	return p
}

// shown is the feed and value of each result.
func shown(p lookup.SearchPage) string {
	var out []string
	for _, r := range p.Results {
		out = append(out, r.Feed+" "+r.Value)
	}
	return strings.Join(out, " | ")
}

func searchPath(params ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	return "/api/v1/search?" + q.Encode()
}

func TestSearch_pages(t *testing.T) {
	f := newFixture(t)
	whole := pageOf(t, f.get(searchPath("q", "*", "sort", "value")))
	const want = "a 192.0.2.7 | b 192.0.2.7 | c 192.0.2.0/24 | d evil.example | u http://evil.example/ | "
	if !strings.HasPrefix(shown(whole), want) || whole.Total != 7 || whole.TotalIs != "exact" || whole.Partial || whole.Next != nil || whole.AsOf != nil || whole.Query != "*" {
		t.Errorf("%s %+v", shown(whole), whole.Found)
	}
	var parts []string
	path := searchPath("q", "*", "sort", "value", "limit", "3")
	for path != "" {
		p := pageOf(t, f.get(path))
		parts = append(parts, shown(p))
		if path = ""; p.Next != nil {
			path = searchPath("q", "*", "limit", "3", "cursor", *p.Next)
		}
	}
	if got := strings.Join(parts, " | "); got != shown(whole) || len(parts) != 3 {
		t.Errorf("%d pages: %s", len(parts), got)
	}
	if p := pageOf(t, f.get(searchPath("q", "feed:b", "as_of", "2026-11-10"))); len(p.Results) != 1 || !p.Results[0].Listed || p.AsOf == nil || p.AsOf.Format(time.RFC3339) != "2026-11-10T23:59:59Z" {
		t.Errorf("%+v", p)
	}
	p := pageOf(t, f.get(searchPath("q", "203.0.113.250")))
	if p.Total != 0 || p.Results == nil || !strings.Contains(p.Hint, "look-up") {
		t.Errorf("%+v", p)
	}
}

func TestSearch_facetsAndCount(t *testing.T) {
	f := newFixture(t)
	want := map[string]lookup.Facet{
		"feed": {Values: []query.FacetValue{{Value: "u", Count: 3}, {Value: "a", Count: 1}}, Other: 3, Exact: true},
		"kind": {Values: []query.FacetValue{{Value: "url", Count: 3}, {Value: "ipv4", Count: 2}}, Other: 2, Exact: true},
	}
	p := pageOf(t, f.get(searchPath("q", "*", "facets", "feed, kind", "facet_limit", "2", "limit", "1")))
	if d := cmp.Diff(want, p.Facets); d != "" || len(p.Results) != 1 {
		t.Errorf("%d results (-want +got)\n%s", len(p.Results), d)
	}
	p = pageOf(t, f.get(searchPath("q", "*", "facets", "feed,kind", "facet_limit", "2", "count", "only")))
	if d := cmp.Diff(want, p.Facets); d != "" || len(p.Results) != 0 || p.Total != 7 || p.Next != nil {
		t.Errorf("count=only: %d results (-want +got)\n%s", len(p.Results), d)
	}
	a := f.get("/api/v1/facets?q=*&by=feed,kind&limit=2")
	var found lookup.Found
	if err := json.Unmarshal([]byte(a.body), &found); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, found.Facets); d != "" || strings.Contains(a.body, "results") {
		t.Errorf("%s (-want +got)\n%s", a.body, d)
	}
}

func TestSearch_refusals(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct{ path, code, detail string }{
		{"/api/v1/search", "bad_q", "q is missing"},
		{"/api/v1/search?q=", "bad_q", "q is empty"},
		{searchPath("q", "a AND"), "broken_query", "column 6: got the end, expected a term"},
		{searchPath("q", "*", "sort", "newest"), "bad_sort", "expected one of changed, first_seen"},
		{searchPath("q", "*", "limit", "-1"), "bad_limit", "0 = all"},
		{searchPath("q", "*", "facets", "tags"), "bad_facets", "did you mean tag?"},
		{searchPath("q", "*", "facets", ""), "bad_facets", "empty"},
		{searchPath("q", "*", "facet_limit", "0"), "bad_facet_limit", "1 to 10000"},
		{searchPath("q", "*", "as_of", "soon"), "bad_as_of", "RFC 3339"},
		{searchPath("q", "*", "cursor", "x"), "bad_cursor", "begin again"},
		{searchPath("q", "*", "cursor", ""), "bad_cursor", "empty"},
		{searchPath("q", "*", "count", "yes"), "bad_count", "only"},
		{searchPath("q", "a AND", "limit", "0"), "broken_query", "column 6"},
		{searchPath("q", "*", "fields", "summary"), "unknown_parameter", "known here"},
		{"/api/v1/facets?q=*", "bad_by", "by=feed"},
		{"/api/v1/facets?q=*&by=net", "bad_by", "by: \"net\" is no field"},
		{"/api/v1/facets?q=*&by=feed&limit=0", "bad_limit", "1 to 10000"},
		{"/iocs/search/string/!!!", "broken_query", "column 1"},
		{"/iocs/search/string/!!!/summary", "broken_query", "column 1"},
	} {
		a := f.get(tt.path)
		f.want(a, 400, tt.code)
		var p Problem
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || !strings.Contains(p.Detail, tt.detail) || (p.Column > 0) != (tt.code == "broken_query") {
			t.Errorf("%s: %v, got %s, want %s", tt.path, err, a.body, tt.detail)
		}
		f.want(f.do("HEAD", tt.path, ""), 400, "")
	}
	f.want(f.get("/api/v1/search?q=*", "Accept", "text/html"), 406, "not_acceptable")
}

func TestSearch_formats(t *testing.T) {
	f := newFixture(t)
	for _, limit := range []string{"3", "0"} {
		a := f.get(searchPath("q", "evil", "sort", "value", "limit", limit), "Accept", typeNDJSON)
		lines := strings.Split(strings.TrimSpace(a.body), "\n")
		if !strings.HasPrefix(lines[0], `{"value":"evil.example","feed":"d",`) || a.header.Get("Content-Type") != typeNDJSON || a.header.Get("X-Total") != "4" || a.header.Get("X-Total-Is") != "exact" {
			t.Errorf("limit %s: %v %s", limit, a.header, a.body)
		}
		if n := map[string]int{"3": 3, "0": 4}[limit]; len(lines) != n || (a.header.Get("X-Next-Cursor") != "") != (n == 3) {
			t.Errorf("limit %s: %d lines, next %q", limit, len(lines), a.header.Get("X-Next-Cursor"))
		}
		a = f.get(searchPath("q", "evil", "limit", limit), "Accept", "text/csv")
		rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
		if err != nil || len(rows) != map[string]int{"3": 4, "0": 5}[limit] || rows[0][0] != "value" || a.header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("limit %s: %v %v", limit, err, rows)
		}
		if a = f.get(searchPath("q", "nothing", "limit", limit), "Accept", "text/csv"); a.body != lookup.CSVHeader {
			t.Errorf("nothing as CSV, limit %s: %q", limit, a.body)
		}
		if a = f.get(searchPath("q", "nothing", "limit", limit), "Accept", typeNDJSON); a.body != "" || a.header.Get("X-Total") != "0" {
			t.Errorf("nothing as NDJSON, limit %s: %q", limit, a.body)
		}
		if p := pageOf(t, f.get(searchPath("q", "nothing", "limit", limit))); p.Results == nil || p.Total != 0 {
			t.Errorf("nothing as JSON, limit %s: %+v", limit, p)
		}
		a = f.do("HEAD", searchPath("q", "evil", "limit", limit), "")
		f.want(a, 200, "")
		if a.header.Get("Content-Type") != typeJSON {
			t.Errorf("HEAD, limit %s: %v", limit, a.header)
		}
	}
}

func TestSearch_tags(t *testing.T) {
	f := newFixture(t)
	path := searchPath("q", "evil last_seen:>2020-01-01", "limit", "2", "facets", "feed")
	tag := f.get(path).header.Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	f.want(f.get(path, "If-None-Match", tag), 304, "")
	f.engine.Add(ind(t, "more.evil.example"), info("d"), now, time.Time{})
	f.want(f.get(path, "If-None-Match", tag), 200, "")
}

// fill lists n more domains, so that results do not fit into a buffer.
func (f *fixture) fill(n int) {
	for i := range n {
		f.engine.Add(intel.Indicator{Kind: intel.Domain, Value: fmt.Sprintf("d%06d.many.example", i)}, info("many"), now.Add(-time.Duration(i)*time.Second), time.Time{}, "pad", strings.Repeat("x", 100))
	}
}

// A whole result comes in pieces, with everything that a page says behind it.
func TestSearch_streams(t *testing.T) {
	f := newFixture(t)
	const n = 3000
	f.fill(n)
	for _, limit := range []int{0, 1500} {
		want := n
		if limit > 0 {
			want = limit
		}
		path := searchPath("q", "many", "limit", fmt.Sprint(limit), "facets", "feed")
		a := f.get(path)
		if p := pageOf(t, a); len(p.Results) != want || p.Total != n || p.Facets["feed"].Values[0].Count != n || (p.Next != nil) != (limit > 0) || a.header.Get("Content-Length") != "" || !strings.HasPrefix(a.body, lookup.OpenPage) {
			t.Errorf("limit %d: %d results of %d", limit, len(p.Results), p.Total)
		}
		for _, accept := range []string{typeNDJSON, typeCSV} {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", f.url+path, nil)
			req.Header.Set("Accept", accept)
			resp, err := f.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			lines := 0
			for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
				lines++
			}
			resp.Body.Close()
			if accept == typeCSV {
				lines--
			}
			tr := resp.Trailer
			if lines != want || tr.Get("X-Total") != fmt.Sprint(n) || tr.Get("X-Total-Is") != "exact" || tr.Get("X-Partial") != "" || (tr.Get("X-Next-Cursor") != "") != (limit > 0) {
				t.Errorf("limit %d, %s: %d lines, trailers %v", limit, accept, lines, tr)
			}
		}
	}
	if m := f.get("/metrics").body; !strings.Contains(m, `ei_searches_total{what="stream",result="complete"} 6`) || !strings.Contains(m, `ei_searches_total{what="page",result="partial"} 0`) {
		t.Errorf("metrics:\n%s", m)
	}
}

// The engine's failure before the first byte is an answer, behind it a cut connection.
func TestSearch_engineFails(t *testing.T) {
	f := newFixture(t)
	f.fill(3000)
	f.engine.Fail = func(intel.Question) error { return errBoom }
	for _, path := range []string{searchPath("q", "*"), searchPath("q", "*", "limit", "0"), "/api/v1/facets?q=*&by=feed", "/iocs/search/string/x", "/iocs/search/string/x/summary"} {
		a := f.get(path)
		f.want(a, 503, "engine")
		if strings.Contains(a.body, "boom") {
			t.Errorf("the answer shows what is inside: %s", a.body)
		}
	}
	half := newFixture(t, func(c *Config) { c.Lookup = lookup.New(&cutEngine{Engine: f.engine}, clock) })
	f.engine.Fail = nil
	for _, accept := range []string{typeJSON, typeNDJSON, typeCSV} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", half.url+searchPath("q", "many", "limit", "0"), nil)
		req.Header.Set("Accept", accept)
		resp, err := half.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: status %d, %v; want a cut connection", accept, resp.StatusCode, err)
		}
	}
}

// cutEngine fails after a thousand listings, or ends there as if for time.
type cutEngine struct {
	lookup.Engine
	partial bool
	asked   query.Search
}

func (e *cutEngine) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	e.asked = s
	n := 0
	_, err := e.Engine.Search(ctx, s, func(l *intel.Listing) error {
		if n++; n > 1000 || e.partial && n > 2 {
			return errBoom
		}
		return emit(l)
	})
	if e.partial && errors.Is(err, errBoom) {
		return query.Page{Total: 2, Partial: true}, nil
	}
	return query.Page{}, err
}

func TestSearch_partial(t *testing.T) {
	e := &cutEngine{Engine: world(t), partial: true}
	f := newFixture(t, func(c *Config) { c.Lookup = lookup.New(e, clock) })
	p := pageOf(t, f.get(searchPath("q", "*")))
	if !p.Partial || p.TotalIs != "at_least" || p.Next == nil || !strings.Contains(p.PartialReason, "2s") || e.asked.Budget != 2*time.Second {
		t.Errorf("%+v, budget %v", p.Found, e.asked.Budget)
	}
	if a := f.get(searchPath("q", "*"), "Accept", typeNDJSON); a.header.Get("X-Partial") == "" || a.header.Get("X-Total-Is") != "at_least" {
		t.Errorf("%v", a.header)
	}
	if f.get(searchPath("q", "*", "limit", "0")); e.asked.Budget != 0 {
		t.Errorf("a whole result has the budget %v", e.asked.Budget)
	}
	if f.get("/api/v1/facets?q=*&by=feed"); e.asked.Budget != 2*time.Second || e.asked.Limit >= 0 {
		t.Errorf("facets: %+v", e.asked)
	}
}

// Damaged data is said in every form, and never a complete answer.
func TestSearch_damage(t *testing.T) {
	f := newFixture(t)
	f.fill(1000)
	f.engine.Damage = errBoom
	for _, limit := range []string{"2", "0"} {
		p := pageOf(t, f.get(searchPath("q", "*", "limit", limit)))
		if !p.Partial || !strings.Contains(p.PartialReason, "verify") || p.TotalIs != "at_least" || strings.Contains(p.PartialReason, "boom") {
			t.Errorf("limit %s: %+v", limit, p.Found)
		}
		for _, accept := range []string{typeNDJSON, typeCSV} {
			if a := f.get(searchPath("q", "*", "limit", limit), "Accept", accept); a.header.Get("X-Partial") == "" {
				t.Errorf("limit %s, %s: %v", limit, accept, a.header)
			}
		}
	}
	if a := f.get("/api/v1/facets?q=*&by=feed"); !strings.Contains(a.body, `"partial":true`) || !strings.Contains(a.body, `"exact":false`) {
		t.Errorf("%s", a.body)
	}
	f.want(f.get("/iocs/search/string/nothing/summary"), 503, lookup.CodeIncomplete)
	f.want(f.get("/iocs/search/string/evil/summary"), 200, "")
}

func TestLegacyText(t *testing.T) {
	f := newFixture(t)
	p := pageOf(t, f.get("/iocs/search/string/MEANS%20b?limit=5"))
	if shown(p) != "b 192.0.2.7" || p.Query != `"MEANS b"` || p.Results[0].Listed {
		t.Errorf("%s %+v", shown(p), p.Found)
	}
	p = pageOf(t, f.get("/iocs/search/string/evil.example/a//c?limit=1"))
	if p.Total != 1 || p.Results[0].Feed != "u" {
		t.Errorf("%s %+v", shown(p), p.Found)
	}
	p = pageOf(t, f.get("/iocs/search/string/evil?limit=3"))
	if p.Next == nil || p.Total != 4 {
		t.Fatalf("%+v", p.Found)
	}
	for _, path := range []string{"/iocs/search/string/evil?cursor=" + *p.Next, searchPath("q", p.Query, "cursor", *p.Next)} {
		if rest := pageOf(t, f.get(path)); len(rest.Results) != 1 || rest.Total != 4 {
			t.Errorf("%s: %s", path, shown(rest))
		}
	}
	for path, want := range map[string]string{
		"/iocs/search/string/evil/summary":                       `{"value":"evil","found":true,"hits":4,"sources":["d","u"]}`,
		"/iocs/search/string/means%20b/summary":                  `{"value":"means b","found":false,"hits":0,"sources":[]}`, // no longer listed
		"/iocs/search/string/means%20b/summary?as_of=2026-11-10": `{"value":"means b","found":true,"hits":1,"sources":["b"]}`,
		"/iocs/search/string/nothing/summary":                    `{"value":"nothing","found":false,"hits":0,"sources":[]}`,
	} {
		if a := f.get(path); a.status != 200 || strings.TrimSpace(a.body) != want {
			t.Errorf("%s: got %d %s, want %s", path, a.status, a.body, want)
		}
	}
}

// Only so many searches run at a time. Where all places are taken, one waits
// before it asks the engine, and whoever gives up leaves the queue.
func TestSearch_atATime(t *testing.T) {
	e := &cutEngine{Engine: world(t)}
	var conf Config
	newFixture(t, func(c *Config) { conf = *c })
	conf.Lookup, conf.Limits.Pages = lookup.New(e, clock), 2
	a := newAPI(conf)
	paths := []string{searchPath("q", "*"), "/api/v1/facets?q=*&by=feed", "/iocs/search/string/x", "/iocs/search/string/x/summary", searchPath("q", "*", "count", "only")}
	ask := func(ctx context.Context, path string) {
		req := httptest.NewRequestWithContext(ctx, "GET", "http://localhost"+path, nil)
		req.RemoteAddr = "127.0.0.1:9"
		defer func() { _ = recover() }() // http.ErrAbortHandler where the client is gone
		a.ServeHTTP(httptest.NewRecorder(), req)
	}
	a.pages <- struct{}{}
	a.pages <- struct{}{}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range paths {
		if ask(gone, path); e.asked.Query != nil {
			t.Errorf("%s: a third search runs", path)
		}
	}
	<-a.pages
	for _, path := range paths {
		e.asked = query.Search{}
		if ask(t.Context(), path); e.asked.Query == nil || e.asked.Budget != 2*time.Second || len(a.pages) != 1 {
			t.Errorf("%s: asked %+v, %d places taken", path, e.asked, len(a.pages))
		}
	}
}
