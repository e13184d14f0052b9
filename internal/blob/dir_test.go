package blob_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/blobtest"
)

// envRole makes the test binary another process of this test.
const envRole = "BLOB_TEST_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch role, root, _ := strings.Cut(os.Getenv(envRole), ":"); role {
	case "writer":
		err = writeForEver(root)
	case "locker":
		err = lockForEver(root)
	default:
		code := blobtest.Main(m, func(root string) (blob.Store, error) { return blob.OpenDir(root) })
		if code == 0 {
			err = goleak.Find()
		}
		if err == nil {
			os.Exit(code)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func newDir(t *testing.T) *blob.Dir {
	t.Helper()
	d, err := blob.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func put(t *testing.T, s blob.Store, key, data string) {
	t.Helper()
	if _, err := blob.Write(t.Context(), s, key, []byte(data), blob.Cond{}); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s blob.Store, key, data string) {
	t.Helper()
	if got, _, err := blob.Read(t.Context(), s, key); err != nil || string(got) != data {
		t.Errorf("%s: %.40q, %v, want %.40q", key, got, err, data)
	}
}

// halfWritten lists what lies in the folder for temporary files.
func halfWritten(t *testing.T, root string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, ".tmp", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDirConforms(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		d := newDir(t)
		t.Cleanup(func() {
			if left := halfWritten(t, d.Root()); left != nil {
				t.Errorf("left half-written: %v", left)
			}
		})
		return d
	})
}

func TestDirProcesses(t *testing.T) {
	d := newDir(t)
	blobtest.Processes(t, d, d.Root())
}

func TestOpen(t *testing.T) {
	root := t.TempDir()
	if _, err := blob.OpenDir(filepath.Join(root, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenDir of nothing: %v", err)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(string) (*blob.Dir, error){"OpenDir": blob.OpenDir, "NewDir": blob.NewDir} {
		if _, err := open(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s of a file: %v", name, err)
		}
	}
	deep := filepath.Join(root, "a", "b", "c")
	d, err := blob.NewDir(deep)
	if err != nil || d.Root() != deep {
		t.Fatal(d, err)
	}
	if st, err := os.Stat(deep); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	put(t, d, "x/y", "z")
	if st, err := os.Stat(filepath.Join(deep, "x", "y")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if d, err = blob.OpenDir(deep); err != nil {
		t.Fatal(err)
	}
	want(t, d, "x/y", "z")
}

// TestFolderInTheWay: a key below another object is refused, and does no harm.
func TestFolderInTheWay(t *testing.T) {
	d := newDir(t)
	put(t, d, "a", "object")
	if _, err := blob.Write(t.Context(), d, "a/b", []byte("x"), blob.Cond{IfAbsent: true}); err == nil || errors.Is(err, blob.ErrConflict) {
		t.Errorf("below an object: %v", err)
	}
	put(t, d, "c/d", "object")
	if _, err := blob.Write(t.Context(), d, "c", []byte("x"), blob.Cond{}); err == nil {
		t.Error("an object replaced a folder")
	}
	want(t, d, "a", "object")
	want(t, d, "c/d", "object")
	if left := halfWritten(t, d.Root()); left != nil {
		t.Errorf("left half-written: %v", left)
	}
}

// TestEmptyFoldersGo: old raw downloads leave no tree of folders behind.
func TestEmptyFoldersGo(t *testing.T) {
	d := newDir(t)
	put(t, d, "raw/a/2026/01/02/x", "x")
	put(t, d, "raw/a/2026/02/03/y", "y")
	for _, key := range []string{"raw/a/2026/01/02/x", "raw/a/2026/02/03/y"} {
		if err := d.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(d.Root(), filepath.Dir(key))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the folder of %s is still there: %v", key, err)
		}
	}
	if _, err := os.Stat(filepath.Join(d.Root(), "raw")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("raw is still there: %v", err)
	}
	put(t, d, "raw/a/2026/01/02/x", "again") // in folders that this process thought it knew
	want(t, d, "raw/a/2026/01/02/x", "again")
}

func TestCleanTemp(t *testing.T) {
	d := newDir(t)
	put(t, d, "k", "v")
	left := filepath.Join(d.Root(), ".tmp", "put-123")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(left)
	if err != nil {
		t.Fatal(err)
	}
	d.CleanTemp(time.Hour, st.ModTime().Add(time.Hour))
	if halfWritten(t, d.Root()) == nil {
		t.Error("a file of this hour is gone: somebody may still be writing it")
	}
	d.CleanTemp(time.Hour, st.ModTime().Add(time.Hour+1))
	if left := halfWritten(t, d.Root()); left != nil {
		t.Errorf("still there: %v", left)
	}
	want(t, d, "k", "v")
	if infos, err := d.List(t.Context(), ""); err != nil || len(infos) != 1 {
		t.Errorf("%v, %v", infos, err)
	}
	newDir(t).CleanTemp(0, time.Now()) // where nothing was ever written
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second := open(), open()
	if err := blob.Lock(first, false); err != nil {
		t.Fatal(err)
	}
	if err := blob.Lock(second, false); !errors.Is(err, blob.ErrLocked) {
		t.Errorf("second holder: %v", err)
	}
	if _, err := second.WriteString("pid"); err != nil {
		t.Errorf("the content is locked too: %v", err)
	}
	got := make(chan error, 1)
	go func() { got <- blob.Lock(second, true) }()
	select {
	case err := <-got:
		t.Errorf("did not wait: %v", err)
	default:
	}
	first.Close()
	if err := <-got; err != nil {
		t.Errorf("after the first let go: %v", err)
	}
	closed := open()
	closed.Close()
	if err := blob.Lock(closed, false); err == nil || errors.Is(err, blob.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("of a closed file: %v", err)
	}
}

// start starts this test binary in a role and waits for its first line.
func start(t *testing.T, role, root string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), envRole+"="+role+":"+root)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("%s said nothing: %v", role, cmd.Wait())
	}
	return cmd, lines
}

