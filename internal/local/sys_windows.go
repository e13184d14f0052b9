package local

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// exposed is not told by a mode here: access lists decide.
func exposed(fs.FileMode) bool { return false }

// FreeSpace returns the bytes that this user can still write to the disk of path.
func FreeSpace(path string) (uint64, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(p, &free, nil, nil)
	return free, err
}
