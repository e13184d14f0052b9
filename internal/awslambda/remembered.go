package awslambda

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Remembered is a store of which the objects that were listed last are read once
// per content: a List fetches what is new, several at a time, and a Get of what was
// listed asks nobody. It is for small objects that are read together, all of them
// or none: heads. A store whose List tells no ETags is read as it is.
type Remembered struct {
	blob.Store

	mu   sync.Mutex
	have map[string]kept // by key
}

// rememberWorkers is how many objects are fetched at a time.
const rememberWorkers = 16

// List implements blob.Store.
func (r *Remembered) List(ctx context.Context, prefix string) ([]blob.Info, error) {
	infos, err := r.Store.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	old := r.have
	r.mu.Unlock()
	next := make(map[string]kept, len(infos))
	for key, k := range old {
		if !strings.HasPrefix(key, prefix) {
			next[key] = k
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, rememberWorkers)
	for _, i := range infos {
		if k, ok := old[i.Key]; ok && i.ETag != "" && k.info.ETag == i.ETag {
			mu.Lock()
			next[i.Key] = k
			mu.Unlock()
			continue
		}
		if i.ETag == "" {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			data, info, err := blob.Read(ctx, r.Store, i.Key)
			if err != nil {
				return // whoever wants it is told why
			}
			mu.Lock()
			defer mu.Unlock()
			next[i.Key] = kept{data: data, info: info}
		})
	}
	wg.Wait()
	r.mu.Lock()
	r.have = next
	r.mu.Unlock()
	return infos, nil
}

// Get implements blob.Store.
func (r *Remembered) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	r.mu.Lock()
	k, ok := r.have[key]
	r.mu.Unlock()
	if !ok {
		return r.Store.Get(ctx, key)
	}
	return io.NopCloser(bytes.NewReader(k.data)), k.info, nil
}
