package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

func TestGet(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{UserAgent: UserAgent("1.2")})
	s.SetString("/list.txt", "192.0.2.1\n")
	res, body, e := h.get(t, Request{URL: s.URL("/list.txt"), Header: header("auth-key", "k123456", "User-Agent", "Mozilla", "Host", "other", "If-None-Match", "x")})
	if e != nil || body != "192.0.2.1\n" {
		t.Fatal(e, body)
	}
	sum := sha256.Sum256([]byte(body))
	if res.Status != 200 || res.SHA256 != hex.EncodeToString(sum[:]) || res.ETag == "" || res.LastModified == "" ||
		res.URL != s.URL("/list.txt") || res.ContentType != "text/plain; charset=utf-8" || res.NotModified {
		t.Errorf("%+v", res)
	}
	got := s.Log("/list.txt")[0]
	for name, want := range map[string]string{
		"User-Agent": "ElasticIntel/1.2 (+https://github.com/elasticintel/elasticintel)", "Auth-Key": "k123456", "Accept": "*/*",
		"Accept-Encoding": "gzip, zstd, br", "If-None-Match": "", "If-Modified-Since": "",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if got.Host != s.Addr() {
		t.Errorf("Host: %q", got.Host)
	}
}

func TestResultClosesTwice(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	s.SetString("/a", "x")
	res, err := h.Do(t.Context(), Request{URL: s.URL("/a"), AllowNetworks: loopback})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := res.Body.Stat(); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("spool file: %v, %v", st.Mode(), err)
	}
	for range 2 {
		if err := res.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := (*Result)(nil).Close(); err != nil {
		t.Error(err)
	}
}

func TestConditionalGet(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	s.SetString("/a", "one\n")
	first, _, e := h.get(t, Request{URL: s.URL("/a")})
	if e != nil {
		t.Fatal(e)
	}
	again := Request{URL: s.URL("/a"), ETag: first.ETag, LastModified: first.LastModified, ValidatorURL: first.URL}
	res, body, e := h.get(t, again)
	if e != nil || !res.NotModified || res.Status != 304 || body != "" || res.Body != nil || res.ETag != first.ETag || res.LastModified != first.LastModified {
		t.Errorf("unchanged: %+v, %v", res, e)
	}
	s.Add("/a", "two")
	res, body, e = h.get(t, again)
	if e != nil || res.NotModified || body != "one\ntwo\n" || res.ETag == first.ETag {
		t.Errorf("changed: %+v %q, %v", res, body, e)
	}
	s.SetWith("/dated", []byte("x"), http.Header{"ETag": {""}})
	first, _, _ = h.get(t, Request{URL: s.URL("/dated")})
	if res, _, e = h.get(t, Request{URL: s.URL("/dated"), LastModified: first.LastModified}); e != nil || !res.NotModified {
		t.Errorf("Last-Modified alone: %+v, %v", res, e)
	}
}

// TestValidatorsStayWithTheirURL: a redirect that now leads elsewhere must not
// be asked with the validators of the old target, or it may answer 304 for data
// that we never had.
func TestValidatorsStayWithTheirURL(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	redirect := func(to string) { s.Redirect("/latest", 302, to) }
	s.SetString("/v1", "same\n")
	s.SetString("/v2", "same\n")
	redirect("/v1")
	first, body, e := h.get(t, Request{URL: s.URL("/latest")})
	if e != nil || body != "same\n" || first.URL != s.URL("/v1") {
		t.Fatalf("%+v %q %v", first, body, e)
	}
	again := Request{URL: s.URL("/latest"), ETag: first.ETag, ValidatorURL: first.URL}
	if res, _, e := h.get(t, again); e != nil || !res.NotModified {
		t.Errorf("same target: %+v, %v", res, e)
	}
	redirect("/v2")
	if res, body, e := h.get(t, again); e != nil || res.NotModified || body != "same\n" {
		t.Errorf("new target: %+v %q, %v", res, body, e)
	}
	for _, r := range s.Log("/latest") {
		if r.Header.Get("If-None-Match") != "" {
			t.Error("the redirecting URL got the target's validators")
		}
	}
}

