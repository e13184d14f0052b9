package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/query"
)

func TestIndicator(t *testing.T) {
	f := newFixture(t)
	a := f.get("/api/v1/indicators/192[.]0[.]2[.]7")
	var got intel.Answer
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	if a.status != 200 || !got.Found || len(got.Listings) != 3 || got.Value != "192[.]0[.]2[.]7" || got.Canonical != "192.0.2.7" || got.AsOf != nil {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if d := cmp.Diff([]string{"1", "2"}, got.Listings[0].Context.Get("note")); d != "" {
		t.Error(d)
	}
	if !strings.Contains(a.body, `"<b>"`) || !strings.HasSuffix(a.body, "}\n") {
		t.Errorf("got %s", a.body)
	}

	a = f.get("/api/v1/indicators/192.0.2.7?as_of=2026-11-05&fields=full")
	got = intel.Answer{}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || len(got.Listings) != 1 || got.Listings[0].Feed != "b" || !got.Found || got.AsOf == nil {
		t.Errorf("as of: %s, %v", a.body, err)
	}
	a = f.get("/api/v1/indicators/192.0.2.7?fields=summary")
	if !strings.Contains(a.body, `"feeds":["a","c"]`) || strings.Contains(a.body, "listings") {
		t.Errorf("summary: %s", a.body)
	}
	a = f.get("/api/v1/indicators/198.51.100.77")
	if a.status != 200 || !strings.Contains(a.body, `"found":false`) {
		t.Errorf("not found: %d %s", a.status, a.body)
	}
	f.want(f.get("/api/v1/indicators/not%20an%20indicator"), 400, "not_an_indicator")
	f.want(f.get("/api/v1/indicators/%20"), 400, "empty")
	f.want(f.get("/api/v1/indicators/0.0.0.0/0"), 400, "invalid")
	f.engine.Fail = func(intel.Question) error { return &intel.ValueError{Code: "too_many", Reason: "more than 5 inside"} }
	f.want(f.get("/api/v1/indicators/0.0.0.0/1"), 400, "too_many")
	f.engine.Fail = nil
	f.want(f.get("/api/v1/indicators/"+strings.Repeat("x.", 9000)+"example"), 400, "too_long")
}

// TestAllowLists asks at every route for a value that only an allow list has.
func TestAllowLists(t *testing.T) {
	f := newFixture(t)
	allow := info("allow")
	allow.Role = intel.RoleAllow
	f.engine.Add(ind(t, "198.51.100.200"), allow, now.AddDate(0, 0, -3), time.Time{})
	for _, c := range []struct{ path, body, want string }{
		{"/api/v1/indicators/198.51.100.200", "", `"found":false,"verdict":"unknown","score":0,"reasons":[],"listings":[{"feed":"allow","provider":"Prov","relation":"exact","role":"allow",`},
		{"/api/v1/indicators/198.51.100.200?fields=summary", "", `"found":false,"verdict":"unknown","score":0,"feeds":[]}`},
		{"/iocs/search/ipaddress/198.51.100.200", "", `"found":false,"verdict":"unknown"`},
		{"/iocs/search/ipaddress/198.51.100.200/summary", "", `"found":false,"hits":0,"sources":[]}`},
		{"/api/v1/search?q=198.51.100.200", "", `"relation":"exact","role":"allow",`},
		{"/api/v1/lookup", `{"values":["198.51.100.200"]}`, `"summary":{"asked":1,"found":0,"errors":0}`},
		{"/api/v1/lookup?fields=summary", `{"values":["198.51.100.200"]}`, `"found":false,"verdict":"unknown","score":0,"feeds":[]}`},
	} {
		a := f.get(c.path)
		if c.body != "" {
			a = f.post(c.path, "application/json", c.body)
		}
		if a.status != 200 || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s\nwant %s", c.path, a.status, a.body, c.want)
		}
	}
}

