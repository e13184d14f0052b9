package corpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// damageOptions make stores that have everything, however small.
var damageOptions = Options{Workers: 1, ShardSize: 8, Small: 1, Live: 24 * time.Hour, Now: func() time.Time { return day(30) }}

// everySort is a store with shards, bases, deltas, history and groups.
func everySort(t testing.TB) *memStore {
	t.Helper()
	store := &memStore{objects: map[string]memObject{}}
	data, err := seal(storeFile{Format: storeFormat, Seed: strings.Repeat("07", 16)}) // the same each time, for the fuzzer
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blob.Write(t.Context(), store, storeKey, data, blob.Cond{}); err != nil {
		t.Fatal(err)
	}
	c := openCorpus(t, store, damageOptions)
	w := &searchWorld{rnd: rand.New(rand.NewPCG(11, 12))}
	lists := make([][]intel.Entry, len(searchFeeds))
	for step := range 40 {
		k := step % len(searchFeeds)
		for range 1 + 20/(1+step) {
			lists[k] = append(lists[k], w.entry(t))
		}
		if step%5 == 4 {
			gone := lists[k][0].Indicator
			lists[k] = slices.DeleteFunc(lists[k], func(e intel.Entry) bool { return e.Indicator == gone })
		}
		now := t0.Add(time.Duration(step) * 5 * time.Hour)
		mustRun(t, c, searchFeeds[k], now, lists[k]...)
		if step < 36 {
			if _, err := c.Fold(t.Context(), searchFeeds[k].ID, FoldOptions{Now: now}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := c.Regroup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Sweep(t.Context(), time.Now().Add(time.Hour), 0); err != nil {
		t.Fatal(err)
	}
	noProblems(t, store)
	return store
}

// asks are the questions put to damaged stores, with answers as text.
type asks struct {
	searches []query.Search
	want     []string
}

func newAsks(t testing.TB, store *memStore) *asks {
	t.Helper()
	a := &asks{}
	for i, text := range searchLeaves {
		n, err := query.Parse(text, day(30))
		if err != nil {
			t.Fatal(err)
		}
		s := query.Search{Query: n, Sort: query.Sort{By: query.SortBy(i % 5)}, Facets: []query.Field{query.FieldTag, query.Context("reporter")}}
		if i%3 == 0 {
			s.Query = query.And{Nodes: []query.Node{query.Term{Token: "phishing"}, query.Not{Node: n}}}
		}
		if i%4 == 0 {
			s.AsOf = day(3)
		}
		a.searches = append(a.searches, s)
	}
	c := openCorpus(t, store, damageOptions)
	for _, s := range a.searches {
		said, err := say(c, s)
		if err != nil {
			t.Fatalf("%s: %v", s.Query, err)
		}
		a.want = append(a.want, said)
	}
	return a
}

// say asks and writes the whole answer.
func say(c *Corpus, s query.Search) (string, error) {
	var b strings.Builder
	page, err := c.Search(context.Background(), s, func(l *intel.Listing) error {
		fmt.Fprintf(&b, "%s %v\n", l.AppendJSON(nil), l.Changed)
		return nil
	})
	fmt.Fprintf(&b, "%+v", page)
	return b.String(), err
}

// partsOf is where the parts of a segment or other object lie: what is small is hit as
// often as what is large.
func partsOf(key string, data []byte) [][2]int {
	parts := [][2]int{{max(0, len(data)-footerSize), len(data)}}
	if !strings.HasSuffix(key, segExt) {
		return append(parts, [2]int{0, len(data)})
	}
	foot, err := readFooter(data)
	if err != nil {
		return parts
	}
	for _, s := range foot.sections {
		if s.len > 0 {
			parts = append(parts, [2]int{s.off, s.off + s.len})
		}
	}
	return parts
}

// TestSearchOfDamage flips bits in every part of every object. A search is
// answered as ever, or with an error that names the damaged file, or the feed is
// known to be broken.
func TestSearchOfDamage(t *testing.T) {
	store := everySort(t)
	a := newAsks(t, store)
	flips := 1500
	if soak() {
		flips = 30_000
	}
	r := rand.New(rand.NewPCG(21, 22))
	var keys []string
	sorts := map[string]int{}
	for key, o := range store.objects {
		if key == storeKey {
			continue
		}
		keys = append(keys, key)
		if foot, err := readFooter(o.data); err == nil {
			for _, s := range foot.sections {
				if s.len > 0 {
					sorts[s.String()]++
				}
			}
		}
		sorts[strings.SplitN(key, "/", 2)[0]]++
	}
	slices.Sort(keys)
	for _, what := range []string{"post", "fst", "repl", "batch", "groups"} {
		if sorts[what] == 0 {
			t.Fatalf("no %s in the store: %v", what, sorts)
		}
	}
	ends := map[string]int{}
	for i := range flips {
		key := keys[i%len(keys)]
		data := bytes.Clone(store.objects[key].data)
		parts := partsOf(key, data)
		p := parts[r.IntN(len(parts))]
		at, bit := p[0]+r.IntN(p[1]-p[0]), r.IntN(8)
		data[at] ^= 1 << bit
		what := fmt.Sprintf("%s with bit %d of byte %d of %d flipped", key, bit, at, len(data))
		ends[a.harmless(t, i, what, key, store.damaged(key, data))]++
	}
	t.Log(ends, sorts)
	if ends["refused"] == 0 || ends["right"] == 0 || ends["error"] == 0 {
		t.Errorf("the damage does not show: %v", ends)
	}
}

// harmless asks some of the questions.
func (a *asks) harmless(t *testing.T, turn int, what, key string, store *memStore) (end string) {
	t.Helper()
	c, err := Open(context.Background(), store, damageOptions)
	if err != nil || c.Err() != nil {
		if strings.HasPrefix(key, groupStore) {
			t.Errorf("%s: refused, though only a group is damaged: %v %v", what, err, c.Err())
		}
		return "refused"
	}
	end = "right"
	for k := turn % 9; k < len(a.searches); k += 9 {
		said, err := say(c, a.searches[k])
		switch {
		case err == nil && said != a.want[k]:
			t.Errorf("%s: a wrong answer to %s without an error:\n got %s\nwant %s", what, a.searches[k].Query, said, a.want[k])
		case err == nil:
		case strings.HasPrefix(key, groupStore):
			t.Errorf("%s: %s: an error, though only a group is damaged: %v", what, a.searches[k].Query, err)
		case !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), key):
			t.Errorf("%s: %s: an error that does not name the damage: %v", what, a.searches[k].Query, err)
		default:
			end = "error"
		}
	}
	return end
}

// behindSums reads a segment whose content was changed and whose checksums are
// right: whatever it says, nothing may panic or hang.
func behindSums(store *memStore, refs []SegmentRef, i int, data []byte, searches []query.Search) {
	refs = slices.Clone(refs)
	ref := &refs[i]
	ref.Sum, ref.Bytes = fmt.Sprintf("%016x", xxhash.Sum64(data)), int64(len(data))
	if len(data) >= footerSize {
		foot := data[len(data)-footerSize:]
		ref.Listings, ref.Open = int(le.Uint32(foot[32:])), int(le.Uint32(foot[36:]))
	}
	bad := store.damaged(ref.Key, data)
	head, etag, err := readHead(context.Background(), bad, "phish")
	if err != nil {
		return
	}
	head.Segments = refs
	c, err := Open(context.Background(), bad, damageOptions)
	if err != nil {
		return
	}
	if _, err := c.Commit(context.Background(), head, etag); err != nil {
		return
	}
	if _, err := c.Refresh(context.Background()); err != nil {
		return
	}
	for _, s := range searches {
		_, _ = say(c, s)
	}
	_, _ = c.Regroup(context.Background())
	_, _ = c.Fold(context.Background(), "phish", FoldOptions{Now: day(60)})
	_, _ = c.Purge(context.Background(), "phish", day(60))
}

// FuzzSegmentSearch is FuzzSegment for searches, folding, purging and groups, over
// stacks with a delta and history.
func FuzzSegmentSearch(f *testing.F) {
	store := everySort(f)
	a := newAsks(f, store)
	head, _, err := readHead(context.Background(), store, "phish")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(0), uint32(0), uint32(0), []byte{})
	f.Add(uint8(1), uint32(100), uint32(7), []byte{1, 2, 3})
	f.Add(uint8(2), uint32(5), uint32(9000), []byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, which uint8, at1, at2 uint32, change []byte) {
		i := int(which) % len(head.Segments)
		data := bytes.Clone(store.objects[head.Segments[i].Key].data)
		copy(data[int(at1)%len(data):], change)
		for k, b := range change {
			data[(int(at2)+k*97)%len(data)] ^= b
		}
		reseal(data)
		behindSums(store, head.Segments, i, data, a.searches[int(at1)%9:][:9])
	})
}

// TestSearchBehindRightChecksums is FuzzSegmentSearch's loop, every part being
// changed as often as the others.
func TestSearchBehindRightChecksums(t *testing.T) {
	store := everySort(t)
	a := newAsks(t, store)
	head, _, err := readHead(context.Background(), store, "phish")
	if err != nil {
		t.Fatal(err)
	}
	turns := 600
	if soak() {
		turns = 20_000
	}
	r := rand.New(rand.NewPCG(31, 32))
	for turn := range turns {
		i := turn % len(head.Segments)
		key := head.Segments[i].Key
		data := bytes.Clone(store.objects[key].data)
		parts := partsOf(key, data)
		p := parts[r.IntN(len(parts))]
		for range 1 + r.IntN(4) {
			data[p[0]+r.IntN(p[1]-p[0])] = byte(r.IntN(256))
		}
		reseal(data)
		k := r.IntN(len(a.searches) - 12)
		behindSums(store, head.Segments, i, data, a.searches[k:k+12])
	}
}
