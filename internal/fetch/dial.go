package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	lookupTime    = 30 * time.Second // for one name, with all that the resolver tries
	connectTime   = 10 * time.Second // for one address
	handshakeTime = 15 * time.Second
	headerTime    = 60 * time.Second // from the request to the end of the response header
	maxHeader     = 1 << 20          // bytes of a response header
	maxAddresses  = 8                // of one name that are tried
)

// Resolver looks up the addresses of a host name; network is always "ip". Its
// order is the order in which they are tried. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dialer connects for one request. Names are looked up once per connect, and
// what is connected to is the very address that was checked.
type dialer struct {
	guard    guard
	resolver Resolver
	connect  connector // opens the socket; a test may put its own in
}

// Dialer opens a connection to an address. It is only asked for those that the
// guard lets pass.
type Dialer func(ctx context.Context, to netip.AddrPort) (net.Conn, error)

// connector opens a connection to an address that the guard let pass.
type connector func(ctx context.Context, d *net.Dialer, network string, to netip.AddrPort) (net.Conn, error)

func dialTCP(ctx context.Context, d *net.Dialer, network string, to netip.AddrPort) (net.Conn, error) {
	return d.DialContext(ctx, network, to.String())
}

// DialContext is what the transport calls for every connection, so for every redirect too.
func (d *dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fail(CodeURL, "the address %s has no port", printable(addr))
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fail(CodeURL, "%s is not a port", printable(portText))
	}
	ips, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	return d.dialAny(ctx, network, host, ips, uint16(port))
}

func (d *dialer) dialAny(ctx context.Context, network, host string, ips []netip.Addr, port uint16) (net.Conn, error) {
	var failed, blocked error
	for _, ip := range ips {
		if why := d.guard.check(ip, port); why != "" {
			blocked = blockedError(host, why)
			continue
		}
		conn, err := d.connect(ctx, d.netDialer(), network, netip.AddrPortFrom(ip, port))
		if err == nil {
			return conn, nil
		}
		if failed == nil {
			failed = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if failed == nil {
		failed = blocked
	}
	if failed == nil {
		return nil, fail(CodeDNS, "the host name %s has no address", printable(host))
	}
	return nil, failed
}

// netDialer checks once more in Control, which sees the address of the socket
// just before the connect, whatever happened above.
func (d *dialer) netDialer() *net.Dialer {
	return &net.Dialer{Timeout: connectTime, KeepAlive: -1, Control: d.control}
}

func (d *dialer) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return blockedError(address, "not an address")
	}
	if why := d.guard.check(to.Addr(), to.Port()); why != "" {
		return blockedError(to.Addr().String(), why)
	}
	return nil
}

func blockedError(host, why string) *Error {
	return fail(CodeBlocked, "refused to connect to %s: it leads to %s; only public addresses and those in allow_networks are connected to", printable(host), printable(why))
}

func (d *dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	if numericHost(host) {
		return nil, fail(CodeURL, "the host %s is a number that is no valid IP address; write it as a plain dotted IPv4 address", printable(host))
	}
	short, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	ips, err := d.resolver.LookupNetIP(short, "ip", host)
	if err != nil {
		if _, ok := errors.AsType[*net.DNSError](err); !ok && ctx.Err() == nil {
			err = &net.DNSError{Err: "failed", Name: host, IsTimeout: short.Err() != nil}
		}
		return nil, err
	}
	if len(ips) > maxAddresses {
		ips = ips[:maxAddresses]
	}
	return ips, nil
}

// numericHost finds the decimal, octal, hex and short forms of IPv4 addresses,
// which some resolvers take for an address and others for a name. The rule is
// the WHATWG URL standard's "ends in a number".
func numericHost(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return false
	}
	if strings.HasPrefix(last, "0x") || strings.HasPrefix(last, "0X") {
		return strings.Trim(last[2:], "0123456789abcdefABCDEF") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// transport is made for one attempt: connections are never shared between
// requests, because each has its own exceptions to the guard.
func (c *Client) transport(p *plan) *http.Transport {
	d := &dialer{guard: p.guard, resolver: c.opts.Resolver, connect: c.connect}
	return &http.Transport{
		Proxy:                  nil, // the environment must not redirect what we fetch
		DialContext:            d.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.opts.RootCAs},
		TLSHandshakeTimeout:    handshakeTime,
		ResponseHeaderTimeout:  headerTime,
		MaxResponseHeaderBytes: maxHeader,
		DisableKeepAlives:      true,
		DisableCompression:     true, // we ask for codings ourselves, to cap them
		ForceAttemptHTTP2:      true,
	}
}
