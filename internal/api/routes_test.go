package api

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/intel"
)

func TestValueRoutes_findTheValueInThePath(t *testing.T) {
	a := newFixture(t).api
	const ind, search, short = "GET /api/v1/indicators/{value}", "GET /iocs/search/{type}/{value}", "GET /iocs/search/{type}/{value}/summary"
	const text, textShort = "GET /iocs/search/string/{text}", "GET /iocs/search/string/{text}/summary"
	for _, tt := range []struct{ target, route, value string }{
		{"/api/v1/indicators/192.0.2.7", ind, "192.0.2.7"},
		{"/api/v1/indicators/192.0.2.0/24", ind, "192.0.2.0/24"},
		{"/api/v1/indicators/192.0.2.0%2F24", ind, "192.0.2.0/24"},
		{"/api/v1/indicators/2001:db8::1", ind, "2001:db8::1"},
		{"/api/v1/indicators/http://evil.example/a//b/../c", ind, "http://evil.example/a//b/../c"},
		{"/api/v1/indicators/http:%2F%2Fevil.example%2Fa%3Fx=1%26y=%2525", ind, "http://evil.example/a?x=1&y=%25"},
		{"/api/v1/indicators/http%3A//evil.example/a%20b", ind, "http://evil.example/a b"},
		{"/api/v1/indicators/http://evil.example/", ind, "http://evil.example/"},
		{"/api/v1/indicators/hxxp[:]//evil[.]example/", ind, "hxxp[:]//evil[.]example/"},
		{"/api/v1/indicators/..", ind, ".."},
		{"/api/v1/indicators/.", ind, "."},
		{"/api/v1/indicators/../../healthz", ind, "../../healthz"},
		{"/api/v1/indicators/a%00b", ind, "a\x00b"},
		{"/api/v1/indicators/%E2%82%AC.example", ind, "€.example"},
		{"/api/v1/indicators/%ff", ind, "\xff"},
		{"/api/v1/indicators/a/summary", ind, "a/summary"},
		{"/api/v1/indicators//x", ind, "/x"},
		{"/api/v1/indicators/%2F", ind, "/"},
		{"/api/v1/indicators/%2Fsummary", ind, "/summary"},
		{"/api/v1/indicators/", "/", ""},
		{"/api/v1/indicators", "/", ""},
		{"/iocs/search/ipaddress/192.0.2.7", search, "192.0.2.7"},
		{"/iocs/search/ipaddress/192.0.2.7/summary", short, "192.0.2.7"},
		{"/iocs/search/url/http://evil.example/summary", short, "http://evil.example"},
		{"/iocs/search/url/http://evil.example//summary", short, "http://evil.example/"},
		{"/iocs/search/url/http://evil.example%2Fsummary", search, "http://evil.example/summary"},
		{"/iocs/search/url/http://evil.example/summary/summary", short, "http://evil.example/summary"},
		{"/iocs/search/url/http%3A%2F%2Fevil.example%2Fsummary/summary", short, "http://evil.example/summary"},
		{"/iocs/search/url/http://evil.example/a?x=1", search, "http://evil.example/a"}, // refused for its parameter later
		{"/iocs/search/domain/summary", search, "summary"},
		{"/iocs/search/url//summary", search, "/summary"},
		{"/iocs/search/string/a%20b/c%3F", text, "a b/c?"},
		{"/iocs/search/string/a/summary", textShort, "a"},
		{"/iocs/search/string/a%2Fsummary", text, "a/summary"},
		{"/iocs/search/string/", "/", ""},
		{"/iocs/search/strings/a", search, "a"},
		{"/iocs/search/domain/", "/", ""},
		{"/iocs/search/domain", "/", ""},
	} {
		r := httptest.NewRequest("GET", tt.target, nil)
		rt, kind, value, ok := a.values.find(r.URL)
		got := "/"
		if ok {
			got = rt.method + " " + rt.path
		} else if _, pattern := a.mux.Handler(r); pattern != "/" {
			t.Errorf("%s goes to %q", tt.target, pattern)
		}
		if got != tt.route || ok && value != tt.value {
			t.Errorf("%s goes to %q with %q, want %q with %q", tt.target, got, value, tt.route, tt.value)
		}
		if ok && strings.HasPrefix(tt.target, legacyPrefix) && !strings.HasPrefix(tt.target, legacyPrefix+kind+"/") {
			t.Errorf("%s has type %q", tt.target, kind)
		}
	}
}

// Whatever the value, escaped in any of the usual ways it comes out as it was.
func FuzzValueRoutes(f *testing.F) {
	for _, s := range []string{"192.0.2.0/24", urlInQuery, "..", "/", "%", "%2F", "a b", "\x00\xff", "summary", "x/summary", "é?#"} {
		f.Add(s)
	}
	a := newAPI(Config{})
	f.Fuzz(func(t *testing.T, value string) {
		if value == "" {
			return
		}
		for _, target := range []string{
			indicatorPrefix + url.PathEscape(value), indicatorPrefix + strings.ReplaceAll(url.QueryEscape(value), "+", "%20"),
			indicatorPrefix + (&url.URL{Path: value}).EscapedPath(), legacyPrefix + "url/" + url.PathEscape(value) + summarySuffix,
		} {
			u, err := url.ParseRequestURI(target)
			if err != nil {
				t.Fatalf("%q: %v", target, err)
			}
			if _, _, got, ok := a.values.find(u); !ok || got != value {
				t.Fatalf("%q: got %q %v, want %q", target, got, ok, value)
			}
		}
	})
}

