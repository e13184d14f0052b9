package corpus

import (
	"context"

	"github.com/elasticintel/elasticintel/internal/terms"
)

// group is an open group object: one text index of many small segments.
type group struct {
	key     string
	index   func() (*terms.Index, error) // opened and checked on first use
	members []groupMember
}

// groupMember is one segment of a group: its records are documents base to base+docs-1.
type groupMember struct {
	key  string // of the segment's object
	base uint32
	docs int
}

// Regroup writes and deletes group objects so that searches ask few indexes: at
// most about 16 over all current segments. It changes nothing that is not
// derived, is idempotent, and cheap where nothing is to be done.
func (c *Corpus) Regroup(ctx context.Context) (changed bool, err error) { return false, nil }

// openGroups lists the groups and maps those that are useful for segs, the most
// useful first; no segment is in two of them. Those that old has open are taken over.
func (c *Corpus) openGroups(ctx context.Context, segs []*segment, old []*group) ([]*group, error) {
	return nil, nil
}
