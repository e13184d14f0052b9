package registrytest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// memory is a listener without a network.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), closed: make(chan struct{})} }

// dial connects to whoever serves the listener.
func (m *memory) dial(ctx context.Context) (net.Conn, error) {
	mine, theirs := net.Pipe()
	broken := &atomic.Bool{}
	select {
	case m.conns <- pipeEnd{theirs, broken}:
		return clientEnd{mine, broken}, nil
	case <-m.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// Addr implements net.Listener with an address that nobody has.
func (m *memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 80} }

// pipeEnd is a server's end of a connection, which it may break.
type pipeEnd struct {
	net.Conn
	broken *atomic.Bool
}

// clientEnd reads a broken connection as TCP does: with an error, not an end.
type clientEnd struct {
	net.Conn
	broken *atomic.Bool
}

// Read implements net.Conn.
func (c clientEnd) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) && c.broken.Load() {
		err = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return n, err
}

// reset breaks a connection.
func reset(c net.Conn) {
	switch c := c.(type) {
	case *net.TCPConn:
		_ = c.SetLinger(0)
	case pipeEnd:
		c.broken.Store(true)
	}
	c.Close()
}
