package corpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// smallStore has every kind of record in a segment of a few KiB.
func smallStore(t testing.TB) (*memStore, []intel.Indicator) {
	t.Helper()
	store := newMemStore(t)
	c := openCorpus(t, store, Options{})
	all := universe(t)[:120:120]
	all = append(all, universe(t)[150:]...)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 4 {
		mustRun(t, c, feedInfo("small", intel.Snapshot), day(i), randomEntries(r, all, 0.7)...)
	}
	if err := c.Sweep(context.Background(), time.Now().Add(time.Hour), 0); err != nil {
		t.Fatal(err)
	}
	noProblems(t, store)
	return store, all
}

// layeredStore has the same, in shards, deltas and history segments.
func layeredStore(t testing.TB) (*memStore, []intel.Indicator) {
	t.Helper()
	store := newMemStore(t)
	c := openCorpus(t, store, layered())
	_, all := smallStore(t)
	r := rand.New(rand.NewPCG(3, 5))
	info := feedInfo("small", intel.Snapshot)
	mustRun(t, c, info, day(0), randomEntries(r, all, 1)...)
	for i := range 6 {
		mustRun(t, c, info, day(i+1), append(randomEntries(r, all[:40], 0.5), randomEntries(r, all[40:], 1)...)...)
		if i == 3 || i == 4 {
			if _, err := c.Fold(t.Context(), "small", FoldOptions{Now: day(i + 1)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	stable := randomEntries(r, all[40:], 1)
	mustRun(t, c, info, day(8), stable...)
	if _, err := c.Fold(t.Context(), "small", FoldOptions{Now: day(20)}); err != nil {
		t.Fatal(err)
	}
	mustRun(t, c, info, day(9), append(randomEntries(r, all[:40], 0.3), stable[10:]...)...)
	if err := c.Sweep(context.Background(), time.Now().Add(time.Hour), 0); err != nil {
		t.Fatal(err)
	}
	noProblems(t, store)
	h, _, _ := c.Head(t.Context(), "small")
	deltas, history := 0, 0
	for _, s := range h.Segments {
		if s.Delta {
			deltas++
		}
		if s.History {
			history++
		}
	}
	if h.Shards < 2 || deltas == 0 || history == 0 {
		t.Fatalf("%d shards, %d deltas, %d history segments", h.Shards, deltas, history)
	}
	return store, all
}

func layered() Options { return Options{ShardSize: 130, Small: 5, Live: 48 * time.Hour} }

// answers asks about everything and returns what was said, and whether any
// question got an error.
func answers(t testing.TB, c *Corpus, all []intel.Indicator) (said []string, failed bool) {
	t.Helper()
	for _, i := range all {
		ls, err := c.Find(context.Background(), intel.Ask(i), day(2), nil)
		if err != nil {
			failed = true
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "segments/small/") {
				t.Fatalf("an error that is not about the damage: %v", err)
			}
		}
		said = append(said, strings.Join(comparable(ls), "\n"))
	}
	return said, failed
}

// damaged is a copy of the store in which one object has other content.
func (m *memStore) damaged(key string, data []byte) *memStore {
	c := &memStore{objects: map[string]memObject{}}
	for k, o := range m.objects {
		c.objects[k] = o
	}
	o := c.objects[key]
	o.data = data
	c.objects[key] = o
	return c
}

// harmless checks that damage is found by Verify, and that no answer is wrong:
// each question gets the right answer, an error, or the feed is not there and
// Open's corpus says so.
func harmless(t *testing.T, turn int, what string, store *memStore, all []intel.Indicator, want []string) {
	t.Helper()
	found := 0
	if err := Verify(context.Background(), store, func(Problem) { found++ }); err != nil {
		t.Fatalf("%s: verify: %v", what, err)
	}
	if found == 0 {
		t.Errorf("%s: not found by Verify", what)
	}
	c, err := Open(context.Background(), store, Options{Workers: 1})
	if err != nil || c.Err() != nil {
		return // refused as a whole, or the feed is
	}
	for k := turn % 7; k < len(all); k += 7 { // a seventh of them, another one each time
		i := all[k]
		ls, err := c.Find(context.Background(), intel.Ask(i), day(2), nil)
		if got := strings.Join(comparable(ls), "\n"); err == nil && got != want[k] {
			t.Errorf("%s: a wrong answer about %v without an error:\n got %s\nwant %s", what, i, got, want[k])
		}
	}
}

// TestDamageIsFound flips bits and cuts bytes off everywhere.
func TestDamageIsFound(t *testing.T) {
	for name, make := range map[string]func(testing.TB) (*memStore, []intel.Indicator){"one segment": smallStore, "layers": layeredStore} {
		t.Run(name, func(t *testing.T) { damageIsFound(t, make) })
	}
}

func damageIsFound(t *testing.T, make func(testing.TB) (*memStore, []intel.Indicator)) {
	store, all := make(t)
	want, failed := answers(t, openCorpus(t, store, Options{}), all)
	if failed {
		t.Fatal("the undamaged store fails")
	}
	flips, cuts := 600, 150
	if soak() {
		flips, cuts = 20_000, 5_000
	}
	r := rand.New(rand.NewPCG(5, 6))
	var keys []string
	for k := range store.objects {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i := range flips {
		key := keys[i%len(keys)]
		if i%4 != 0 {
			for !strings.HasSuffix(key, segExt) {
				key = keys[r.IntN(len(keys))]
			}
		}
		data := bytes.Clone(store.objects[key].data)
		at, bit := r.IntN(len(data)), r.IntN(8)
		data[at] ^= 1 << bit
		harmless(t, i, fmt.Sprintf("%s with bit %d of byte %d of %d flipped", key, bit, at, len(data)), store.damaged(key, data), all, want)
	}
	for i := range cuts {
		key := keys[i%len(keys)]
		data := store.objects[key].data
		n := r.IntN(len(data))
		harmless(t, i, fmt.Sprintf("%s cut to %d of %d bytes", key, n, len(data)), store.damaged(key, bytes.Clone(data[:n])), all, want)
	}
	for _, key := range keys {
		if key == storeKey {
			continue
		}
		data := append(bytes.Clone(store.objects[key].data), 0)
		harmless(t, 0, key+" with a byte more", store.damaged(key, data), all, want)
	}
}

// TestMissingSegment: a head that names what is not there.
func TestMissingSegment(t *testing.T) {
	store, _ := smallStore(t)
	for k := range store.objects {
		if strings.HasSuffix(k, segExt) {
			delete(store.objects, k)
		}
	}
	c := openCorpus(t, store, Options{})
	var fe *FeedError
	if !errors.As(c.Err(), &fe) || fe.Feed != "small" || !errors.Is(fe, blob.ErrNotFound) {
		t.Errorf("%v", c.Err())
	}
	n := 0
	if err := Verify(context.Background(), store, func(Problem) { n++ }); err != nil || n != 1 {
		t.Errorf("%d problems, %v", n, err)
	}
}

// TestRunMendsDamage: a run over a damaged segment keeps what can be read, says
// what is lost, and leaves a sound feed that lists what the run has.
func TestRunMendsDamage(t *testing.T) {
	good, all := smallStore(t)
	head, _, err := readHead(t.Context(), good, "small")
	if err != nil {
		t.Fatal(err)
	}
	key, total := head.Segments[0].Key, head.Segments[0].Listings
	data := good.objects[key].data
	foot, err := readFooter(data)
	if err != nil {
		t.Fatal(err)
	}
	at := func(id uint32) int {
		for _, s := range foot.sections {
			if s.id == id {
				return s.off
			}
		}
		return -1
	}
	_, cursor, _ := changesOf(t, openCorpus(t, good, Options{Now: func() time.Time { return day(8) }}), "", 0)
	flip := func(off int) []byte { b := bytes.Clone(data); b[off] ^= 1; return b }
	for _, x := range []struct {
		name     string
		data     []byte
		min, max int // records lost
	}{
		{"heap", flip(100), 1, total / 2},
		{"record numbers", flip(at(secRoff)), 0, total / 2},
		{"hashes", flip(at(secHash)), total, total},
		{"footer", flip(len(data) - 200), total, total},
		{"cut", data[:len(data)/2], total, total},
		{"missing", nil, total, total},
	} {
		t.Run(x.name, func(t *testing.T) {
			store := good.damaged(key, x.data)
			if x.data == nil {
				delete(store.objects, key)
			}
			c := openCorpus(t, store, Options{})
			entries := randomEntries(rand.New(rand.NewPCG(1, 1)), all, 0.8)
			m, err := run(t.Context(), c, feedInfo("small", intel.Snapshot), day(9), entries)
			if err != nil {
				t.Fatal(err)
			}
			lost := 0
			if m.Damage != nil {
				if _, err := fmt.Sscanf(m.Damage.Error(), "the history of %d listings is lost", &lost); err != nil || !strings.Contains(m.Damage.Error(), key) {
					t.Error(m.Damage)
				}
			}
			if !m.Changed || lost < x.min || lost > x.max {
				t.Errorf("changed %v, %d of %d lost: %v", m.Changed, lost, total, m.Damage)
			}
			noProblems(t, store)
			// What was lost may have been listed, and its end is not told.
			if _, _, err := c.Changes(t.Context(), cursor, 0, func(*intel.Event) error { return nil }); errors.Is(err, intel.ErrCursor) != (m.Damage != nil) {
				t.Errorf("a cursor from before: %v", err)
			}
			old := 0
			for _, e := range entries {
				ls := c.View().Exact(e.Indicator, time.Time{}, nil)
				if len(ls) != 1 || !ls[0].Listed {
					t.Fatalf("%v: %+v", e.Indicator, ls)
				}
				if ls[0].FirstSeen.Before(day(9)) {
					old++
				}
			}
			if (x.max < total) != (old > 0) {
				t.Errorf("%d listings kept their history", old)
			}
		})
	}
}

// TestRunMendsDamagedLayers: whichever segment of a feed is damaged or gone, the
// next run leaves a sound feed with all that it lists, and says what it cost.
func TestRunMendsDamagedLayers(t *testing.T) {
	good, all := layeredStore(t)
	head, _, err := readHead(t.Context(), good, "small")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(8, 8))
	entries := randomEntries(r, all, 0.8)
	for i, ref := range head.Segments {
		for _, at := range []int{-1, 20, int(ref.Bytes) / 2, int(ref.Bytes) - 100} {
			store := good.damaged(ref.Key, bytes.Clone(good.objects[ref.Key].data))
			if at < 0 {
				delete(store.objects, ref.Key)
			} else {
				store.objects[ref.Key].data[at] ^= 0x10
			}
			c := openCorpus(t, store, layered())
			m, err := run(t.Context(), c, feedInfo("small", intel.Snapshot), day(12), entries)
			if err != nil {
				t.Fatalf("%+v at %d: %v", ref, at, err)
			}
			if m.Damage == nil && (at == -1 || at > int(ref.Bytes)-footerSize) {
				t.Errorf("segment %d at %d: no damage told", i, at)
			}
			for _, e := range entries {
				if ls := c.View().Exact(e.Indicator, time.Time{}, nil); len(ls) != 1 || !ls[0].Listed {
					t.Fatalf("segment %d at %d: %v: %+v", i, at, e.Indicator, ls)
				}
			}
			if m.Damage != nil {
				noProblems(t, store)
			}
			if _, err := c.Fold(t.Context(), "small", FoldOptions{Now: day(30)}); err != nil && m.Damage != nil {
				t.Errorf("segment %d at %d: %v", i, at, err)
			}
		}
	}
}

// TestTruncatedUnderOurFeet cuts a mapped file: reading it faults, which must
// become an error and not the end of the process.
func TestTruncatedUnderOurFeet(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("nothing is mapped on Windows")
	}
	store := newStore(t)
	c := openCorpus(t, store, Options{})
	entries := benchEntries(20_000, func(i int) uint64 { return uint64(i) })
	info := feedInfo("big", intel.Snapshot)
	mustRun(t, c, info, t0, entries...)
	h, _, err := c.Head(t.Context(), "big")
	if err != nil {
		t.Fatal(err)
	}
	key := h.Segments[0].Key
	if err := os.Truncate(filepath.Join(store.Root(), filepath.FromSlash(key)), 4096); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for i := 0; i < len(entries); i += 100 {
		if _, err := c.Find(t.Context(), intel.Ask(entries[i].Indicator), time.Time{}, nil); err != nil {
			failed++
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), key) {
				t.Fatal(err)
			}
		}
	}
	if failed == 0 {
		t.Error("no look-up noticed")
	}
	if m, err := c.Merge(t.Context(), h, entries[:10], MergeOptions{Feed: "big", Info: info, Now: day(1)}); err != nil || !errors.Is(m.Damage, ErrCorrupt) {
		t.Errorf("merge: %+v %v", m, err)
	}
	if _, err := buildDirectory(c.View().segs, c.View().dead, 2); !errors.Is(err, ErrCorrupt) {
		t.Errorf("directory: %v", err)
	}
	n := 0
	if err := Verify(t.Context(), store, func(Problem) { n++ }); err != nil || n != 1 {
		t.Errorf("verify: %d problems, %v", n, err)
	}
}

