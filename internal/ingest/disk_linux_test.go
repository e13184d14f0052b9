package ingest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// skipOrFail skips on a user's machine what it does not allow; CI must allow it.
func skipOrFail(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// tmpfs mounts a small file system; the test is skipped where that is not allowed.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		skipOrFail(t, fmt.Errorf("no small file system can be mounted here (TestFullStoreIsToldInWords and crashtest inject the same faults): %w", err))
	}
	t.Cleanup(func() { // segments are still mapped
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill leaves about free bytes.
func fill(t *testing.T, dir string, free int64) (release func()) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(dir, ".filler")
	n := max(int64(st.Bavail)*st.Bsize-free, 0)
	if err := os.WriteFile(p, make([]byte, n), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() { os.Remove(p) }
}

// The disk is full at every stage of a run in turn: the run fails in words or
// cannot be recorded, what is served stays, and when there is space again the
// next run works by itself.
func TestDiskFull(t *testing.T) {
	dir := tmpfs(t, "8m")
	l := newLabIn(t, dir)
	d := l.def("full", nil)
	family := names("a", 999)
	l.job(feed.Job{Def: d, Open: content(family)})
	const step = 4 << 10
	stages, recovered := map[string]int{}, 0
	for free := int64(0); ; free += step {
		l.advance(time.Hour)
		release := fill(t, dir, free)
		next := append(append([]string{}, family...), "at"+strings.ReplaceAll(l.now().Format(time.TimeOnly+"."+time.DateOnly), ":", "-")+".example")
		version := l.head("full").Version
		run, err := l.runner.Run(t.Context(), feed.Job{Def: d, Open: content(next)})
		release()
		switch {
		case err != nil:
			if !errors.Is(err, blob.ErrFull) || !strings.Contains(err.Error(), "full") {
				t.Errorf("%d bytes free: %v", free, err)
			}
			stages["not recorded"]++
		case run.Status == intel.RunFailed:
			if run.Code != "disk" || !strings.Contains(run.Reason, "disk is full") {
				t.Errorf("%d bytes free: %+v", free, run)
			}
			stages["recorded as failed"]++
		case run.Status == intel.RunOK:
			stages["done"]++
		default:
			t.Errorf("%d bytes free: %s %s", free, run.Status, run.Reason)
		}
		if err := l.runner.Repair(t.Context()); err != nil {
			t.Errorf("%d bytes were free: repair: %v", free, err)
		}
		l.wantListed(d, time.Time{}, family, family)
		for _, p := range problems(t, l.store) {
			t.Errorf("%d bytes were free: %s: %s", free, p.Key, p.Detail)
		}
		if h := l.head("full"); err == nil && (h.Version > version) != (run.Status == intel.RunOK) {
			t.Errorf("%d bytes free: run %s and head version %d after %d", free, run.Status, h.Version, version)
		}
		if l.job(feed.Job{Def: d, Open: content(next)}).Status != intel.RunFailed {
			recovered++
		}
		if err := l.corpus.Sweep(t.Context(), l.now(), 0); err != nil {
			t.Error(err)
		}
		if stages["done"] >= 3 {
			break
		}
	}
	t.Logf("a run on a disk with 0, 4, 8 … KiB free: %v; %d of them worked once there was space", stages, recovered)
	if stages["not recorded"]+stages["recorded as failed"] < 3 || recovered != stages["not recorded"]+stages["recorded as failed"]+stages["done"] {
		t.Errorf("stages %v, recovered %d", stages, recovered)
	}
	l.verify()
}

// readOnly makes the folder one that cannot be written to. A mount keeps root
// out too, a mode only others.
func readOnly(t *testing.T) (dir string, lock, unlock func() error) {
	t.Helper()
	if os.Geteuid() != 0 {
		dir = t.TempDir()
		return dir, func() error { return os.Chmod(dir, 0o500) }, func() error { return os.Chmod(dir, 0o700) }
	}
	dir = tmpfs(t, "8m")
	return dir, func() error { return syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "") },
		func() error { return syscall.Mount("", dir, "", syscall.MS_REMOUNT, "") }
}

func TestReadOnlyFolder(t *testing.T) {
	dir, lock, unlock := readOnly(t)
	l := newLabIn(t, dir)
	d := l.def("ro", nil)
	l.job(feed.Job{Def: d, Open: content(names("a", 20))})
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, ".tmp")), lock()); err != nil {
		skipOrFail(t, err)
	}
	l.open() // reading works, from a new process too
	l.wantListed(d, time.Time{}, names("a", 20), names("a", 20))
	run, err := l.runner.Run(t.Context(), feed.Job{Def: d, Open: content(names("a", 21))})
	if !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EACCES) || run.Status != intel.RunFailed {
		t.Errorf("run on a read-only folder: %+v, %v", run, err)
	}
	if _, err := l.runner.Runs(t.Context(), "ro", 0); err != nil {
		t.Error(err)
	}
	l.verify()
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if r := l.job(feed.Job{Def: d, Open: content(names("a", 21))}); r.Status != intel.RunOK {
		t.Errorf("writable again: %+v", r)
	}
	l.verify()
}
