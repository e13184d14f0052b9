//go:build unix

package parse

import (
	"syscall"
	"time"
)

// cpuTime is the processor time that this process used, by all its
// threads.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