func TestIndicator_engineFails(t *testing.T) {
	f := newFixture(t)
	f.engine.Fail = func(intel.Question) error { return errBoom }
	a := f.get("/api/v1/indicators/192.0.2.7")
	f.want(a, 503, "engine")
	if strings.Contains(a.body, "boom") || a.header.Get("Retry-After") == "" {
		t.Errorf("got %v %s", a.header, a.body)
	}
	if id := a.header.Get("X-Request-Id"); !strings.Contains(f.log.String(), "boom") || !strings.Contains(f.log.String(), id) {
		t.Errorf("the log does not say what went wrong in %s:\n%s", id, f.log)
	}
	f.engine.Fail = func(intel.Question) error { panic("bug") }
	f.want(f.get("/api/v1/indicators/192.0.2.7"), 500, "internal")
	if !strings.Contains(f.log.String(), "bug") || !strings.Contains(f.log.String(), "goroutine") {
		t.Errorf("the log does not show the panic:\n%s", f.log)
	}
	f.want(f.get("/healthz"), 200, "")
}

// Nothing is called unlisted while some data cannot be read.
func TestIndicator_damagedData(t *testing.T) {
	f := newFixture(t)
	f.engine.Damage = errBoom
	f.want(f.get("/api/v1/indicators/198.51.100.77"), 503, "incomplete")
	f.want(f.get("/iocs/search/ipaddress/198.51.100.77/summary"), 503, "incomplete")
	f.want(f.get("/api/v1/indicators/192.0.2.7"), 200, "") // what is found is found
}

func TestETag(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/api/v1/indicators/192.0.2.7", "/api/v1/feeds", "/api/v1/feeds/good", "/api/v1/feeds/good/runs", "/api/v1/feeds/report", "/api/v1/stats", "/api/v1/openapi.json",
		"/iocs/search/ipaddress/192.0.2.7", "/iocs/search/ipaddress/192.0.2.7/summary"} {
		a := f.get(path)
		tag := a.header.Get("ETag")
		if a.status != 200 || len(tag) < 8 || tag[0] != '"' {
			t.Errorf("%s: %d, ETag %q", path, a.status, tag)
		}
		for _, h := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if b := f.get(path, "If-None-Match", h); b.status != 304 || b.header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d", path, h, b.status)
			}
			if b := f.do("HEAD", path, "", "If-None-Match", h); b.status != 304 {
				t.Errorf("HEAD %s with %s: %d", path, h, b.status)
			}
		}
		for _, h := range []string{`"x"`, tag[1 : len(tag)-1], ""} {
			if b := f.get(path, "If-None-Match", h); b.status != 200 || b.body != a.body {
				t.Errorf("%s with %s: %d", path, h, b.status)
			}
		}
		if h := f.do("HEAD", path, ""); h.status != 200 || h.header.Get("ETag") != tag || h.header.Get("Content-Length") != a.header.Get("Content-Length") {
			t.Errorf("HEAD %s: %d %v", path, h.status, h.header)
		}
	}
	one, other := f.get("/api/v1/indicators/192.0.2.7"), f.get("/api/v1/indicators/192.0.2.8")
	if one.header.Get("ETag") == other.header.Get("ETag") {
		t.Error("two answers have one ETag")
	}
}

