package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync/atomic"
	"time"
)

// maxHashed is the size up to which an ETag is a hash of the content. Larger
// objects (segments, raw downloads) are written once and never conditionally on
// their content, so that file, size and time are enough for them.
const maxHashed = 8 << 20

// tmpDir holds files being written; lockFile serialises changes.
const (
	tmpDir   = ".tmp"
	lockFile = ".lock"
)

// Dir is a Store in a directory. Objects are files; a file appears whole or not
// at all, because it is written aside, synced and renamed. Reading writes
// nothing. Of two keys none may be a folder of the other, and on file systems
// that ignore case they must not differ by case alone.
type Dir struct {
	root   string
	fault  func(op Op, path string) error
	turn   chan struct{}         // holds one token: one change at a time in this process
	known  map[string]bool       // folders whose entries are durable; whoever has the lock owns it
	broken atomic.Pointer[error] // why no change can be promised to be durable any more
}

// DirOptions are for tests.
type DirOptions struct {
	// Fault is asked before every operation on a file. The operation is not done
	// and fails with the error it returns, unless that is nil.
	Fault func(op Op, path string) error
}

// NewDir opens the directory, making it (mode 0700) where it is missing.
func NewDir(root string) (*Dir, error) { return NewDirWith(root, DirOptions{}) }

// NewDirWith is NewDir with options.
func NewDirWith(root string, o DirOptions) (*Dir, error) {
	d := newDir(root, o)
	if st, err := os.Stat(root); err == nil && st.IsDir() {
		return d, nil
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", root, err)
	}
	if err := syncDir(filepath.Dir(root)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("data folder %s: %w", root, err)
	}
	return d, nil
}

// OpenDir opens an existing directory without writing to it.
func OpenDir(root string) (*Dir, error) {
	st, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("data folder %s is a file", root)
	}
	return newDir(root, DirOptions{}), nil
}

func newDir(root string, o DirOptions) *Dir {
	d := &Dir{root: root, fault: o.Fault, turn: make(chan struct{}, 1), known: map[string]bool{root: true}}
	d.turn <- struct{}{}
	return d
}

// Root is the directory's path.
func (d *Dir) Root() string { return d.root }

func (d *Dir) path(ctx context.Context, key string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := CheckKey(key); err != nil {
		return "", err
	}
	return filepath.Join(d.root, filepath.FromSlash(key)), nil
}

// Get implements Store. Objects up to 8 MiB are read at once, larger ones as
// the reader is.
func (d *Dir) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	f, st, err := d.open(ctx, key)
	if err != nil {
		return nil, Info{Key: key}, err
	}
	info := Info{Key: key, Size: st.Size(), Modified: st.ModTime()}
	if st.Size() > maxHashed {
		info.ETag = statTag(st)
		return f, info, nil
	}
	defer f.Close()
	data, err := d.readAll(f)
	if err != nil {
		return nil, info, fmt.Errorf("read %s: %w", key, err)
	}
	h := tagger{h: sha256.New()}
	h.Write(data)
	info.ETag, info.Size = h.tag(st), int64(len(data))
	return io.NopCloser(bytes.NewReader(data)), info, nil
}

// Map implements Mapper. On Windows it is a copy: an open mapping would keep
// the file from being replaced or deleted.
func (d *Dir) Map(ctx context.Context, key string) (data []byte, release func(), err error) {
	f, st, err := d.open(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if st.Size() == 0 {
		return nil, func() {}, nil
	}
	if err := d.before(OpRead, f.Name()); err != nil {
		return nil, nil, err
	}
	return MapFile(f, st.Size())
}

// open opens an object's file.
func (d *Dir) open(ctx context.Context, key string) (*os.File, fs.FileInfo, error) {
	p, err := d.path(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	f, err := d.openFile(p)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotFolder) {
		return nil, nil, fmt.Errorf("%s: %w", key, ErrNotFound)
	} else if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = fmt.Errorf("%s: %w", key, ErrNotFound) // a folder of other objects
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, st, nil
}

// Put implements Store: temporary file, fsync, rename, fsync of the directory.
// After a failed fsync nobody knows what is on the disk, so this Dir refuses
// all further changes with ErrNotDurable; a full disk is no such failure.
func (d *Dir) Put(ctx context.Context, key string, r io.Reader, c Cond) (Info, error) {
	p, err := d.path(ctx, key)
	if err != nil {
		return Info{}, err
	}
	if err := d.usable(); err != nil {
		return Info{}, fmt.Errorf("write %s: %w", key, err)
	}
	tmp, err := d.spool(ctx, r)
	if err == nil {
		err = d.commit(ctx, key, p, tmp, c)
	}
	if err != nil {
		return Info{}, fmt.Errorf("write %s: %w", key, fullError(err))
	}
	return Info{Key: key, Size: tmp.stat.Size(), ETag: tmp.tag, Modified: tmp.stat.ModTime()}, nil
}

// spooled is an object that is written but not yet in its place.
type spooled struct {
	name string
	stat fs.FileInfo
	tag  string
}

// spool writes r to a synced temporary file.
func (d *Dir) spool(ctx context.Context, r io.Reader) (_ *spooled, err error) {
	f, err := d.createTemp()
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			d.discard(f.Name())
		}
	}()
	h := tagger{h: sha256.New()}
	if _, err = io.Copy(io.MultiWriter(faultWriter{d, f}, &h), ctxReader{ctx, r}); err != nil {
		return nil, err
	}
	if err = d.syncFile(f); err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &spooled{name: f.Name(), stat: st, tag: h.tag(st)}, nil
}

