package corpus

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

var update = flag.Bool("update", false, "write the fixture of the current format anew")

// fixtureAnswers is what a fixture's store must say.
type fixtureAnswers struct {
	Stats   intel.Stats
	Answers map[string][]string // value and instant: listings as comparable writes them
}

// TestReleasedFormats reads a store of every format there was. Fixtures of
// released formats are never written again: -update writes the current one.
func TestReleasedFormats(t *testing.T) {
	if *update {
		writeFixture(t, filepath.Join("testdata", fmt.Sprintf("v%d", segmentFormat)))
	}
	dirs, err := filepath.Glob(filepath.Join("testdata", "v*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, dir := range dirs {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			continue
		}
		seen++
		t.Run(filepath.Base(dir), func(t *testing.T) {
			raw, err := os.ReadFile(dir + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var want fixtureAnswers
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			// A copy, so that it can be written to as well.
			store := newMemStore(t)
			from, err := blob.OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			copyStore(t, from, store)
			noProblems(t, store)
			c := openCorpus(t, store, Options{Now: func() time.Time { return day(30) }})
			if c.Err() != nil {
				t.Fatal(c.Err())
			}
			got := askFixture(t, c)
			a, _ := json.MarshalIndent(got, "", " ")
			b, _ := json.MarshalIndent(want, "", " ")
			if !bytes.Equal(a, b) {
				t.Errorf("got\n%s\nwant\n%s", a, b)
			}
			mustRun(t, c, feedInfo("snapshot", intel.Snapshot), day(40), entry(t, "198.51.100.1", "new", "yes"))
			noProblems(t, store)
		})
	}
	if seen < segmentFormat {
		t.Errorf("%d fixtures for %d formats", seen, segmentFormat)
	}
}

func copyStore(t *testing.T, from, to blob.Store) {
	t.Helper()
	infos, err := from.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		data, _, err := blob.Read(t.Context(), from, i.Key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := blob.Write(t.Context(), to, i.Key, data, blob.Cond{}); err != nil {
			t.Fatal(err)
		}
	}
}

// writeFixture makes a small store with everything the format has.
func writeFixture(t *testing.T, dir string) {
	t.Helper()
	mem := newMemStore(t)
	o := layered()
	o.Now = func() time.Time { return day(30) }
	c := openCorpus(t, mem, o)
	all := universe(t)
	r := rand.New(rand.NewPCG(11, 12))
	infos := []intel.FeedInfo{feedInfo("snapshot", intel.Snapshot), feedInfo("append-ttl", intel.Append), feedInfo("starter", intel.Rolling)}
	infos[1].TTL = intel.Duration(40 * time.Hour)
	infos[1].Tags = []string{"feed"}
	infos[2].Snapshot = "2026-02-01"
	for i := range 9 {
		mustRun(t, c, infos[i%3], day(i), append(randomEntries(r, all, 0.4), benchEntries(30, func(k int) uint64 { return uint64(k) })...)...)
		if _, err := c.Fold(t.Context(), infos[i%3].ID, FoldOptions{Now: day(i)}); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, c, infos[0], day(9), append(randomEntries(r, all[:20], 0.4), benchEntries(30, func(k int) uint64 { return uint64(k) })...)...)
	if err := c.Sweep(t.Context(), time.Now().Add(time.Hour), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for key, o := range mem.objects {
		path := filepath.Join(dir, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, o.data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.MarshalIndent(askFixture(t, c), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+".json", append(raw, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func askFixture(t *testing.T, c *Corpus) fixtureAnswers {
	t.Helper()
	out := fixtureAnswers{Stats: c.View().Stats(), Answers: map[string][]string{}}
	out.Stats.Segments, out.Stats.Indexes, out.Stats.Memory = 0, 0, intel.Memory{} // the program's, not the format's
	values := []string{"198.51.100.1", "198.51.100.3:83", "198.51.100.0/24", "2001:db8::/32", "a.d3.example.org", "http://a.d4.example.org/x4",
		"user5@d5.example.org", fmt.Sprintf("%064x", 6), benchIndicator(3).Value, benchIndicator(4).Value, "203.0.113.200"}
	for _, v := range values {
		for _, at := range []time.Time{{}, day(4)} {
			ls, err := c.Find(context.Background(), intel.Ask(ind(t, v)), at, nil)
			if err != nil {
				t.Fatal(err)
			}
			out.Answers[fmt.Sprintf("%s at %d", v, max(at.Unix(), 0))] = comparable(ls)
		}
	}
	return out
}

// TestNewerFormatsAreRefused with a sentence that says what to do.
func TestNewerFormatsAreRefused(t *testing.T) {
	good, _ := smallStore(t)
	head, _, err := readHead(t.Context(), good, "small")
	if err != nil {
		t.Fatal(err)
	}
	key := head.Segments[0].Key
	segment := func(field, value uint32) []byte {
		data := bytes.Clone(good.objects[key].data)
		le.PutUint32(data[len(data)-footerSize+int(field):], value)
		return data
	}
	for _, x := range []struct {
		name, key string
		data      []byte
		want      string
	}{
		{"store", storeKey, []byte(`{"format":2,"anything":{}}`), "the store was written by a newer elasticintel (format 2; this one reads up to 1); upgrade"},
		{"head", "heads/small.json", []byte(`{"format":3,"feed":"small"}` + "\n"), "written by a newer elasticintel (format 3; this one reads up to 2); upgrade"},
		{"segment", key, segment(8, 3), "written by a newer elasticintel (format 3; this one reads up to 2); upgrade"},
		{"feature", key, segment(12, 4), "it needs features 0x4: written by a newer elasticintel than this one; upgrade"},
	} {
		t.Run(x.name, func(t *testing.T) {
			store := good.damaged(x.key, x.data)
			_, err := Open(t.Context(), store, Options{})
			wantErr(t, err, ErrNewer)
			if !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v", err)
			}
			n := 0
			if err := Verify(t.Context(), store, func(p Problem) {
				if n++; !strings.Contains(p.Detail, "newer") {
					t.Errorf("%+v", p)
				}
			}); err != nil || n != 1 {
				t.Errorf("verify: %d problems, %v", n, err)
			}
		})
	}
	// While running, the feed's previous data stays.
	c := openCorpus(t, good, Options{})
	good.mu.Lock()
	o := good.objects["heads/small.json"]
	o.data, o.info.ETag = []byte(`{"format":3}`), "new"
	good.objects["heads/small.json"] = o
	good.mu.Unlock()
	_, err = c.Refresh(t.Context())
	wantErr(t, err, ErrNewer)
	if c.View().Feed("small") == nil {
		t.Error("the feed is gone")
	}
}

// TestUnknownSectionsAreSkipped: a later version of this format adds sections.
func TestUnknownSectionsAreSkipped(t *testing.T) {
	var file bytes.Buffer
	store := newMemStore(t)
	h, err := readStore(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	w := newSegmentWriter(&file, h)
	w.begin(newVocabulary(nil, nil), 1)
	hist := history{spans: []span{{1000, open}}, changed: 1000}
	if err := w.add(intel.IPv4, &texts{value: "192.0.2.1", original: "192.0.2.1"}, &hist); err != nil {
		t.Fatal(err)
	}
	w.later = func() { w.section(99, []byte("what a newer version put there")) }
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	if err := w.out.close(); err != nil {
		t.Fatal(err)
	}
	ref := SegmentRef{Name: "x.seg", Key: "segments/f/x.seg", Listings: 1, Open: 1, Bytes: int64(file.Len()), Sum: fmt.Sprintf("%016x", w.out.whole.Sum64())}
	if _, err := blob.Write(t.Context(), store, ref.Key, file.Bytes(), blob.Cond{}); err != nil {
		t.Fatal(err)
	}
	c := openCorpus(t, store, Options{})
	if _, err := c.Commit(t.Context(), &Head{Feed: "f", Version: 1, Info: feedInfo("f", intel.Snapshot), Segments: []SegmentRef{ref}, LastGood: day(0)}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	one(t, c, "192.0.2.1", time.Time{})
	noProblems(t, store)
}

// TestSegmentOfAnotherStore would find nothing under this store's seed.
func TestSegmentOfAnotherStore(t *testing.T) {
	a, _ := smallStore(t)
	b, _ := smallStore(t)
	c := a.damaged(storeKey, b.objects[storeKey].data)
	opened := openCorpus(t, c, Options{})
	if err := opened.Err(); err == nil || !strings.Contains(err.Error(), "another store") {
		t.Errorf("%v", err)
	}
}

// TestCollidingValues: with every hash equal, values are still told apart, in
// one feed and between feeds, in look-ups and in merges.
func TestCollidingValues(t *testing.T) {
	store := newMemStore(t)
	c := openMasked(t, store, 0, Options{})
	a, b := feedInfo("a", intel.Snapshot), feedInfo("b", intel.Snapshot)
	mustRun(t, c, a, day(0), entry(t, "192.0.2.1", "n", "1"), entry(t, "192.0.2.2", "n", "2"), entry(t, "192.0.2.1:80"))
	mustRun(t, c, b, day(0), entry(t, "192.0.2.2", "n", "3"), entry(t, "example.org"))
	m := mustRun(t, c, a, day(1), entry(t, "192.0.2.2", "n", "2"), entry(t, "192.0.2.3", "n", "4"), entry(t, "192.0.2.1:80"))
	if m.Change != (intel.Change{New: 1, Removed: 1, Open: 3}) {
		t.Errorf("%+v", m.Change)
	}
	for value, want := range map[string]string{"192.0.2.1": "a 1 false;a  true", "192.0.2.2": "a 2 true;b 3 true", "192.0.2.3": "a 4 true", "192.0.2.4": "", "example.org": "b  true"} {
		var got []string
		for _, l := range find(t, c.View(), value, time.Time{}) {
			got = append(got, fmt.Sprintf("%s %s %v", l.Feed, l.Context.First("n"), l.Listed))
		}
		if strings.Join(got, ";") != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
	// One of each only: the pair that the join takes for the same at first.
	lone := feedInfo("lone", intel.Snapshot)
	mustRun(t, c, lone, day(0), entry(t, "203.0.113.1", "n", "x"))
	m = mustRun(t, c, lone, day(1), entry(t, "203.0.113.2", "n", "x"))
	if m.Change != (intel.Change{New: 1, Removed: 1, Open: 1}) || one(t, c, "203.0.113.1", time.Time{}).Listed {
		t.Errorf("%+v", m.Change)
	}
	// One pair that collides among values that do not: a hash that only a test can forge.
	d := openMasked(t, newMemStore(t), 1<<63, Options{})
	mustRun(t, d, a, day(0), benchEntries(500, func(i int) uint64 { return uint64(i) })...)
	m = mustRun(t, d, a, day(1), benchEntries(500, func(i int) uint64 { return uint64(i + 250) })...)
	if m.Change.Updated != 0 || m.Change.New != m.Change.Removed || m.Change.Open != m.Segments[0].Open {
		t.Errorf("%+v", m)
	}
}

// TestCollisionsDoNotTravel: values chosen to be alike under one seed, or under
// hashes that anybody can compute, are as any others under another store's.
func TestCollisionsDoNotTravel(t *testing.T) {
	victim, err := readStore(t.Context(), newMemStore(t))
	if err != nil {
		t.Fatal(err)
	}
	other, err := readStore(t.Context(), newMemStore(t))
	if err != nil {
		t.Fatal(err)
	}
	const tries, chosen = 1 << 18, 1 << 10
	name := func(i int) string { return fmt.Sprintf("h%d.example", i) }
	for known, sum := range map[string]func(string) uint64{
		"another store's seed": func(s string) uint64 { return other.sum(intel.Domain, s) },
		"no seed":              func(s string) uint64 { return hasher{mask: ^uint64(0)}.sum(intel.Domain, s) },
		"xxhash":               xxhash.Sum64String,
	} {
		alike := make([]hashed, tries)
		for i := range alike {
			alike[i] = hashed{hash: sum(name(i)), ref: uint32(i)}
		}
		alike = sortHashed(alike, 0)[:chosen] // they share the first 7 bits: one shard of 128, and close in a directory
		if alike[chosen-1].hash>>57 != 0 {
			t.Fatalf("%s: not alike", known)
		}
		var places [64]int
		differ := map[uint64]bool{}
		for _, k := range alike {
			h := victim.sum(intel.Domain, name(int(k.ref)))
			places[h>>58]++
			differ[h>>32] = true
		}
		// 16 are expected in each place; 48 would happen once in 10^10 tests.
		if worst := slices.Max(places[:]); worst > 48 || len(differ) < chosen-2 {
			t.Errorf("%s: %d of %d in one place of 64, %d differ", known, worst, chosen, len(differ))
		}
	}
}

// TestSeedsDiffer: what collides in one store does not in another.
func TestSeedsDiffer(t *testing.T) {
	a, err := readStore(t.Context(), newMemStore(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := readStore(t.Context(), newMemStore(t))
	if err != nil {
		t.Fatal(err)
	}
	if a == b || a.check() == b.check() || a.sum(intel.IPv4, "192.0.2.1") == b.sum(intel.IPv4, "192.0.2.1") {
		t.Error("two stores hash alike")
	}
	if a.sum(intel.Domain, "x") == a.sum(intel.URL, "x") {
		t.Error("the kind is not hashed")
	}
}
