package fetch

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

var goodList = strings.Repeat("192.0.2.1\n", 1000)

// outcome is what a fault must lead to: an error, or a body.
type outcome struct {
	code      string
	attempts  int
	permanent bool
	body      string
}

func gives(body string) outcome        { return outcome{body: body} }
func again(code string) outcome        { return outcome{code: code, attempts: 4} }
func never(code string) outcome        { return outcome{code: code, attempts: 1, permanent: true} }
func later(code string, n int) outcome { return outcome{code: code, attempts: n} }
func (o outcome) matches(e *Error) bool {
	return e.Code == o.code && e.Attempts == o.attempts && e.Permanent == o.permanent
}

// faultOutcomes is the promise for every fault that needs no waiting. What is
// right for HTTP but no list (HTML, nothing, binary) is for the guards of a run.
var faultOutcomes = map[feedserver.Fault]outcome{
	feedserver.Reset:          again(CodeReset),
	feedserver.ResetBody:      again(CodeReset),
	feedserver.Truncated:      again(CodeTruncated),
	feedserver.ShortLength:    gives(goodList[:len(goodList)/2]), // HTTP cannot tell; the shrink guard can
	feedserver.BadChunks:      again(CodeProtocol),
	feedserver.CutChunks:      again(CodeTruncated),
	feedserver.NotHTTP:        again(CodeProtocol),
	feedserver.BadGzipCRC:     again(CodeCorrupt),
	feedserver.CutGzip:        again(CodeTruncated),
	feedserver.FakeGzip:       gives(goodList),
	feedserver.GzipBomb:       never(CodeRatio),
	feedserver.Endless:        never(CodeTooLarge),
	feedserver.HugeHeader:     never(CodeTooLarge),
	feedserver.RedirectLoop:   never(CodeRedirect),
	feedserver.RedirectInside: never(CodeBlocked),
	feedserver.RedirectFile:   never(CodeRedirect),
	feedserver.RedirectHTTP:   never(CodeRedirect), // without TLS a loop
	feedserver.Unauthorized:   never(CodeStatus),
	feedserver.Forbidden:      never(CodeStatus),
	feedserver.NotFound:       never(CodeStatus),
	feedserver.Gone:           never(CodeStatus),
	feedserver.RateLimited:    later(CodeRateLimited, 1),
	feedserver.Unavailable:    again(CodeRateLimited),
	feedserver.Flapping:       gives(goodList),
	feedserver.HTML:           gives("<!DOCTYPE html>"),
	feedserver.JSONError:      gives(`{"error"`),
	feedserver.Empty:          gives(""),
	feedserver.UTF16:          gives("\xff\xfe1\x009\x002\x00"),
	feedserver.Binary:         gives("\x7fELF"),
	feedserver.NotModified:    never(CodeStatus),
	feedserver.FrozenETag:     gives(goodList),
	feedserver.EchoSecrets:    gives("/echo-secrets"),
	feedserver.EchoGarbage:    again(CodeProtocol),
	feedserver.EchoField:      again(CodeProtocol),
	feedserver.EchoCoding:     never(CodeUnsupported),
	feedserver.EchoRedirect:   never(CodeRedirect),
}

func TestFaults(t *testing.T) {
	s := feedserver.Start(t)
	for _, f := range feedserver.Faults() {
		if f == feedserver.Blackhole || f == feedserver.Trickle || f == feedserver.Stall {
			continue // TestSlowFaults
		}
		want, ok := faultOutcomes[f]
		if !ok {
			t.Errorf("%s: no promise", f)
			continue
		}
		h := newHarness(t, Options{MaxBytes: 4 << 20})
		path := "/" + string(f)
		s.SetString(path, goodList)
		s.Fail(path, f, 0)
		_, body, e := h.get(t, Request{URL: s.URL(path)})
		switch {
		case want.code == "" && (e != nil || !strings.HasPrefix(body, want.body) || want.body == "" && body != ""):
			t.Errorf("%s: %.40q %v, want %.40q", f, body, e, want.body)
		case want.code != "" && (e == nil || !want.matches(e)):
			t.Errorf("%s: %q %+v, want %+v", f, body, e, want)
		case e != nil && (!strings.HasPrefix(e.Error(), s.URL(path)+": ") || strings.ContainsAny(e.Error(), "\r\n")):
			t.Errorf("%s: %q does not start with the URL, or has several lines", f, e)
		}
		s.Heal(path)
		if _, body, e := h.get(t, Request{URL: s.URL(path)}); e != nil || body != goodList {
			t.Errorf("%s, healed: %.40q %v", f, body, e)
		}
	}
}

