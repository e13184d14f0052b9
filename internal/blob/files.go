package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// This file is the only one in which Dir touches files, so that tests can let
// any single operation fail.

// Op names an operation on a file.
type Op string

// The operations of a Dir, in the order in which a Put does them.
const (
	OpCreate  Op = "create"  // a temporary file
	OpWrite   Op = "write"   // a part of it
	OpSync    Op = "sync"    // fsync of it
	OpLock    Op = "lock"    // the store's lock file
	OpOpen    Op = "open"    // an object, for reading
	OpRead    Op = "read"    // it
	OpMkdir   Op = "mkdir"   // a folder
	OpRename  Op = "rename"  // a temporary file into its place
	OpSyncDir Op = "syncdir" // fsync of a folder
	OpRemove  Op = "remove"  // an object or a temporary file
	OpReadDir Op = "readdir" // a tree, for List
)

// ErrFull says that there is no space left; it goes away when there is again.
var ErrFull = errors.New("the disk is full")

// ErrNotDurable says that the disk once failed to keep what it was given, so
// that nothing more is written. Check the disk, then start the program again.
var ErrNotDurable = errors.New("an earlier write could not be synced to the disk, so nothing more is written until the program is started again")

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

func fullError(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func (d *Dir) before(op Op, path string) error {
	if d.fault == nil {
		return nil
	}
	if err := d.fault(op, path); err != nil {
		return &fs.PathError{Op: string(op), Path: path, Err: err}
	}
	return nil
}

// usable returns ErrNotDurable after a failed sync.
func (d *Dir) usable() error {
	if why := d.broken.Load(); why != nil {
		return fmt.Errorf("%w: %w", ErrNotDurable, *why)
	}
	return nil
}

func (d *Dir) openFile(p string) (*os.File, error) {
	if err := d.before(OpOpen, p); err != nil {
		return nil, err
	}
	return os.Open(p)
}

func (d *Dir) readAll(f *os.File) ([]byte, error) {
	if err := d.before(OpRead, f.Name()); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

func (d *Dir) walk(start string, fn fs.WalkDirFunc) error {
	if err := d.before(OpReadDir, start); err != nil {
		return err
	}
	return filepath.WalkDir(start, fn)
}

func (d *Dir) createTemp() (*os.File, error) {
	dir := filepath.Join(d.root, tmpDir)
	if err := d.before(OpCreate, dir); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "put-*") // mode 0600
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		f, err = os.CreateTemp(dir, "put-*")
	}
	return f, err
}

// faultWriter writes to a temporary file.
type faultWriter struct {
	d *Dir
	f *os.File
}

func (w faultWriter) Write(p []byte) (int, error) {
	if err := w.d.before(OpWrite, w.f.Name()); err != nil {
		return 0, err
	}
	return w.f.Write(p)
}

func (d *Dir) syncFile(f *os.File) error {
	err := d.before(OpSync, f.Name())
	if err == nil {
		err = f.Sync()
	}
	return d.syncFailed(err)
}

func (d *Dir) syncDir(dir string) error {
	err := d.before(OpSyncDir, dir)
	if err == nil {
		err = syncDir(dir)
	}
	return d.syncFailed(err)
}

// syncFailed remembers a failed sync. The kernel drops what it could not write
// and reports the error once; a second fsync would lie. What did not fit on a
// full disk is thrown away by us as well, so that needs no such care.
func (d *Dir) syncFailed(err error) error {
	if err != nil && !isFull(err) {
		d.broken.CompareAndSwap(nil, &err)
	}
	return err
}

func (d *Dir) rename(from, to string) error {
	if err := d.before(OpRename, to); err != nil {
		return err
	}
	return rename(from, to)
}

func (d *Dir) removeFile(p string) error {
	if err := d.before(OpRemove, p); err != nil {
		return err
	}
	return os.Remove(p)
}

// discard removes a temporary file; CleanTemp gets what it cannot.
func (d *Dir) discard(p string) {
	if d.before(OpRemove, p) == nil {
		os.Remove(p)
	}
}

// makeDirs makes dir below the root. Each folder's entry in its parent is
// synced once in this process, also where another one made it.
func (d *Dir) makeDirs(dir string) error {
	if d.known[dir] {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return nil
		}
	}
	parent := filepath.Dir(dir)
	if parent != dir && dir != d.root {
		if err := d.makeDirs(parent); err != nil {
			return err
		}
	}
	if err := d.before(OpMkdir, dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.syncDir(parent); err != nil {
		return err
	}
	d.known[dir] = true
	return nil
}

// lock waits for the store's lock, against other goroutines and other processes,
// until the context ends. A store that is not durable any more is not locked for.
func (d *Dir) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case <-d.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := d.lockFile(ctx)
	if err != nil {
		d.turn <- struct{}{}
		return nil, fmt.Errorf("lock %s: %w", d.root, err)
	}
	unlock = func() { f.Close(); d.turn <- struct{}{} }
	if err := d.usable(); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

func (d *Dir) lockFile(ctx context.Context) (*os.File, error) {
	p := filepath.Join(d.root, lockFile)
	if err := d.before(OpLock, p); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(p, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		if err = Lock(f, false); !errors.Is(err, ErrLocked) {
			break
		}
		if err = pause(ctx, wait); err != nil {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
