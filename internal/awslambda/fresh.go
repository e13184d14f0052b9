package awslambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Fresh looks for new data before an answer when the last look is some time ago: a
// function has nothing that runs in the background. Where the look fails the last
// good data goes on being answered from, and Ready says so.
type Fresh struct {
	// Refresh takes up what was committed; Reload reads the feed definitions again.
	Refresh func(ctx context.Context) (changed bool, err error)
	Reload  func(ctx context.Context) (changed bool, err error)
	Every   time.Duration // between two looks; default 5 s
	Now     func() time.Time
	Log     *slog.Logger

	mu   sync.Mutex
	last time.Time // of the last look
	good time.Time // of the last look that found everything
	err  error     // of the last look
}

const (
	freshEvery = 5 * time.Second
	// lookTime is how long an answer waits for a look.
	lookTime = 5 * time.Second
)

// Look looks if that is due.
func (f *Fresh) Look(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, every := f.Now(), f.Every
	if every <= 0 {
		every = freshEvery
	}
	if age := now.Sub(f.last); !f.last.IsZero() && age >= 0 && age < every {
		return
	}
	f.last = now
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	_, err := f.Refresh(ctx)
	if f.Reload != nil {
		_, more := f.Reload(ctx)
		err = errors.Join(err, more)
	}
	if f.err = err; err == nil {
		f.good = now
		return
	}
	f.Log.LogAttrs(ctx, slog.LevelError, "new data cannot be read; the last good one is answered from", slog.String("error", err.Error()), slog.Time("good", f.good))
}

// Opened notes that everything was read just now.
func (f *Fresh) Opened() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = f.Now()
	f.good = f.last
}

// Ready says since when new data could not be read, or nil.
func (f *Fresh) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		return nil
	}
	return &staleError{since: f.good, err: f.err}
}

// staleError says that answers are of data that may have been replaced.
type staleError struct {
	since time.Time
	err   error
}

func (e *staleError) Error() string { return e.Why() + ": " + e.err.Error() }
func (e *staleError) Unwrap() error { return e.err }

// Why is what anybody may know.
func (e *staleError) Why() string {
	return fmt.Sprintf("the store cannot be read; look-ups are answered from the data of %s", e.since.UTC().Format(time.RFC3339))
}

// Kept is a store that remembers the last content of some objects, and gives that
// while the store itself fails, for as long as For. It is for API keys: without it
// a store that is down for a minute would refuse everybody.
type Kept struct {
	blob.Store
	Keys []string
	For  time.Duration
	Now  func() time.Time

	mu   sync.Mutex
	have map[string]kept
}

type kept struct {
	data []byte // nil: there is no such object
	info blob.Info
	at   time.Time
}

// Get implements blob.Store.
func (k *Kept) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	data, info, err := blob.Read(ctx, k.Store, key)
	none := errors.Is(err, blob.ErrNotFound)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch old, ok := k.have[key]; {
	case err == nil || none:
		if k.have == nil {
			k.have = map[string]kept{}
		}
		for _, name := range k.Keys {
			if name == key {
				k.have[key] = kept{data, info, k.Now()}
			}
		}
	case ok && old.data != nil && k.Now().Sub(old.at) < k.For:
		data, info, err = old.data, old.info, nil
	}
	if err != nil {
		return nil, info, err
	}
	return io.NopCloser(bytes.NewReader(data)), info, nil
}
