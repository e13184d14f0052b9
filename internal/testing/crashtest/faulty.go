package crashtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// ErrInjected is the error of a Faulty store, as of a disk or network that failed.
var ErrInjected = errors.New("injected fault")

// Mode is how an operation fails.
type Mode int

// The modes.
const (
	Before Mode = iota // nothing happens, and the caller is told so
	After              // it happens, and the caller is told that it did not
	Dead               // nothing happens, then and ever after
)

// String names the mode.
func (m Mode) String() string { return [...]string{"before", "after", "dead"}[m] }

// Faulty is a store whose At-th operation (from 1; 0 = none) fails.
type Faulty struct {
	blob.Store
	At   int
	Mode Mode
	Err  error // default ErrInjected

	mu sync.Mutex
	n  int
	op string
}

// Hit is the operation that failed, "" while none did.
func (f *Faulty) Hit() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.op
}

// Count is how many operations there were.
func (f *Faulty) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// next counts an operation. It returns the error to give and whether the
// operation is to be done all the same.
func (f *Faulty) next(op, key string) (err error, done bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	hit := f.n == f.At || f.Mode == Dead && f.At > 0 && f.n > f.At
	if !hit {
		return nil, true
	}
	if f.op == "" {
		f.op = op + " " + key
	}
	cause := f.Err
	if cause == nil {
		cause = ErrInjected
	}
	return fmt.Errorf("%s %s: %w", op, key, cause), f.Mode == After
}

// Get implements blob.Store.
func (f *Faulty) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	if err, _ := f.next("get", key); err != nil {
		return nil, blob.Info{Key: key}, err
	}
	return f.Store.Get(ctx, key)
}

// Put implements blob.Store.
func (f *Faulty) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	err, done := f.next("put", key)
	if !done {
		return blob.Info{}, err
	}
	info, perr := f.Store.Put(ctx, key, r, c)
	if err != nil {
		return blob.Info{}, err
	}
	return info, perr
}

// List implements blob.Store.
func (f *Faulty) List(ctx context.Context, prefix string) ([]blob.Info, error) {
	if err, _ := f.next("list", prefix); err != nil {
		return nil, err
	}
	return f.Store.List(ctx, prefix)
}

// Delete implements blob.Store.
func (f *Faulty) Delete(ctx context.Context, key string) error {
	err, done := f.next("delete", key)
	if !done {
		return err
	}
	return errors.Join(f.Store.Delete(ctx, key), err)
}

// Map implements blob.Mapper.
func (f *Faulty) Map(ctx context.Context, key string) ([]byte, func(), error) {
	if err, _ := f.next("map", key); err != nil {
		return nil, nil, err
	}
	return blob.Open(ctx, f.Store, key)
}
