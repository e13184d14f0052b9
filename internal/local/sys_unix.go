//go:build unix

package local

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// exposed says whether a mode lets others than the owner at a file.
func exposed(m fs.FileMode) bool { return m.Perm()&0o077 != 0 }

// FreeSpace returns the bytes that this user can still write to the disk of path.
func FreeSpace(path string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}
