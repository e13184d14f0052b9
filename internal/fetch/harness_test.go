package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// harness is a client whose waits take no time and are written down.
type harness struct {
	*Client
	mu    sync.Mutex
	waits []time.Duration
	log   bytes.Buffer
	temp  string
	now   time.Time
}

func newHarness(t *testing.T, o Options) *harness {
	t.Helper()
	h := &harness{temp: t.TempDir(), now: time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)}
	o.TempDir = h.temp
	o.Now = func() time.Time { return h.now }
	o.Rand = func() float64 { return 0.5 } // no jitter
	o.Sleep = func(ctx context.Context, d time.Duration) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.waits = append(h.waits, d)
		return ctx.Err()
	}
	o.Log = slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.Client = New(o)
	t.Cleanup(func() {
		if left, err := os.ReadDir(h.temp); err != nil || len(left) > 0 {
			t.Errorf("left in the folder for downloads: %v, %v", left, err)
		}
	})
	return h
}

// get fetches a URL that may lie on loopback and returns its body.
func (h *harness) get(t *testing.T, req Request) (*Result, string, *Error) {
	t.Helper()
	if req.AllowNetworks == nil {
		req.AllowNetworks = loopback
	}
	res, err := h.Do(t.Context(), req)
	if err != nil {
		e, ok := err.(*Error)
		if !ok || res != nil {
			t.Fatalf("Do returned %T and %v, want an *Error alone", err, res)
		}
		return nil, "", e
	}
	defer func() {
		if err := res.Close(); err != nil {
			t.Error(err)
		}
	}()
	if res.Body == nil {
		return res, "", nil
	}
	body, rerr := io.ReadAll(res.Body)
	if rerr != nil || res.Bytes != int64(len(body)) {
		t.Fatalf("%d bytes, Result says %d: %v", len(body), res.Bytes, rerr)
	}
	return res, string(body), nil
}

// internet is a network of the test: names, who answers at which address, and
// what was connected to.
type internet struct {
	mu       sync.Mutex
	names    map[string][]netip.Addr
	hosts    map[netip.Addr]func(context.Context) (net.Conn, error)
	connects []netip.AddrPort
}

func (n *internet) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ips, ok := n.names[host]; ok {
		return ips, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (n *internet) connect(ctx context.Context, _ *net.Dialer, _ string, to netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	n.connects = append(n.connects, to)
	answer := n.hosts[to.Addr()]
	n.mu.Unlock()
	if answer == nil {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	return answer(ctx)
}

// blocked is how many connects went to what is not public.
func (n *internet) blocked() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	bad := 0
	for _, to := range n.connects {
		if Reserved(to.Addr()) != "" || badPort(to.Port()) {
			bad++
		}
	}
	return bad
}

var publicIP = netip.MustParseAddr("198.41.0.4")

// newInternet has one origin, http://feed.test, and a client in it.
func newInternet(t *testing.T, o Options) (*internet, *feedserver.Server, *harness) {
	t.Helper()
	s, l := feedserver.New(), feedserver.NewPipeListener()
	s.Serve(l)
	t.Cleanup(s.Close)
	n := &internet{
		names: map[string][]netip.Addr{"feed.test": {publicIP}},
		hosts: map[netip.Addr]func(context.Context) (net.Conn, error){publicIP: l.Dial},
	}
	o.Resolver = n
	h := newHarness(t, o)
	h.connect = n.connect
	return n, s, h
}

func wantCode(t *testing.T, what string, e *Error, code string) {
	t.Helper()
	if e == nil || e.Code != code {
		t.Errorf("%s: %v, want code %s", what, e, code)
	}
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

var errTest = errors.New("test")