// TestSlowFaults waits for minutes, in virtual time.
func TestSlowFaults(t *testing.T) {
	for f, want := range map[feedserver.Fault]struct {
		outcome
		took time.Duration
	}{
		feedserver.Blackhole: {again(CodeTimeout), 4 * headerTime},
		feedserver.Trickle:   {again(CodeSlow), 4 * rateWindow},
		feedserver.Stall:     {again(CodeSlow), 4 * rateWindow},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, s, h := newInternet(t, Options{})
			defer s.Close()
			s.SetString("/a", goodList)
			s.Fail("/a", f, 0)
			began := time.Now()
			_, _, e := h.get(t, Request{URL: "http://feed.test/a"})
			if e == nil || !want.matches(e) {
				t.Errorf("%s: %+v, want %+v", f, e, want.outcome)
			}
			if took := time.Since(began); took < want.took || took > want.took+time.Second {
				t.Errorf("%s: gave up after %v, want %v", f, took, want.took)
			}
			s.Heal("/a")
			if _, body, e := h.get(t, Request{URL: "http://feed.test/a"}); e != nil || body != goodList {
				t.Errorf("%s, healed: %v", f, e)
			}
		})
	}
}

// TestSlowButSteady: what keeps the least rate is not cut off, however long it
// takes, until the time for all is over.
func TestSlowButSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := feedserver.NewPipeListener()
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 300 {
				if _, err := io.WriteString(w, "abc"); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
				_ = sleep(r.Context(), 2*time.Second) // ends with the connection
			}
		})}
		go func() { _ = s.Serve(l) }()
		defer s.Close()
		h := newHarness(t, Options{MinRate: 1, Timeout: 601 * time.Second})
		h.connect = func(ctx context.Context, _ *net.Dialer, _ string, _ netip.AddrPort) (net.Conn, error) {
			return l.Dial(ctx)
		}
		if _, body, e := h.get(t, Request{URL: "http://198.41.0.4/"}); e != nil || len(body) != 900 {
			t.Errorf("%d bytes, %v", len(body), e)
		}
		h.opts.Timeout = 500 * time.Second
		_, _, e := h.get(t, Request{URL: "http://198.41.0.4/"})
		if e == nil || e.Code != CodeTimeout || e.Attempts != 1 {
			t.Errorf("%+v, want a timeout", e)
		}
	})
}

func TestConnectFaults(t *testing.T) {
	failing := func(err error) func(context.Context) (net.Conn, error) {
		return func(context.Context) (net.Conn, error) { return nil, &net.OpError{Op: "dial", Err: err} }
	}
	hole := func(ctx context.Context) (net.Conn, error) { // as net.Dialer does with its Timeout
		ctx, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
	for name, c := range map[string]struct {
		dial func(context.Context) (net.Conn, error)
		want outcome
		took time.Duration
	}{
		"refused":   {failing(syscall.ECONNREFUSED), again(CodeRefused), 0},
		"no route":  {failing(syscall.EHOSTUNREACH), again(CodeRefused), 0},
		"no net":    {failing(syscall.ENETUNREACH), again(CodeRefused), 0},
		"blackhole": {hole, again(CodeTimeout), 4 * connectTime},
		"reset":     {failing(syscall.ECONNRESET), again(CodeReset), 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, s, h := newInternet(t, Options{})
			defer s.Close()
			n.hosts[publicIP] = c.dial
			began := time.Now()
			_, _, e := h.get(t, Request{URL: "http://feed.test/"})
			if e == nil || !c.want.matches(e) || time.Since(began) != c.took {
				t.Errorf("%s: %+v after %v, want %+v after %v", name, e, time.Since(began), c.want, c.took)
			}
		})
	}
}

