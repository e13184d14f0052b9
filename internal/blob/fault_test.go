package blob_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// step is a change of the scenario below: what the key holds afterwards ("" for
// no object), and how to get there.
type step struct {
	key, content string
	do           func(t *testing.T, d *blob.Dir) error
}

// chunks is a reader that does not let io.Copy write all at once.
type chunks struct{ io.Reader }

func write(key, content string, c blob.Cond) step {
	return step{key, content, func(t *testing.T, d *blob.Dir) error {
		if c.IfMatch != "" {
			_, info, err := blob.Read(t.Context(), d, key)
			if err != nil {
				return err
			}
			c.IfMatch = info.ETag
		}
		_, err := d.Put(t.Context(), key, chunks{strings.NewReader(content)}, c)
		return err
	}}
}

// scenario is one of each change, in old folders and in new ones.
func scenario() []step {
	long := strings.Repeat("0123456789", 10_000) // several writes
	return []step{
		write("heads/old.json", "over "+long, blob.Cond{}),
		write("segments/new/a/1.seg", long, blob.Cond{}),
		write("heads/new.json", "first", blob.Cond{IfAbsent: true}),
		write("state/old.json", "matched", blob.Cond{IfMatch: "what is there"}),
		{"runs/old.ndjson", "line 1\nline 2\n", func(t *testing.T, d *blob.Dir) error {
			return blob.Update(t.Context(), d, "runs/old.ndjson", func(old []byte) ([]byte, error) {
				return append(bytes.Clone(old), "line 2\n"...), nil
			})
		}},
		{"raw/old/1.zst", "", func(t *testing.T, d *blob.Dir) error { return d.Delete(t.Context(), "raw/old/1.zst") }},
		write("raw/old/2.zst", "in the folder that went", blob.Cond{}),
	}
}

var before = map[string]string{
	"heads/old.json": "old head", "state/old.json": "old state", "runs/old.ndjson": "line 1\n", "raw/old/1.zst": "old download", "keep": "untouched",
}

// faultAt fails the n-th operation, once.
type faultAt struct {
	mu   sync.Mutex
	n    int // counts down
	err  error
	hit  blob.Op
	path string
}

func (f *faultAt) fault(op blob.Op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.n != 0 {
		return nil
	}
	f.hit, f.path = op, path
	return f.err
}

// TestFaultAtEveryOperation lets the N-th operation on files fail, for every N:
// an object is its old self or its new one, whole, and never is a change
// acknowledged that a new process does not find.
func TestFaultAtEveryOperation(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		met := map[blob.Op]int{}
		for n := 1; ; n++ {
			f := &faultAt{n: n, err: cause}
			runWithFault(t, f, fmt.Sprintf("%v at operation %d", cause, n))
			if f.hit == "" {
				break
			}
			met[f.hit]++
		}
		for _, op := range []blob.Op{blob.OpCreate, blob.OpWrite, blob.OpSync, blob.OpLock, blob.OpOpen, blob.OpRead, blob.OpMkdir, blob.OpRename, blob.OpSyncDir, blob.OpRemove} {
			if met[op] < 1 {
				t.Errorf("%v: no %s was made to fail: %v", cause, op, met)
			}
		}
		t.Logf("%v: %v", cause, met)
	}
}

func runWithFault(t *testing.T, f *faultAt, name string) {
	t.Helper()
	root := t.TempDir()
	state := map[string][]string{} // what each key may hold
	for key, content := range before {
		path := filepath.Join(root, filepath.FromSlash(key))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
		state[key] = []string{content}
	}
	d, err := blob.NewDirWith(root, blob.DirOptions{Fault: f.fault})
	if err != nil {
		t.Fatal(err)
	}
	broken := false
	for i, s := range scenario() {
		already := f.hit != ""
		err := s.do(t, d)
		if state[s.key] == nil {
			state[s.key] = []string{""}
		}
		syncFailed := (f.hit == blob.OpSync || f.hit == blob.OpSyncDir) && f.err != syscall.ENOSPC
		switch {
		case err == nil && f.hit != "" && !already:
			t.Fatalf("%s (%s %s): step %d was acknowledged although it failed", name, f.hit, f.path, i)
		case err == nil && broken:
			t.Fatalf("%s (%s %s): step %d was acknowledged after a failed sync", name, f.hit, f.path, i)
		case err == nil:
			state[s.key] = []string{s.content}
		default:
			state[s.key] = append(state[s.key], s.content)
			if !errors.Is(err, f.err) && !errors.Is(err, blob.ErrNotDurable) {
				t.Fatalf("%s: step %d: %v", name, i, err)
			}
			if f.err == syscall.ENOSPC && !errors.Is(err, blob.ErrFull) && f.hit != blob.OpOpen && f.hit != blob.OpRead && f.hit != blob.OpRemove && s.content != "" {
				t.Fatalf("%s (%s): step %d: %v is no ErrFull", name, f.hit, i, err)
			}
		}
		broken = broken || syncFailed
	}
	checkState(t, root, state, fmt.Sprintf("%s (%s %s)", name, f.hit, f.path))
}

