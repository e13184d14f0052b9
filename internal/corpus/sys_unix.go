//go:build unix

package corpus

import "golang.org/x/sys/unix"

// adviseRandom says that a mapping is read at random: one page at a time, not
// the megabytes around it. Advice that the system does not take is no error.
func adviseRandom(data []byte) {
	if len(data) > 0 {
		_ = unix.Madvise(data, unix.MADV_RANDOM)
	}
}

// adviseNeed has the tail of a mapping from this offset on read ahead.
func adviseNeed(data []byte, from int) {
	from -= from % unix.Getpagesize()
	if from < len(data) {
		_ = unix.Madvise(data[from:], unix.MADV_WILLNEED)
	}
}

// adviseNormal takes adviseRandom back.
func adviseNormal(data []byte) {
	if len(data) > 0 {
		_ = unix.Madvise(data, unix.MADV_NORMAL)
	}
}
