package embedded

import (
	"context"
	"io"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Get implements blob.Store, as all of these do.
func (s *switchable) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	return s.use().Get(ctx, key)
}

// Put writes an object.
func (s *switchable) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	return s.use().Put(ctx, key, r, c)
}

// List lists objects, as if they had been written some time ago: a Corpus reads
// what is very young again and again, which costs the tests half of their time.
func (s *switchable) List(ctx context.Context, prefix string) ([]blob.Info, error) {
	infos, err := s.use().List(ctx, prefix)
	for i := range infos {
		infos[i].Modified = infos[i].Modified.Add(-time.Minute)
	}
	return infos, err
}

// Delete removes an object.
func (s *switchable) Delete(ctx context.Context, key string) error { return s.use().Delete(ctx, key) }

// Map implements blob.Mapper.
func (s *switchable) Map(ctx context.Context, key string) ([]byte, func(), error) {
	return blob.Open(ctx, s.use(), key)
}
