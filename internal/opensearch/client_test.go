package opensearch

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func get(ctx context.Context, c *Client) error {
	return c.call(ctx, request{method: http.MethodGet, path: "/x/_search"}, nil)
}

// TestNewRefuses: what would leak a password or cannot be meant.
func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		want string // "" = accepted
	}{
		"none":               {Options{}, "no URL"},
		"user in the URL":    {Options{URLs: []string{"https://u:hunter2@a.example"}}, "has a user in it"},
		"unreadable":         {Options{URLs: []string{"https://u:hunter2@a.example:port"}}, "cannot be read"},
		"no scheme":          {Options{URLs: []string{"a.example:9200"}}, "expected https://host:9200"},
		"query":              {Options{URLs: []string{"https://a.example/?x=1"}}, "query"},
		"clear text":         {Options{URLs: []string{"http://a.example"}, User: "u", Password: "hunter2"}, "clear text"},
		"clear, loopback":    {Options{URLs: []string{"http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"}, User: "u"}, ""},
		"clear without user": {Options{URLs: []string{"http://a.example"}}, ""},
		"user and signature": {Options{URLs: []string{"https://a.example"}, User: "u", Sign: func(*http.Request, string) error { return nil }}, "at once"},
		"no PEM":             {Options{URLs: []string{"https://a.example"}, CA: []byte("x")}, "BEGIN CERTIFICATE"},
		"path":               {Options{URLs: []string{"https://a.example/search/"}}, ""},
	} {
		_, err := New(c.o)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the password is in %v", name, err)
		}
	}
}