func TestLegacy(t *testing.T) {
	f := newFixture(t)
	a := f.get("/iocs/search/ipaddress/192.0.2.7")
	if b := f.get("/api/v1/indicators/192.0.2.7"); a.status != 200 || a.body != b.body {
		t.Errorf("got %d %s, want %s", a.status, a.body, b.body)
	}
	for path, want := range map[string]string{
		"ipaddress/192.0.2.7":                      `{"value":"192.0.2.7","found":true,"hits":2,"sources":["a","c"]}`,
		"ipaddress/198.51.100.1":                   `{"value":"198.51.100.1","found":false,"hits":0,"sources":[]}`,
		"ipaddress/192.0.2.0%2F24":                 "",
		"domain/EVIL.example.":                     `{"value":"EVIL.example.","found":true,"hits":1,"sources":["d"]}`,
		"url/http://evil.example":                  `{"value":"http://evil.example","found":true,"hits":2,"sources":["d","u"]}`,
		"url/http://evil.example%2Fsummary":        `{"value":"http://evil.example/summary","found":true,"hits":2,"sources":["d","u"]}`,
		"url/http://evil.example/summary":          `{"value":"http://evil.example/summary","found":true,"hits":2,"sources":["d","u"]}`,
		"url/" + strings.Repeat("x", 10) + ".com/": `{"value":"xxxxxxxxxx.com/","found":false,"hits":0,"sources":[]}`,
	} {
		a := f.get("/iocs/search/" + path + "/summary")
		if want == "" {
			f.want(a, 400, "wrong_kind")
		} else if a.status != 200 || a.body != want+"\n" {
			t.Errorf("%s: got %d %s, want %s", path, a.status, a.body, want)
		}
	}
	f.want(f.get("/iocs/search/domain/192.0.2.7"), 400, "wrong_kind")
	f.want(f.get("/iocs/search/URL/http://evil.example"), 404, "not_found")
	f.want(f.get("/iocs/search/ipaddress/evil.example/summary"), 400, "wrong_kind")
	a = f.get("/iocs/search/ipaddress/192.0.2.7/summary?as_of=2026-11-05")
	if want := `{"value":"192.0.2.7","found":true,"hits":1,"sources":["b"]}` + "\n"; a.body != want {
		t.Errorf("as of: got %s, want %s", a.body, want)
	}
}

func TestFeeds(t *testing.T) {
	f := newFixture(t)
	a := f.get("/api/v1/feeds")
	if !strings.HasPrefix(a.body, `[{"id":"busy"`) {
		t.Errorf("got %s", a.body)
	}
	f.want(f.get("/api/v1/feeds/good"), 200, "")
	f.want(f.get("/api/v1/feeds/nope"), 404, "unknown_feed")
	if a := f.get("/api/v1/feeds/nope"); !strings.Contains(a.body, "did you mean good") {
		t.Errorf("got %s", a.body)
	}
	f.want(f.get("/api/v1/feeds/nope/runs"), 404, "unknown_feed")
	for limit, want := range map[string]int{"": 20, "?limit=0": 30, "?limit=1": 1, "?limit=1000": 30} {
		a := f.get("/api/v1/feeds/good/runs" + limit)
		if got := strings.Count(a.body, `"id":"r`); got != want {
			t.Errorf("%q: %d runs, want %d", limit, got, want)
		}
	}
	if a := f.get("/api/v1/feeds/busy/runs"); a.body != "[]\n" {
		t.Errorf("no runs: %s", a.body)
	}
	f.want(f.post("/api/v1/feeds/good/run", "", ""), 200, "")
	f.want(f.post("/api/v1/feeds/good/run", typeJSON, "{}"), 200, "")
	f.want(f.post("/api/v1/feeds/busy/run", "", ""), 409, "running")
	f.want(f.post("/api/v1/feeds/nope/run", "", ""), 404, "unknown_feed")
	if d := cmp.Diff([]string{"local", "local", "local"}, f.feeds.who); d != "" {
		t.Errorf("who (-want +got)\n%s", d)
	}
}

func TestSystem(t *testing.T) {
	var notReady error
	f := newFixture(t, func(c *Config) { c.Ready = func() error { return notReady } })
	if a := f.get("/healthz"); a.body != `{"status":"ok"}`+"\n" {
		t.Errorf("got %s", a.body)
	}
	if a := f.get("/readyz"); a.body != `{"status":"ready"}`+"\n" {
		t.Errorf("got %s", a.body)
	}
	notReady = errBoom
	a := f.get("/readyz")
	f.want(a, 503, "not_ready")
	if strings.Contains(a.body, "boom") || !strings.Contains(f.log.String(), "boom") {
		t.Errorf("got %s", a.body)
	}
	if a := f.get("/api/v1/stats"); !strings.Contains(a.body, `"listings":6,"indicators":6,"feeds":5`) {
		t.Errorf("got %s", a.body)
	}
	if a := f.get("/api/v1/openapi.json"); a.body != string(document) {
		t.Error("the document is not served as it is")
	}
}

