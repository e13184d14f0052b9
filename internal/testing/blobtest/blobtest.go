// Package blobtest is what every blob.Store must pass.
package blobtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Run tests a store; open makes an empty one for each test.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, blob.Store)
	}{
		{"missing", testMissing},
		{"round trip", testRoundTrip},
		{"overwrite", testOverwrite},
		{"etag", testETag},
		{"if absent", testIfAbsent},
		{"if match", testIfMatch},
		{"failing reader", testFailingReader},
		{"cancelled", testCancelled},
		{"cancelled half-way", testCancelledHalfway},
		{"list", testList},
		{"delete", testDelete},
		{"keys", testKeys},
		{"old readers", testOldReaders},
		{"open", testOpen},
		{"update", testUpdate},
		{"large", testLarge},
		{"one creator", testOneCreator},
		{"concurrent updates", testConcurrentUpdates},
		{"whole objects", testWholeObjects},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func put(t *testing.T, s blob.Store, key, data string) blob.Info {
	t.Helper()
	info, err := blob.Write(t.Context(), s, key, []byte(data), blob.Cond{})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return info
}

// want fails unless key holds data, and returns its info.
func want(t *testing.T, s blob.Store, key, data string) blob.Info {
	t.Helper()
	got, info, err := blob.Read(t.Context(), s, key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if string(got) != data {
		t.Fatalf("get %s: %d bytes %.40q, want %d bytes %.40q", key, len(got), got, len(data), data)
	}
	if info.Key != key || info.Size != int64(len(data)) || info.ETag == "" {
		t.Fatalf("get %s: info %+v of %d bytes", key, info, len(data))
	}
	return info
}

func wantMissing(t *testing.T, s blob.Store, key string) {
	t.Helper()
	if _, _, err := blob.Read(t.Context(), s, key); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("get %s: %v, want ErrNotFound", key, err)
	}
}

func wantConflict(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, blob.ErrConflict) {
		t.Fatalf("%v, want ErrConflict", err)
	}
}

func testMissing(t *testing.T, s blob.Store) {
	wantMissing(t, s, "a")
	wantMissing(t, s, "a/b/c")
	put(t, s, "folder/object", "x")
	wantMissing(t, s, "folder")
	if _, _, err := blob.Open(t.Context(), s, "a"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("open: %v, want ErrNotFound", err)
	}
	_, _, err := blob.Read(t.Context(), s, "heads/lost.json")
	if !strings.Contains(err.Error(), "heads/lost.json") {
		t.Errorf("error %q does not name the key", err)
	}
}

func testRoundTrip(t *testing.T, s blob.Store) {
	before := time.Now().Add(-time.Minute)
	for i, data := range []string{"", "x", "line\r\n\x00\xff", strings.Repeat("0123456789abcdef", 1<<16)} {
		key := fmt.Sprintf("some/folder/object-%d.json", i)
		info := put(t, s, key, data)
		got := want(t, s, key, data)
		if info.Key != key || info.Size != int64(len(data)) || info.ETag != got.ETag {
			t.Errorf("put says %+v, get %+v", info, got)
		}
		if got.Modified.Before(before) {
			t.Errorf("modified at %v", got.Modified)
		}
	}
}

func testOverwrite(t *testing.T, s blob.Store) {
	for i := range 5 {
		data := strings.Repeat("x", i*i)
		put(t, s, "a/b", data)
		want(t, s, "a/b", data)
	}
}

// testETag: as long as the content is the same bytes written once, the tag
// stays; when the content changes, also within the same instant and size, it changes.
func testETag(t *testing.T, s blob.Store) {
	for _, size := range []int{8, 9 << 20} {
		seen := map[string]int{}
		for i := range 4 {
			data := strings.Repeat(string(rune('a'+i)), size)
			info := put(t, s, "e", data)
			if again := want(t, s, "e", data); again.ETag != info.ETag {
				t.Errorf("%d bytes: tag %q from Put, %q from Get", size, info.ETag, again.ETag)
			}
			if first, dup := seen[info.ETag]; dup {
				t.Errorf("%d bytes: contents %d and %d have the tag %q", size, first, i, info.ETag)
			}
			seen[info.ETag] = i
		}
	}
	listed, err := s.List(t.Context(), "e")
	if err != nil || len(listed) != 1 {
		t.Fatalf("list: %v, %v", listed, err)
	}
	if info := want(t, s, "e", strings.Repeat("d", 9<<20)); listed[0].ETag != "" && listed[0].ETag != info.ETag {
		t.Errorf("list says tag %q, get %q", listed[0].ETag, info.ETag)
	}
}

