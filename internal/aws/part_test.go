package aws

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

func newParts(t *testing.T, s *Store, folder string) *Cached {
	t.Helper()
	c, err := NewCached(s, CacheOptions{Folder: folder, Now: time.Now, Parts: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestParts: of an object that is mapped in parts the end is there at once and any
// other bytes once they were asked for, each chunk fetched once; when all are there it
// is a copy as any other.
func TestParts(t *testing.T) {
	p, s, direct := faulty(t)
	data := make([]byte, 28*chunk+12345)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	const key = "segments/feed/1.seg"
	write1(t, direct, key, string(data), blob.Cond{})
	size, tail := int64(len(data)), int64(20*chunk+100)
	open := func(c *Cached) ([]byte, func(int, int) error, func()) {
		t.Helper()
		got, need, release, err := c.MapPart(t.Context(), key, size, tail)
		if err != nil {
			t.Fatal(err)
		}
		return got, need, release
	}
	folder := t.TempDir()
	c := newParts(t, s, folder)
	p.then(nil)
	got, need, release := open(c)
	if need == nil || !bytes.Equal(got[tail:], data[tail:]) || len(p.seen()) != 1 || p.sent > size-tail+chunk {
		t.Fatalf("%d requests, %d bytes", len(p.seen()), p.sent)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := need(2*chunk-10, 20); err != nil || !bytes.Equal(got[2*chunk-10:2*chunk+10], data[2*chunk-10:2*chunk+10]) {
				t.Error("two chunks at once: ", err)
			}
		})
	}
	wg.Wait()
	if n := len(p.seen()); n != 2 {
		t.Errorf("%d requests: %v", n, p.seen())
	}
	p.once(1000, http.MethodGet, says(503, "SlowDown"))
	if err := need(0, 1); err == nil || !strings.Contains(err.Error(), key) || errors.Is(err, blob.ErrNotFound) {
		t.Error("while S3 is away: ", err)
	}
	if err := c.Fill(t.Context()); err == nil {
		t.Error("filled while S3 is away")
	}
	p.then(nil)
	if err := c.Fill(t.Context()); err != nil {
		t.Error(err)
	}
	if es, _ := os.ReadDir(folder); len(es) != 1 || !bytes.Equal(got, data) || need(0, len(data)) != nil {
		t.Errorf("filled: %d files", len(es))
	}
	if p.sent > 19*chunk {
		t.Errorf("%d bytes for what was missing", p.sent)
	}
	p.then(nil)
	if again, need, release := open(newParts(t, s, folder)); need != nil || !bytes.Equal(again, data) || len(p.seen()) != 0 {
		t.Error("a whole copy is not used: ", p.seen())
	} else {
		release()
	}
	release()

	t.Run("killed", func(t *testing.T) { // its files go with the next start, those of others stay
		folder := t.TempDir()
		if err := os.WriteFile(folder+"/"+partPrefix+"1"+tempExt, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, release := open(newParts(t, s, folder))
		newParts(t, s, folder)
		if es, _ := os.ReadDir(folder); len(es) != 1 {
			t.Errorf("%d files", len(es))
		}
		release()
	})
	t.Run("given up", func(t *testing.T) {
		folder := t.TempDir()
		c := newParts(t, s, folder)
		got, need, release := open(c)
		if err := need(0, 10); err != nil || !bytes.Equal(got[:10], data[:10]) {
			t.Error(err)
		}
		release()
		if err := errors.Join(c.Fill(t.Context())); err != nil {
			t.Error(err)
		}
		if es, _ := os.ReadDir(folder); len(es) != 0 {
			t.Errorf("%d files stay", len(es))
		}
	})
	t.Run("no room", func(t *testing.T) {
		folder := t.TempDir()
		c, err := NewCached(s, CacheOptions{Folder: folder, Now: time.Now, Parts: true, Max: size - 1})
		if err != nil {
			t.Fatal(err)
		}
		got, need, release := open(c)
		defer release()
		p.then(nil)
		if err := c.Fill(t.Context()); err == nil || !strings.Contains(err.Error(), "give the function more storage") || len(p.seen()) != 0 {
			t.Error(err, p.seen())
		}
		if err := need(0, 10); err != nil || !bytes.Equal(got[:10], data[:10]) {
			t.Error(err)
		}
	})
	t.Run("replaced", func(t *testing.T) {
		_, need, release := open(newParts(t, s, t.TempDir()))
		defer release()
		write1(t, direct, key, strings.Repeat("x", len(data)), blob.Cond{})
		if err := need(0, 10); !errors.Is(err, ErrChanged) {
			t.Error(err)
		}
	})
	t.Run("other size", func(t *testing.T) {
		c := newParts(t, s, t.TempDir())
		write1(t, direct, key, "short", blob.Cond{})
		if got, need, _, err := c.MapPart(t.Context(), key, size, tail); err != nil || string(got) != "short" || need != nil {
			t.Errorf("%.20q, %v", got, err)
		}
		if _, _, _, err := c.MapPart(t.Context(), "segments/none", size, tail); !errors.Is(err, blob.ErrNotFound) {
			t.Error(err)
		}
	})
}

// TestCorpusInParts: a corpus opens with a fraction of its segments and answers right
// all the same; what it cannot have at the moment is an error and never a wrong answer.
func TestCorpusInParts(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	url := newBucket(t, "bucket")
	p := before(t)
	if err := corpus.Init(t.Context(), newStore(t, url)); err != nil {
		t.Fatal(err)
	}
	names := many("name", 60_000)
	if err := merge(t, openCorpus(t, url, t.TempDir()), "feed", names...); err != nil {
		t.Fatal(err)
	}
	infos, err := newStore(t, url).List(t.Context(), "segments/")
	if err != nil || len(infos) != 1 || infos[0].Size < 2*partialFrom {
		t.Fatal(infos, err)
	}
	open := func() (*corpus.Corpus, *Cached) {
		t.Helper()
		store := newParts(t, newStore(t, url), t.TempDir())
		c, err := corpus.Open(t.Context(), store, corpus.Options{Now: func() time.Time { return day0 }})
		if err == nil {
			err = c.Err()
		}
		if err != nil {
			t.Fatal(err)
		}
		return c, store
	}
	p.then(nil)
	c, store := open()
	if 2*p.sent > infos[0].Size {
		t.Errorf("%d of %d bytes to open", p.sent, infos[0].Size)
	}
	if err := answers(t, c, names[12345]); err != nil {
		t.Error(err)
	}
	p.once(1<<20, http.MethodGet, reset)
	away := 0
	for i := 0; i < len(names); i += 1000 {
		if err := answers(t, c, names[i]); err != nil {
			away++
			if errors.Is(err, corpus.ErrCorrupt) || strings.HasSuffix(err.Error(), " listings") {
				t.Errorf("without S3: %v", err)
			}
		}
	}
	if away == 0 || away == len(names)/1000 {
		t.Errorf("%d of %d look-ups failed without S3", away, len(names)/1000)
	}
	p.then(nil)
	if err := answers(t, c, names...); err != nil {
		t.Error(err)
	}
	if err := store.Fill(t.Context()); err != nil {
		t.Error(err)
	}
	p.then(nil)
	if err := answers(t, c, names...); err != nil || len(p.seen()) != 0 {
		t.Error(err, p.seen())
	}

	// A chunk that came damaged is noticed, and the next look for new data has a good one.
	c, _ = open()
	flip := func(w http.ResponseWriter, r *http.Request) {
		rec := &flipped{ResponseWriter: w}
		p.ReverseProxy.ServeHTTP(rec, r)
	}
	p.once(1, http.MethodGet, flip)
	var damaged error
	for i := 0; i < len(names) && damaged == nil; i += 1000 { // some chunks came with the opening
		damaged = answers(t, c, names[i])
	}
	if !errors.Is(damaged, corpus.ErrCorrupt) {
		t.Errorf("a damaged chunk: %v, %v", damaged, p.seen())
	}
	p.then(nil)
	if changed, err := c.Refresh(t.Context()); err != nil || !changed {
		t.Error(changed, err)
	}
	if err := answers(t, c, names...); err != nil {
		t.Error(err)
	}
}

// flipped inverts the bits of what is sent through it.
type flipped struct{ http.ResponseWriter }

func (f *flipped) Write(b []byte) (int, error) {
	x := bytes.Clone(b)
	for i := range x {
		x[i] ^= 0xff
	}
	return f.ResponseWriter.Write(x)
}