// lockForEver holds the store's lock until it is killed.
func lockForEver(root string) error {
	f, err := os.OpenFile(filepath.Join(root, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := blob.Lock(f, false); err != nil {
		return err
	}
	fmt.Println("locked")
	time.Sleep(time.Hour) // until killed
	return f.Close()
}

// TestLockedStore: a process that hangs in a change stops others' changes, but
// neither their reads nor their contexts; when it dies, all goes on.
func TestLockedStore(t *testing.T) {
	d := newDir(t)
	put(t, d, "k", "old")
	holder, _ := start(t, "locker", d.Root())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := blob.Write(ctx, d, "k", []byte("new"), blob.Cond{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("put: %v", err)
	}
	if err := d.Delete(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("delete: %v", err)
	}
	want(t, d, "k", "old")
	if left := halfWritten(t, d.Root()); left != nil {
		t.Errorf("left half-written: %v", left)
	}
	done := make(chan error, 1)
	go func() {
		_, err := blob.Write(t.Context(), d, "k", []byte("new"), blob.Cond{})
		done <- err
	}()
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // killed
	if err := <-done; err != nil {
		t.Errorf("put after the holder died: %v", err)
	}
	want(t, d, "k", "new")
}

// numbered is the n-th content of an object: it shows by itself whether it is whole.
func numbered(n int) string {
	return fmt.Sprintf("%d\n%s%d\n", n, strings.Repeat("x", n*7919%300_000), n)
}

// writeForEver puts numbered contents and says each number once it is durable.
func writeForEver(root string) error {
	d, err := blob.OpenDir(root)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		for _, key := range []string{"heads/feed.json", fmt.Sprintf("segments/feed/%d.seg", n)} {
			if _, err := blob.Write(context.Background(), d, key, []byte(numbered(n)), blob.Cond{}); err != nil {
				return err
			}
		}
		fmt.Println(n)
	}
}

// TestKilledWriters kills a writing process again and again: everything it
// acknowledged is there and whole, and what it left half-written can be cleaned.
func TestKilledWriters(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	leftovers := 0
	for round := range rounds {
		d := newDir(t)
		cmd, lines := start(t, "writer", d.Root())
		acked := 1
		for acked < 1+round%7 && lines.Scan() {
			acked++
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what was said before the end counts
			acked++
		}
		_ = cmd.Wait() // killed
		checkNumbered(t, d, acked)
		leftovers += len(halfWritten(t, d.Root()))
		d.CleanTemp(0, time.Now().Add(time.Hour))
		if left := halfWritten(t, d.Root()); left != nil {
			t.Errorf("round %d: not cleaned: %v", round, left)
		}
		put(t, d, "heads/feed.json", "next") // the dead process holds no lock
	}
	t.Logf("%d kills left %d half-written files", rounds, leftovers)
}

func checkNumbered(t *testing.T, d *blob.Dir, acked int) {
	t.Helper()
	data, _, err := blob.Read(t.Context(), d, "heads/feed.json")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(data), "\n")
	if n, err := strconv.Atoi(first); err != nil || n < acked || n > acked+1 || string(data) != numbered(n) {
		t.Errorf("head %q of %d bytes, acknowledged %d", first, len(data), acked)
	}
	for n := 1; n <= acked; n++ {
		want(t, d, fmt.Sprintf("segments/feed/%d.seg", n), numbered(n))
	}
}
