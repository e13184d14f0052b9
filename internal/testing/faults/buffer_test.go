package faults

import (
	"net"
	"os"
	"sync"
	"time"
)

// buffered is a server's end of a connection that takes some data before the
// client reads it, as a socket does: in a TLS handshake both sides may speak at once.
type buffered struct {
	net.Conn
	mu     sync.Mutex
	moved  *sync.Cond // the queue changed, or one of those below
	queue  []byte
	closed bool
	late   bool // the deadline for writing is over
	timer  *time.Timer
	err    error // of writing to the client
}

// socketBuffer is how much may wait.
const socketBuffer = 64 << 10

func buffer(c net.Conn) *buffered {
	b := &buffered{Conn: c}
	b.moved = sync.NewCond(&b.mu)
	go b.pump()
	return b
}

// pump sends what waits, and closes when that was the last.
func (b *buffered) pump() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		for len(b.queue) == 0 && !b.closed {
			b.moved.Wait()
		}
		if len(b.queue) == 0 {
			_ = b.Conn.Close() // the client may have been first
			return
		}
		part := b.queue
		b.queue = nil
		b.moved.Broadcast()
		b.mu.Unlock()
		_, err := b.Conn.Write(part)
		b.mu.Lock()
		if err != nil {
			b.err, b.queue = err, nil
			b.moved.Broadcast()
		}
	}
}

func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) >= socketBuffer && !b.closed && b.err == nil && !b.late {
		b.moved.Wait()
	}
	switch {
	case b.err != nil:
		return 0, b.err
	case b.closed:
		return 0, net.ErrClosed
	case b.late:
		return 0, os.ErrDeadlineExceeded
	}
	b.queue = append(b.queue, p...)
	b.moved.Broadcast()
	return len(p), nil
}

func (b *buffered) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.moved.Broadcast()
	return b.Conn.SetReadDeadline(time.Unix(1, 0)) // a Read under way ends
}

func (b *buffered) SetDeadline(t time.Time) error {
	_ = b.SetWriteDeadline(t) // never fails
	return b.SetReadDeadline(t)
}

func (b *buffered) SetWriteDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
	b.late = false
	if !t.IsZero() {
		b.timer = time.AfterFunc(time.Until(t), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.late = true
			b.moved.Broadcast()
		})
	}
	return nil
}

// buffers is a listener of such connections.
type buffers struct{ net.Listener }

func (l buffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return buffer(c), nil
}