// commit puts a spooled object in its place, if c holds, and makes that durable.
func (d *Dir) commit(ctx context.Context, key, p string, tmp *spooled, c Cond) (err error) {
	defer func() {
		if err != nil {
			d.discard(tmp.name)
		}
	}()
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.check(ctx, key, c); err != nil {
		return err
	}
	if err := d.makeDirs(filepath.Dir(p)); err != nil {
		return err
	}
	if err := d.rename(tmp.name, p); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(p))
}

func (d *Dir) check(ctx context.Context, key string, c Cond) error {
	if c == (Cond{}) {
		return nil
	}
	rc, info, err := d.Get(ctx, key)
	if err == nil {
		rc.Close()
	}
	there := err == nil
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	case there && c.IfAbsent, c.IfMatch != "" && (!there || c.IfMatch != info.ETag):
		return ErrConflict
	}
	return nil
}

// List implements Store. ETags are left empty: compare Size and Modified.
func (d *Dir) List(ctx context.Context, prefix string) ([]Info, error) {
	if err := CheckPrefix(prefix); err != nil {
		return nil, err
	}
	start := d.root
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		start = filepath.Join(d.root, filepath.FromSlash(prefix[:i]))
	}
	out := []Info{}
	err := d.walk(start, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotFolder) {
			return nil // gone since its folder was read, or never there
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || p == d.root {
			return err
		}
		rel, err := filepath.Rel(d.root, p)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		switch {
		case e.IsDir() && (strings.HasPrefix(e.Name(), ".") || !strings.HasPrefix(key+"/", prefix) && !strings.HasPrefix(prefix, key+"/")):
			return filepath.SkipDir
		case !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") || !strings.HasPrefix(key, prefix):
			return nil
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		out = append(out, Info{Key: key, Size: st.Size(), Modified: st.ModTime()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", prefix, err)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out, nil
}

// Delete implements Store. Folders that became empty go with the object.
func (d *Dir) Delete(ctx context.Context, key string) error {
	p, err := d.path(ctx, key)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(p); errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotFolder) {
		return nil
	}
	if err := d.remove(ctx, p); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

func (d *Dir) remove(ctx context.Context, p string) error {
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.removeFile(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(p)
	for dir != d.root && os.Remove(dir) == nil { // fails where it is not empty
		delete(d.known, dir)
		dir = filepath.Dir(dir)
	}
	return d.syncDir(dir)
}

// CleanTemp removes what killed processes left half-written more than age ago.
func (d *Dir) CleanTemp(age time.Duration, now time.Time) {
	es, err := os.ReadDir(filepath.Join(d.root, tmpDir))
	if err != nil {
		return
	}
	for _, e := range es {
		if st, err := e.Info(); err == nil && now.Sub(st.ModTime()) > age {
			d.discard(filepath.Join(d.root, tmpDir, e.Name()))
		}
	}
}

// tagger makes the ETag of what is written to it.
type tagger struct {
	h hash.Hash
	n int
}

func (t *tagger) Write(p []byte) (int, error) {
	if t.n += len(p); t.n <= maxHashed {
		t.h.Write(p)
	}
	return len(p), nil
}

func (t *tagger) tag(st fs.FileInfo) string {
	if t.n > maxHashed {
		return statTag(st)
	}
	return hex.EncodeToString(t.h.Sum(nil)[:16])
}

// statTag identifies the content of a large file without reading it.
func statTag(st fs.FileInfo) string {
	return fmt.Sprintf("%x-%x-%x", st.Size(), st.ModTime().UnixNano(), fileID(st))
}

// ctxReader ends a copy when the context does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
