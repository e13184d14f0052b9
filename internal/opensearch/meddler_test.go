package opensearch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// meddler stands between an engine and a real node, and does to the answers what
// proxies, networks and sick nodes do.
type meddler struct {
	*httptest.Server
	node string
	mu   sync.Mutex
	at   meddled
	how  meddling
	did  int
}

// meddled are answers to requests whose path ends with on, and in whose body is has:
// so many (-1: all), after some.
type meddled struct {
	on, has      string
	after, times int
}

// meddling changes an answer. Where before is set it says so without asking the node.
type meddling struct {
	before bool
	change func(a *passed)
}

// passed is an answer on its way.
type passed struct {
	status int
	header http.Header
	body   []byte
	cut    bool // it breaks off in its middle
	reset  bool // none comes
}

func newMeddler(t *testing.T, c *opensearchtest.Cluster) *meddler {
	m := &meddler{node: c.URLs[0]}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

// meddle begins to meddle with answers.
func (m *meddler) meddle(at meddled, how meddling) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at, m.how, m.did = at, how, 0
}

// done ends it and says with how many answers it has meddled.
func (m *meddler) done() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at.times = 0
	return m.did
}

func (m *meddler) mine(path string, body []byte) (meddling, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.times == 0 || !strings.HasSuffix(path, m.at.on) || !bytes.Contains(body, []byte(m.at.has)) {
		return meddling{}, false
	}
	if m.at.after > 0 {
		m.at.after--
		return meddling{}, false
	}
	m.at.times--
	m.did++
	return m.how, true
}

func (m *meddler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	how, mine := m.mine(r.URL.Path, body)
	a := &passed{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}}
	if !mine || !how.before {
		var err error
		if a, err = m.pass(r); err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
	}
	if mine {
		how.change(a)
	}
	if a.cut || a.reset {
		broken(w, a)
		return
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// pass asks the node.
func (m *meddler) pass(r *http.Request) (*passed, error) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, m.node+r.URL.RequestURI(), r.Body)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"Content-Type": r.Header["Content-Type"], "Accept-Encoding": {"identity"}}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return &passed{status: res.StatusCode, header: http.Header{"Content-Type": res.Header["Content-Type"]}, body: body}, err
}

func broken(w http.ResponseWriter, a *passed) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok && a.reset {
		_ = tcp.SetLinger(0)
	}
	if a.cut {
		_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(a.body)) + "\r\n\r\n")
		_, _ = buf.Write(a.body[:len(a.body)/2])
		_ = buf.Flush()
	}
	_ = conn.Close()
}

// says answers in place of the node.
func says(status int, mediaType, body string) meddling {
	return meddling{before: true, change: func(a *passed) {
		a.status, a.header, a.body = status, http.Header{"Content-Type": {mediaType}}, []byte(body)
	}}
}

// replaced has the node do what was asked, and changes what it says of it.
func replaced(old, with string) meddling {
	return meddling{change: func(a *passed) { a.body = bytes.ReplaceAll(a.body, []byte(old), []byte(with)) }}
}

// packed answers with what is said to be gzip.
func packed(cut int, pack bool) meddling {
	return meddling{change: func(a *passed) {
		a.header["Content-Encoding"] = []string{"gzip"}
		if !pack {
			return
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(a.body)
		_ = z.Close()
		a.body = b.Bytes()[:b.Len()-cut]
	}}
}

const html = "<html><body><h1>Welcome</h1></body></html>"

// anyAnswer are the faults that an answer of any sort can have.
var anyAnswer = map[string]meddling{
	"truncated":              {change: func(a *passed) { a.cut = true }},
	"reset after apply":      {change: func(a *passed) { a.reset = true }},
	"reset before":           {before: true, change: func(a *passed) { a.reset = true }},
	"half, and called whole": {change: func(a *passed) { a.body = a.body[:len(a.body)/2] }},
	"nothing":                {change: func(a *passed) { a.body = nil }},
	"an empty object":        says(200, "application/json", `{}`),
	"null":                   says(200, "application/json", `null`),
	"a list":                 says(200, "application/json", `[]`),
	"HTML":                   says(200, "text/html", html),
	"HTML 404":               says(404, "text/html", html),
	"HTML 502":               says(502, "text/html", html),
	"HTML 504 after apply":   {change: func(a *passed) { a.status, a.body = 504, []byte(html) }},
	"503 of a balancer":      says(503, "text/plain", "no upstream"),
	"429":                    says(429, "application/json", `{"error":{"type":"rejected_execution_exception","reason":"queue"},"status":429}`),
	"200 with an error":      says(200, "application/json", `{"error":{"root_cause":[],"type":"search_phase_execution_exception","reason":"all shards failed"},"status":503}`),
	"503, all shards failed": says(503, "application/json", `{"error":{"root_cause":[],"type":"search_phase_execution_exception","reason":"all shards failed"},"status":503}`),
	"gzip that is none":      packed(0, false),
	"gzip cut":               packed(9, true),
	"gzip":                   packed(0, true), // right, and nobody has asked for it
	"two answers":            {change: func(a *passed) { a.body = append(a.body, a.body...) }},
	"elsewhere":              {before: true, change: func(a *passed) { a.status, a.header["Location"] = 302, []string{"/login"} }},
}

// noWait is Options.Wait of who does not wait.
func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }
