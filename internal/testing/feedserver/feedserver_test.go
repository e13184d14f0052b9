package feedserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, ctx context.Context, u string, header http.Header) (*http.Response, string, error) {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 1 << 20}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, "GET", u, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func TestConditional(t *testing.T) {
	s := Start(t)
	s.SetString("/list", "192.0.2.1\n192.0.2.2\n")
	resp, body, err := get(t, t.Context(), s.URL("/list"), nil)
	if err != nil || body != "192.0.2.1\n192.0.2.2\n" || resp.Header.Get("ETag") == "" || resp.Header.Get("Last-Modified") == "" {
		t.Fatalf("%v %v %q", resp, err, body)
	}
	again := http.Header{"If-None-Match": {resp.Header.Get("ETag")}, "If-Modified-Since": {resp.Header.Get("Last-Modified")}}
	steps := []struct {
		do     func()
		status int
		body   string
	}{
		{func() {}, 304, ""},
		{func() { s.SetString("/list", "192.0.2.1\n192.0.2.2\n") }, 304, ""},
		{func() { s.Add("/list", "192.0.2.3") }, 200, "192.0.2.1\n192.0.2.2\n192.0.2.3\n"},
		{func() { s.Drop("/list", "192.0.2.1", "192.0.2.3") }, 200, "192.0.2.2\n"},
		{func() { s.Remove("/list") }, 404, "404 page not found\n"},
	}
	for i, step := range steps {
		step.do()
		resp, body, err := get(t, t.Context(), s.URL("/list"), again)
		if err != nil || resp.StatusCode != step.status || body != step.body {
			t.Errorf("step %d: %v %q %v", i, resp.Status, body, err)
		}
	}
	if n := s.Count("/list", 304); n != 2 {
		t.Errorf("%d times 304", n)
	}
	s.SetWith("/bare", []byte("x"), http.Header{"ETag": {""}, "Last-Modified": {""}})
	if resp, _, _ := get(t, t.Context(), s.URL("/bare"), nil); resp.Header.Get("ETag") != "" || resp.Header.Get("Last-Modified") != "" {
		t.Errorf("validators although switched off: %v", resp.Header)
	}
}

