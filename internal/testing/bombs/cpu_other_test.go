//go:build !unix

package bombs

import "time"

// processorTime is not known here.
func processorTime() time.Duration { return 0 }