func testIfAbsent(t *testing.T, s blob.Store) {
	if _, err := blob.Write(t.Context(), s, "a/b", []byte("one"), blob.Cond{IfAbsent: true}); err != nil {
		t.Fatal(err)
	}
	_, err := blob.Write(t.Context(), s, "a/b", []byte("two"), blob.Cond{IfAbsent: true})
	wantConflict(t, err)
	want(t, s, "a/b", "one")
}

func testIfMatch(t *testing.T, s blob.Store) {
	ctx := t.Context()
	_, err := blob.Write(ctx, s, "k", []byte("zero"), blob.Cond{IfMatch: "0123"})
	wantConflict(t, err)
	wantMissing(t, s, "k")
	first := put(t, s, "k", "one")
	second, err := blob.Write(ctx, s, "k", []byte("two"), blob.Cond{IfMatch: first.ETag})
	if err != nil {
		t.Fatal(err)
	}
	_, err = blob.Write(ctx, s, "k", []byte("three"), blob.Cond{IfMatch: first.ETag})
	wantConflict(t, err)
	if got := want(t, s, "k", "two"); got.ETag != second.ETag {
		t.Errorf("tag %q after the lost put, %q before", got.ETag, second.ETag)
	}
	if err := s.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	_, err = blob.Write(ctx, s, "k", []byte("four"), blob.Cond{IfMatch: second.ETag})
	wantConflict(t, err)
	wantMissing(t, s, "k")
}

// broken gives n bytes, then an error.
type broken struct {
	n   int
	err error
}

func (b *broken) Read(p []byte) (int, error) {
	if b.n == 0 {
		return 0, b.err
	}
	n := min(b.n, len(p))
	b.n -= n
	return n, nil
}

func testFailingReader(t *testing.T, s blob.Store) {
	put(t, s, "old", "intact")
	oops := errors.New("oops")
	for _, key := range []string{"old", "new"} {
		if _, err := s.Put(t.Context(), key, &broken{100_000, oops}, blob.Cond{}); !errors.Is(err, oops) {
			t.Errorf("put %s: %v, want the reader's error", key, err)
		}
	}
	want(t, s, "old", "intact")
	wantMissing(t, s, "new")
}

func testCancelled(t *testing.T, s blob.Store) {
	put(t, s, "old", "intact")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	_, _, err := s.Get(ctx, "old")
	check("get", err)
	_, err = blob.Write(ctx, s, "old", []byte("new"), blob.Cond{})
	check("put", err)
	_, err = s.List(ctx, "")
	check("list", err)
	check("delete", s.Delete(ctx, "old"))
	_, _, err = blob.Open(ctx, s, "old")
	check("open", err)
	check("update", blob.Update(ctx, s, "old", func([]byte) ([]byte, error) { return []byte("new"), nil }))
	want(t, s, "old", "intact")
}

// cancelling cancels a context when it is read for the second time.
type cancelling struct {
	cancel context.CancelFunc
	reads  int
}

func (c *cancelling) Read(p []byte) (int, error) {
	if c.reads++; c.reads == 2 {
		c.cancel()
	}
	if c.reads > 1000 {
		return 0, io.EOF
	}
	return len(p), nil
}

func testCancelledHalfway(t *testing.T, s blob.Store) {
	put(t, s, "old", "intact")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := s.Put(ctx, "old", &cancelling{cancel: cancel}, blob.Cond{}); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v, want context.Canceled", err)
	}
	want(t, s, "old", "intact")
}

