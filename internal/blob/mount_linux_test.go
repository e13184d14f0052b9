package blob_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// tmpfs mounts a file system of a MiB. Where that is not permitted, the tests
// TestInjected… stand in, so that nothing goes untested.
func tmpfs(t *testing.T) (dir string, ok bool) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Logf("no file system can be mounted here (%v): see the TestInjected tests instead", err)
		return "", false
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, true
}

func TestMountedFull(t *testing.T) {
	if dir, ok := tmpfs(t); ok {
		d, err := blob.NewDir(filepath.Join(dir, "data"))
		if err != nil {
			t.Fatal(err)
		}
		checkFull(t, d, func() {})
	}
}

func TestMountedReadOnly(t *testing.T) {
	dir, ok := tmpfs(t)
	if !ok {
		return
	}
	d, err := blob.NewDir(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, "heads/k", "v")
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=1m"); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func(string) (*blob.Dir, error){blob.NewDir, blob.OpenDir} {
		d, err := open(filepath.Join(dir, "data"))
		if err != nil {
			t.Fatal(err)
		}
		checkReadOnly(t, d, "read-only file system")
	}
	if _, err := blob.NewDir(filepath.Join(dir, "other")); err == nil {
		t.Error("a new store on a read-only file system")
	}
}

// TestNoPermission: the same by the folder's mode, for all but root.
func TestNoPermission(t *testing.T) {
	d := newDir(t)
	put(t, d, "heads/k", "v")
	if os.Geteuid() == 0 {
		t.Log("root may write everywhere: see TestMountedReadOnly instead")
		return
	}
	for _, dir := range []string{"heads", ".tmp", ""} {
		path := filepath.Join(d.Root(), dir)
		if err := os.Chmod(path, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(path, 0o700) })
	}
	checkReadOnly(t, d, "permission denied")
}
