//go:build !unix

package parse

import "time"

// cpuTime is not known here: rates by processor time are 0.
func cpuTime() time.Duration { return 0 }
