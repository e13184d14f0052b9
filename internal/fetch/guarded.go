package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// GuardOptions say what a [Guarded] may connect to. The zero value: public
// addresses only, on the ports of the web and those that belong to nothing else.
type GuardOptions struct {
	Allow    []netip.Prefix // may be connected to although they are not public, on any port
	Ports    []uint16       // may be connected to besides those of the web
	Resolver Resolver       // default net.DefaultResolver
	Dial     Dialer         // default TCP; for tests that bring their own network
	RootCAs  *x509.CertPool // default: the system's
}

// Guarded connects to servers that were named by others than the user, such as
// those to which a registry refers: with the guard of feeds, for protocols and
// rules of asking that are not those of feeds. It is safe for concurrent use.
type Guarded struct {
	d    *dialer
	http *http.Client
}

// NewGuarded makes a Guarded. It does not touch the network.
func NewGuarded(opts GuardOptions) *Guarded {
	d := &dialer{guard: newGuard(opts.Allow), resolver: opts.Resolver, connect: dialTCP}
	d.guard.ports = opts.Ports
	if d.resolver == nil {
		d.resolver = net.DefaultResolver
	}
	if opts.Dial != nil {
		d.connect = func(ctx context.Context, _ *net.Dialer, _ string, to netip.AddrPort) (net.Conn, error) {
			return opts.Dial(ctx, to)
		}
	}
	return &Guarded{d: d, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            d.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: opts.RootCAs},
			TLSHandshakeTimeout:    handshakeTime,
			ResponseHeaderTimeout:  headerTime,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
	}}
}

// DialContext connects to host:port over TCP. An *Error with CodeBlocked says that it must not.
func (g *Guarded) DialContext(ctx context.Context, addr string) (net.Conn, error) {
	return g.d.DialContext(ctx, "tcp", addr)
}

// Do sends one request and follows no redirect: who asks decides whether to ask
// the next server. It unpacks nothing, and keeps the connection for half a minute.
func (g *Guarded) Do(req *http.Request) (*http.Response, error) { return g.http.Do(req) }

// Close lets go of the connections that Do keeps.
func (g *Guarded) Close() { g.http.CloseIdleConnections() }

// NewResolver asks one DNS server, which the user chose, so that it may stand
// anywhere: host:port, over UDP and where answers are long over TCP.
func NewResolver(server string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: connectTime}).DialContext(ctx, network, server)
	}}
}
