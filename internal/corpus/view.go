package corpus

import (
	"context"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// View is an immutable snapshot of all feeds.
type View struct {
	stats intel.Stats
}

// Find appends to dst every listing that q asks for, as it stood at the given
// instant; the zero time asks for now.
func (v *View) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	panic("TODO")
}

// Exact appends the listings of ind itself. Records that cannot be read are left
// out; Find reports them.
func (v *View) Exact(ind intel.Indicator, at time.Time, dst []intel.Listing) []intel.Listing {
	panic("TODO")
}

// Stats counts what the view holds.
func (v *View) Stats() intel.Stats { return v.stats }

// Feeds returns the heads in view, by feed id. They must not be changed.
func (v *View) Feeds() []*Head { panic("TODO") }

// Feed returns one feed's head, or nil.
func (v *View) Feed(id string) *Head { panic("TODO") }
