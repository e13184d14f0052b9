package api

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/auth"
)

// generator makes requests that are mostly nearly right.
type generator struct {
	*rand.Rand
	keys []string // Authorization headers, good and bad
	tags []string // ETags seen

	cursors []string // seen
}

func (g *generator) pick(from ...string) string { return from[g.IntN(len(from))] }

// often returns usual in most cases, else one of rare.
func (g *generator) often(usual string, rare ...string) string {
	if g.IntN(4) > 0 {
		return usual
	}
	return g.pick(rare...)
}

// junk is a short text of anything.
func (g *generator) junk() string {
	b := make([]byte, g.IntN(24))
	for i := range b {
		b[i] = byte(g.IntN(256))
	}
	return string(b)
}

func (g *generator) value() string {
	return g.pick("192.0.2.7", "192.0.2.0/24", "0.0.0.0/1", "10.0.0.0/8", "2001:db8::1", "2001:db8::/33", "[2001:db8::1]:80", "192.0.2.7:443", "evil.example", "hxxp://evil[.]example/",
		urlInQuery, "http://[2001:db8::1]:8080/a?b#c", "a@evil.example", "d41d8cd98f00b204e9800998ecf8427e", "xn--bcher-kva.example", "bücher.example",
		"..", ".", "/", "//", "%", "%zz", " ", "\t", "summary", "x/summary", "http://u:p@evil.example:99999/", "javascript:alert(1)", "\u202eevil", "0", "-1", "null",
		strings.Repeat("a", 300), strings.Repeat("a.", 5000), g.junk(), g.junk()+".example")
}