// checkState looks at the folder as a new process does.
func checkState(t *testing.T, root string, state map[string][]string, name string) {
	t.Helper()
	d, err := blob.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for key, may := range state {
		got, _, err := blob.Read(t.Context(), d, key)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.Contains(may, string(got)) {
			t.Fatalf("%s: %s holds %d bytes %.30q, may be %.80q", name, key, len(got), got, may)
		}
	}
	infos, err := d.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		if state[i.Key] == nil {
			t.Fatalf("%s: %s appeared", name, i.Key)
		}
	}
	d.CleanTemp(0, time.Now().Add(time.Hour))
	if left := halfWritten(t, root); left != nil {
		t.Fatalf("%s: left half-written: %v", name, left)
	}
	put(t, d, "heads/next.json", "a new process goes on")
}

// TestSyncFailureIsFinal: the kernel tells of a lost write once. Whoever syncs
// again and hears nothing has not saved it.
func TestSyncFailureIsFinal(t *testing.T) {
	for _, op := range []blob.Op{blob.OpSync, blob.OpSyncDir} {
		var fail error
		d, err := blob.NewDirWith(t.TempDir(), blob.DirOptions{Fault: func(o blob.Op, _ string) error {
			if o == op {
				return fail
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		put(t, d, "k", "one")
		fail = syscall.ENOSPC
		if _, err := blob.Write(t.Context(), d, "k", []byte("two"), blob.Cond{}); !errors.Is(err, blob.ErrFull) {
			t.Errorf("%s, full: %v", op, err)
		}
		fail = nil
		put(t, d, "k", "three") // a full disk passes
		fail = syscall.EIO
		if _, err := blob.Write(t.Context(), d, "k", []byte("four"), blob.Cond{}); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", op, err)
		}
		fail = nil
		_, err = blob.Write(t.Context(), d, "other", []byte("five"), blob.Cond{})
		if !errors.Is(err, blob.ErrNotDurable) || !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "started again") {
			t.Errorf("%s, later: %v", op, err)
		}
		if err := d.Delete(t.Context(), "k"); !errors.Is(err, blob.ErrNotDurable) {
			t.Errorf("%s, delete: %v", op, err)
		}
		if got, _, err := blob.Read(t.Context(), d, "k"); err != nil || len(got) == 0 {
			t.Errorf("%s, reading: %q, %v", op, got, err)
		}
		again, err := blob.OpenDir(d.Root())
		if err != nil {
			t.Fatal(err)
		}
		put(t, again, "other", "after a restart")
	}
}

// TestSyncOrder: before a Put is acknowledged, the file was synced after its
// last write and before its rename, its folder after the rename, and the folder
// of every new folder.
func TestSyncOrder(t *testing.T) {
	var ops []string
	root := t.TempDir()
	d, err := blob.NewDirWith(root, blob.DirOptions{Fault: func(op blob.Op, path string) error {
		rel, err := filepath.Rel(root, path)
		if strings.HasPrefix(rel, ".tmp/put-") {
			rel = "TEMP"
		}
		ops = append(ops, string(op)+" "+rel)
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"create .tmp, write TEMP, sync TEMP, lock .lock, mkdir a, syncdir ., mkdir a/b, syncdir a, rename a/b/k, syncdir a/b",
		"create .tmp, write TEMP, sync TEMP, lock .lock, rename a/b/k, syncdir a/b",
	} {
		ops = nil
		put(t, d, "a/b/k", "v")
		if got := strings.Join(ops, ", "); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	ops = nil
	if err := d.Delete(t.Context(), "a/b/k"); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(ops, ", "), "lock .lock, remove a/b/k, syncdir ."; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	second, err := blob.NewDirWith(root, blob.DirOptions{Fault: func(op blob.Op, path string) error {
		if op == blob.OpSyncDir {
			ops = append(ops, path)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, "a/b/k", "v")
	ops = nil
	put(t, second, "a/b/k", "v") // who made the folders may have died before the sync
	if len(ops) != 3 {
		t.Errorf("a second process synced %v, want the root, a and a/b", ops)
	}
}

func FuzzKeys(f *testing.F) {
	for _, key := range []string{"a", "a/b", "../x", "/x", "a//b", ".tmp/x", "a\x00", strings.Repeat("a/", 500)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		root := t.TempDir()
		d, err := blob.NewDir(filepath.Join(root, "store"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = blob.Write(t.Context(), d, key, []byte("x"), blob.Cond{})
		if (blob.CheckKey(key) == nil) != (err == nil) {
			t.Fatalf("%q: CheckKey %v, put %v", key, blob.CheckKey(key), err)
		}
		if err == nil {
			want(t, d, key, "x")
		}
		outside, err := filepath.Glob(filepath.Join(root, "*"))
		if err != nil || len(outside) != 1 {
			t.Fatalf("%q: outside the store: %v, %v", key, outside, err)
		}
	})
}
