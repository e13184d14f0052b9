package awslambda_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
)

// leaser is a process that wants a lease, with a clock that only its pauses move.
func leaser(s blob.Store, name string, now *time.Time) *awslambda.Lease {
	return &awslambda.Lease{Store: s, Key: "state/x.lease", Now: func() time.Time { return *now }, ID: func() string { return name },
		Sleep: func(ctx context.Context, d time.Duration) error { *now = now.Add(d); return ctx.Err() }}
}

func folder(t *testing.T) blob.Store {
	t.Helper()
	s, err := blob.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLease(t *testing.T) {
	s, now := folder(t), time.Now()
	a, b := leaser(s, "a", &now), leaser(s, "b", &now)
	release, err := a.Take(t.Context(), now.Add(time.Minute), 0)
	if err != nil {
		t.Fatal(err)
	}
	start := now
	if _, err := b.Take(t.Context(), now.Add(time.Minute), 10*time.Second); !errors.Is(err, awslambda.ErrLeased) || now.Sub(start) < 10*time.Second {
		t.Errorf("taken from who has it: %v after %s", err, now.Sub(start))
	}
	release(t.Context())
	again, err := b.Take(t.Context(), now.Add(time.Minute), 0)
	if err != nil {
		t.Fatalf("it was given back: %v", err)
	}
	release(t.Context()) // is b's now
	if _, err := a.Take(t.Context(), now.Add(time.Minute), 0); !errors.Is(err, awslambda.ErrLeased) {
		t.Errorf("given back by who had lost it: %v", err)
	}
	_ = again // b is killed
	start = now
	if _, err := a.Take(t.Context(), now.Add(time.Hour), 2*time.Minute); err != nil || now.Sub(start) < time.Minute {
		t.Errorf("what a killed one had: %v after %s", err, now.Sub(start))
	}
	if _, err := blob.Write(t.Context(), s, "state/x.lease", []byte("{"), blob.Cond{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Take(t.Context(), now.Add(time.Minute), 0); err != nil {
		t.Errorf("an object that is no lease: %v", err)
	}
}

// However many want it at a moment, one has it.
func TestLease_Race(t *testing.T) {
	s := folder(t)
	var mu sync.Mutex
	var got []string
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			now := time.Now()
			l := leaser(s, fmt.Sprint(i), &now)
			if _, err := l.Take(t.Context(), now.Add(time.Hour), time.Second); err == nil {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, fmt.Sprint(i))
			} else if !errors.Is(err, awslambda.ErrLeased) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(got) != 1 {
		t.Errorf("%d have it: %v", len(got), got)
	}
}

// counted is a store that tells ETags in lists and counts what is read.
type counted struct {
	blob.Store
	mu   sync.Mutex
	gets map[string]int
}

func (c *counted) List(ctx context.Context, prefix string) ([]blob.Info, error) {
	infos, err := c.Store.List(ctx, prefix)
	for i := range infos {
		data, _, err := blob.Read(ctx, c.Store, infos[i].Key)
		if err != nil {
			return nil, err
		}
		infos[i].ETag = fmt.Sprintf("%x", data)
	}
	return infos, err
}

func (c *counted) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	c.mu.Lock()
	c.gets[key]++
	c.mu.Unlock()
	data, info, err := blob.Read(ctx, c.Store, key)
	info.ETag = fmt.Sprintf("%x", data)
	return io.NopCloser(bytes.NewReader(data)), info, err
}

func TestRemembered(t *testing.T) {
	c := &counted{Store: folder(t), gets: map[string]int{}}
	r := &awslambda.Remembered{Store: c}
	put := func(key, text string) {
		t.Helper()
		if _, err := blob.Write(t.Context(), c.Store, key, []byte(text), blob.Cond{}); err != nil {
			t.Fatal(err)
		}
	}
	all := func(want string) {
		t.Helper()
		infos, err := r.List(t.Context(), "heads/")
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, i := range infos {
			data, _, err := blob.Read(t.Context(), r, i.Key)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(data)
		}
		if got.String() != want {
			t.Errorf("read %q, want %q", &got, want)
		}
	}
	put("heads/a", "1")
	put("heads/b", "2")
	all("12")
	all("12")
	put("heads/b", "3")
	all("13")
	if c.gets["heads/a"] != 1 || c.gets["heads/b"] != 2 {
		t.Errorf("read again: %v", c.gets)
	}
	if err := c.Delete(t.Context(), "heads/a"); err != nil {
		t.Fatal(err)
	}
	all("3")
	if _, _, err := blob.Read(t.Context(), r, "heads/a"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("what is gone is read: %v", err)
	}
}
