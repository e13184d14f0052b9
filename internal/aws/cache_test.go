package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

func newCached(t testing.TB, s *Store, folder string, size int64, now func() time.Time) *Cached {
	t.Helper()
	c, err := NewCached(s, CacheOptions{Folder: folder, Max: size, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// maps wants what a key's mapping holds, and releases it.
func maps(t *testing.T, c *Cached, key, data string) {
	t.Helper()
	got, release, err := c.Map(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if string(got) != data {
		t.Fatalf("%s: %d bytes %.40q, want %d bytes %.40q", key, len(got), got, len(data), data)
	}
}

func TestCache(t *testing.T) {
	p, s, direct := faulty(t)
	var b strings.Builder
	for i := range 2_000_000 {
		fmt.Fprintf(&b, "%09d\n", i)
	}
	large := b.String() // three ranges
	const key = "segments/feed/1.seg"
	write1(t, direct, key, large, blob.Cond{})
	folder := t.TempDir()
	c := newCached(t, s, folder, 0, time.Now)
	left := func() int { es, _ := os.ReadDir(folder); return len(es) }

	t.Run("once", func(t *testing.T) {
		p.then(nil)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				got, release, err := c.Map(t.Context(), key)
				if err != nil || string(got) != large {
					t.Error(len(got), err)
					return
				}
				release()
			})
		}
		wg.Wait()
		maps(t, newCached(t, s, folder, 0, time.Now), key, large) // as another process would
		if n := len(p.seen()); n != 3 || left() != 1 {
			t.Errorf("%d requests, %d files: %v", n, left(), p.seen())
		}
	})
	t.Run("other bucket", func(t *testing.T) {
		other := newCached(t, newStore(t, s.URL()+"/other"), folder, 0, time.Now)
		if _, _, err := other.Map(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
			t.Error(err)
		}
	})
	t.Run("broken", func(t *testing.T) {
		for name, script := range map[string]func(){
			"cut":   func() { p.once(4, http.MethodGet, p.cut(4<<20)) },
			"reset": func() { p.once(2, http.MethodGet, reset) },
			"busy":  func() { p.once(2, http.MethodGet, says(503, "SlowDown")) },
		} {
			if c.Forget(key); left() != 0 {
				t.Fatal("not forgotten")
			}
			script()
			maps(t, c, key, large)
			if left() != 1 {
				t.Errorf("%s: %d files", name, left())
			}
		}
		c.Forget(key)
		p.once(1000, http.MethodGet, p.cut(0))
		if _, _, err := c.Map(t.Context(), key); err == nil || !strings.Contains(err.Error(), key) || left() != 0 {
			t.Error(err, left())
		}
		ctx, cancel := context.WithCancel(t.Context())
		p.then(func(http.ResponseWriter, *http.Request) bool { cancel(); return false })
		if _, _, err := c.Map(ctx, key); !errors.Is(err, context.Canceled) || left() != 0 {
			t.Error(err, left())
		}
	})
	t.Run("replaced between ranges", func(t *testing.T) {
		n := 0
		var mu sync.Mutex
		p.then(func(http.ResponseWriter, *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == 2 {
				_, _ = blob.Write(t.Context(), direct, key, []byte(large[1:]), blob.Cond{})
			}
			return false
		})
		if _, _, err := c.Map(t.Context(), key); !errors.Is(err, ErrChanged) || left() != 0 {
			t.Error(err, left())
		}
		p.then(nil)
		write1(t, direct, key, large, blob.Cond{})
	})
	t.Run("no folder", func(t *testing.T) {
		gone := newCached(t, s, filepath.Join(t.TempDir(), "gone"), 0, time.Now)
		if err := os.Remove(gone.folder); err != nil {
			t.Fatal(err)
		}
		maps(t, gone, key, large)
		write1(t, direct, "segments/empty", "", blob.Cond{})
		maps(t, gone, "segments/empty", "")
		maps(t, c, "segments/empty", "")
		maps(t, c, "segments/empty", "")
	})
	t.Run("changing objects", func(t *testing.T) {
		for _, data := range []string{"one", "two"} {
			write1(t, direct, "heads/feed.json", data, blob.Cond{})
			maps(t, c, "heads/feed.json", data)
		}
	})
}

// TestCacheBound: what was used longest ago goes, what is mapped stays readable
// and is not what goes; what a killed process left half-written goes after an hour.
func TestCacheBound(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	s, folder := newStore(t, newBucket(t, "bucket")), t.TempDir()
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	half := filepath.Join(folder, "1"+tempExt)
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(half, now, now); err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { now = now.Add(time.Second); return now }
	c := newCached(t, s, folder, 250, clock)
	if _, err := os.Stat(half); err != nil {
		t.Error("somebody may still be writing it")
	}
	object := func(i int) (string, string) {
		return fmt.Sprintf("segments/%d", i), strings.Repeat(string(rune('a'+i)), 100)
	}
	kept := func(want string) {
		t.Helper()
		got := ""
		for i := range 5 {
			key, _ := object(i)
			if _, err := os.Stat(c.file(key)); err == nil {
				got += fmt.Sprint(i)
			}
		}
		if got != want {
			t.Errorf("kept %s, want %s", got, want)
		}
	}
	for i := range 5 {
		key, data := object(i)
		write1(t, s, key, data, blob.Cond{})
	}
	key0, data0 := object(0)
	held, release, err := c.Map(t.Context(), key0)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 3; i++ {
		key, data := object(i)
		maps(t, c, key, data)
	}
	kept("02") // 0 is in use
	if string(held) != data0 {
		t.Errorf("%.20q", held)
	}
	release()
	maps(t, c, key0, data0)
	key3, data3 := object(3)
	maps(t, c, key3, data3)
	kept("03") // 2 was used before 0
	held, release, err = c.Map(t.Context(), key0)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * tempAge)
	other := newCached(t, s, folder, 100, clock) // another process, which does not know
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Error("half-written files stay")
	}
	key4, data4 := object(4)
	maps(t, other, key4, data4)
	kept("4")
	if string(held) != data0 {
		t.Error("a mapping ended before its release")
	}
	release()
	release()
	maps(t, c, key0, data0)
}