func TestMetrics(t *testing.T) {
	f := newFixture(t)
	f.get("/api/v1/indicators/192.0.2.7")
	f.get("/api/v1/indicators/198.51.100.7")
	f.get("/api/v1/indicators/n%20o")
	f.post("/api/v1/lookup", typeText, "192.0.2.7\n198.51.100.1\nn o\n192.0.2.9\n")
	f.get("/nowhere")
	f.get("/api/v1/stats", "Host", "rebound.example")
	a := f.get("/metrics")
	if ct := a.header.Get("Content-Type"); ct != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("Content-Type %q", ct)
	}
	for _, want := range []string{
		`ei_build_info{version="1.2.3"} 1`,
		`ei_http_requests_total{method="GET",route="/api/v1/indicators/{value}",status="200"} 2`,
		`ei_http_requests_total{method="GET",route="/api/v1/indicators/{value}",status="400"} 1`,
		`ei_http_requests_total{method="POST",route="/api/v1/lookup",status="200"} 1`,
		`ei_http_requests_total{method="any",route="other",status="404"} 1`,
		`ei_http_requests_total{method="any",route="other",status="421"} 1`,
		`ei_http_request_duration_seconds_count{method="GET",route="/api/v1/indicators/{value}"} 3`,
		`ei_http_request_duration_seconds_bucket{method="GET",route="/api/v1/indicators/{value}",le="+Inf"} 3`,
		`ei_http_in_flight 1`,
		`ei_lookups_total{via="single",result="found"} 1`, `ei_lookups_total{via="single",result="not_found"} 1`, `ei_lookups_total{via="single",result="unusable"} 1`,
		`ei_lookups_total{via="bulk",result="found"} 2`, `ei_lookups_total{via="bulk",result="not_found"} 1`, `ei_lookups_total{via="bulk",result="unusable"} 1`,
		`ei_bulk_bytes_total 37`, `ei_auth_refused_total{reason="host"} 1`,
		`ei_listings 6`, `ei_feeds 5`, `ei_segments 0`, `ei_search_indexes 0`, `ei_memory_bytes{part="directory"} 0`, `ei_memory_bytes{part="mapped"} 0`, `ei_feed_listings{feed="good"} 3`, `process_resident_memory_bytes`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(a.body, "192.0.2") {
		t.Error("a value is in the metrics")
	}
	if t.Failed() {
		t.Log(a.body)
	}
}

func TestGuard(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Hosts = []string{"Intel.Example"} })
	port := f.url[strings.LastIndexByte(f.url, ':'):]
	for _, host := range []string{"localhost" + port, "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.1" + port, "127.1.2.3", "[::1]" + port, "[::1]", "intel.example", "intel.example:80"} {
		f.want(f.get("/api/v1/stats", "Host", host), 200, "")
	}
	for _, host := range []string{"evil.example" + port, "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "0.0.0.0", "intel.example.evil", "[::2]"} {
		f.want(f.get("/api/v1/stats", "Host", host), 421, "wrong_host")
		f.want(f.get("/healthz", "Host", host), 421, "wrong_host")
	}
	for _, h := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "http://127.0.0.1:1"},
	} {
		f.want(f.post("/api/v1/feeds/good/run", typeText, "", h...), 403, "cross_origin")
		f.want(f.post("/api/v1/lookup", typeText, "192.0.2.7", h...), 403, "cross_origin")
		f.want(f.get("/api/v1/stats", h...), 200, "")
	}
	for _, h := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Origin", f.url}, nil} {
		f.want(f.post("/api/v1/feeds/good/run", "", "", h...), 200, "")
	}
	if n := len(f.feeds.who); n != 4 {
		t.Errorf("%d runs were started, want 4", n)
	}
}

