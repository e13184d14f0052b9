package corpus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// fillFeeds runs so many feeds with a few random entries each.
func fillFeeds(t *testing.T, c *Corpus, r *rand.Rand, now time.Time, feeds ...int) {
	t.Helper()
	for _, f := range feeds {
		var entries []intel.Entry
		for range 5 + r.IntN(15) {
			i, original := randomValue(t, r)
			entries = append(entries, intel.Entry{Indicator: i, Original: original, Fields: randomFields(r)})
		}
		mustRun(t, c, feedInfo(fmt.Sprintf("feed-%02d", f), intel.Snapshot), now, entries...)
	}
}

func numbersTo(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

func wantRegroup(t *testing.T, c *Corpus, want bool) {
	t.Helper()
	if changed, err := c.Regroup(t.Context()); err != nil || changed != want {
		t.Fatalf("regrouping changed something: %v (%v), want %v", changed, err, want)
	}
}

func openedGroups(t *testing.T, c *Corpus, old []*group) []*group {
	t.Helper()
	out, err := c.openGroups(t.Context(), c.View().segs, old)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func groupKeys(t *testing.T, s blob.Store) (out []string) {
	t.Helper()
	infos, err := s.List(t.Context(), groupStore)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		out = append(out, i.Key)
	}
	return out
}

// keysAt reads a whole index: the documents of each key, moved up.
func keysAt(t *testing.T, x *terms.Index, base uint32, into map[string][]uint32) {
	t.Helper()
	if err := x.Range(nil, nil, func(key []byte, p terms.Postings) bool {
		for _, d := range p.Append(nil) {
			into[string(key)] = append(into[string(key)], d+base)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
}

// sameAsSegments checks that groups say of the current segments what those say,
// and returns how many segments they have.
func sameAsSegments(t *testing.T, c *Corpus, groups []*group) (members int) {
	t.Helper()
	byKey := map[string]*segment{}
	for _, s := range c.View().segs {
		byKey[s.key] = s
	}
	seen := map[string]bool{}
	for _, g := range groups {
		x, err := g.index()
		if err != nil {
			t.Fatal(err)
		}
		have, want := map[string][]uint32{}, map[string][]uint32{}
		keysAt(t, x, 0, have)
		current := map[uint32]bool{}
		for _, m := range g.members {
			s := byKey[m.key]
			if s == nil {
				continue
			}
			if seen[m.key] || s.listings() != m.docs {
				t.Fatalf("%s: %s with %d records is there twice, or has %d", g.key, m.key, m.docs, s.listings())
			}
			seen[m.key] = true
			own, err := s.terms()
			if err != nil {
				t.Fatal(err)
			}
			keysAt(t, own, m.base, want)
			for i := range m.docs {
				current[m.base+uint32(i)] = true
			}
		}
		for k, docs := range have {
			docs = slices.DeleteFunc(docs, func(d uint32) bool { return !current[d] })
			if !slices.Equal(docs, want[k]) {
				t.Fatalf("%s: %q has %v, its segments say %v", g.key, k, docs, want[k])
			}
			delete(want, k)
		}
		if len(want) > 0 {
			t.Fatalf("%s: keys are missing: %v", g.key, want)
		}
	}
	return len(seen)
}

func TestGroupsSayWhatSegmentsSay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	store := newStore(t)
	c := openCorpus(t, store, Options{})
	fillFeeds(t, c, r, t0, numbersTo(groupLoose)...)
	wantRegroup(t, c, false) // few enough
	fillFeeds(t, c, r, t0, groupLoose)
	wantRegroup(t, c, true)
	wantRegroup(t, c, false)
	groups := openedGroups(t, c, nil)
	if n := sameAsSegments(t, c, groups); n != len(c.View().segs) || len(groups) != 1 {
		t.Fatalf("%d of %d segments in %d groups", n, len(c.View().segs), len(groups))
	}
	other := openCorpus(t, store, Options{})
	wantRegroup(t, other, false)
	sameAsSegments(t, other, openedGroups(t, other, nil))
	if again := openedGroups(t, c, groups); again[0] != groups[0] {
		t.Error("a group that was open was opened again")
	}
}

func TestGroupsWithReplacedMembers(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 5))
	store := newStore(t)
	c := openCorpus(t, store, Options{})
	fillFeeds(t, c, r, t0, numbersTo(20)...)
	wantRegroup(t, c, true)
	groups := openedGroups(t, c, nil)
	was := sameAsSegments(t, c, groups)
	fillFeeds(t, c, r, day(1), 3, 4)
	wantRegroup(t, c, false) // not worth it
	groups = openedGroups(t, c, groups)
	if n := sameAsSegments(t, c, groups); n == 0 || n > was {
		t.Fatalf("%d segments grouped, %d before", n, was)
	}
	for i := range 14 {
		fillFeeds(t, c, r, day(2+i), i)
		if _, err := c.Regroup(t.Context()); err != nil {
			t.Fatal(err)
		}
		groups = openedGroups(t, c, groups)
		if loose := len(c.View().segs) - sameAsSegments(t, c, groups); loose > groupLoose {
			t.Fatalf("%d of %d segments in no group", loose, len(c.View().segs))
		}
	}
	if len(groupKeys(t, store)) < 2 {
		t.Fatal("no group was rebuilt")
	}
}

// TestGroupsOfTwoProcesses has two processes group at the same time: both are
// right, and what is there twice goes, but not before the grace.
func TestGroupsOfTwoProcesses(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	store := newStore(t)
	now := time.Now()
	late := now
	clock := func() time.Time { return late }
	a := openCorpus(t, store, Options{Now: clock})
	fillFeeds(t, a, r, t0, numbersTo(15)...)
	b := openCorpus(t, store, Options{Now: clock})
	var wg sync.WaitGroup
	for _, c := range []*Corpus{a, b} {
		wg.Go(func() {
			if _, err := c.Regroup(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, c := range []*Corpus{a, b} {
		sameAsSegments(t, c, openedGroups(t, c, nil))
	}
	open := openedGroups(t, b, nil)
	fillFeeds(t, a, r, day(1), numbersTo(15)...)
	wantRegroup(t, a, true)
	before := groupKeys(t, store)
	late = now.Add(groupGrace - time.Minute)
	wantRegroup(t, a, false)
	if !slices.Contains(before, open[0].key) || !slices.Equal(groupKeys(t, store), before) {
		t.Fatalf("groups %q, before the grace %q", groupKeys(t, store), before)
	}
	late = now.Add(groupGrace + time.Minute)
	wantRegroup(t, a, true)
	wantRegroup(t, a, false)
	if left := groupKeys(t, store); len(left) != 1 || left[0] == open[0].key {
		t.Fatalf("groups %q are left of %q", left, before)
	}
	sameAsSegments(t, a, openedGroups(t, a, nil))
	sameAsSegments(t, b, open) // which still reads what was deleted
	if _, err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	sameAsSegments(t, b, openedGroups(t, b, open))
	wantRegroup(t, b, false)
}

// replaceObject puts other bytes in an object's place.
func replaceObject(t *testing.T, s blob.Store, key string, data []byte) {
	t.Helper()
	if _, err := blob.Write(t.Context(), s, key, data, blob.Cond{}); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	store := newMemStore(t)
	c := openCorpus(t, store, Options{})
	fillFeeds(t, c, r, t0, numbersTo(12)...)
	wantRegroup(t, c, true)
	key := groupKeys(t, store)[0]
	data, _, err := blob.Read(t.Context(), store, key)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(data); i += 1 + r.IntN(max(1, len(data)/60)) {
		damaged := slices.Clone(data)
		damaged[i] ^= 1 << r.IntN(8)
		replaceObject(t, store, key, damaged)
		c := openCorpus(t, store, Options{})
		groups := openedGroups(t, c, nil)
		if len(groups) > 0 {
			if err := readGroup(groups[0]); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), key) {
				t.Fatalf("byte %d: %v", i, err)
			}
			if again := openedGroups(t, c, groups); len(again) > 0 {
				t.Fatalf("byte %d: the group is used although it is damaged", i)
			}
		}
		wantRegroup(t, c, true)
		keys := groupKeys(t, store)
		if len(keys) != 1 || keys[0] == key {
			t.Fatalf("byte %d: groups %q", i, keys)
		}
		sameAsSegments(t, c, openedGroups(t, c, nil))
		if err := store.Delete(t.Context(), keys[0]); err != nil {
			t.Fatal(err)
		}
	}
	for n := range groupFooter + 1 {
		replaceObject(t, store, key, data[:len(data)-1-n])
		if groups := openedGroups(t, openCorpus(t, store, Options{}), nil); len(groups) > 0 {
			t.Fatalf("%d bytes cut off, and used", n+1)
		}
	}
}

// readGroup reads all there is in a group.
func readGroup(g *group) error {
	return guard([]*segment{g.file}, func() error {
		x, err := g.index()
		if err != nil {
			return err
		}
		return x.Range(nil, nil, func([]byte, terms.Postings) bool { return true })
	})
}

func TestForeignGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	store := newMemStore(t)
	late := time.Now()
	c := openCorpus(t, store, Options{Now: func() time.Time { return late }})
	fillFeeds(t, c, r, t0, numbersTo(12)...)
	wantRegroup(t, c, true)
	own := groupKeys(t, store)[0]
	data, _, err := blob.Read(t.Context(), store, own)
	if err != nil {
		t.Fatal(err)
	}
	newer := slices.Clone(data)
	newer[len(newer)-groupFooter+8] = groupFormat + 1
	replaceObject(t, store, groupStore+"of-a-newer-version.grp", newer)
	replaceObject(t, store, groupStore+"note.txt", []byte("not a group"))
	replaceObject(t, store, groupStore+"of-another-store.grp", appendGroup(nil, nil, []groupMember{{"segments/x/y.seg", 0, 3}, {"segments/x/z.seg", 3, 3}}))
	c = openCorpus(t, store, Options{Now: func() time.Time { return late }})
	if groups := openedGroups(t, c, nil); len(groups) != 1 || groups[0].key != own {
		t.Fatalf("%d groups in use", len(groups))
	}
	wantRegroup(t, c, true)
	late = late.Add(groupGrace + time.Minute)
	wantRegroup(t, c, true)
	if keys := groupKeys(t, store); !slices.Equal(keys, []string{own, groupStore + "of-a-newer-version.grp"}) {
		t.Fatalf("left: %q", keys)
	}
}

// TestGroupOfWrongSize has an index of other documents than its members' records.
func TestGroupOfWrongSize(t *testing.T) {
	b := terms.NewBuilder(3)
	for range 3 {
		b.Add([]byte("a"))
		b.Next()
	}
	post, fst, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	for docs, want := range map[int]error{2: nil, 1: ErrCorrupt, 3: ErrCorrupt} {
		data := appendGroup(post, fst, []groupMember{{"segments/x/y.seg", 0, 1}, {"segments/x/z.seg", 1, docs}})
		g := &group{key: "groups/x.grp", file: &segment{data: data}, spoil: func(error) {}}
		if err := g.load(); err != nil {
			t.Fatal(err)
		}
		if _, err := g.index(); !errors.Is(err, want) {
			t.Errorf("%d documents of 3: %v, want %v", 1+docs, err, want)
		}
	}
}

// TestUselessSince has a group whose segments were put into others later.
func TestUselessSince(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	segs := candidates(1, 2, 3)
	known := func(key string, n int, segs ...candidate) *knownGroup {
		return &knownGroup{info: blob.Info{Key: key, Modified: at(n)}, group: fakeGroup(key, segs)}
	}
	old := known("old", 2, segs...)
	for _, tt := range []struct {
		name    string
		current []candidate
		others  []*knownGroup
		want    time.Time
	}{
		{"both parts in use elsewhere", segs[:2], []*knownGroup{known("a", 4, segs[0]), known("b", 5, segs[1])}, at(5)},
		{"put together again and again", segs[:2], []*knownGroup{known("a", 4, segs[:2]...), known("b", 6, segs[:2]...), known("c", 9, segs[:2]...)}, at(4)},
		{"one of its segments is no longer current", segs[:1], []*knownGroup{known("a", 4, segs[0]), known("b", 5, segs[1])}, at(4)},
		{"the other one is older", segs[:2], []*knownGroup{known("a", 1, segs[:2]...)}, at(2)},
		{"nothing current, a later group", nil, []*knownGroup{known("a", 1), known("b", 7), known("c", 8)}, at(7)},
		{"nothing current, no later group", nil, []*knownGroup{known("a", 1)}, at(2)},
		{"a later one that cannot be read", segs[:1], []*knownGroup{{info: blob.Info{Key: "a", Modified: at(3)}, err: ErrCorrupt}, known("b", 6, segs[0])}, at(6)},
	} {
		all := append([]*knownGroup{old}, tt.others...)
		var infos []blob.Info
		for _, k := range all {
			infos = append(infos, k.info)
		}
		if have := uselessSince(old, infos, docsOf(tt.current), groupedAt(all)); have != tt.want {
			t.Errorf("%s: since %v, want %v", tt.name, have.Unix(), tt.want.Unix())
		}
	}
}

// TestGroupsWithoutDamagedSegments leaves the segments out whose index cannot be
// read, and does not try them again and again.
func TestGroupsWithoutDamagedSegments(t *testing.T) {
	store := newMemStore(t)
	c := openCorpus(t, store, Options{})
	for i := range 20 { // no networks, which are read on opening
		id := fmt.Sprintf("feed-%02d", i)
		mustRun(t, c, feedInfo(id, intel.Snapshot), t0, entry(t, "a.example", "tags", id), entry(t, "b."+id+".example"))
	}
	bad := map[string]bool{}
	for _, s := range c.View().segs[:groupLoose+2] {
		sec := s.section(secFst)
		data := slices.Clone(s.data)
		data[sec.off+sec.len/2] ^= 0x10
		replaceObject(t, store, s.key, data)
		bad[s.key] = true
	}
	c = openCorpus(t, store, Options{})
	wantRegroup(t, c, true)
	wantRegroup(t, c, false)
	groups := openedGroups(t, c, nil)
	if n := sameAsSegments(t, c, groups); n != len(c.View().segs)-len(bad) {
		t.Fatalf("%d of %d segments in groups", n, len(c.View().segs))
	}
	for _, m := range groups[0].members {
		if bad[m.key] {
			t.Fatalf("%s is in the group, although it is damaged", m.key)
		}
	}
}

func TestRegroupCancelled(t *testing.T) {
	c := openCorpus(t, newMemStore(t), Options{})
	fillFeeds(t, c, rand.New(rand.NewPCG(7, 5)), t0, numbersTo(12)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if changed, err := c.Regroup(ctx); changed || !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, %v", changed, err)
	}
}

// FuzzGroup reads objects that are anything.
func FuzzGroup(f *testing.F) {
	b := terms.NewBuilder(2)
	b.Add([]byte("a"))
	b.Next()
	b.Next()
	post, fst, err := b.Finish()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(appendGroup(post, fst, []groupMember{{"segments/x/y.seg", 0, 1}, {"segments/x/z.seg", 1, 1}}), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, data []byte, at uint16, flip byte) {
		if n := len(data) - groupFooter; n > 0 { // with a checksum that is right
			data = slices.Clone(data)
			data[int(at)%len(data)] ^= flip
			foot := data[n:]
			if covered := align8(align8(int(le.Uint16(foot[16:]))) + int(le.Uint16(foot[24:]))); covered <= n {
				le.PutUint64(foot, tailSum(data[covered:n], foot))
			}
		}
		g := &group{key: "groups/x.grp", file: &segment{key: "groups/x.grp", data: data}, spoil: func(error) {}}
		if err := g.load(); err != nil {
			return
		}
		_ = readGroup(g)
	})
}
