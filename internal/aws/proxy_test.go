package aws

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"testing"
)

// proxy stands before an emulator and does to requests what a network and a busy
// S3 do.
type proxy struct {
	*httputil.ReverseProxy
	mu       sync.Mutex
	script   func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	requests []string                                          // method, path and query
	sent     int64                                             // bytes of bodies to the client
}

// before puts a proxy between this test and the emulator that the environment names.
func before(t *testing.T) *proxy {
	t.Helper()
	target, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ReverseProxy: &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: log.New(io.Discard, "", 0), // what is cut on purpose
	}}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	t.Setenv("AWS_ENDPOINT_URL", s.URL)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests = append(p.requests, r.Method+" "+r.URL.RequestURI())
	script := p.script
	p.mu.Unlock()
	if script == nil || !script(w, r) {
		p.ReverseProxy.ServeHTTP(counting{w, p}, r)
	}
}

type counting struct {
	http.ResponseWriter
	p *proxy
}

func (c counting) Write(b []byte) (int, error) {
	c.p.mu.Lock()
	c.p.sent += int64(len(b))
	c.p.mu.Unlock()
	return c.ResponseWriter.Write(b)
}

// then makes f the script, which answers the requests that it wants to.
func (p *proxy) then(f func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script, p.requests, p.sent = f, nil, 0
}

// once answers the first n requests of a method by f.
func (p *proxy) once(n int, method string, f func(w http.ResponseWriter, r *http.Request)) {
	var mu sync.Mutex
	p.then(func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		hit := r.Method == method && n > 0
		if hit {
			n--
		}
		mu.Unlock()
		if hit {
			f(w, r)
		}
		return hit
	})
}

// seen is what was asked since the script was set.
func (p *proxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// says answers as S3 does.
func says(status int, code string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `<?xml version="1.0"?><Error><Code>`+code+`</Code><Message>as the test wants</Message></Error>`)
	}
}

func reset(w http.ResponseWriter, _ *http.Request) {
	if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = c.Close()
	}
}

// lost lets a request take effect and drops its answer; meanwhile happens in between.
func (p *proxy) lost(meanwhile func()) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		p.ReverseProxy.ServeHTTP(httptest.NewRecorder(), r)
		if meanwhile != nil {
			meanwhile()
		}
		reset(w, r)
	}
}

// cut sends the beginning of an answer, and then nothing more.
func (p *proxy) cut(keep int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		p.ReverseProxy.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()[:min(keep, rec.Body.Len())])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}
