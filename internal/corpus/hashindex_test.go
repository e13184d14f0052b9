package corpus

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

func TestKeyed_seek(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, mask := range []uint64{^uint64(0), 0xff, 7, 0} { // few different hashes: many alike
		for _, n := range []int{0, 1, 2, 3, 10, 1000} {
			hashes := make([]uint64, n)
			for i := range hashes {
				hashes[i] = r.Uint64() & mask
			}
			slices.Sort(hashes)
			var k keyed
			for _, h := range hashes {
				k.hash, k.ref = le.AppendUint64(k.hash, h), le.AppendUint32(k.ref, 0)
			}
			for _, h := range append([]uint64{0, 1, mask, ^uint64(0), r.Uint64()}, hashes...) {
				if want, _ := slices.BinarySearch(hashes, h); k.seek(h) != want {
					t.Fatalf("%d hashes, %x: got %d, want %d", n, h, k.seek(h), want)
				}
			}
		}
	}
}

// Both ways find the same records, in the same order, dead ones left out.
func TestHashIndex(t *testing.T) {
	store := newMemStore(t)
	c := openCorpus(t, store, Options{ShardSize: 50, Small: 1, Live: -1})
	for d := range 3 {
		for _, f := range []string{"a", "b", "c"} {
			var list []intel.Entry
			for i := range 200 {
				if (i+d)%5 > 0 {
					list = append(list, entry(t, fmt.Sprintf("198.51.100.%d:%d", i%40, i+1)), entry(t, fmt.Sprintf("h%d.%s.example", i, f)))
				}
			}
			mustRun(t, c, feedInfo(f, intel.Snapshot), day(d+1), list...)
		}
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	x := newHashIndex(c.View().segs, c.View().dead)
	d, err := buildDirectory(x.segs, x.dead, 1)
	if err != nil {
		t.Fatal(err)
	}
	found, left := 0, 0
	ask := func(of hashOf, h uint64) {
		t.Helper()
		want := d.find(of, h, nil)
		want = slices.DeleteFunc(want, func(slot uint64) bool { // the directory also finds what is alike by chance
			seg, ref := slotRecord(slot)
			keys := x.segs[seg].byHash
			if of == ofAddress {
				keys = x.segs[seg].byAddress
			}
			for i := range keys.len() {
				if u32at(keys.ref, i) == ref {
					return u64at(keys.hash, i) != h
				}
			}
			return true
		})
		got, err := x.search(of, h, nil)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%x: got %x, %v, want %x", h, got, err, want)
		}
		found += len(got)
	}
	for i, s := range x.segs {
		left += deadCount(x.dead[i])
		for j := range s.byHash.len() {
			ask(ofValue, u64at(s.byHash.hash, j))
		}
		for j := range s.byAddress.len() {
			ask(ofAddress, u64at(s.byAddress.hash, j))
		}
	}
	ask(ofValue, 12345)
	if found == 0 || left == 0 || len(x.segs) < 20 {
		t.Errorf("the test is idle: %d found, %d dead, %d segments", found, left, len(x.segs))
	}
}

// One question does not wait for the directory; many make it, and what replaces
// a view with one has one.
func TestHashIndex_deferred(t *testing.T) {
	store := newMemStore(t)
	w := openCorpus(t, store, Options{})
	mustRun(t, w, feedInfo("a", intel.Snapshot), day(1), entry(t, "192.0.2.1"), entry(t, "192.0.2.2"))
	c := &Corpus{store: store, opt: w.opt, hash: w.hash, feeds: map[string]*followed{}, limits: defaultSearchLimits()}
	empty, err := c.newView(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.view.Store(empty)
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range asksToMake - 1 {
		if l := one(t, c, "192.0.2.1", time.Time{}); !l.Listed || c.View().dir.ready() {
			t.Fatalf("question %d: %v, ready %v", i, l, c.View().dir.ready())
		}
	}
	if l := one(t, c, "192.0.2.1", time.Time{}); !l.Listed {
		t.Fatal(l)
	}
	if err := c.View().dir.make(1); err != nil || !c.View().dir.ready() { // waits for who is at it
		t.Fatal(err)
	}
	mustRun(t, w, feedInfo("a", intel.Snapshot), day(2), entry(t, "192.0.2.3"))
	if _, err := c.Refresh(t.Context()); err != nil || !c.View().dir.ready() {
		t.Errorf("who asked a lot waits again: %v", err)
	}
	if st, err := c.Stats(t.Context()); err != nil || st.Indicators != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}