func testList(t *testing.T, s blob.Store) {
	sizes := map[string]int{"heads/a.json": 1, "heads/b.json": 2, "heads2": 3, "raw/a/2026/01/02/x.zst": 4, "raw/a/2026/01/03/y.zst": 5, "raw/ab/z": 6, "z": 0}
	for key, n := range sizes {
		put(t, s, key, strings.Repeat("x", n))
	}
	for _, c := range []struct {
		prefix string
		keys   string
	}{
		{"", "heads/a.json heads/b.json heads2 raw/a/2026/01/02/x.zst raw/a/2026/01/03/y.zst raw/ab/z z"},
		{"heads", "heads/a.json heads/b.json heads2"},
		{"heads/", "heads/a.json heads/b.json"},
		{"heads/b", "heads/b.json"},
		{"heads/b.json", "heads/b.json"},
		{"heads/b.json/", ""},
		{"raw/a", "raw/a/2026/01/02/x.zst raw/a/2026/01/03/y.zst raw/ab/z"},
		{"raw/a/", "raw/a/2026/01/02/x.zst raw/a/2026/01/03/y.zst"},
		{"raw/a/2026/01/0", "raw/a/2026/01/02/x.zst raw/a/2026/01/03/y.zst"},
		{"nothing", ""},
		{"nothing/at/all/", ""},
	} {
		infos, err := s.List(t.Context(), c.prefix)
		if err != nil {
			t.Errorf("list %q: %v", c.prefix, err)
			continue
		}
		var keys []string
		for _, i := range infos {
			keys = append(keys, i.Key)
			if i.Size != int64(sizes[i.Key]) || i.Modified.IsZero() {
				t.Errorf("list %q: %+v, want size %d and a time", c.prefix, i, sizes[i.Key])
			}
		}
		if got := strings.Join(keys, " "); got != c.keys {
			t.Errorf("list %q: %s\nwant %s", c.prefix, got, c.keys)
		}
	}
	for _, bad := range []string{"../", "/", "a/../b", ".tmp/", "a b"} {
		if infos, err := s.List(t.Context(), bad); err == nil {
			t.Errorf("list %q: %v, want an error", bad, infos)
		}
	}
}

func testDelete(t *testing.T, s blob.Store) {
	put(t, s, "a/b/one", "1")
	put(t, s, "a/b/two", "2")
	for range 2 {
		if err := s.Delete(t.Context(), "a/b/one"); err != nil {
			t.Fatal(err)
		}
		wantMissing(t, s, "a/b/one")
		want(t, s, "a/b/two", "2")
	}
	for _, never := range []string{"x", "a/b/c/d", "a/b/two/x", "a/b/two"} {
		if err := s.Delete(t.Context(), never); err != nil {
			t.Errorf("delete %s: %v", never, err)
		}
	}
	if infos, err := s.List(t.Context(), ""); err != nil || len(infos) != 0 {
		t.Errorf("left: %v, %v", infos, err)
	}
	put(t, s, "a/b/one", "again")
	want(t, s, "a/b/one", "again")
}

func testKeys(t *testing.T, s blob.Store) {
	long := strings.Repeat("a23456789/", 89) + "z"
	for _, key := range []string{"a", "A-b_c.d=e/0", "con.json", long, strings.Repeat("k", 240)} {
		put(t, s, key, key)
		want(t, s, key, key)
	}
	for _, key := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".tmp/a", ".lock", "a/.b", "a.",
		"a b", "a\\b", "a\x00b", "ä", "a:b", "a?b", "a*b", "a%2fb", "a\nb", long + strings.Repeat("y", 900), strings.Repeat("k", 300)} {
		if _, err := blob.Write(t.Context(), s, key, []byte("x"), blob.Cond{}); err == nil {
			t.Errorf("put %q: no error", key)
		}
		if _, _, err := s.Get(t.Context(), key); err == nil || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("get %q: %v, want an error that says the key is bad", key, err)
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("delete %q: no error", key)
		}
	}
}