func TestMount(t *testing.T) {
	s := Start(t)
	packed := gzipOf("", []byte("198.51.100.7\n"))
	s.Mount("/feeds/", fstest.MapFS{"a/list.txt.gz": {Data: packed}, "b.txt": {Data: []byte("b\n")}}, true)
	for path, want := range map[string]string{"/feeds/a/list.txt": "198.51.100.7\n", "/feeds/a/list.txt.gz": string(packed), "/feeds/b.txt": "b\n"} {
		resp, body, err := get(t, t.Context(), s.URL(path), nil)
		if err != nil || body != want {
			t.Fatalf("%s: %q %v", path, body, err)
		}
		if resp, _, _ := get(t, t.Context(), s.URL(path), http.Header{"If-None-Match": {resp.Header.Get("ETag")}}); resp.StatusCode != 304 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	for _, path := range []string{"/feeds/a", "/feeds/", "/feeds/../x", "/feeds/none"} {
		if resp, _, _ := get(t, t.Context(), s.URL(path), nil); resp.StatusCode != 404 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// TestFaults looks at every fault with the standard library's client.
func TestFaults(t *testing.T) {
	s := Start(t)
	good := strings.Repeat("192.0.2.1\n", 100)
	want := map[Fault]func(*http.Response, string, error) bool{
		Blackhole:      fails(context.DeadlineExceeded),
		Reset:          fails(io.EOF, syscall.ECONNRESET),
		ResetBody:      fails(io.ErrUnexpectedEOF, syscall.ECONNRESET),
		Truncated:      fails(io.ErrUnexpectedEOF),
		ShortLength:    is(200, good[:len(good)/2]),
		BadChunks:      failsWith("invalid byte in chunk length"),
		CutChunks:      fails(io.ErrUnexpectedEOF),
		NotHTTP:        failsWith("malformed HTTP"),
		BadGzipCRC:     coded("gzip", 200),
		CutGzip:        coded("gzip", 200),
		FakeGzip:       coded("gzip", 200),
		GzipBomb:       coded("gzip", 200),
		Trickle:        fails(context.DeadlineExceeded),
		Stall:          fails(context.DeadlineExceeded),
		HugeHeader:     failsWith("headers exceeded"),
		RedirectLoop:   redirect("/f/redirect-loop"),
		RedirectInside: redirect("169.254.169.254"),
		RedirectFile:   redirect("file:"),
		RedirectHTTP:   redirect("http://127.0.0.1"),
		Unauthorized:   is(401, "401 Unauthorized\n"),
		Forbidden:      is(403, "403 Forbidden\n"),
		NotFound:       is(404, "404 Not Found\n"),
		Gone:           is(410, "410 Gone\n"),
		RateLimited:    is(429, "429 Too Many Requests\n"),
		Unavailable:    is(503, "503 Service Unavailable\n"),
		Flapping:       is(500, "500 Internal Server Error\n"),
		HTML:           has("<html>"),
		JSONError:      has(`{"error"`),
		Empty:          is(200, ""),
		UTF16:          has("\xff\xfe1\x009\x00"),
		Binary:         has("\x00"),
		NotModified:    is(304, ""),
		FrozenETag:     is(200, good),
		EchoSecrets:    has("Bearer s3cret"),
		EchoGarbage:    failsWith("s3cret"),
		EchoField:      failsWith("s3cret"),
		EchoCoding: func(r *http.Response, _ string, _ error) bool {
			return strings.Contains(r.Header.Get("Content-Encoding"), "s3cret")
		},
		EchoRedirect: redirect("s3cret"),
	}
	for _, f := range Faults() {
		path := "/f/" + string(f)
		s.SetString(path, good)
		s.Fail(path, f, 1)
		ctx, cancel := context.WithCancel(t.Context())
		switch f {
		case Blackhole, Trickle, Stall:
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		case Endless:
			readEndless(t, ctx, s.URL(path))
			cancel()
			continue
		}
		resp, body, err := get(t, ctx, s.URL(path), http.Header{"Authorization": {"Bearer s3cret"}})
		cancel()
		if check := want[f]; check == nil || !check(resp, body, err) {
			t.Errorf("%s: %v, %d bytes %.60q, %v", f, resp, len(body), body, err)
		}
		if _, body, err := get(t, t.Context(), s.URL(path), nil); body != good {
			t.Errorf("%s: not healed after one request: %.60q %v", f, body, err)
		}
	}
}

func readEndless(t *testing.T, ctx context.Context, u string) {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, "GET", u, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 20<<20)); n != 20<<20 {
		t.Errorf("an endless body ended after %d bytes: %v", n, err)
	}
}

func fails(with ...error) func(*http.Response, string, error) bool {
	return func(_ *http.Response, _ string, err error) bool {
		for _, e := range with {
			if errors.Is(err, e) {
				return true
			}
		}
		return false
	}
}

func failsWith(text string) func(*http.Response, string, error) bool {
	return func(_ *http.Response, _ string, err error) bool {
		return err != nil && strings.Contains(err.Error(), text)
	}
}

func is(status int, body string) func(*http.Response, string, error) bool {
	return func(r *http.Response, b string, err error) bool {
		return err == nil && r.StatusCode == status && b == body
	}
}

func has(text string) func(*http.Response, string, error) bool {
	return func(r *http.Response, b string, err error) bool {
		return err == nil && r.StatusCode == 200 && strings.Contains(b, text)
	}
}

func coded(coding string, status int) func(*http.Response, string, error) bool {
	return func(r *http.Response, b string, err error) bool {
		return err == nil && r.StatusCode == status && r.Header.Get("Content-Encoding") == coding && len(b) > 0
	}
}

func redirect(to string) func(*http.Response, string, error) bool {
	return func(r *http.Response, _ string, err error) bool {
		return err == nil && r.StatusCode/100 == 3 && strings.Contains(r.Header.Get("Location"), to)
	}
}

func TestFlapping(t *testing.T) {
	s := Start(t)
	s.SetString("/f", "x")
	s.Fail("/f", Flapping, 0)
	var got []int
	for range 6 {
		resp, _, err := get(t, t.Context(), s.URL("/f"), nil)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, resp.StatusCode)
	}
	if want := []int{500, 503, 200, 500, 503, 200}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s.Heal("/f")
	if resp, _, _ := get(t, t.Context(), s.URL("/f"), nil); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

func TestDownAndUp(t *testing.T) {
	s := Start(t)
	s.SetString("/a", "x")
	s.Down()
	if _, _, err := get(t, t.Context(), s.URL("/a"), nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("down: %v", err)
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	if _, body, err := get(t, t.Context(), s.URL("/a"), nil); body != "x" {
		t.Errorf("up: %q %v", body, err)
	}
}

func TestCertificates(t *testing.T) {
	for kind, want := range map[Cert]string{
		CertGood: "", CertExpired: "expired", CertWrongHost: "doesn't contain any IP SANs", CertSelfSigned: "unknown authority", CertNone: "HTTP response to HTTPS client|does not look like a TLS handshake",
	} {
		s, pool := StartTLS(t, kind)
		s.SetString("/a", "x")
		tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL("/a"), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		if (want == "") != (err == nil) || err != nil && !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("%s: %v, want %q", kind, err, want)
		}
	}
}

// TestPipe reads a trickle of three minutes in no time.
func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := New(), NewPipeListener()
		s.Serve(l)
		defer s.Close()
		s.SetString("/slow", strings.Repeat("x", 180))
		s.Fail("/slow", Trickle, 0)
		conn, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		began := time.Now()
		u, err := url.Parse(s.URL("/slow"))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_ = (&http.Request{Method: "GET", URL: u, Header: http.Header{"Connection": {"close"}}}).Write(conn)
		}()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if took := time.Since(began); len(body) != 180 || err != nil || took < 179*time.Second || took > 181*time.Second {
			t.Errorf("%d bytes in %v: %v", len(body), took, err)
		}
	})
}

