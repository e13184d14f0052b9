//go:build unix

package blob

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errNotFolder is what a path through a file gives.
const errNotFolder = syscall.ENOTDIR

// Lock takes an exclusive lock on f, which ends when f is closed or the process
// dies. Another opening of the same file conflicts even in the same process.
// Without wait it returns ErrLocked where somebody else holds it.
func Lock(f *os.File, wait bool) error {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrLocked
		case err != nil:
			return &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
		default:
			return nil
		}
	}
}

func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

func rename(from, to string) error { return os.Rename(from, to) }

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// fileID tells a file from its predecessor of the same name, size and time.
func fileID(st fs.FileInfo) uint64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}

// MapFile maps the size bytes of a file, which stay valid until release is
// called, whatever becomes of its name. On Windows it is a copy.
func MapFile(f *os.File, size int64) (data []byte, release func(), err error) {
	if int64(int(size)) != size {
		return nil, nil, &fs.PathError{Op: "mmap", Path: f.Name(), Err: unix.EFBIG}
	}
	data, err = unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, &fs.PathError{Op: "mmap", Path: f.Name(), Err: err}
	}
	return data, func() { _ = unix.Munmap(data) }, nil
}
