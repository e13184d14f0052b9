package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ErrNeedsKey says that a server would be reachable from other machines while
// no key protects it.
var ErrNeedsKey = errors.New("is reachable from other machines and no API key exists yet")

// defaultHost is listened on where an address names no host: never more than asked for.
const defaultHost = "127.0.0.1"

// Listen opens the server's socket. anyKey says whether a key exists; without
// one only loopback addresses are allowed (ErrNeedsKey).
func Listen(ctx context.Context, addr string, anyKey func(context.Context) bool) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: want HOST:PORT or :PORT: %w", addr, err)
	}
	if host == "" {
		host = defaultHost
	}
	if !loopback(ctx, host) && !anyKey(ctx) {
		return nil, fmt.Errorf("listen address %s %w", addr, ErrNeedsKey)
	}
	network := "tcp"
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		network = "tcp4" // 0.0.0.0 would listen on IPv6 too
	}
	return new(net.ListenConfig).Listen(ctx, network, net.JoinHostPort(host, port))
}

// loopback says whether every address of host is one of this machine alone.
func loopback(ctx context.Context, host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback()
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return false
	}
	for _, a := range addrs {
		if !a.Unmap().IsLoopback() {
			return false
		}
	}
	return true
}
