package corpus

import (
	"context"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// MergeOptions say what a Merge is of.
type MergeOptions struct {
	Feed string
	Info intel.FeedInfo
	Now  time.Time // the run's time: new listings start and absent ones end here
}

// Merged is what Merge made of a run.
type Merged struct {
	Segments []SegmentRef // for the next head; the previous ones where nothing changed
	Change   intel.Change
	Changed  bool // segments were written
}

// Merge compares entries with what prev lists and, where anything differs,
// writes the feed's next segment. It commits nothing.
func (c *Corpus) Merge(ctx context.Context, prev *Head, entries []intel.Entry, o MergeOptions) (*Merged, error) {
	panic("TODO")
}
