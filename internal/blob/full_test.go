package blob_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// checkReadOnly wants everything but changes to work in a folder that cannot be
// written to, and the error to say so.
func checkReadOnly(t *testing.T, d *blob.Dir, says string) {
	t.Helper()
	want(t, d, "heads/k", "v")
	if infos, err := d.List(t.Context(), "heads/"); err != nil || len(infos) != 1 {
		t.Errorf("list: %v, %v", infos, err)
	}
	data, release, err := blob.Open(t.Context(), d, "heads/k")
	if err != nil || string(data) != "v" {
		t.Errorf("open: %q, %v", data, err)
	} else {
		release()
	}
	if err := blob.Update(t.Context(), d, "heads/k", func([]byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Errorf("update that changes nothing: %v", err)
	}
	d.CleanTemp(0, time.Now())
	for _, cond := range []blob.Cond{{}, {IfAbsent: true}, {IfMatch: "x"}} {
		_, err := blob.Write(t.Context(), d, "heads/new", []byte("x"), cond)
		if err == nil || errors.Is(err, blob.ErrConflict) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "heads/new") {
			t.Errorf("put: %v, want an error that says %q", err, says)
		}
	}
	if err := d.Delete(t.Context(), "heads/k"); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("delete: %v, want an error that says %q", err, says)
	}
	want(t, d, "heads/k", "v")
}

// checkFull fills a folder of about a MiB: what was acknowledged stays, reading
// works, and when there is space again writing goes on by itself.
func checkFull(t *testing.T, d *blob.Dir, free func()) {
	t.Helper()
	content := strings.Repeat("0123456789abcdef", 4<<10) // 64 KiB
	key := func(i int) string { return fmt.Sprintf("segments/%d.seg", i) }
	n := 0
	var err error
	for ; n < 1000; n++ {
		if _, err = blob.Write(t.Context(), d, key(n), []byte(content), blob.Cond{}); err != nil {
			break
		}
	}
	if n == 0 || !errors.Is(err, blob.ErrFull) || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), key(n)) {
		t.Fatalf("after %d objects: %v", n, err)
	}
	for range 3 {
		if _, err := blob.Write(t.Context(), d, key(0), []byte("x"+content), blob.Cond{}); !errors.Is(err, blob.ErrFull) {
			t.Errorf("put on a full disk: %v", err)
		}
	}
	for i := range n {
		want(t, d, key(i), content)
	}
	if left := halfWritten(t, d.Root()); left != nil {
		t.Errorf("half-written files take the space: %v", left)
	}
	for i := range min(n, 3) {
		if err := d.Delete(t.Context(), key(i)); err != nil {
			t.Fatalf("deleting on a full disk: %v", err)
		}
	}
	free()
	put(t, d, "segments/next.seg", content)
	want(t, d, "segments/next.seg", content)
}

// TestInjectedFull is checkFull on systems and for users that cannot mount.
func TestInjectedFull(t *testing.T) {
	space := 12
	d, err := blob.NewDirWith(t.TempDir(), blob.DirOptions{Fault: func(op blob.Op, _ string) error {
		if op != blob.OpWrite {
			return nil
		}
		if space--; space < 0 {
			return syscall.ENOSPC
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	checkFull(t, d, func() { space = 100 })
}

// TestInjectedReadOnly is checkReadOnly on systems and for users that cannot mount.
func TestInjectedReadOnly(t *testing.T) {
	root := t.TempDir()
	d, err := blob.NewDir(root)
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, "heads/k", "v")
	d, err = blob.NewDirWith(root, blob.DirOptions{Fault: func(op blob.Op, _ string) error {
		switch op {
		case blob.OpOpen, blob.OpRead, blob.OpReadDir:
			return nil
		}
		return syscall.EROFS
	}})
	if err != nil {
		t.Fatal(err)
	}
	checkReadOnly(t, d, "read-only file system")
}