// fill puts good values into a route's pattern.
func fill(rt *route) string {
	p := strings.NewReplacer("{value}", "192.0.2.7", "{id}", "good", "{type}", "ipaddress", "{text}", "means%20a").Replace(rt.path)
	switch rt.path {
	case "/api/v1/search":
		p += "?q=*"
	case "/api/v1/facets":
		p += "?q=*&by=feed"
	}
	return p
}

// Every route, called by every sort of caller before and after the first key.
func TestRoutes_whoMayCallWhat(t *testing.T) {
	f := newFixture(t)
	call := func(rt *route, remote string, headers ...string) answer {
		body := ""
		if rt.path == "/api/v1/lookup" {
			body = `{"values":["192.0.2.7"]}`
		}
		r := httptest.NewRequest(rt.method, fill(rt), strings.NewReader(body))
		r.RemoteAddr = remote
		r.Header.Set("Content-Type", typeJSON)
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		f.api.ServeHTTP(w, r)
		a := answer{w.Code, w.Header(), w.Body.String()}
		if err := checkAnswer(f.api, r, a); err != nil {
			t.Errorf("%s %s: %v", rt.method, rt.path, err)
		}
		return a
	}
	const local, remote = "127.0.0.1:1000", "192.0.2.99:1000"
	want := func(rt *route, who string, a answer, status int) {
		t.Helper()
		if a.status != status {
			t.Errorf("%s %s, %s: got %d %s, want %d", rt.method, rt.path, who, a.status, a.body, status)
		}
	}
	public := func(rt *route, else_ int) int {
		if rt.role == "" {
			return 200
		}
		return else_
	}
	for _, rt := range routes() {
		want(rt, "local, no keys", call(rt, local), 200)
		want(rt, "local over IPv6, no keys", call(rt, "[::1]:1000"), 200)
		want(rt, "local as mapped IPv4, no keys", call(rt, "[::ffff:127.0.0.1]:1000"), 200)
		want(rt, "remote, no keys", call(rt, remote), public(rt, 401))
		want(rt, "remote with a made-up key, no keys", call(rt, remote, "Authorization", "Bearer ei_aaaaaaaa_"+strings.Repeat("A", 43)), public(rt, 401))
		for _, h := range []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-Ip"} {
			want(rt, "through a proxy on this machine, no keys", call(rt, local, h, "127.0.0.1"), public(rt, 401))
		}
		want(rt, "no address, no keys", call(rt, ""), public(rt, 401))
	}
	headers := map[auth.Role]string{}
	for _, r := range auth.Roles() {
		headers[r], _ = f.key(r)
	}
	revoked, id := f.key(auth.Admin)
	if err := f.keys.Revoke(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	cells := 0
	for _, rt := range routes() {
		for _, from := range []string{local, remote} {
			want(rt, "no key", call(rt, from), public(rt, 401))
			want(rt, "revoked key", call(rt, from, "Authorization", revoked), public(rt, 401))
			want(rt, "forged key", call(rt, from, "Authorization", headers[auth.Admin][:len(headers[auth.Admin])-1]+"_"), public(rt, 401))
			want(rt, "basic", call(rt, from, "Authorization", "Basic "+headers[auth.Admin][7:]), public(rt, 401))
			want(rt, "key elsewhere", call(rt, from, "X-Api-Key", headers[auth.Admin][7:]), public(rt, 401))
			for _, r := range auth.Roles() {
				status := 200
				if rt.role != "" && !r.Allows(rt.role) {
					status = 403
				}
				want(rt, string(r), call(rt, from, "Authorization", headers[r]), status)
				cells++
			}
		}
		if rt.role != "" && !slices.Contains(auth.Roles(), rt.role) {
			t.Errorf("%s has role %q", rt.path, rt.role)
		}
	}
	if cells != len(routes())*6 {
		t.Errorf("%d cells", cells)
	}
	f.feeds.mu.Lock()
	defer f.feeds.mu.Unlock()
	for _, who := range f.feeds.who {
		if who != "local" && !strings.HasPrefix(who, "key ") {
			t.Errorf("a run was started by %q", who)
		}
	}
}

func TestRoutes_keysNeverInTheURLOrTheLog(t *testing.T) {
	f := newFixture(t)
	header, id := f.key(auth.Admin)
	plain := header[7:]
	f.want(f.get("/api/v1/stats?key="+plain), 401, "no_key")
	f.want(f.get("/api/v1/stats", "Authorization", header), 200, "")
	f.want(f.post("/api/v1/feeds/good/run", typeJSON, "", "Authorization", header), 200, "")
	f.want(f.get("/api/v1/stats?key="+plain, "Authorization", header), 400, "unknown_parameter")
	m := f.get("/metrics", "Authorization", header)
	if log := f.log.String(); strings.Contains(log, plain) || strings.Contains(log, plain[12:]) || !strings.Contains(log, id) {
		t.Errorf("the log holds the key, or not its id:\n%s", log)
	}
	if strings.Contains(m.body, plain[12:]) {
		t.Error("the metrics hold the key")
	}
}

