package corpus

import (
	"context"
	"time"
)

// Sweep deletes the segments that no head names and that were replaced, or
// written and never committed, longer than grace ago.
func (c *Corpus) Sweep(ctx context.Context, now time.Time, grace time.Duration) error { panic("TODO") }
