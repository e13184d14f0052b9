package corpus

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Options are the settings of a Corpus. The zero value is what a server wants.
type Options struct {
	Now        func() time.Time // for ends that pass by themselves (TTL); default time.Now
	Workers    int              // goroutines that build tables; default GOMAXPROCS
	MaxMembers int              // most listings inside a network in one answer; default 100,000
}

// Corpus is one store's listings, open for look-ups and for merging. It is safe
// for concurrent use, and several processes may use one store.
type Corpus struct {
	store blob.Store
	opt   Options
	view  atomic.Pointer[View]
}

// Init makes a store usable: it writes store.json with a random seed unless
// there is one.
func Init(ctx context.Context, store blob.Store) error { panic("TODO") }

// Open reads every feed's head and maps its segments. ErrNoStore where Init was
// never called; ErrNewer where any of it was written by a newer format. A feed
// that is broken otherwise is left out: Err says so, and Refresh tries again.
func Open(ctx context.Context, store blob.Store, o Options) (*Corpus, error) { panic("TODO") }

// View returns the current snapshot, never nil.
func (c *Corpus) View() *View { return c.view.Load() }

// Err says which feeds could not be read as they are now, or nil.
func (c *Corpus) Err() error { panic("TODO") }

// Refresh re-reads the heads that changed, maps new segments and swaps the view.
// It reports whether the view changed. A feed that cannot be read is named in
// the error each time until it can be; its previous data stays in view.
func (c *Corpus) Refresh(ctx context.Context) (changed bool, err error) { panic("TODO") }

// Find answers q from the current view: View.Find.
func (c *Corpus) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	return c.View().Find(ctx, q, at, dst)
}

// Stats counts the current view.
func (c *Corpus) Stats(context.Context) (intel.Stats, error) { return c.View().Stats(), nil }
