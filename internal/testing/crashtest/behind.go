package crashtest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Behind is a store that is wrong on purpose: objects under Prefix are
// acknowledged at once and written a little later. It is what a pipeline would
// be that acknowledges before it commits (heads/), that commits a head before its
// segment (segments/), or that keeps no ledger in time (runs/).
type Behind struct {
	blob.Store
	Prefix string
	Delay  time.Duration

	mu      sync.Mutex
	pending map[string][]byte
	queue   sync.Mutex // writes in the order in which they were given
}

func (b *Behind) held(key string) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.pending[key]
	return data, ok
}

// Put implements blob.Store, wrongly under Prefix.
func (b *Behind) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	if !strings.HasPrefix(key, b.Prefix) {
		return b.Store.Put(ctx, key, r, c)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return blob.Info{}, err
	}
	b.mu.Lock()
	if b.pending == nil {
		b.pending = map[string][]byte{}
	}
	b.pending[key] = data
	b.mu.Unlock()
	time.AfterFunc(b.Delay, func() { b.write(key) })
	return blob.Info{Key: key, Size: int64(len(data)), ETag: "behind"}, nil
}

func (b *Behind) write(key string) {
	b.queue.Lock()
	defer b.queue.Unlock()
	data, ok := b.held(key)
	if !ok {
		return
	}
	if _, err := b.Store.Put(context.Background(), key, bytes.NewReader(data), blob.Cond{}); err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if bytes.Equal(b.pending[key], data) {
		delete(b.pending, key)
	}
}

// Get implements blob.Store; it sees what is not written yet.
func (b *Behind) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	if data, ok := b.held(key); ok {
		return io.NopCloser(bytes.NewReader(data)), blob.Info{Key: key, Size: int64(len(data)), ETag: "behind"}, nil
	}
	return b.Store.Get(ctx, key)
}

// Map implements blob.Mapper.
func (b *Behind) Map(ctx context.Context, key string) ([]byte, func(), error) {
	if data, ok := b.held(key); ok {
		return data, func() {}, nil
	}
	return blob.Open(ctx, b.Store, key)
}
