package crashtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Mem is a store in memory, for tests that go through thousands of stores.
type Mem struct {
	mu   sync.Mutex
	objs map[string]object
	n    int
}

type object struct {
	data []byte
	info blob.Info
}

// NewMem makes an empty store.
func NewMem() *Mem { return &Mem{objs: map[string]object{}} }

// Get implements blob.Store.
func (m *Mem) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	if err := check(ctx, key); err != nil {
		return nil, blob.Info{Key: key}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objs[key]
	if !ok {
		return nil, blob.Info{Key: key}, fmt.Errorf("%s: %w", key, blob.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(o.data)), o.info, nil
}

// Put implements blob.Store.
func (m *Mem) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	if err := check(ctx, key); err != nil {
		return blob.Info{}, err
	}
	data, err := io.ReadAll(readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	}))
	if err != nil {
		return blob.Info{}, fmt.Errorf("write %s: %w", key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, exists := m.objs[key]
	if c.IfAbsent && exists || c.IfMatch != "" && (!exists || old.info.ETag != c.IfMatch) {
		return blob.Info{}, fmt.Errorf("%s: %w", key, blob.ErrConflict)
	}
	m.n++
	info := blob.Info{Key: key, Size: int64(len(data)), ETag: fmt.Sprint("v", m.n), Modified: time.Now()}
	if exists && len(data) <= 1<<20 && bytes.Equal(old.data, data) { // as a hash of the content would be
		info.ETag = old.info.ETag
	}
	m.objs[key] = object{data, info}
	return info, nil
}

// List implements blob.Store.
func (m *Mem) List(ctx context.Context, prefix string) ([]blob.Info, error) {
	if err := check(ctx, prefix+"x"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []blob.Info
	for _, key := range slices.Sorted(maps.Keys(m.objs)) {
		if strings.HasPrefix(key, prefix) {
			info := m.objs[key].info
			info.ETag = ""
			out = append(out, info)
		}
	}
	return out, nil
}

// Delete implements blob.Store.
func (m *Mem) Delete(ctx context.Context, key string) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objs, key)
	return nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return blob.CheckKey(key)
}