func TestNotModifiedForever(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	s.Fail("/a", feedserver.NotModified, 0)
	_, _, e := h.get(t, Request{URL: s.URL("/a")})
	wantCode(t, "304 without validators", e, CodeStatus)
	if e != nil && (e.Status != 304 || !e.Permanent || e.Attempts != 1) {
		t.Errorf("%+v", e)
	}
}

func TestPost(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	s.SetString("/api", "{}")
	s.Fail("/api", feedserver.Flapping, 2)
	_, body, e := h.get(t, Request{URL: s.URL("/api"), Method: "POST", Body: []byte(`{"q":1}`), Header: header("Content-Type", "application/json")})
	if e != nil || body != "{}" {
		t.Fatal(e, body)
	}
	log := s.Log("/api")
	if len(log) != 3 {
		t.Fatalf("%d requests, want 3", len(log))
	}
	for _, r := range log {
		if r.Method != "POST" || r.Body != `{"q":1}` || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%+v", r)
		}
	}
}

func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     Options
		fails int
		waits []time.Duration
		ok    bool
	}{
		{"none needed", Options{}, 0, nil, true},
		{"two", Options{}, 2, []time.Duration{time.Second, 2 * time.Second}, true},
		{"too many", Options{}, 9, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, false},
		{"off", Options{Retries: -1}, 1, nil, false},
		{"capped", Options{Retries: 7, Backoff: 10 * time.Second}, 4, []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, 30 * time.Second}, true},
		{"no wait", Options{Backoff: -1}, 2, []time.Duration{0, 0}, true},
	} {
		s, h := feedserver.Start(t), newHarness(t, c.o)
		s.SetString("/a", "x")
		if c.fails > 0 {
			s.Fail("/a", feedserver.Reset, c.fails)
		}
		_, _, e := h.get(t, Request{URL: s.URL("/a")})
		if (e == nil) != c.ok || len(h.waits) != len(c.waits) {
			t.Errorf("%s: %v, waits %v, want %v", c.name, e, h.waits, c.waits)
			continue
		}
		for i := range c.waits {
			if h.waits[i] != c.waits[i] {
				t.Errorf("%s: waits %v, want %v", c.name, h.waits, c.waits)
			}
		}
		if e != nil && (e.Code != CodeReset || e.Attempts != len(c.waits)+1 || e.Permanent || e.URL != s.URL("/a")) {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

func TestJitter(t *testing.T) {
	for _, c := range []struct {
		rand float64
		want time.Duration
	}{{0, 500 * time.Millisecond}, {0.999, 1499 * time.Millisecond}} {
		client := New(Options{Rand: func() float64 { return c.rand }})
		if wait, again := client.waitFor(passing(CodeReset, ""), 1); !again || wait != c.want {
			t.Errorf("rand %v: %v, %v, want %v", c.rand, wait, again, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "5": 5 * time.Second, " 5 ": 5 * time.Second, "86400": 24 * time.Hour, "-1": 0, "soon": 0, "1.5": 0,
		"99999999999": 7 * 24 * time.Hour, "99999999999999999999999": 0,
		"Tue, 01 Sep 2026 12:01:00 GMT": time.Minute, "Tue, 01 Sep 2026 11:00:00 GMT": 0, "Tue, 01 Sep 2099 11:00:00 GMT": 7 * 24 * time.Hour,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	s, h := feedserver.Start(t), newHarness(t, Options{})
	s.SetString("/a", "x")
	s.Fail("/a", feedserver.Unavailable, 1)
	if _, _, e := h.get(t, Request{URL: s.URL("/a")}); e != nil || len(h.waits) != 1 || h.waits[0] != 5*time.Second {
		t.Errorf("short: %v, waited %v", e, h.waits)
	}
	s.Fail("/a", feedserver.RateLimited, 0)
	_, _, e := h.get(t, Request{URL: s.URL("/a")})
	if e == nil || e.Code != CodeRateLimited || e.RetryAfter != 24*time.Hour || e.Attempts != 1 || e.Permanent || len(h.waits) != 1 {
		t.Errorf("long: %+v, waited %v", e, h.waits)
	}
	if e != nil && !strings.Contains(e.Error(), "asks to wait 24h0m0s") {
		t.Error(e)
	}
}

func TestRedirects(t *testing.T) {
	s, other, h := feedserver.Start(t), feedserver.Start(t), newHarness(t, Options{})
	key := header("Authorization", "Bearer abcdefgh", "Accept", "text/csv", "Auth-Key", "12345678")
	s.SetString("/end", "end")
	other.SetString("/end", "other")
	for path, to := range map[string]string{"/near": "/end", "/far": other.URL("/end"), "/back": other.URL("/return"), "/2": "/1", "/3": "/2", "/4": "/3", "/5": "/4", "/6": "/5", "/1": "/end"} {
		s.Redirect(path, 302, to)
	}
	other.Redirect("/return", 302, s.URL("/end"))
	sent := func(s *feedserver.Server) http.Header { l := s.Log("/end"); return l[len(l)-1].Header }

	if _, body, e := h.get(t, Request{URL: s.URL("/near"), Header: key}); e != nil || body != "end" || sent(s).Get("Authorization") == "" || sent(s).Get("Auth-Key") == "" {
		t.Errorf("same origin: %q %v %v", body, e, sent(s))
	}
	res, body, e := h.get(t, Request{URL: s.URL("/far"), Header: key})
	if e != nil || body != "other" || res.URL != other.URL("/end") {
		t.Errorf("other origin: %q %v", body, e)
	}
	if got := sent(other); got.Get("Authorization") != "" || got.Get("Auth-Key") != "" || got.Get("Accept") != "text/csv" || got.Get("User-Agent") == "" || got.Get("Accept-Encoding") == "" {
		t.Errorf("other origin got %v", got)
	}
	if _, _, e := h.get(t, Request{URL: s.URL("/back"), Header: key}); e != nil || sent(s).Get("Authorization") != "" {
		t.Errorf("and back: %v, %v", e, sent(s))
	}
	if _, body, e := h.get(t, Request{URL: s.URL("/5")}); e != nil || body != "end" {
		t.Errorf("five: %q %v", body, e)
	}
	_, _, e = h.get(t, Request{URL: s.URL("/6")})
	wantCode(t, "six", e, CodeRedirect)
	_, _, e = newHarness(t, Options{MaxRedirects: -1}).get(t, Request{URL: s.URL("/near")})
	wantCode(t, "none allowed", e, CodeRedirect)
}

func TestRedirectsThatAreNotFollowed(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	for _, to := range []string{"", "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "data:text/plain,x", "http:///x", "http://[::1", "javascript:1", "unix:/run/x.sock", "http:opaque"} {
		s.Redirect("/r", 302, to)
		_, _, e := h.get(t, Request{URL: s.URL("/r")})
		wantCode(t, to, e, CodeRedirect)
	}
	s.Redirect("/r", 307, "http://127.0.0.2:1/")
	_, _, e := h.get(t, Request{URL: s.URL("/r"), Method: "POST", Body: []byte("secret")})
	wantCode(t, "body to another origin", e, CodeRedirect)
}

func TestCaps(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{MaxBytes: 1000})
	s.SetString("/fits", strings.Repeat("x", 1000))
	s.SetString("/declared", strings.Repeat("x", 1001))
	if _, body, e := h.get(t, Request{URL: s.URL("/fits")}); e != nil || len(body) != 1000 {
		t.Errorf("fits: %d %v", len(body), e)
	}
	_, _, e := h.get(t, Request{URL: s.URL("/declared")})
	wantCode(t, "declared too large", e, CodeTooLarge)
	s.Fail("/endless", feedserver.Endless, 0)
	_, _, e = h.get(t, Request{URL: s.URL("/endless")})
	wantCode(t, "endless", e, CodeTooLarge)
	if e != nil && (!e.Permanent || e.Attempts != 1) {
		t.Errorf("%+v", e)
	}
}

// TestContentEncodings: every coding that we ask for, twice, in wrong case, and lied about.
func TestContentEncodings(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	plain := strings.Repeat("192.0.2.1\n", 500)
	for coding, body := range map[string]string{
		"gzip": pack(t, formatGzip, plain), "X-GZIP": pack(t, formatGzip, plain), "zstd": pack(t, formatZstd, plain), "br": pack(t, formatBrotli, plain),
		"gzip, br": pack(t, formatBrotli, pack(t, formatGzip, plain)), "identity": plain, "": plain, "utf-8": plain, "gzip, identity": pack(t, formatGzip, plain),
	} {
		s.SetWith("/a", []byte(body), http.Header{"Content-Encoding": {coding}})
		if _, got, e := h.get(t, Request{URL: s.URL("/a")}); e != nil || got != plain {
			t.Errorf("%q: %d bytes, %v", coding, len(got), e)
		}
	}
	for coding, want := range map[string]string{"deflate": CodeUnsupported, "compress": CodeUnsupported, "gzip, gzip, gzip": CodeNested} {
		s.SetWith("/a", []byte(plain), http.Header{"Content-Encoding": {coding}})
		_, _, e := h.get(t, Request{URL: s.URL("/a")})
		wantCode(t, coding, e, want)
	}
}

func TestDiskErrors(t *testing.T) {
	s := feedserver.Start(t)
	s.SetString("/a", "x")
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Options{TempDir: file + "/sub"}).Do(t.Context(), Request{URL: s.URL("/a"), AllowNetworks: loopback})
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeDisk || !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Log("this system has no /dev/full; writing to a full disk is not tested")
		return
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	_, err = io.Copy(diskWriter{full}, strings.NewReader("x"))
	if !errors.As(err, &e) || e.Code != CodeDisk || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("full: %v", err)
	}
}

func TestCancel(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	s.SetString("/a", strings.Repeat("x", 1000))
	for _, f := range []feedserver.Fault{feedserver.Blackhole, feedserver.Stall} {
		s.Fail("/a", f, 0)
		ctx, cancel := context.WithCancel(t.Context())
		seen := s.Hits("/a")
		go func() {
			defer cancel()
			if err := s.Wait(ctx, "/a", seen+1); err != nil {
				t.Error(err)
			}
		}()
		_, err := h.Do(ctx, Request{URL: s.URL("/a"), AllowNetworks: loopback})
		e, _ := err.(*Error)
		wantCode(t, string(f), e, CodeCanceled)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v is not context.Canceled", f, err)
		}
		cancel()
	}
}

// TestCancelWhileWaiting: the caller's context ends the wait for a retry too.
func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s, h := newInternet(t, Options{})
		h.opts.Sleep = sleep
		s.Fail("/a", feedserver.Flapping, 2)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := h.Do(ctx, Request{URL: "http://feed.test/a"})
		e, _ := err.(*Error)
		wantCode(t, "out of time", e, CodeStatus) // what went wrong, not that time ran out
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, stop)
		s.Fail("/a", feedserver.Flapping, 2)
		_, err = h.Do(ctx, Request{URL: "http://feed.test/a"})
		e, _ = err.(*Error)
		wantCode(t, "cancelled", e, CodeCanceled)
		if len(n.connects) != 2 {
			t.Errorf("%d connects, want 2", len(n.connects))
		}
	})
}
