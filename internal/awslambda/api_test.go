package awslambda_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/api"
	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

type appEngine struct{ *corpus.Corpus }

func (e appEngine) Held() map[string]app.Held { return app.HeldOf(e.Corpus) }

// face is the HTTP API over the bench, with a key.
func (b *bench) face(ready func() error) (h http.Handler, key string, c *corpus.Corpus) {
	b.t.Helper()
	c, err := corpus.Open(b.t.Context(), b.store, corpus.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	keys := auth.New(b.store, time.Now)
	if key, _, err = keys.Create(b.t.Context(), "test", auth.Admin); err != nil {
		b.t.Fatal(err)
	}
	now := time.Now() // the same for all answers
	feeds := app.NewFeeds(app.FeedsConfig{Catalogue: b.catalogue, Store: b.store, Runner: b.run, Ledger: b.run, Engine: appEngine{c}, Now: func() time.Time { return now }})
	return app.Handler(app.HandlerConfig{Feeds: feeds, Keys: keys, Version: "test", Ready: ready, Log: quiet(), TempDir: b.t.TempDir()}), key, c
}

func isReady() error { return nil }

// request is one of the table: what a client sends.
type request struct {
	method, path, query, body string
	header                    map[string]string
}

// event is the request as API Gateway and a function's URL hand it over.
func (r request) event(domain, stage string, encoded bool) string {
	headers := map[string]string{"host": domain, "x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "https"}
	for k, v := range r.header {
		headers[strings.ToLower(k)] = v
	}
	path, body := r.path, r.body
	if stage != "$default" {
		path = "/" + stage + path
	}
	if encoded {
		body = base64.StdEncoding.EncodeToString([]byte(body))
	}
	e, _ := json.Marshal(map[string]any{"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": r.query, "headers": headers, "body": body, "isBase64Encoded": encoded,
		"requestContext": map[string]any{"domainName": domain, "stage": stage, "http": map[string]any{"method": r.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "198.51.100.7"}}})
	return string(e)
}

// answer is what a client gets.
type answer struct {
	Status int
	Header map[string]string
	Body   string
}

func decodeReply(t *testing.T, data []byte) answer {
	t.Helper()
	var r struct {
		StatusCode      int
		Headers         map[string]string
		Cookies         []string
		Body            string
		IsBase64Encoded bool
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("%.200s: %v", data, err)
	}
	if r.IsBase64Encoded {
		b, err := base64.StdEncoding.DecodeString(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		r.Body = string(b)
	}
	if len(r.Cookies) > 0 {
		r.Headers["set-cookie"] = strings.Join(r.Cookies, "|")
	}
	return answer{r.StatusCode, r.Headers, r.Body}
}

// varying is what no two requests share.
var varying = regexp.MustCompile(`urn:elasticintel:request:[^"]*|"took_ms":[0-9.]+`)

func (a answer) fixed() answer {
	for _, name := range []string{"x-request-id", "date", "content-length", "connection"} {
		delete(a.Header, name)
	}
	a.Body = varying.ReplaceAllString(a.Body, "~")
	return a
}

func served(t *testing.T, url string, r request) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, url+r.path+map[bool]string{true: "?" + r.query}[r.query != ""], strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	req.Header.Set("X-Forwarded-For", "198.51.100.7")
	res, err := (&http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{res.StatusCode, map[string]string{}, string(body)}
	for k, v := range res.Header {
		a.Header[strings.ToLower(k)] = strings.Join(v, ", ")
	}
	return a
}

// The function answers as `serve` does: through an HTTP API with and without a
// stage, with bodies as text and as base64, and streamed by its own URL.
func TestAPI_AnswersAsAServer(t *testing.T) {
	b := newBench(t)
	b.pub.SetString("/a", "one.a.example\nüber.example\n")
	b.pub.SetString("/b", "192.0.2.1\n")
	b.batch(minute, body("a", 0), body("b", 0))
	h, key, _ := b.face(isReady)
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = api.NewServer(h)
	srv.Start()
	defer srv.Close()
	fn := &awslambda.API{Handler: h, Now: time.Now, Log: quiet()}
	stream := &awslambda.API{Handler: h, Now: time.Now, Log: quiet(), Stream: true}
	rt := start(t, stream.Handle)
	bearer := map[string]string{"Authorization": "Bearer " + key}
	with := func(more ...string) map[string]string {
		m := map[string]string{"Authorization": "Bearer " + key}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	const v1 = "/api/v1"
	for _, r := range []request{
		{"GET", v1 + "/indicators/one.a.example", "", "", bearer},
		{"GET", v1 + "/indicators/one.a.example", "related=1&timeline=1", "", bearer},
		{"HEAD", v1 + "/indicators/one.a.example", "", "", bearer},
		{"GET", v1 + "/indicators/hxxp%3A%2F%2Fone%5B.%5Da.example%2Fx%3Fy%3D1", "", "", bearer},
		{"GET", v1 + "/indicators/%C3%BCber.example", "", "", bearer},
		{"GET", v1 + "/indicators/a%20b", "", "", bearer},
		{"GET", v1 + "/indicators/one.a.example", "unknown=1", "", bearer},
		{"GET", v1 + "/indicators/one.a.example", "", "", nil},
		{"GET", v1 + "/indicators/one.a.example", "", "", map[string]string{"Authorization": "Bearer ei_wrong"}},
		{"POST", v1 + "/lookup", "", `{"values":["one.a.example","nothing.example","no indicator"]}`, with("Content-Type", "application/json")},
		{"POST", v1 + "/lookup", "", "one.a.example\nüber.example\n", with("Content-Type", "text/plain", "Accept", "application/x-ndjson")},
		{"POST", v1 + "/lookup", "", `{"values":[`, with("Content-Type", "application/json")},
		{"POST", v1 + "/lookup", "", "x", with("Content-Type", "image/png")},
		{"GET", v1 + "/search", "q=one&limit=1", "", bearer},
		{"GET", v1 + "/search", "q=" + "feed%3Aa+AND+%28", "", bearer},
		{"GET", v1 + "/facets", "q=one&by=feed", "", bearer},
		{"GET", v1 + "/feeds", "", "", bearer},
		{"GET", v1 + "/feeds/a/runs", "", "", bearer},
		{"GET", v1 + "/feeds/none", "", "", bearer},
		{"GET", v1 + "/stats", "", "", bearer},
		{"GET", v1 + "/openapi.json", "", "", nil},
		{"GET", "/iocs/search/domain/one.a.example", "", "", bearer},
		{"GET", "/healthz", "", "", nil},
		{"GET", "/readyz", "", "", nil},
		{"GET", "/nowhere", "", "", bearer},
		{"DELETE", v1 + "/lookup", "", "", bearer},
		{"POST", v1 + "/lookup", "", "x", with("Content-Type", "text/plain", "Sec-Fetch-Site", "cross-site")},
	} {
		name := fmt.Sprintf("%s %s?%s %s", r.method, r.path, r.query, r.header["Content-Type"])
		want := served(t, srv.URL, r).fixed()
		for _, c := range []struct {
			domain, stage string
			encoded       bool
		}{{"x.execute-api.us-east-1.amazonaws.com", "$default", false}, {"x.execute-api.us-east-1.amazonaws.com", "prod", true}} {
			reply, err := fn.Handle(t.Context(), awslambda.Event{ID: "r", Body: []byte(r.event(c.domain, c.stage, c.encoded))})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if d := cmp.Diff(want, decodeReply(t, reply.JSON).fixed()); d != "" {
				t.Errorf("%s, stage %s (-serve +function):\n%s", name, c.stage, d)
			}
		}
		res := rt.Invoke(r.event("x.lambda-url.us-east-1.on.aws", "$default", true), minute)
		if !res.Streamed {
			t.Fatalf("%s is not streamed", name)
		}
		got := decodeReply(t, res.Prelude)
		got.Body = string(res.Body)
		if d := cmp.Diff(want, got.fixed()); d != "" {
			t.Errorf("%s, streamed (-serve +function):\n%s", name, d)
		}
	}
}

// What a gateway unescapes on the way still means what was sent.
func TestAPI_RequestsAsTheyAreMeant(t *testing.T) {
	seen := make(chan *http.Request, 1)
	fn := &awslambda.API{Now: time.Now, Log: quiet(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		w.Header().Add("Vary", "A")
		w.Header().Add("Vary", "B")
		_, _ = w.Write([]byte{0xff, 0xfe})
		seen <- r
	})}
	for _, c := range []struct{ stage, raw, path, escaped, uri string }{
		{"$default", "/x/http%3A%2F%2Fa%2Fb%3Fc", "/x/http://a/b?c", "/x/http%3A%2F%2Fa%2Fb%3Fc", "/x/http%3A%2F%2Fa%2Fb%3Fc?q=1"},
		{"$default", "/x/http://a/b?c d", "/x/http://a/b?c d", "/x/http://a/b%3Fc%20d", "/x/http://a/b%3Fc%20d?q=1"},
		{"$default", "/x/100%", "/x/100%", "/x/100%25", "/x/100%25?q=1"},
		{"$default", "", "/", "/", "/?q=1"},
		{"prod", "/prod/x", "/x", "/x", "/x?q=1"},
		{"prod", "/prod", "/", "/", "/?q=1"},
		{"prod", "/product", "/product", "/product", "/product?q=1"},
	} {
		for ip, remote := range map[string]string{"198.51.100.7": "198.51.100.7:0", "2001:db8::1": "[2001:db8::1]:0", "127.0.0.1": "[::]:0", "::1": "[::]:0", "": "[::]:0"} {
			e, _ := json.Marshal(map[string]any{"version": "2.0", "rawPath": c.raw, "rawQueryString": "q=1", "cookies": []string{"s=1", "t=2"}, "headers": map[string]string{"host": "h.example", "accept": "a, b", "content-length": "99"},
				"requestContext": map[string]any{"stage": c.stage, "http": map[string]any{"method": "GET", "sourceIp": ip}}})
			reply, err := fn.Handle(t.Context(), awslambda.Event{Body: e})
			if err != nil {
				t.Fatalf("%s: %v", c.raw, err)
			}
			r := <-seen
			if r.URL.Path != c.path || r.URL.EscapedPath() != c.escaped || r.RequestURI != c.uri || r.Host != "h.example" || r.Header.Get("Cookie") != "s=1; t=2" || r.Header.Get("Accept") != "a, b" || r.RemoteAddr != remote || r.ContentLength != 0 {
				t.Errorf("%s from %q: path %q, escaped %q, uri %q, host %q, from %q, %v", c.raw, ip, r.URL.Path, r.URL.EscapedPath(), r.RequestURI, r.Host, r.RemoteAddr, r.Header)
			}
			if a := decodeReply(t, reply.JSON); a.Body != "\xff\xfe" || a.Header["set-cookie"] != "a=1|b=2" || a.Header["vary"] != "A, B" {
				t.Errorf("answer %+v", a)
			}
		}
	}
}

func TestAPI_LargeAnswers(t *testing.T) {
	const part = 1 << 20
	text := func(n int, c string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range n {
				if _, err := io.WriteString(w, strings.Repeat(c, part)); err != nil {
					panic(http.ErrAbortHandler)
				}
			}
		})
	}
	r := request{"GET", "/x", "", "", nil}
	for name, c := range map[string]struct {
		handler http.Handler
		status  int
	}{
		"five":                      {text(5, "x"), 200},
		"seven":                     {text(7, "x"), 413},
		"four, all escapes":         {text(4, "\""), 200}, // as base64
		"five, all escapes":         {text(5, "\""), 413},
		"five, nothing that is not": {text(5, "<"), 200},
		"broken off":                {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")); panic(http.ErrAbortHandler) }), 500},
	} {
		fn := &awslambda.API{Handler: c.handler, Now: time.Now, Log: quiet()}
		reply, err := fn.Handle(t.Context(), awslambda.Event{ID: "r7", Body: []byte(r.event("x.execute-api.us-east-1.amazonaws.com", "$default", false))})
		if err != nil || len(reply.JSON) > 6<<20 {
			t.Errorf("%s: %d bytes, %v", name, len(reply.JSON), err)
		}
		a := decodeReply(t, reply.JSON)
		if a.Status != c.status || a.Status == 413 && (!strings.Contains(a.Body, "limit= and cursor=") || !strings.Contains(a.Body, "urn:elasticintel:request:r7") || a.Header["content-type"] != "application/problem+json") {
			t.Errorf("%s: %d %v %.300s", name, a.Status, a.Header, a.Body)
		}
	}
	rt := start(t, (&awslambda.API{Handler: text(20, "x"), Now: time.Now, Log: quiet(), Stream: true}).Handle)
	if res := rt.Invoke(r.event("x.lambda-url.us-east-1.on.aws", "$default", false), minute); len(res.Body) != 20*part || res.Trailer != "" {
		t.Errorf("streamed: %d bytes, %s", len(res.Body), res.Trailer)
	}
	rt = start(t, (&awslambda.API{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")); panic(http.ErrAbortHandler) }), Now: time.Now, Log: quiet(), Stream: true}).Handle)
	if res := rt.Invoke(r.event("x.lambda-url.us-east-1.on.aws", "$default", false), minute); !strings.Contains(res.Trailer, "broke off") {
		t.Errorf("streamed, broken off: %+v", res)
	}
}

func TestAPI_DeadlineIsAnAnswer(t *testing.T) {
	fn := &awslambda.API{Now: time.Now, Log: quiet(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done(); panic(http.ErrAbortHandler) })}
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
	defer cancel()
	reply, err := fn.Handle(ctx, awslambda.Event{Body: []byte(request{"GET", "/x", "", "", nil}.event("d", "$default", false))})
	if a := decodeReply(t, reply.JSON); err != nil || a.Status != 503 || !strings.Contains(a.Body, `"code":"timeout"`) || ctx.Err() != nil {
		t.Errorf("%+v, %v, %v", a, err, ctx.Err())
	}
}

// busy is an engine that is throttled.
type busy struct{ appEngine }

type throttled struct{ error }

func (throttled) RetryIn() time.Duration { return 7 * time.Second }

func (busy) Find(context.Context, intel.Question, time.Time, []intel.Listing) ([]intel.Listing, error) {
	return nil, fmt.Errorf("%w: %w", lookup.ErrEngine, throttled{errors.New("429")})
}

func TestAPI_ThrottledEngine(t *testing.T) {
	b := newBench(t)
	_, key, c := b.face(isReady)
	feeds := app.NewFeeds(app.FeedsConfig{Catalogue: b.catalogue, Store: b.store, Runner: b.run, Ledger: b.run, Engine: busy{appEngine{c}}, Now: time.Now})
	fn := &awslambda.API{Now: time.Now, Log: quiet(), Handler: app.Handler(app.HandlerConfig{Feeds: feeds, Keys: auth.New(b.store, time.Now), Ready: isReady, Log: quiet()})}
	reply, err := fn.Handle(t.Context(), awslambda.Event{Body: []byte(request{"GET", "/api/v1/indicators/a.example", "", "", map[string]string{"Authorization": "Bearer " + key}}.event("d", "$default", false))})
	if a := decodeReply(t, reply.JSON); err != nil || a.Status != 503 || a.Header["retry-after"] != "7" {
		t.Errorf("%+v, %v", a, err)
	}
}

// outage is a store that fails as a whole when told to.
type outage struct {
	blob.Store
	down bool
}

func (o *outage) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	if o.down {
		return nil, blob.Info{}, errors.New("503 SlowDown")
	}
	return o.Store.Get(ctx, key)
}

func (o *outage) List(ctx context.Context, prefix string) ([]blob.Info, error) {
	if o.down {
		return nil, errors.New("503 SlowDown")
	}
	return o.Store.List(ctx, prefix)
}

// While the store is down the last good data is answered from, keys included for a
// while, and /readyz says so; then what was committed meanwhile is there.
func TestAPI_StoreDown(t *testing.T) {
	b := newBench(t)
	b.batch(minute, body("a", 0))
	mem := b.store
	o := &outage{Store: mem}
	now := time.Now()
	clock := func() time.Time { return now }
	c, err := corpus.Open(t.Context(), o, corpus.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := auth.New(mem, clock).Create(t.Context(), "test", auth.Reader)
	if err != nil {
		t.Fatal(err)
	}
	fresh := &awslambda.Fresh{Refresh: c.Refresh, Now: clock, Log: quiet()}
	fresh.Opened()
	feeds := app.NewFeeds(app.FeedsConfig{Catalogue: b.catalogue, Store: o, Runner: b.run, Ledger: b.run, Engine: appEngine{c}, Now: clock})
	keys := auth.New(&awslambda.Kept{Store: o, Keys: []string{auth.Object}, For: 10 * time.Minute, Now: clock}, clock)
	fn := &awslambda.API{Now: clock, Log: quiet(), Fresh: fresh.Look, Handler: app.Handler(app.HandlerConfig{Feeds: feeds, Keys: keys, Ready: fresh.Ready, Log: quiet()})}
	ask := func(path string) answer {
		t.Helper()
		r, err := fn.Handle(t.Context(), awslambda.Event{Body: []byte(request{"GET", path, "", "", map[string]string{"Authorization": "Bearer " + key}}.event("d", "$default", false))})
		if err != nil {
			t.Fatal(err)
		}
		return decodeReply(t, r.JSON)
	}
	check := func(when string, found map[string]bool, ready int, why string) {
		t.Helper()
		for name, want := range found {
			if a := ask("/api/v1/indicators/" + name); a.Status != 200 || strings.Contains(a.Body, `"found":true`) != want {
				t.Errorf("%s: %s: %+v", when, name, a)
			}
		}
		if a := ask("/readyz"); a.Status != ready || !strings.Contains(a.Body, why) {
			t.Errorf("%s: readyz %+v", when, a)
		}
	}
	check("up", map[string]bool{"one.a.example": true, "one.b.example": false}, 200, "ready")
	b.batch(minute, body("b", 0))
	check("at once", map[string]bool{"one.b.example": false}, 200, "ready")
	o.down = true
	now = now.Add(6 * time.Second)
	check("down", map[string]bool{"one.a.example": true, "one.b.example": false}, 503, "the store cannot be read; look-ups are answered from the data of ")
	o.down = false
	now = now.Add(6 * time.Second)
	check("up again", map[string]bool{"one.a.example": true, "one.b.example": true}, 200, "ready")
	o.down = true
	now = now.Add(11 * time.Minute)
	if a := ask("/api/v1/indicators/one.a.example"); a.Status != 500 && a.Status != 503 {
		t.Errorf("keys are good for ever while the store is down: %+v", a)
	}
}