// escape writes a value into a path in one of the ways people do.
func (g *generator) escape(v string) string {
	switch g.IntN(4) {
	case 0:
		return url.PathEscape(v)
	case 1:
		return strings.ReplaceAll(url.QueryEscape(v), "+", "%20")
	case 2:
		return strings.ReplaceAll(url.PathEscape(v), "%2F", "/")
	}
	return strings.Map(func(r rune) rune { // as it is, if only it is a request line
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, v)
}

func (g *generator) path(rt *route) string {
	p := strings.NewReplacer("{value}", g.escape(g.value()), "{id}", g.often(g.pick("good", "busy"), "nope", g.escape(g.junk()+"x")),
		"{text}", g.escape(g.often(g.pick("means a", "192.0.2.7", "evil", "nothing"), g.value(), g.query())),
		"{type}", g.often(g.pick("ipaddress", "domain", "url"), "string", "URL", "x", "%2F")).Replace(rt.path)
	p = g.often(p, p+"/", "/"+p, strings.ToUpper(p), strings.Replace(p, "/", "//", 1), p+"/..", strings.Replace(p, "v1", "v2", 1))
	if g.IntN(8) > 0 && (rt.path == "/api/v1/search" || rt.path == "/api/v1/facets") {
		return p + "?" + g.search(rt)
	}
	if g.IntN(3) == 0 {
		p += "?" + g.pick("as_of", "fields", "limit", "x", "", "as%5fof") + g.often("=", "") + g.pick("2026-11-05", "2026-11-05T00:00:00Z", "2030-01-01", "summary", "full", "0", "5", "-1", "1e9", "", g.escape(g.junk())) + g.often("", "&fields=summary", "&limit=1", ";a=b")
	}
	return p
}

// query is a search that is mostly nearly right.
func (g *generator) query() string {
	return g.often(g.pick("*", "evil", "kind:url evil", "192.0.2.7", "feed:(a OR u)", "listed:false", "last_seen:<5d", "-tag:b"), "AND", "x:y", "p*", "(", g.value(), g.junk())
}

// search is the query string of a search.
func (g *generator) search(rt *route) string {
	q := url.Values{}
	if g.IntN(20) > 0 {
		q.Set("q", g.query())
	}
	for _, name := range rt.query {
		if name == "q" || g.IntN(3) > 0 && name != "by" {
			continue
		}
		good := map[string][]string{"by": {"feed", "kind,tag", "context.note"}, "facets": {"feed", "value,feed", "last_seen"}, "sort": {"value", "-changed", "confidence"},
			"limit": {"1", "2", "5"}, "facet_limit": {"1", "10"}, "count": {"only"}, "as_of": {"2026-11-05", "2026-11-20"}, "cursor": append(g.cursors, "x")}[name]
		q.Set(name, g.often(g.pick(good...), "0", "-1", "2000", "", "net", "2030-01-01", "x,feed", g.junk()))
	}
	return q.Encode()
}

func (g *generator) body() string {
	var b strings.Builder
	switch g.IntN(5) {
	case 0:
		for range g.IntN(5) {
			b.WriteString(g.value() + "\n")
		}
	case 1:
		for range g.IntN(5) {
			fmt.Fprintf(&b, "%q\n", g.value())
		}
	case 2:
		b.WriteString(`{"values":[`)
		for i := range g.IntN(5) {
			fmt.Fprintf(&b, "%s%q", g.often(map[bool]string{true: ",", false: ""}[i > 0], ";"), g.value())
		}
		b.WriteString(g.often("]}", "]", "}", "", "]}x"))
	case 3:
		b.WriteString(g.junk())
	}
	if g.IntN(20) == 0 {
		b.WriteString(strings.Repeat("192.0.2.7\n", 2000))
	}
	return b.String()
}

// request is the text of one request.
func (g *generator) request(rt *route) string {
	var b strings.Builder
	method := g.often(rt.method, "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, g.path(rt), g.often("localhost:7331", "127.0.0.1", "evil.example", "[::1]:1", "localhost:x"))
	header := func(name string, values ...string) {
		if v := g.pick(values...); v != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	header("Authorization", g.keys...)
	header("Accept", "", "", "", "*/*", typeJSON, typeNDJSON, typeCSV, "text/html", "text/plain", "application/json;q=0", "a/b;q=2, */*;q=0.1", ";;,,")
	header("If-None-Match", append(g.tags, "", "", "", "*", `W/"x"`, `"`)...)
	header("Sec-Fetch-Site", "", "", "", "", "", "", "same-origin", "cross-site", "none")
	header("Origin", "", "", "", "", "", "", "null", "https://evil.example", "http://localhost:7331")
	header("X-Request-Id", "", "", "abc", "a b", strings.Repeat("x", 100))
	header("X-Forwarded-For", "", "", "", "", "", "192.0.2.1")
	header("Content-Encoding", "", "", "", "", "", "", "gzip", "identity", "br")
	header("Content-Type", typeJSON, typeJSON, typeText, typeNDJSON, "", "application/x-www-form-urlencoded", "text/plain; charset=utf-8", "text/plain; charset", "/")
	if body := g.body(); method != "GET" && method != "HEAD" && method != "TRACE" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	} else {
		b.WriteString("\r\n")
	}
	return b.String()
}

// Thousands of requests that somebody might send: no 5xx, no status, header or
// body that the document does not have.
func TestContract_generatedRequests(t *testing.T) {
	const n = 6000
	seen := map[int]int{}
	for _, keyed := range []bool{false, true} {
		f := newFixture(t, func(c *Config) { c.Limits.MaxBody = 10_000 })
		g := &generator{Rand: rand.New(rand.NewPCG(7, map[bool]uint64{false: 1, true: 2}[keyed])), keys: []string{"", "Bearer x", "Basic eDp5"}}
		if keyed {
			reader, _ := f.key(auth.Reader)
			admin, _ := f.key(auth.Admin)
			g.keys = append(g.keys, reader, reader, admin, admin, admin, reader[:len(reader)-1])
		}
		table := routes()
		table = append(table, table[1], table[1], table[1], table[1], table[0], table[0]) // look-ups have more to get wrong
		for i := range n / 2 {
			text := g.request(table[i%len(table)])
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
			if err != nil {
				continue // net/http answers this itself
			}
			r.RemoteAddr = g.often("127.0.0.1:1", "192.0.2.1:1")
			ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7331}))
			w := httptest.NewRecorder()
			f.api.ServeHTTP(w, r.WithContext(ctx))
			a := answer{w.Code, w.Header(), w.Body.String()}
			seen[a.status]++
			if tag := a.header.Get("ETag"); tag != "" && len(g.tags) < 20 && !slices.Contains(g.tags, tag) {
				g.tags = append(g.tags, tag)
			}
			if _, next, ok := strings.Cut(a.body, `"next":"`); ok && len(g.cursors) < 20 {
				g.cursors = append(g.cursors, next[:strings.IndexByte(next, '"')])
			}
			if err := checkAnswer(f.api, r, a); err != nil || a.status >= 500 {
				t.Errorf("request %d: status %d: %v\n%q\n%s", i, a.status, err, text, a.body)
			}
		}
	}
	for _, status := range []int{200, 304, 400, 401, 403, 404, 405, 406, 409, 413, 415, 421} {
		if seen[status] == 0 {
			t.Errorf("no request was answered with %d: the generator does not reach it", status)
		}
	}
	t.Logf("answers by status: %v", seen)
}