// TestBasicOverTLS: with the authority given the server is trusted and told who
// asks; without it not a byte of the password leaves.
func TestBasicOverTLS(t *testing.T) {
	asked := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if u, p, _ := r.BasicAuth(); u != "writer" || p != "hunter2" {
			t.Errorf("asked as %s, %s", u, p)
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"error":{"type":"security_exception","reason":"no permissions for hunter2"}}`)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the client that does not trust it
	s.StartTLS()
	defer s.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	o := Options{User: "writer", Password: "hunter2", CA: ca}
	err := get(t.Context(), testClient(t, newClock(), o, s.URL))
	var status *StatusError
	if !errors.As(err, &status) || status.Status != 403 || status.Type != "security_exception" || strings.Contains(err.Error(), "hunter2") || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
	o.CA = nil
	err = get(t.Context(), testClient(t, newClock(), o, s.URL))
	if !errors.As(err, new(*tls.CertificateVerificationError)) || !errors.As(err, new(x509.UnknownAuthorityError)) || asked != 1 {
		t.Errorf("without the authority: %v, asked %d times", err, asked)
	}
}

// TestSign: every try is signed, with the hash of its body; what the signer
// cannot do is not sent.
func TestSign(t *testing.T) {
	signed := 0
	f := newFake(t, status(429, "x"))
	o := Options{Sign: func(r *http.Request, sum string) error {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != sum || r.URL.Path != "/ei/_bulk" {
			t.Errorf("%s of %d bytes, path %s", sum, len(b), r.URL.Path)
		}
		signed++
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 …")
		return nil
	}}
	if _, err := write(t, testClient(t, newClock(), o, f.URL), BulkOptions{Lanes: 1}, 3); err != nil || signed != 2 {
		t.Errorf("signed %d times, %v", signed, err)
	}
	o.Sign = func(*http.Request, string) error { return errors.New("no credentials") }
	_, err := write(t, testClient(t, newClock(), o, f.URL), BulkOptions{Lanes: 1}, 3)
	if n, _ := f.sums(); err == nil || !strings.Contains(err.Error(), "no credentials") || n != 2 {
		t.Errorf("%v after %d requests", err, n)
	}
}

// TestNoRedirect: a password is not taken elsewhere.
func TestNoRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed") }))
	defer other.Close()
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	var status *StatusError
	if err := get(t.Context(), testClient(t, newClock(), Options{User: "u", Password: "p"}, s.URL)); !errors.As(err, &status) || status.Status != 307 {
		t.Error(err)
	}
}

// TestOtherNode: a request goes to another node where one cannot be reached, and
// the one that cannot is left alone for a while.
func TestOtherNode(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	var hits atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { hits.Add(1); fmt.Fprint(w, "{}") }))
	defer s.Close()
	c := testClient(t, newClock(), Options{}, dead.URL, s.URL)
	for range 6 {
		if err := get(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if hits.Load() != 6 || c.nodes[0].breaker.failures != 1 {
		t.Errorf("%d answers, the dead node was tried %d times", hits.Load(), c.nodes[0].breaker.failures)
	}
}

// TestBreaker: a cluster that cannot answer is asked seldom; everybody is told at
// once, and for how long; and asked again as soon as it can.
func TestBreaker(t *testing.T) {
	for name, broken := range map[string]http.HandlerFunc{
		"red": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			fmt.Fprint(w, `{"error":{"type":"search_phase_execution_exception","reason":"all shards failed"}}`)
		},
		"no manager": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			fmt.Fprint(w, `{"error":{"type":"cluster_manager_not_discovered_exception"}}`)
		},
		"balancer": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"no answer": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			var well atomic.Bool
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if well.Load() {
					fmt.Fprint(w, "{}")
					return
				}
				broken(w, r)
			}))
			defer s.Close()
			clock := newClock()
			c := testClient(t, clock, Options{}, s.URL)
			last := time.Duration(0)
			for round := range 5 {
				for range 10 {
					var down *UnavailableError
					if err := get(t.Context(), c); !errors.As(err, &down) || down.RetryAfter < last {
						t.Fatalf("round %d: %v", round, err)
					} else if d, ok := RetryAfter(err); !ok || d != down.RetryAfter {
						t.Fatal(d, ok)
					} else {
						last = down.RetryAfter
					}
				}
				if asked.Load() != int64(round+1) {
					t.Fatalf("asked %d times in round %d", asked.Load(), round)
				}
				if want := breakFirst << round; last != want {
					t.Errorf("open for %s in round %d, want %s", last, round, want)
				}
				_ = clock.wait(t.Context(), last)
			}
			well.Store(true)
			for range 3 {
				if err := get(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestBreakerStaysClosed: what is the request's fault, or too much of one, is not the cluster's.
func TestBreakerStaysClosed(t *testing.T) {
	codes := []int{400, 404, 429, 500, 403, 429}
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(codes[n])
		n++
	}))
	defer s.Close()
	c := testClient(t, newClock(), Options{}, s.URL)
	for range codes {
		if err := get(t.Context(), c); errors.As(err, new(*UnavailableError)) {
			t.Error(err)
		}
	}
	if n != len(codes) {
		t.Errorf("asked %d times", n)
	}
}

// TestOneTries: while one request finds out whether a cluster is well again, the
// others do not wait for it.
func TestOneTries(t *testing.T) {
	b := breaker{}
	now := newClock().now()
	b.failed(now, 0)
	b.failed(now, 0) // of the same moment
	if b.failures != 1 || b.open(now) != breakFirst {
		t.Errorf("%+v", b)
	}
	now = now.Add(breakFirst)
	if b.open(now) != 0 {
		t.Error("still open")
	}
	b.try()
	if b.open(now) == 0 {
		t.Error("two try at once")
	}
	b.failed(now, time.Minute)
	if b.failures != 2 || b.open(now) != breakMost {
		t.Errorf("%+v: open for %s", b, b.open(now))
	}
	b.good()
	if b.open(now) != 0 {
		t.Error("open after a success")
	}
}

// TestSlow: a request that takes too long says so, and only several make a node sick.
func TestSlow(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer s.Close()
	c := testClient(t, newClock(), Options{Timeout: 30 * time.Millisecond}, s.URL)
	for i := range maxSlow {
		err := get(t.Context(), c)
		if !strings.Contains(fmt.Sprint(err), "no whole answer within 30ms") || errors.As(err, new(*UnavailableError)) != (i == maxSlow-1) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// TestAnswers: the answer is read to a limit and its errors say what and where.
func TestAnswers(t *testing.T) {
	answer := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
	defer s.Close()
	c := testClient(t, newClock(), Options{}, s.URL)
	c.maxAnswer = 1000
	answer = strings.Repeat(" ", 1001)
	if err := get(t.Context(), c); err == nil || !strings.Contains(err.Error(), "more than 1000 bytes") {
		t.Error(err)
	}
	answer = `{"a":`
	err := c.call(t.Context(), request{method: "GET", path: "/_x"}, &struct{}{})
	if !errors.As(err, new(*NodeError)) || !strings.HasPrefix(err.Error(), "GET /_x at 127.0.0.1:") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := get(ctx, c); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := get(t.Context(), c); err != nil { // a caller that went is no sick node
		t.Error(err)
	}
}

// TestCheck: only an OpenSearch that is new enough.
func TestCheck(t *testing.T) {
	for version, want := range map[string]string{
		`{"number":"2.19.1","distribution":"opensearch"}`: "",
		`{"number":"3.8.0","distribution":"opensearch"}`:  "",
		`{"number":"2.18.0","distribution":"opensearch"}`: "2.19 or newer is needed",
		`{"number":"1.3.2","distribution":"opensearch"}`:  "2.19 or newer is needed",
		`{"number":"7.10.2","distribution":"opensearch"}`: "", // it says another's version on purpose
		`{"number":"8.15.0"}`:                             "is no OpenSearch but Elasticsearch 8.15.0",
		`{}`:                                              "something else",
		`{"number":"x","distribution":"opensearch"}`:      "newer is needed",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"cluster_name":"c","version":%s}`, version)
		}))
		_, err := testClient(t, newClock(), Options{}, s.URL).Check(t.Context())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", version, err)
		}
		s.Close()
	}
}

func TestPaths(t *testing.T) {
	var path string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { path = r.RequestURI; fmt.Fprint(w, "{}") }))
	defer s.Close()
	c := testClient(t, newClock(), Options{}, s.URL+"/base/")
	if err := c.call(t.Context(), request{method: "GET", path: "/a%2Fb/_doc/x%25"}, nil); err != nil || path != "/base/a%2Fb/_doc/x%25" {
		t.Error(path, err)
	}
}

// TestWait: the clock's own wait ends with its context.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if err := wait(t.Context(), time.Minute); err != nil || time.Since(begin) != time.Minute {
			t.Error(err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := wait(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	for range 100 {
		if d := spread(time.Second); d < 750*time.Millisecond || d > 1250*time.Millisecond {
			t.Error(d)
		}
	}
}
