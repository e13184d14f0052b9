package corpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// t0 is when time begins in these tests.
var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func day(n int) time.Time { return t0.AddDate(0, 0, n) }

func soak() bool { return os.Getenv("EI_SOAK") != "" }

func newStore(t testing.TB) *blob.Dir {
	t.Helper()
	d, err := blob.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := Init(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return d
}

func openCorpus(t testing.TB, s blob.Store, o Options) *Corpus {
	t.Helper()
	c, err := Open(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run does what an ingest run does: head, merge, commit, refresh.
func run(ctx context.Context, c *Corpus, info intel.FeedInfo, now time.Time, entries []intel.Entry) (*Merged, error) {
	prev, etag, err := c.Head(ctx, info.ID)
	if err != nil {
		return nil, err
	}
	m, err := c.Merge(ctx, prev, entries, MergeOptions{Feed: info.ID, Info: info, Now: now})
	if err != nil {
		return nil, err
	}
	h := m.Next
	if _, err := c.Commit(ctx, h, etag); err != nil {
		return nil, err
	}
	_, err = c.Refresh(ctx)
	return m, err
}

func mustRun(t testing.TB, c *Corpus, info intel.FeedInfo, now time.Time, entries ...intel.Entry) *Merged {
	t.Helper()
	m, err := run(context.Background(), c, info, now, entries)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ind(t testing.TB, s string) intel.Indicator {
	t.Helper()
	i, err := intel.Detect(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// entry makes an entry of a value and name=value pairs of fields.
func entry(t testing.TB, value string, fields ...string) intel.Entry {
	t.Helper()
	e := intel.Entry{Indicator: ind(t, value), Original: value, Line: 1}
	for i := 0; i < len(fields); i += 2 {
		e.Fields.Add(fields[i], fields[i+1])
	}
	return e
}

func find(t testing.TB, v *View, value string, at time.Time) []intel.Listing {
	t.Helper()
	ls, err := v.Find(context.Background(), intel.Ask(ind(t, value)), at, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

func one(t testing.TB, c *Corpus, value string, at time.Time) intel.Listing {
	t.Helper()
	ls := find(t, c.View(), value, at)
	if len(ls) != 1 {
		t.Fatalf("%s at %v: %d listings, want 1: %+v", value, at, len(ls), ls)
	}
	return ls[0]
}

// spansOf writes intervals as days since t0: "0-2 5-".
func spansOf(l *intel.Listing) string {
	s := ""
	for i, iv := range l.Intervals {
		if i > 0 {
			s += " "
		}
		s += fmt.Sprintf("%g-", iv.From.Sub(t0).Hours()/24)
		if iv.To != nil {
			s += fmt.Sprintf("%g", iv.To.Sub(t0).Hours()/24)
		}
	}
	return s
}

// noProblems verifies the whole store.
func noProblems(t testing.TB, s blob.Store) {
	t.Helper()
	err := Verify(context.Background(), s, func(p Problem) { t.Errorf("verify: %s: %s", p.Key, p.Detail) })
	if err != nil {
		t.Fatal(err)
	}
}

func feedInfo(id string, p intel.Presence) intel.FeedInfo {
	return intel.FeedInfo{ID: id, Name: "Feed " + id, Provider: "Example", Presence: p, Confidence: 50, Reliability: "B", TLP: "clear"}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// memStore is a store in memory: it does not wait for disks and cannot map.
type memStore struct {
	mu      sync.Mutex
	objects map[string]memObject
	version int
}

type memObject struct {
	data []byte
	info blob.Info
}

func newMemStore(t testing.TB) *memStore {
	t.Helper()
	m := &memStore{objects: map[string]memObject{}}
	if err := Init(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *memStore) Get(_ context.Context, key string) (io.ReadCloser, blob.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return nil, blob.Info{Key: key}, fmt.Errorf("%s: %w", key, blob.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(o.data)), o.info, nil
}

func (m *memStore) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return blob.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.objects[key]; c.IfAbsent && ok || c.IfMatch != "" && o.info.ETag != c.IfMatch {
		return blob.Info{}, fmt.Errorf("%s: %w", key, blob.ErrConflict)
	}
	m.version++
	info := blob.Info{Key: key, Size: int64(len(data)), ETag: fmt.Sprint(m.version), Modified: time.Now()}
	m.objects[key] = memObject{data, info}
	return info, ctx.Err()
}

func (m *memStore) List(_ context.Context, prefix string) (out []blob.Info, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, o := range m.objects {
		if strings.HasPrefix(k, prefix) {
			out = append(out, o.info)
		}
	}
	slices.SortFunc(out, func(a, b blob.Info) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

func (m *memStore) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}