func TestRoutes_methodsAndPaths(t *testing.T) {
	f := newFixture(t)
	for _, rt := range routes() {
		for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			a := f.do(m, fill(rt), "", "Content-Type", typeJSON)
			ours := m == rt.method || m == "HEAD" && rt.method == "GET"
			if allow := a.header.Get("Allow"); !ours && (a.status != 405 || !strings.Contains(allow, rt.method)) {
				t.Errorf("%s %s: got %d, Allow %q", m, rt.path, a.status, allow)
			} else if ours && a.status == 405 {
				t.Errorf("%s %s: got 405", m, rt.path)
			}
		}
	}
	for _, path := range []string{"/", "/api", "/api/v1", "/api/v1/", "/api/v2/stats", "/api/v1/stats/", "/api/v1//stats", "/api/v1/../v1/stats", "/api/v1/./stats",
		"//api/v1/stats", "/api/v1/feeds/good/", "/api/v1/feeds/a/b/runs", "/iocs/search", "/iocs/search/ipaddress", "/favicon.ico", "/%2e%2e/etc/passwd", "//evil.example/", "/\\evil.example", "/metrics%2f"} {
		f.want(f.get(path), 404, "not_found")
	}
	f.want(f.get("/iocs/search/hash/abc/summary"), 404, "not_found")
}

func TestRoutes_getChangesNothing(t *testing.T) {
	f := newFixture(t)
	for _, rt := range routes() {
		if rt.method == "POST" {
			f.do("GET", fill(rt), "")
			f.do("HEAD", fill(rt), "")
			f.do("GET", fill(rt), "", "X-Http-Method-Override", "POST")
		}
	}
	if len(f.feeds.who) > 0 {
		t.Errorf("a GET started a run: %v", f.feeds.who)
	}
}

func TestRoutes_acceptAndQuery(t *testing.T) {
	f := newFixture(t)
	for _, accept := range []string{"application/json", "*/*", "application/*", "text/html, application/json;q=0.5", "text/html,*/*;q=0.1", "APPLICATION/JSON", ""} {
		f.want(f.get("/api/v1/stats", "Accept", accept), 200, "")
	}
	for _, accept := range []string{"text/html", "application/json;q=0", "application/json;q=0, */*", "application/xml", "application/json;q=x", "nonsense"} {
		f.want(f.get("/api/v1/stats", "Accept", accept), 406, "not_acceptable")
	}
	f.want(f.get("/metrics", "Accept", "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"), 200, "")
	f.want(f.get("/metrics", "Accept", "application/json"), 406, "")
	for _, q := range []string{"?x=1", "?as_of=2026-01-01", "?a;b", "?%zz", "?limit=1"} {
		if a := f.get("/api/v1/stats" + q); a.status != 400 {
			t.Errorf("%s: got %d", q, a.status)
		}
	}
	a := f.get("/api/v1/indicators/http://evil.example/a?x=1")
	f.want(a, 400, "unknown_parameter")
	if !strings.Contains(a.body, "%3F") {
		t.Errorf("nothing says how to write a ?: %s", a.body)
	}
	f.want(f.get("/api/v1/indicators/192.0.2.7?as_of=2026-01-01&as_of=2026-01-02"), 400, "bad_query")
	f.want(f.get("/api/v1/indicators/192.0.2.7?as_of=2027-01-01"), 400, "bad_as_of")
	f.want(f.get("/api/v1/indicators/192.0.2.7?fields=some"), 400, "bad_fields")
	f.want(f.get("/api/v1/indicators/192.0.2.7?as_of="), 400, "bad_as_of")
	f.want(f.get("/api/v1/indicators/192.0.2.7?fields="), 400, "bad_fields")
	for _, limit := range []string{"", "-1", "x", "1.5", "99999999999999999999"} {
		f.want(f.get("/api/v1/feeds/good/runs?limit="+limit), 400, "bad_limit")
	}
}

func TestIndicator_everyWayToWriteAURL(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{
		url.PathEscape(urlInQuery), url.QueryEscape(urlInQuery), strings.ReplaceAll(url.QueryEscape(urlInQuery), "%2F", "/"),
		strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23").Replace(urlInQuery),
		"hxxp%5B:%5D//evil%5B.%5Dexample/a//b/../c%252Fd%3Fx=1&y=%2525",
	} {
		a := f.get("/api/v1/indicators/" + path)
		var ans intel.Answer
		if err := json.Unmarshal([]byte(a.body), &ans); err != nil || a.status != 200 {
			t.Fatalf("%s: %d %s %v", path, a.status, a.body, err)
		}
		if !ans.Found || len(ans.Listings) != 2 || ans.Listings[0].Feed != "u" || ans.Listings[1].Relation != intel.RelHost {
			t.Errorf("%s: got %s", path, a.body)
		}
	}
}
