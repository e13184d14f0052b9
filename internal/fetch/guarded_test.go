package fetch

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// names is a resolver of fixed answers.
type names map[string]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	a, err := netip.ParseAddr(n[host])
	if err != nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{a}, nil
}

// TestGuardedDial: the guard of feeds holds for other protocols, too, with their ports.
func TestGuardedDial(t *testing.T) {
	inward := names{"whois.example": "8.8.4.4", "inward.example": "127.0.0.1", "metadata.example": "169.254.169.254"}
	for _, c := range []struct {
		addr    string
		opts    GuardOptions
		blocked bool
	}{
		{"whois.example:43", GuardOptions{}, true},
		{"whois.example:43", GuardOptions{Ports: []uint16{43}}, false},
		{"whois.example:25", GuardOptions{Ports: []uint16{43}}, true},
		{"whois.example:4343", GuardOptions{Ports: []uint16{43}}, false},
		{"inward.example:43", GuardOptions{Ports: []uint16{43}}, true},
		{"metadata.example:80", GuardOptions{}, true},
		{"127.0.0.1:4343", GuardOptions{}, true},
		{"[::1]:43", GuardOptions{Ports: []uint16{43}}, true},
		{"[::ffff:10.0.0.1]:43", GuardOptions{Ports: []uint16{43}}, true},
		{"127.0.0.2:43", GuardOptions{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}, false},
		{"127.0.0.1:43", GuardOptions{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}, true},
		{"0x7f.1:43", GuardOptions{Ports: []uint16{43}}, true},
	} {
		c.opts.Resolver = inward
		dialled := false
		c.opts.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
			dialled = true
			here, there := net.Pipe()
			there.Close()
			return here, nil
		}
		conn, err := NewGuarded(c.opts).DialContext(t.Context(), c.addr)
		if err == nil {
			conn.Close()
		}
		e, ok := errors.AsType[*Error](err)
		if refused := ok && (e.Code == CodeBlocked || e.Code == CodeURL); refused != c.blocked || dialled == c.blocked {
			t.Errorf("%s with %+v: %v, dialled %t", c.addr, c.opts.Ports, err, dialled)
		}
	}
}

// TestGuardedDo: redirects are for who asks, and requests go where connections may.
func TestGuardedDo(t *testing.T) {
	hits := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	defer s.Close()
	get := func(g *Guarded) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		return g.Do(req)
	}
	_, err := get(NewGuarded(GuardOptions{}))
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeBlocked || hits != 0 {
		t.Errorf("%v after %d requests", err, hits)
	}
	g := NewGuarded(GuardOptions{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	defer g.Close()
	resp, err := get(g)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound || hits != 1 || !strings.HasSuffix(resp.Header.Get("Location"), "/again") {
		t.Errorf("%d after %d requests", resp.StatusCode, hits)
	}
}
