package terms

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
)

// model is an index as it should be: documents by key.
type model map[string][]uint32

func (m model) add(key string, doc uint32) {
	if docs := m[key]; len(docs) == 0 || docs[len(docs)-1] != doc {
		m[key] = append(docs, doc)
	}
}

// moved is the model with every document moved up.
func (m model) moved(base uint32, to model) {
	for k, docs := range m {
		for _, d := range docs {
			to[k] = append(to[k], d+base)
		}
	}
}

// build makes an index of documents, each a list of keys.
func build(t testing.TB, docs [][]string) (*Index, model) {
	t.Helper()
	b, m := NewBuilder(len(docs)), model{}
	for i, keys := range docs {
		for _, k := range keys {
			b.Add([]byte(k))
			m.add(k, uint32(i))
		}
		b.Next()
	}
	return finish(t, b), m
}

func finish(t testing.TB, b *Builder) *Index {
	t.Helper()
	post, fst, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return open(t, post, fst)
}

func open(t testing.TB, post, fst []byte) *Index {
	t.Helper()
	x, err := Open(post, fst, nil)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// same compares an index with the model: every key, in order, and every way to
// read its documents.
func same(t *testing.T, x *Index, m model) {
	t.Helper()
	want := slices.Sorted(maps.Keys(m))
	var have []string
	err := x.Range(nil, nil, func(key []byte, p Postings) bool {
		have = append(have, string(key))
		samePostings(t, string(key), p, m[string(key)])
		return !t.Failed()
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(have, want) {
		t.Fatalf("keys %.200q, want %.200q", have, want)
	}
	if x.Keys() != len(want) {
		t.Fatalf("%d keys, want %d", x.Keys(), len(want))
	}
	for _, k := range want {
		p, err := x.Get([]byte(k))
		if err != nil {
			t.Fatalf("%q: %v", k, err)
		}
		samePostings(t, k, p, m[k])
	}
}

func samePostings(t *testing.T, key string, p Postings, want []uint32) {
	t.Helper()
	or := roaring.New()
	p.Or(or)
	if have := p.Append(nil); !slices.Equal(have, want) || p.Len() != len(want) ||
		!slices.Equal(p.Bitmap().ToArray(), want) && len(want) > 0 || !or.Equals(p.Bitmap()) {
		t.Fatalf("%q: %.100v (%d), want %.100v (%d)", key, have, p.Len(), want, len(want))
	}
}

// missing checks that the keys are not found.
func missing(t *testing.T, x *Index, m model, keys ...string) {
	t.Helper()
	for _, k := range keys {
		if _, is := m[k]; is {
			continue
		}
		if p, err := x.Get([]byte(k)); err != nil || p.Len() != 0 || p.Append(nil) != nil || !p.Bitmap().IsEmpty() {
			t.Fatalf("%q: %v, %v; want none", k, p, err)
		}
	}
}

// rangeOf returns the keys of a range.
func rangeOf(t *testing.T, x *Index, from, to []byte) (keys []string) {
	t.Helper()
	if err := x.Range(from, to, func(k []byte, _ Postings) bool {
		keys = append(keys, string(k))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return keys
}

// every returns n documents; the i-th has what keys gives.
func every(n int, keys func(i int) []string) [][]string {
	out := make([][]string, n)
	for i := range out {
		out[i] = keys(i)
	}
	return out
}

func TestIndex(t *testing.T) {
	bytesOnce := every(256, func(i int) []string { return []string{string([]byte{byte(i)})} })
	for _, tt := range []struct {
		name string
		docs [][]string
	}{
		{"nothing", nil},
		{"documents without keys", [][]string{{}, {}}},
		{"one key", [][]string{{"a"}}},
		{"the empty key", [][]string{{""}, {"", "a"}}},
		{"twice in a document", [][]string{{"a", "b", "a"}, {"b", "b"}}},
		{"a key that begins as another ends", [][]string{{"ab", "abc"}, {"a", "abcd"}, {"b", "bc"}}},
		{"zeros", [][]string{{"a", "a\x00", "a\x00\x00"}, {"a\x00b", "\x00"}, {"", "\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00\x00"}}},
		{"every byte", bytesOnce},
		{"every byte behind every byte", every(256, func(i int) []string {
			return []string{string([]byte{byte(i), byte(i * 7)}), string([]byte{'x', byte(i)}), string([]byte{'x', byte(i), 'y'})}
		})},
		{"long keys", [][]string{{strings.Repeat("a", 5000), strings.Repeat("a", 4999) + "b"}, {strings.Repeat("a", 5001)}}},
		{"64 documents", every(64, func(i int) []string { return []string{"k"} })},
		{"65 documents", every(65, func(i int) []string { return []string{"k"} })},
		{"every third of many", every(300_000, func(i int) []string {
			return [][]string{{"all", "third"}, {"all"}, {"all", fmt.Sprint("n", i%5000)}}[i%3]
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, m := build(t, tt.docs)
			same(t, x, m)
			missing(t, x, m, "", "a", "ac", "abcde", "zz", "\x00", "\xff\xff", "k\x00")
			if x.Docs() != len(tt.docs) {
				t.Errorf("%d documents, want %d", x.Docs(), len(tt.docs))
			}
		})
	}
}

func TestRange(t *testing.T) {
	x, _ := build(t, [][]string{{"", "a", "ab", "abc", "b", "ba", "bab", "c\xff", "c\xff\xff", "d"}})
	for _, tt := range []struct {
		from, to string
		want     string
	}{
		{"", "", "|a|ab|abc|b|ba|bab|c\xff|c\xff\xff|d"},
		{"a", "", "a|ab|abc|b|ba|bab|c\xff|c\xff\xff|d"},
		{"a", "a", ""},
		{"a", "b", "a|ab|abc"},
		{"aa", "b", "ab|abc"},
		{"abca", "b", ""},
		{"abd", "baa", "b|ba"},
		{"bb", "c\xff\xff", "c\xff"},
		{"c", "d", "c\xff|c\xff\xff"},
		{"d\x00", "", ""},
		{"e", "", ""},
		{"b", "a", ""},
	} {
		to := []byte(tt.to)
		if tt.to == "" {
			to = nil
		}
		if have := strings.Join(rangeOf(t, x, []byte(tt.from), to), "|"); have != tt.want {
			t.Errorf("from %q to %q: %q, want %q", tt.from, tt.to, have, tt.want)
		}
	}
	n := 0
	if err := x.Range(nil, nil, func([]byte, Postings) bool { n++; return n < 3 }); err != nil || n != 3 {
		t.Errorf("stopped after %d keys (%v), want 3", n, err)
	}
}

func TestReplace(t *testing.T) {
	b := NewBuilder(0)
	for _, keys := range [][]string{{"fa1", "fb1"}, {"fa2", "ua"}, {"fa1", "fa2", "x"}, {"fb2"}} {
		for _, k := range keys {
			b.Add([]byte(k))
		}
		b.Next()
	}
	b.Replace([]byte("fa"), []byte("ua"))
	same(t, finish(t, b), model{"ua": {0, 1, 2}, "fb1": {0}, "fb2": {3}, "x": {2}})
}

// randomDocs makes documents whose keys have few letters and so much in common.
func randomDocs(r *rand.Rand, n int) [][]string {
	return every(n, func(int) []string {
		keys := make([]string, r.IntN(8))
		for i := range keys {
			k := make([]byte, r.IntN(1+r.IntN(12)))
			for j := range k {
				k[j] = "ab\x00\xffz"[r.IntN(5)]
			}
			keys[i] = string(k)
		}
		return keys
	})
}

func TestRandom(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		x, m := build(t, randomDocs(r, r.IntN(2000)))
		same(t, x, m)
		sorted := slices.Sorted(maps.Keys(m))
		for range 50 {
			bound := randomDocs(r, 1)[0]
			if len(bound) < 2 {
				continue
			}
			missing(t, x, m, bound...)
			want := slices.DeleteFunc(slices.Clone(sorted), func(k string) bool { return k < bound[0] || k >= bound[1] })
			if have := rangeOf(t, x, []byte(bound[0]), []byte(bound[1])); !slices.Equal(have, want) {
				t.Fatalf("seed %d: from %q to %q: %q, want %q", seed, bound[0], bound[1], have, want)
			}
		}
	}
}

func TestMerge(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 2))
		var parts []Part
		all, base := model{}, uint32(0)
		for range r.IntN(7) {
			base += uint32(r.IntN(3))
			x, m := build(t, randomDocs(r, r.IntN(300)))
			m.moved(base, all)
			parts = append(parts, Part{x, base})
			base += uint32(x.Docs())
		}
		post, fst, err := Merge(parts)
		if err != nil {
			t.Fatal(err)
		}
		x := open(t, post, fst)
		same(t, x, all)
		if len(parts) > 0 && x.Docs() != int(base) {
			t.Fatalf("%d documents, want %d", x.Docs(), base)
		}
		if post2, fst2, err := Merge([]Part{{x, 0}}); err != nil || !bytes.Equal(post2, post) || !bytes.Equal(fst2, fst) {
			t.Fatalf("merging one changes it: %v", err)
		}
	}
	x, _ := build(t, [][]string{{"a"}, {"b"}})
	if _, _, err := Merge([]Part{{x, 0}, {x, 1}}); err == nil {
		t.Error("parts that overlap were merged")
	}
}

func TestCheckIsAsked(t *testing.T) {
	docs := every(3000, func(i int) []string { return []string{"all", fmt.Sprint("few", i/10), fmt.Sprint("one", i)} })
	b := NewBuilder(0)
	for _, keys := range docs {
		for _, k := range keys {
			b.Add([]byte(k))
		}
		b.Next()
	}
	post, fst, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	asked := make([]bool, len(post))
	bad := -1
	broken := errors.New("broken")
	x, err := Open(post, fst, func(off, n int) error {
		for i := off; i < off+n; i++ {
			asked[i] = true
			if i == bad {
				return broken
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Range(nil, nil, func([]byte, Postings) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if i := slices.Index(asked, false); i >= 0 {
		t.Errorf("byte %d of %d was used unchecked", i, len(post))
	}
	for bad = range post {
		if err := x.Range(nil, nil, func([]byte, Postings) bool { return true }); !errors.Is(err, broken) {
			t.Fatalf("byte %d broken: %v", bad, err)
		}
		if bad > 400 {
			break
		}
	}
}
