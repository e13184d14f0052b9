package blobtest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// testOldReaders: who opened an object reads it to the end, whatever happens to it.
func testOldReaders(t *testing.T, s blob.Store) {
	for _, size := range []int{1000, 9 << 20} {
		old := strings.Repeat("o", size)
		put(t, s, "k", old)
		var readers []io.ReadCloser
		for range 2 {
			r, _, err := s.Get(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
		}
		put(t, s, "k", strings.Repeat("n", size))
		check := func(r io.ReadCloser, when string) {
			t.Helper()
			got, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil || string(got) != old {
				t.Errorf("%d bytes, %s: %d bytes, %v", size, when, len(got), err)
			}
		}
		check(readers[0], "replaced")
		if err := s.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		check(readers[1], "deleted")
	}
}

func testOpen(t *testing.T, s blob.Store) {
	for _, data := range []string{"", "x", strings.Repeat("0123456789", 1<<20)} {
		put(t, s, "k", data)
		got, release, err := blob.Open(t.Context(), s, "k")
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, "k", "other")
		if err := s.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, []byte(data)) {
			t.Errorf("%d bytes, want %d", len(got), len(data))
		}
		release()
	}
}

func testUpdate(t *testing.T, s blob.Store) {
	ctx := t.Context()
	add := func(old []byte) ([]byte, error) { return append(slices.Clone(old), 'x'), nil }
	for _, content := range []string{"x", "xx", "xxx"} {
		if err := blob.Update(ctx, s, "u", add); err != nil {
			t.Fatal(err)
		}
		want(t, s, "u", content)
	}
	before := want(t, s, "u", "xxx")
	if err := blob.Update(ctx, s, "u", func([]byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	oops := errors.New("oops")
	if err := blob.Update(ctx, s, "u", func([]byte) ([]byte, error) { return []byte("y"), oops }); !errors.Is(err, oops) {
		t.Errorf("update: %v, want the function's error", err)
	}
	if after := want(t, s, "u", "xxx"); after.ETag != before.ETag || !after.Modified.Equal(before.Modified) {
		t.Errorf("written although nothing was to be: %+v, %+v", before, after)
	}
	put(t, s, "empty", "")
	err := blob.Update(ctx, s, "empty", func(old []byte) ([]byte, error) {
		if old == nil {
			t.Error("an empty object looks like none")
		}
		return []byte("full"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, s, "empty", "full")
}
