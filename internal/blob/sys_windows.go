package blob

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// errNotFolder is what a path through a file gives.
const errNotFolder = windows.ERROR_DIRECTORY

// Lock takes an exclusive lock on f, which ends when f is closed or the process
// dies. Another opening of the same file conflicts even in the same process.
// Without wait it returns ErrLocked where somebody else holds it.
func Lock(f *os.File, wait bool) error {
	flags := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK)
	if !wait {
		flags |= windows.LOCKFILE_FAIL_IMMEDIATELY
	}
	// The locked byte lies far behind the content, which stays readable.
	ol := &windows.Overlapped{OffsetHigh: 0x7fffffff}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, ol)
	switch {
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION):
		return ErrLocked
	case err != nil:
		return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// rename tries for a tenth of a second, because a file that somebody just reads
// cannot be replaced.
func rename(from, to string) error {
	for try := 1; ; try++ {
		err := os.Rename(from, to)
		busy := errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_SHARING_VIOLATION)
		if !busy || try == 20 {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// syncDir does nothing: NTFS journals renames and directories cannot be synced.
func syncDir(string) error { return nil }

// fileID is not to be had without opening the file; size and time must do.
func fileID(fs.FileInfo) uint64 { return 0 }

// MapFile maps the size bytes of a file, which stay valid until release is
// called, whatever becomes of its name. On Windows it is a copy.
func MapFile(f *os.File, size int64) (data []byte, release func(), err error) {
	data = make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, nil, &fs.PathError{Op: "read", Path: f.Name(), Err: err}
	}
	return data, func() {}, nil
}