func TestLog(t *testing.T) {
	s := Start(t)
	s.SetString("/a", "abc")
	s.Fail("/b", Gone, 0)
	for _, path := range []string{"/a?key=1", "/b", "/none"} {
		if _, _, err := get(t, t.Context(), s.URL(path), http.Header{"X-Test": {"yes"}}); err != nil {
			t.Fatal(err)
		}
	}
	log := s.Log("")
	if len(log) != 3 || s.Count("", 0) != 3 || s.Count("/a", 200) != 1 || s.Count("/b", 410) != 1 || s.Count("", 404) != 1 {
		t.Fatalf("%v", log)
	}
	a := s.Log("/a")[0]
	if a.Query.Get("key") != "1" || a.Header.Get("X-Test") != "yes" || a.Bytes != 3 || a.String() != "GET /a 200 " {
		t.Errorf("%+v", a)
	}
}

func TestRedirectAndWait(t *testing.T) {
	s := Start(t)
	s.Redirect("/a", 307, "/b")
	waited := make(chan error, 1)
	go func() { waited <- s.Wait(t.Context(), "/a", 2) }()
	for range 2 {
		if resp, _, err := get(t, t.Context(), s.URL("/a"), nil); err != nil || resp.StatusCode != 307 || resp.Header.Get("Location") != "/b" {
			t.Fatal(resp, err)
		}
	}
	if err := <-waited; err != nil || s.Hits("/a") != 2 {
		t.Error(err, s.Hits("/a"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(ctx, "/a", 3); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
