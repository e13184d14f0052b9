package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"
)

// maxHashed is the size up to which an ETag is a hash of the content. Larger
// objects (segments, raw downloads) are written once and never conditionally on
// their content, so size and time are enough for them.
const maxHashed = 8 << 20

// tmpDir holds files being written; lockFile serialises conditional puts.
const (
	tmpDir   = ".tmp"
	lockFile = ".lock"
)

// Dir is a Store in a directory. Objects are files; a file appears whole or not
// at all, because it is written aside, synced and renamed.
type Dir struct {
	root string
	mu   sync.Mutex // one conditional put at a time in this process
}

// NewDir opens the directory, making it (mode 0700) where it is missing.
func NewDir(root string) (*Dir, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", root, err)
	}
	return &Dir{root: root}, nil
}

// OpenDir opens an existing directory without writing to it.
func OpenDir(root string) (*Dir, error) {
	st, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("data folder %s is a file", root)
	}
	return &Dir{root: root}, nil
}

// Root is the directory's path.
func (d *Dir) Root() string { return d.root }

func (d *Dir) path(key string) (string, error) {
	if err := CheckKey(key); err != nil {
		return "", err
	}
	return filepath.Join(d.root, filepath.FromSlash(key)), nil
}

// Get implements Store.
func (d *Dir) Get(_ context.Context, key string) (io.ReadCloser, Info, error) {
	p, err := d.path(key)
	if err != nil {
		return nil, Info{}, err
	}
	f, err := os.Open(p)
	if err != nil {
		return nil, Info{Key: key}, notFound(key, err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, Info{Key: key}, err
	}
	info := Info{Key: key, Size: st.Size(), Modified: st.ModTime()}
	if st.Size() > maxHashed {
		info.ETag = statTag(st)
		return f, info, nil
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, info, fmt.Errorf("read %s: %w", p, err)
	}
	info.ETag, info.Size = hashTag(data), int64(len(data))
	return io.NopCloser(bytes.NewReader(data)), info, nil
}

// Put implements Store: temporary file, fsync, rename, fsync of the directory.
func (d *Dir) Put(ctx context.Context, key string, r io.Reader, c Cond) (Info, error) {
	p, err := d.path(key)
	if err != nil {
		return Info{}, err
	}
	tmp, size, tag, err := d.spool(r)
	if err != nil {
		return Info{}, fmt.Errorf("write %s: %w", key, err)
	}
	defer os.Remove(tmp)
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	if err := makeDirs(d.root, filepath.Dir(p)); err != nil {
		return Info{}, err
	}
	if c != (Cond{}) {
		unlock, err := d.lock()
		if err != nil {
			return Info{}, err
		}
		defer unlock()
		if err := d.check(ctx, key, c); err != nil {
			return Info{}, err
		}
	}
	if err := os.Rename(tmp, p); err != nil {
		return Info{}, err
	}
	if err := syncDir(filepath.Dir(p)); err != nil {
		return Info{}, fmt.Errorf("sync folder of %s: %w", key, err)
	}
	if tag == "" {
		st, err := os.Stat(p)
		if err != nil {
			return Info{}, err
		}
		tag = statTag(st)
	}
	return Info{Key: key, Size: size, ETag: tag}, nil
}

// spool writes r to a synced temporary file.
func (d *Dir) spool(r io.Reader) (name string, size int64, tag string, err error) {
	dir := filepath.Join(d.root, tmpDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", 0, "", err
	}
	f, err := os.CreateTemp(dir, "put-*")
	if err != nil {
		return "", 0, "", err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	h := &capHash{}
	if size, err = io.Copy(io.MultiWriter(f, h), r); err != nil {
		return "", 0, "", err
	}
	if err = f.Sync(); err != nil {
		return "", 0, "", fmt.Errorf("sync: %w", err)
	}
	return f.Name(), size, h.tag(), nil
}

func (d *Dir) check(ctx context.Context, key string, c Cond) error {
	rc, info, err := d.Get(ctx, key)
	if err == nil {
		rc.Close()
	}
	switch {
	case errors.Is(err, ErrNotFound):
		if c.IfMatch != "" {
			return fmt.Errorf("%s: %w", key, ErrConflict)
		}
		return nil
	case err != nil:
		return err
	case c.IfAbsent, c.IfMatch != "" && c.IfMatch != info.ETag:
		return fmt.Errorf("%s: %w", key, ErrConflict)
	}
	return nil
}

// lock holds the directory's lock file against other processes and this one's goroutines.
func (d *Dir) lock() (unlock func(), err error) {
	d.mu.Lock()
	f, err := os.OpenFile(filepath.Join(d.root, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		if err = Lock(f, true); err != nil {
			f.Close()
		}
	}
	if err != nil {
		d.mu.Unlock()
		return nil, fmt.Errorf("lock %s: %w", d.root, err)
	}
	return func() { f.Close(); d.mu.Unlock() }, nil
}

// List implements Store. ETags are left empty: compare Size and Modified.
func (d *Dir) List(ctx context.Context, prefix string) ([]Info, error) {
	start := d.root
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		start = filepath.Join(d.root, filepath.FromSlash(prefix[:i]))
	}
	var out []Info
	err := filepath.WalkDir(start, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone between the listing and now
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(e.Name(), ".") && p != start {
			if e.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if e.IsDir() {
			return ctx.Err()
		}
		rel, err := filepath.Rel(d.root, p)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		if !strings.HasPrefix(key, prefix) {
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
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out, nil
}

// Delete implements Store.
func (d *Dir) Delete(_ context.Context, key string) error {
	p, err := d.path(key)
	if err != nil {
		return err
	}
	if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// CleanTemp removes temporary files that a killed process left, older than age.
func (d *Dir) CleanTemp(age time.Duration, now time.Time) {
	es, err := os.ReadDir(filepath.Join(d.root, tmpDir))
	if err != nil {
		return
	}
	for _, e := range es {
		if st, err := e.Info(); err == nil && now.Sub(st.ModTime()) > age {
			os.Remove(filepath.Join(d.root, tmpDir, e.Name()))
		}
	}
}

// makeDirs makes dir below root and syncs each parent that got a new entry, so
// that a file in a new folder survives a power cut.
func makeDirs(root, dir string) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if dir != root {
		if err := makeDirs(root, filepath.Dir(dir)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func notFound(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", key, ErrNotFound)
	}
	return err
}

func hashTag(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

func statTag(st fs.FileInfo) string {
	return fmt.Sprintf("%x-%x", st.Size(), st.ModTime().UnixNano())
}

// capHash buffers up to maxHashed bytes so that small objects get a content hash.
type capHash struct {
	buf  []byte
	over bool
}

func (h *capHash) Write(p []byte) (int, error) {
	if !h.over {
		if len(h.buf)+len(p) > maxHashed {
			h.over, h.buf = true, nil
		} else {
			h.buf = append(h.buf, p...)
		}
	}
	return len(p), nil
}

func (h *capHash) tag() string {
	if h.over {
		return ""
	}
	return hashTag(h.buf)
}
