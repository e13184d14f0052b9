package faults

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// network is where the publishers are. Every one has a name and an address of
// its own; a broken name or address does what mode says.
type network struct {
	mu    sync.Mutex
	mode  string // "" where all is well
	lines map[feedserver.Cert]*feedserver.PipeListener
}

// Modes of a broken network.
const (
	refused   = "refused"
	noRoute   = "no route"
	blackhole = "blackhole"
	resets    = "resets"
	noName    = "NXDOMAIN"
	servfail  = "SERVFAIL"
	slowName  = "slow DNS"
)

func (n *network) set(mode string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mode = mode
}

func (n *network) get() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mode
}

// LookupNetIP implements fetch.Resolver.
func (n *network) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	switch n.get() {
	case noName:
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	case servfail:
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
	case slowName:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return []netip.Addr{netip.MustParseAddr("198.41.0.4")}, nil
}

// dial is a fetch.Dialer. A mode that is the name of a certificate leads to the
// server that has it.
func (n *network) dial(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	mode := n.get()
	switch mode {
	case refused:
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	case noRoute:
		return nil, &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}
	case resets:
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNRESET}
	case blackhole: // as net.Dialer does with its Timeout
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
	if l := n.lines[feedserver.Cert(mode)]; l != nil {
		return l.Dial(ctx)
	}
	return n.lines[feedserver.CertGood].Dial(ctx)
}

// loopback makes connections look as if they came from this machine.
type loopback struct{ net.Listener }

func (l loopback) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return localConn{c}, err
}

type localConn struct{ net.Conn }

func (localConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