// TestVerifyDerivesAgain: sections that do not follow from the records are found
// although every checksum is right.
func TestVerifyDerivesAgain(t *testing.T) {
	store, _ := layeredStore(t)
	head, tag, err := readHead(t.Context(), store, "small")
	if err != nil {
		t.Fatal(err)
	}
	met := map[uint32]bool{}
	for i := range head.Segments {
		good := head.Segments[i]
		data := store.objects[good.Key].data
		foot, err := readFooter(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, sec := range foot.sections {
			if sec.id == secHeap || sec.id == secSums || sec.id == secNames || sec.id == secWords || sec.len == 0 {
				continue
			}
			met[sec.id] = true
			for _, at := range []int{sec.len - 1 - sec.len/3, sec.len - 5, sec.len / 5, 1} {
				data := bytes.Clone(data)
				data[sec.off+max(at, 0)] ^= 1
				reseal(data)
				bad := store.damaged(good.Key, data)
				head.Segments[i].Sum = fmt.Sprintf("%016x", xxhash.Sum64(data))
				if _, err := openCorpus(t, bad, Options{}).Commit(t.Context(), head, tag); err != nil {
					t.Fatal(err)
				}
				n := 0
				if err := Verify(t.Context(), bad, func(Problem) { n++ }); err != nil || n == 0 {
					t.Errorf("segment %d section %v byte %d: %d problems, %v", i, sec, at, n, err)
				}
			}
		}
		head.Segments[i] = good
	}
	for _, id := range []uint32{secRepl, secBatch, secPost, secFst, secStat, secRoff, secAddr4, secAddr6, secCIDR, secAtHash, secHoff, secHash} {
		if !met[id] {
			t.Errorf("section %s was not changed", sectionNames[id])
		}
	}
	// What the head says of the segments.
	for name, change := range map[string]func(h *Head){
		"replaces":      func(h *Head) { h.Segments[len(h.Segments)-1].Replaces++ },
		"replaces open": func(h *Head) { h.Segments[len(h.Segments)-1].ReplacesOpen++ },
		"shards":        func(h *Head) { h.Shards *= 2 },
		"base left out": func(h *Head) {
			delta := slices.IndexFunc(h.Segments, func(r SegmentRef) bool { return r.Delta })
			h.Segments = slices.Delete(h.Segments, delta-1, delta)
		},
	} {
		bad := store.damaged(storeKey, store.objects[storeKey].data)
		h := *head
		h.Segments = slices.Clone(head.Segments)
		change(&h)
		if _, err := openCorpus(t, bad, Options{}).Commit(t.Context(), &h, tag); err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := Verify(t.Context(), bad, func(Problem) { n++ }); err != nil || n == 0 {
			t.Errorf("%s: %d problems, %v", name, n, err)
		}
	}
}
