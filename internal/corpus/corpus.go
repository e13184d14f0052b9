package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Options are the settings of a Corpus. The zero value is what a server wants.
type Options struct {
	Now        func() time.Time // for ends that pass by themselves (TTL); default time.Now
	Workers    int              // goroutines that open segments and build tables; default GOMAXPROCS
	MaxMembers int              // most listings inside a network in one answer; default 100,000
	ShardSize  int              // records of a feed from which on it is cut into more shards; default 500,000
	Small      int              // shards up to this size are written whole when something changes; default 10,000
	Live       time.Duration    // closed listings that did not change for so long go to the history; default 30 days, < 0 never
}

// Corpus is one store's listings, open for look-ups and for merging. It is safe
// for concurrent use, and several processes may use one store.
type Corpus struct {
	store blob.Store
	opt   Options
	hash  hasher
	view  atomic.Pointer[View]
	pool  sync.Pool // of *scratch

	groupMem groupMemory

	deferFrom int // records from which on a directory waits until it pays; negative: always
	limits    searchLimits
	grouped   grouping
	knowns    knowns

	mu     sync.Mutex // held by Refresh
	feeds  map[string]*followed
	broken atomic.Pointer[map[string]error] // by feed, as of the last Refresh
}

// Open reads every feed's head and maps its segments. ErrNoStore where Init was
// never called; ErrNewer where any of it was written by a newer format. A feed
// that is broken otherwise is left out: Err says so, and Refresh tries again.
func Open(ctx context.Context, store blob.Store, o Options) (*Corpus, error) {
	h, err := readStore(ctx, store)
	if err != nil {
		return nil, err
	}
	return openWith(ctx, store, o, h)
}

// ID names the store, the same one in every process and in a restored backup; its
// seed cannot be told from it.
func (c *Corpus) ID() string {
	var seed [16]byte
	le.PutUint64(seed[:], c.hash.k0)
	le.PutUint64(seed[8:], c.hash.k1)
	sum := sha256.Sum256(append([]byte("the store whose seed is "), seed[:]...))
	return hex.EncodeToString(sum[:12])
}

func openWith(ctx context.Context, store blob.Store, o Options, h hasher) (*Corpus, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.MaxMembers <= 0 {
		o.MaxMembers = 100_000
	}
	if o.ShardSize <= 0 {
		o.ShardSize = 500_000
	}
	if o.Small == 0 {
		o.Small = 10_000
	}
	if o.Live == 0 {
		o.Live = 30 * 24 * time.Hour
	}
	c := &Corpus{store: store, opt: o, hash: h, feeds: map[string]*followed{}, deferFrom: deferFrom, limits: defaultSearchLimits()}
	empty, err := c.newView(nil, nil)
	if err != nil {
		return nil, err
	}
	c.view.Store(empty)
	_, err = c.Refresh(ctx)
	if err != nil && (errors.Is(err, ErrNewer) || !errors.As(err, new(*FeedError))) {
		return nil, err
	}
	return c, nil
}

// ReadersFirst leaves a processor to those who ask: from now on merges, folds and
// tables use one goroutine fewer. That is for a server, whose look-ups matter more
// than how soon a feed's change is there. Call it before others use the corpus.
func (c *Corpus) ReadersFirst() { c.opt.Workers = max(1, c.opt.Workers-1) }

// View returns the current snapshot, never nil.
func (c *Corpus) View() *View { return c.view.Load() }

// Err says which feeds could not be read as they are now (the FeedErrors of the
// last Refresh, joined), or nil.
func (c *Corpus) Err() error {
	var errs []error
	if p := c.broken.Load(); p != nil && len(*p) > 0 { // each look-up asks
		for _, id := range slices.Sorted(maps.Keys(*p)) {
			errs = append(errs, &FeedError{id, (*p)[id]})
		}
	}
	return errors.Join(errs...)
}

// Broken says why a feed could not be read as it is now, or nil. A run of such a
// feed should not be satisfied with "not modified": merging mends it.
func (c *Corpus) Broken(feed string) error {
	if p := c.broken.Load(); p != nil {
		return (*p)[feed]
	}
	return nil
}

// Find answers q from the current view: View.Find.
func (c *Corpus) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	return c.View().Find(ctx, q, at, dst)
}

// Stats counts the current view. The error says what could not be read to count
// the indicators.
func (c *Corpus) Stats(context.Context) (intel.Stats, error) {
	v := c.View()
	st := v.Stats()
	return st, v.dir.make(c.opt.Workers)
}

func (c *Corpus) scratch() *scratch {
	if m, ok := c.pool.Get().(*scratch); ok {
		return m
	}
	return &scratch{}
}