// Behind a reverse proxy the server hears the proxy's name; a key makes it safe.
func TestGuard_AnyNameWithAKey(t *testing.T) {
	f := newFixture(t)
	plain, _, err := f.keys.Create(t.Context(), "proxy", auth.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f.want(f.get("/api/v1/stats", "Host", "intel.corp.example", "Authorization", "Bearer "+plain), 200, "")
	if a := f.get("/api/v1/stats", "Host", "intel.corp.example"); a.status != 401 {
		t.Errorf("without the key: %d, want 401", a.status)
	}
}

func TestRequestID(t *testing.T) {
	f := newFixture(t)
	if got := f.get("/healthz", "X-Request-Id", "abc-1.2_Z").header.Get("X-Request-Id"); got != "abc-1.2_Z" {
		t.Errorf("got %q", got)
	}
	seen := map[string]bool{}
	for _, id := range []string{"", "a b", "a\tb", "<x>", strings.Repeat("x", 65), "é"} {
		got := f.get("/nowhere", "X-Request-Id", id).header.Get("X-Request-Id")
		if got == id || got == "" || seen[got] {
			t.Errorf("%q: got %q", id, got)
		}
		seen[got] = true
	}
}

func TestServer_headersAreLimited(t *testing.T) {
	s := NewServer(http.NotFoundHandler())
	if s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.WriteTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 {
		t.Errorf("something is without limit: %+v", s)
	}
}

// known is what enrichment knows, of one network and one domain.
type known struct{ query.Facts }

func (known) ID() string { return "known" }

func (known) Enrichment(i intel.Indicator, now time.Time) intel.Enrichment {
	var e intel.Enrichment
	if _, ok := i.Addr(); ok {
		e.Network = &intel.NetworkFacts{CIDR: "192.0.2.0/24", Name: "TEST-NET-1", Country: "ZZ", Registry: "arin", ASN: 64500, Allocated: "2010-01-02T00:00:00Z", Source: "rdap+cymru", FetchedAt: now}
		e.Address = &intel.AddressFacts{Names: []string{"host.example"}, Source: "dns", FetchedAt: now}
	}
	if i.Host() == "evil.example" {
		e.Domain = &intel.DomainFacts{Name: "evil.example", NameServers: []string{"ns.example"}, Status: []string{}, Tags: []string{intel.TagNew}, Source: "whois", FetchedAt: now}
	}
	return e
}

// TestEnrichment: answers have what is known, in single and bulk look-ups, found or
// not; fixtures hold each against the schema.
func TestEnrichment(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Lookup = c.Lookup.Knowing(func() lookup.Known { return known{} }) })
	for value, want := range map[string]string{
		"192.0.2.7":                        `"enrichment":{"network":{"cidr":"192.0.2.0/24","name":"TEST-NET-1","org":"","country":"ZZ","registry":"arin","abuse":"","asn":64500,"as_name":"","allocated":"2010-01-02T00:00:00Z","source":"rdap+cymru","fetched_at":"`,
		"198.51.100.9":                     `"address":{"names":["host.example"],"source":"dns","fetched_at":"`,
		"evil.example":                     `"enrichment":{"domain":{"domain_name":"evil.example","registrar":"","created":null,"updated":null,"expires":null,"name_servers":["ns.example"],"status":[],"tags":["newly-registered"],"source":"whois"`,
		"d41d8cd98f00b204e9800998ecf8427e": `"enrichment":{}`,
	} {
		if a := f.get("/api/v1/indicators/" + value); !strings.Contains(a.body, want) {
			t.Errorf("%s: %s, want %s", value, a.body, want)
		}
		if a := f.post("/api/v1/lookup", "application/json", `{"values":["`+value+`"]}`); !strings.Contains(a.body, want) {
			t.Errorf("bulk %s: %s, want %s", value, a.body, want)
		}
	}
	if a := f.post("/api/v1/lookup?fields=summary", "application/json", `{"values":["192.0.2.7"]}`); strings.Contains(a.body, "enrichment") {
		t.Errorf("a summary has enrichment: %s", a.body)
	}
}