func TestRefusedForReal(t *testing.T) {
	s, h := feedserver.Start(t), newHarness(t, Options{})
	s.SetString("/a", "x")
	s.Down()
	_, _, e := h.get(t, Request{URL: s.URL("/a")})
	if e == nil || !again(CodeRefused).matches(e) || e.Err != syscall.ECONNREFUSED {
		t.Errorf("%+v", e)
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	if _, body, e := h.get(t, Request{URL: s.URL("/a")}); e != nil || body != "x" {
		t.Errorf("up again: %q %v", body, e)
	}
}

// lookup is a Resolver.
type lookup func(ctx context.Context, host string) ([]netip.Addr, error)

func (l lookup) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	return l(ctx, host)
}

func TestDNSFaults(t *testing.T) {
	for name, c := range map[string]struct {
		lookup lookup
		want   outcome
		says   string
	}{
		"NXDOMAIN": {func(_ context.Context, host string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Name: host, IsNotFound: true}
		}, never(CodeDNS), "feed.test does not exist"},
		"SERVFAIL": {func(_ context.Context, host string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Name: host, IsTemporary: true}
		}, again(CodeDNS), "feed.test failed"},
		"other":   {func(context.Context, string) ([]netip.Addr, error) { return nil, errTest }, again(CodeDNS), "feed.test failed"},
		"nothing": {func(context.Context, string) ([]netip.Addr, error) { return nil, nil }, never(CodeDNS), "no address"},
		"hangs":   {func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }, again(CodeDNS), "no answer in time"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, Options{Resolver: c.lookup})
			_, _, e := h.get(t, Request{URL: "http://feed.test/"})
			if e == nil || !c.want.matches(e) || !strings.Contains(e.Detail, c.says) {
				t.Errorf("%s: %+v, want %+v", name, e, c.want)
			}
		})
	}
}

// TestNextAddress: an address that does not answer is no reason to give up the others.
func TestNextAddress(t *testing.T) {
	n, s, h := newInternet(t, Options{})
	s.SetString("/a", "x")
	dead, inside := netip.MustParseAddr("2600::1"), netip.MustParseAddr("10.0.0.1")
	n.names["feed.test"] = []netip.Addr{dead, inside, publicIP}
	if _, body, e := h.get(t, Request{URL: "http://feed.test/a"}); e != nil || body != "x" {
		t.Errorf("%q %v", body, e)
	}
	if got := fmt.Sprint(n.connects); got != "[[2600::1]:80 198.41.0.4:80]" {
		t.Errorf("connected to %s", got)
	}
}

func TestCertificates(t *testing.T) {
	for kind, says := range map[feedserver.Cert]string{
		feedserver.CertGood: "", feedserver.CertExpired: "not trusted", feedserver.CertWrongHost: "not trusted",
		feedserver.CertSelfSigned: "not trusted", feedserver.CertNone: "does not speak TLS",
	} {
		s, pool := feedserver.StartTLS(t, kind)
		s.SetString("/a", "x")
		h := newHarness(t, Options{RootCAs: pool})
		_, body, e := h.get(t, Request{URL: s.URL("/a")})
		if says == "" && (e != nil || body != "x") || says != "" && (e == nil || !never(CodeTLS).matches(e) || !strings.Contains(e.Detail, says)) {
			t.Errorf("%s: %q %+v", kind, body, e)
		}
		if n := s.Hits("/a"); says != "" && n != 0 {
			t.Errorf("%s: %d requests were sent", kind, n)
		}
	}
	s, pool := feedserver.StartTLS(t, feedserver.CertGood)
	_, _, e := newHarness(t, Options{}).get(t, Request{URL: s.URL("/a")})
	if e == nil || !never(CodeTLS).matches(e) {
		t.Errorf("authority unknown to the system: %+v", e)
	}
	s.Fail("/a", feedserver.RedirectHTTP, 0)
	_, _, e = newHarness(t, Options{RootCAs: pool}).get(t, Request{URL: s.URL("/a")})
	if e == nil || !never(CodeRedirect).matches(e) || !strings.Contains(e.Detail, "https to plain http") {
		t.Errorf("https to http: %+v", e)
	}
}
