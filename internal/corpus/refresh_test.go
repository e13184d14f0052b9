package corpus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

func TestOpenWithoutStore(t *testing.T) {
	d, err := blob.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), d, Options{})
	wantErr(t, err, ErrNoStore)
	wantErr(t, Verify(t.Context(), d, func(Problem) {}), ErrNoStore)
	if err := Init(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	before, _, _ := blob.Read(t.Context(), d, storeKey)
	if err := Init(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if after, _, _ := blob.Read(t.Context(), d, storeKey); string(after) != string(before) {
		t.Error("the second Init made another seed")
	}
	c := openCorpus(t, d, Options{})
	if st, err := c.Stats(t.Context()); err != nil || st.Listings != 0 || st.ByKind == nil {
		t.Errorf("%+v %v", st, err)
	}
	if ls := find(t, c.View(), "192.0.2.1", time.Time{}); len(ls) != 0 {
		t.Error(ls)
	}
}

// TestSecondProcessFollows reads with one Corpus what another writes.
func TestSecondProcessFollows(t *testing.T) {
	store := newStore(t)
	w, r := openCorpus(t, store, Options{}), openCorpus(t, store, Options{})
	info := feedInfo("f", intel.Snapshot)
	stamp := time.Now().Add(time.Hour) // young for as long as the test takes
	for i := range 20 {
		// The head keeps its size, and on some file systems its time.
		value := fmt.Sprintf("192.0.2.%d", 10+i)
		mustRun(t, w, info, day(0), entry(t, value))
		if err := os.Chtimes(filepath.Join(store.Root(), "heads", "f.json"), stamp, stamp); err != nil {
			t.Fatal(err)
		}
		changed, err := r.Refresh(t.Context())
		if err != nil || !changed {
			t.Fatalf("run %d: changed %v, %v", i, changed, err)
		}
		if l := one(t, r, value, time.Time{}); !l.Listed {
			t.Errorf("run %d: %+v", i, l)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(store.Root(), "heads", "f.json"), old, old); err != nil {
		t.Fatal(err)
	}
	v := r.View()
	if changed, err := r.Refresh(t.Context()); changed || err != nil || r.View() != v {
		t.Errorf("refreshed without a change: %v %v", changed, err)
	}
	// A head without new segments keeps the tables.
	mustRun(t, w, info, day(3), entry(t, "192.0.2.29"))
	if _, err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.View() == v || r.View().dir != v.dir || r.View().nets != v.nets {
		t.Error("the directory was rebuilt for a new head alone")
	}
	if l := one(t, r, "192.0.2.29", time.Time{}); !l.LastSeen.Equal(day(3)) {
		t.Errorf("last seen %v", l.LastSeen)
	}
	if err := store.Delete(t.Context(), "heads/f.json"); err != nil {
		t.Fatal(err)
	}
	if changed, err := r.Refresh(t.Context()); !changed || err != nil || len(r.View().Feeds()) != 0 {
		t.Errorf("a removed feed: %v %v %v", changed, err, r.View().Feeds())
	}
}

func TestCommitIsCompareAndSwap(t *testing.T) {
	store := newStore(t)
	a, b := openCorpus(t, store, Options{}), openCorpus(t, store, Options{})
	h := &Head{Feed: "f", Version: 1, Info: feedInfo("f", intel.Snapshot)}
	tag, err := a.Commit(t.Context(), h, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Commit(t.Context(), h, "")
	wantErr(t, err, blob.ErrConflict)
	h.Version = 2
	if _, err = b.Commit(t.Context(), h, tag); err != nil {
		t.Fatal(err)
	}
	_, err = a.Commit(t.Context(), h, tag)
	wantErr(t, err, blob.ErrConflict)
	got, _, err := a.Head(t.Context(), "f")
	if err != nil || got.Version != 2 || got.Format != HeadFormat || h.Format != 0 {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []*Head{{Feed: "../x"}, {Feed: "f", Segments: []SegmentRef{{Name: "a", Key: "segments/g/a"}}}, {Feed: ""}} {
		if _, err := a.Commit(t.Context(), bad, ""); err == nil {
			t.Errorf("committed %+v", bad)
		}
	}
}

// TestBrokenFeedStaysInView breaks one of two feeds while they are in view.
func TestBrokenFeedStaysInView(t *testing.T) {
	store := newStore(t)
	w, r := openCorpus(t, store, Options{}), openCorpus(t, store, Options{})
	good, bad := feedInfo("good", intel.Snapshot), feedInfo("bad", intel.Snapshot)
	mustRun(t, w, good, day(0), entry(t, "192.0.2.1"))
	mustRun(t, w, bad, day(0), entry(t, "192.0.2.2"))
	if _, err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(store.Root(), "heads", "bad.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(whole), "bad", "bäd", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRunBeside(t, w, good, day(1), entry(t, "192.0.2.1"), entry(t, "192.0.2.3"))
	for range 2 {
		changed, err := r.Refresh(t.Context())
		var fe *FeedError
		if !errors.As(err, &fe) || fe.Feed != "bad" || !errors.Is(err, ErrCorrupt) || r.Err() == nil ||
			r.Broken("bad") == nil || r.Broken("good") != nil {
			t.Fatalf("changed %v, %v", changed, err)
		}
		one(t, r, "192.0.2.3", time.Time{}) // the other one moved on
		one(t, r, "192.0.2.2", time.Time{}) // and this one stayed
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Refresh(t.Context()); err != nil || r.Err() != nil {
		t.Errorf("repaired: %v", err)
	}
	// Newly opened, the broken feed is left out and named.
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	c := openCorpus(t, store, Options{})
	if _, tag, err := c.Head(t.Context(), "bad"); !errors.Is(err, ErrCorrupt) || tag == "" {
		t.Errorf("ETag %q of a damaged head, %v", tag, err)
	}
	if c.Err() == nil || !strings.Contains(c.Err().Error(), "feed bad") || c.View().Feed("bad") != nil || c.View().Feed("good") == nil {
		t.Errorf("%v", c.Err())
	}
}

// mustRunBeside is mustRun where another feed may be broken.
func mustRunBeside(t *testing.T, c *Corpus, info intel.FeedInfo, now time.Time, entries ...intel.Entry) {
	t.Helper()
	_, err := run(t.Context(), c, info, now, entries)
	if h, _, headErr := c.Head(t.Context(), info.ID); headErr != nil || !h.LastGood.Equal(now) {
		t.Fatal(err, headErr)
	}
}

// racingStore replaces a feed's segment after its head was read, before the
// segment is: what a writer and its Sweep do to a reader.
type racingStore struct {
	*memStore
	race func()
	once sync.Once
}

func (s *racingStore) Map(ctx context.Context, key string) ([]byte, func(), error) {
	s.once.Do(s.race)
	data, _, err := blob.Read(ctx, s.memStore, key)
	return data, func() {}, err
}

func TestReaderRacesWithSweep(t *testing.T) {
	mem := newMemStore(t)
	w := openCorpus(t, mem, Options{})
	info := feedInfo("f", intel.Snapshot)
	mustRun(t, w, info, day(0), entry(t, "192.0.2.1"))
	s := &racingStore{memStore: mem, race: func() {
		mustRun(t, w, info, day(1), entry(t, "192.0.2.2"))
		if err := w.Sweep(context.Background(), time.Now().Add(time.Hour), time.Minute); err != nil {
			t.Error(err)
		}
	}}
	r := openCorpus(t, s, Options{})
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	if l := one(t, r, "192.0.2.2", time.Time{}); !l.Listed {
		t.Error(l)
	}
}

func TestSweep(t *testing.T) {
	store := newStore(t)
	c := openCorpus(t, store, Options{})
	info := feedInfo("f", intel.Snapshot)
	segments := func() (names []string) {
		infos, err := store.List(t.Context(), segDir)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range infos {
			names = append(names, i.Key)
		}
		return names
	}
	age := func(key string, by time.Duration) {
		at := time.Now().Add(-by)
		if err := os.Chtimes(filepath.Join(store.Root(), filepath.FromSlash(key)), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		mustRun(t, c, info, day(i), entry(t, fmt.Sprintf("192.0.2.%d", i+1)))
	}
	// An orphan: merged and never committed.
	h, _, _ := c.Head(t.Context(), "f")
	orphan, err := c.Merge(t.Context(), h, nil, MergeOptions{Feed: "f", Info: info, Now: day(9)})
	if err != nil {
		t.Fatal(err)
	}
	all := segments()
	if len(all) != 4 {
		t.Fatal(all)
	}
	current := h.Segments[0].Key
	// Written 10, 9 and 1 hours ago: the first was replaced 9, the second 1 hour ago.
	age(all[0], 10*time.Hour)
	age(all[1], 9*time.Hour)
	age(current, time.Hour)
	age(orphan.Segments[0].Key, 30*time.Minute)
	sweep := func(grace time.Duration, want int) {
		t.Helper()
		if err := c.Sweep(t.Context(), time.Now(), grace); err != nil {
			t.Fatal(err)
		}
		if got := segments(); len(got) != want {
			t.Errorf("grace %v leaves %v, want %d", grace, got, want)
		}
	}
	sweep(20*time.Hour, 4)
	sweep(2*time.Hour, 3)
	sweep(45*time.Minute, 2)
	sweep(time.Minute, 1)
	if got := segments(); got[0] != current {
		t.Errorf("left %v, current is %s", got, current)
	}
	noProblems(t, store)
	one(t, c, "192.0.2.3", time.Time{})
	if err := os.WriteFile(filepath.Join(store.Root(), "heads", "f.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Sweep(t.Context(), time.Now().Add(time.Hour), 0); err == nil || len(segments()) != 1 {
		t.Errorf("swept under a head that cannot be read: %v", err)
	}
}

// TestSweepKeepsLayers: a base stays while deltas come and go above it, and what
// is replaced counts from when it was.
func TestSweepKeepsLayers(t *testing.T) {
	store := newStore(t)
	c := openCorpus(t, store, Options{Small: 1})
	info := feedInfo("f", intel.Snapshot)
	entries := benchEntries(50, func(i int) uint64 { return uint64(i) })
	for i := range 4 {
		mustRun(t, c, info, day(i), entries[i:]...)
	}
	h, _, err := c.Head(t.Context(), "f")
	if err != nil || len(h.Segments) != 2 || len(h.Former) != 2 {
		t.Fatalf("%+v %v", h, err)
	}
	infos, err := store.List(t.Context(), segDir)
	if err != nil || len(infos) != 4 {
		t.Fatal(infos, err)
	}
	// The base is a day old, the deltas 5, 3 and 1 hours.
	for i, info := range infos {
		at := time.Now().Add(-[]time.Duration{24, 5, 3, 1}[i] * time.Hour)
		if err := os.Chtimes(filepath.Join(store.Root(), filepath.FromSlash(info.Key)), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		grace time.Duration
		left  int
	}{{4 * time.Hour, 4}, {2 * time.Hour, 3}, {30 * time.Minute, 2}, {0, 2}} {
		if err := c.Sweep(t.Context(), time.Now(), x.grace); err != nil {
			t.Fatal(err)
		}
		if infos, _ = store.List(t.Context(), segDir); len(infos) != x.left {
			t.Errorf("grace %v leaves %d, want %d", x.grace, len(infos), x.left)
		}
	}
	noProblems(t, store)
	// What is purged without a successor lingers from when the head was written.
	mustRun(t, c, info, day(4))
	if changed, err := c.Fold(t.Context(), "f", FoldOptions{Now: day(90)}); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if n, err := c.Purge(t.Context(), "f", day(9)); err != nil || n != 50 {
		t.Fatal(n, err)
	}
	if err := c.Sweep(t.Context(), time.Now(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if infos, _ = store.List(t.Context(), segDir); len(infos) == 0 {
		t.Error("nothing lingers")
	}
	if err := c.Sweep(t.Context(), time.Now().Add(time.Hour), time.Minute); err != nil {
		t.Fatal(err)
	}
	if infos, _ = store.List(t.Context(), segDir); len(infos) != 0 {
		t.Errorf("left: %v", infos)
	}
}

// TestConcurrentReadersAndWriters has two writers and readers in two corpora on
// one folder; every answer must be that of some committed run.
func TestConcurrentReadersAndWriters(t *testing.T) {
	store := newStore(t)
	w, r := openCorpus(t, store, Options{}), openCorpus(t, store, Options{})
	rounds := 12
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers, readers sync.WaitGroup
	var asked atomic.Int64
	// In round i feed f lists 100 addresses, all with the context "i".
	for _, feed := range []string{"a", "b"} {
		writers.Go(func() {
			for i := range rounds {
				var es []intel.Entry
				for k := range 100 {
					es = append(es, entry(t, fmt.Sprintf("192.0.2.%d", k), "round", fmt.Sprint(i)))
				}
				if _, err := run(ctx, w, feedInfo(feed, intel.Snapshot), day(i), es); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, c := range []*Corpus{w, r} {
		readers.Go(func() {
			for ctx.Err() == nil {
				v := c.View()
				seen := map[string]string{}
				for k := range 100 {
					ls, err := v.Find(ctx, intel.Ask(intel.Indicator{Kind: intel.IPv4, Value: fmt.Sprintf("192.0.2.%d", k)}), time.Time{}, nil)
					if err != nil && ctx.Err() == nil {
						t.Error(err)
					}
					for _, l := range ls {
						round := l.Context.First("round")
						if was, ok := seen[l.Feed]; ok && was != round {
							t.Errorf("one view shows feed %s in rounds %s and %s", l.Feed, was, round)
						}
						seen[l.Feed] = round
						asked.Add(1)
					}
				}
				if c == r {
					if _, err := r.Refresh(ctx); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			}
		})
	}
	writers.Wait()
	if err := w.Sweep(t.Context(), time.Now().Add(time.Hour), time.Minute); err != nil {
		t.Error(err)
	}
	stop()
	readers.Wait()
	if _, err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, l := range find(t, r.View(), "192.0.2.7", time.Time{}) {
		if l.Context.First("round") != fmt.Sprint(rounds-1) {
			t.Errorf("in the end %+v", l)
		}
	}
	noProblems(t, store)
	t.Logf("%d listings read meanwhile", asked.Load())
}

// countingStore counts the mappings that are held.
type countingStore struct {
	*memStore
	held atomic.Int64
}

func (s *countingStore) Map(ctx context.Context, key string) ([]byte, func(), error) {
	data, _, err := blob.Read(ctx, s.memStore, key)
	if err != nil {
		return nil, nil, err
	}
	s.held.Add(1)
	return data, func() { s.held.Add(-1) }, nil
}

// TestOldSegmentsAreReleased: what no view uses is unmapped, what one uses is not.
func TestOldSegmentsAreReleased(t *testing.T) {
	s := &countingStore{memStore: newMemStore(t)}
	c := openCorpus(t, s, Options{})
	info := feedInfo("f", intel.Snapshot)
	mustRun(t, c, info, day(0), entry(t, "192.0.2.1"), entry(t, "198.51.100.0/24"))
	old := c.View()
	for i := range 10 {
		mustRun(t, c, info, day(i+1), entry(t, fmt.Sprintf("192.0.2.%d", i+2)))
	}
	settle := func(want int64) {
		t.Helper()
		for range 100 {
			runtime.GC()
			if s.held.Load() == want {
				return
			}
			runtime.Gosched()
		}
		t.Errorf("%d mappings held, want %d", s.held.Load(), want)
	}
	settle(2)
	if ls := find(t, old, "192.0.2.1", time.Time{}); len(ls) != 1 || !ls[0].Listed {
		t.Errorf("the old view changed: %+v", ls)
	}
	runtime.KeepAlive(old)
	old = nil
	settle(1)
	runtime.KeepAlive(c)
}
