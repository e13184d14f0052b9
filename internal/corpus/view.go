package corpus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// ErrTooMany says that a network holds more listings than one answer may have.
var ErrTooMany = errors.New("too many listings")

// feedState is one feed as of one version of its head. It is immutable.
type feedState struct {
	head   *Head
	etag   string
	segs   []*segment               // as in the head
	dead   []*roaring.Bitmap        // of each of segs: numbers of the records that others replace; nil = none
	sinces [8]atomic.Pointer[since] // a cache
}

// View is an immutable snapshot of all feeds. Segments it refers to stay mapped
// as long as it is in use.
type View struct {
	c     *Corpus
	feeds []*feedState      // by id
	segs  []*segment        // numbered as in dir; by feed
	owner []*feedState      // of each of segs
	dead  []*roaring.Bitmap // of each of segs
	dir   *hashIndex
	nets  *networks
	netOf []*feedState // of each of nets.segs
	stats intel.Stats  // without Indicators

	indicators func() int // counts them once
	shelving   shelving   // for searches
}

// newView derives a view from the feeds, reusing the tables of old where what
// they are made from is the same.
func (c *Corpus) newView(feeds []*feedState, old *View) (*View, error) {
	v := &View{c: c, feeds: feeds}
	var nets []*segment
	var netDead []*roaring.Bitmap
	for _, f := range feeds {
		for i, s := range f.segs {
			v.segs, v.owner, v.dead = append(v.segs, s), append(v.owner, f), append(v.dead, f.dead[i])
			if s.hasNetworks() {
				nets, v.netOf, netDead = append(nets, s), append(v.netOf, f), append(netDead, f.dead[i])
			}
		}
	}
	if len(v.segs) > maxSegments {
		return nil, errTooMany
	}
	var err error
	if old != nil && slices.Equal(v.segs, old.segs) {
		v.dir = old.dir
	} else if v.dir = newHashIndex(v.segs, v.dead); !c.defers(v.dir, old) {
		if err = v.dir.make(c.tableWorkers(old)); err != nil {
			return nil, err
		}
	}
	if old != nil && slices.Equal(nets, old.nets.segs) {
		v.nets = old.nets
	} else if v.nets, err = buildNetworks(nets, netDead); err != nil {
		return nil, err
	}
	v.count()
	return v, nil
}

// defers says whether the directory waits until it pays: not where looking in
// the segments would slow down those who ask already.
func (c *Corpus) defers(x *hashIndex, old *View) bool {
	asked := old != nil && len(old.segs) > 0 && old.dir.ready()
	return x.records() >= c.deferFrom && !asked || c.deferFrom < 0
}

// tableWorkers is how many goroutines build a table: one where there is a view
// that answers meanwhile, so that readers keep a processor.
func (c *Corpus) tableWorkers(old *View) int {
	if old != nil && len(old.segs) > 0 {
		return 1
	}
	return c.opt.Workers
}

func (v *View) count() {
	v.indicators = sync.OnceValue(v.countIndicators)
	v.stats = intel.Stats{Feeds: len(v.feeds), ByKind: map[string]int{}}
	for _, s := range v.segs {
		v.stats.Bytes += int64(len(s.data))
		for _, k := range s.kinds {
			if n := k.open - k.openBelow; n != 0 {
				v.stats.Listings += n
				v.stats.ByKind[k.kind.String()] += n
			}
		}
	}
	maps.DeleteFunc(v.stats.ByKind, func(_ string, n int) bool { return n == 0 })
}

// Feeds returns the heads in view, by feed id. They must not be changed.
func (v *View) Feeds() []*Head {
	out := make([]*Head, len(v.feeds))
	for i, f := range v.feeds {
		out[i] = f.head
	}
	return out
}

// Feed returns one feed's head, which must not be changed, or nil.
func (v *View) Feed(id string) *Head {
	if i, ok := v.feedIndex(id); ok {
		return v.feeds[i].head
	}
	return nil
}

func (v *View) feedIndex(id string) (int, bool) {
	return slices.BinarySearchFunc(v.feeds, id, func(f *feedState, id string) int { return strings.Compare(f.head.Feed, id) })
}

// Find appends to dst every listing that q asks for, as it stood at the given
// instant; the zero time asks for now. The order is that of q.Keys, each by feed
// id; then covering networks, the most specific first; then members, by feed id
// and address. An error names what could not be read; dst then holds the rest.
// ErrTooMany: more members than Options.MaxMembers; dst holds that many.
//
// Strings in a listing are its own, or those of q. Info, Tags and Intervals may be
// shared with other listings and must not be changed.
func (v *View) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) (out []intel.Listing, err error) {
	out = dst // where a fault cuts the search short
	f := finder{v: v, ctx: ctx, out: dst, skip: q.Indicator, asOf: !at.IsZero(), at: at.UnixMilli(), mem: v.c.scratch()}
	defer catchFault(&err, v.segs, debug.SetPanicOnFault(true))
	f.probe(&q)
	f.exact(&q)
	if q.Covers.IsValid() {
		f.covering(q.Covers)
	}
	if q.Inside.IsSingleIP() {
		f.portsAt(q.Inside.Addr()) // all there can be: an address is not its own member
	} else if q.Inside.IsValid() {
		f.members(q.Inside)
	}
	v.c.pool.Put(f.mem)
	return f.out, f.err
}

// Exact appends the listings of ind itself. Records that cannot be read are left
// out; Find reports them.
func (v *View) Exact(ind intel.Indicator, at time.Time, dst []intel.Listing) []intel.Listing {
	q := intel.Question{Indicator: ind, Keys: []intel.Key{{Indicator: ind, Relation: intel.RelExact}}}
	dst, _ = v.Find(context.Background(), q, at, dst)
	return dst
}

// finder collects the answer to one question.
type finder struct {
	v    *View
	ctx  context.Context
	out  []intel.Listing
	err  error // the first one
	asOf bool
	at   int64 // the instant; without asOf looked up where a TTL needs it
	skip intel.Indicator
	mem  *scratch
}

func (f *finder) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// add appends the record's listing unless it was first listed after the instant asked for.
// canonical is its value where that is at hand as a string, else "".
func (f *finder) add(feed *feedState, s *segment, r *record, rel intel.Relation, canonical string) {
	n := len(f.out)
	f.out = append(f.out, intel.Listing{})
	ok, err := f.listing(&f.out[n], feed, s, r, canonical)
	if err != nil {
		f.fail(err)
	}
	if !ok {
		f.out = f.out[:n]
		return
	}
	f.out[n].Relation = rel
}

// tooMany says so and gives the limit.
func (f *finder) tooMany(p fmt.Stringer) {
	reason := fmt.Sprintf("more than %d listings inside it; ask for a smaller network", f.v.c.opt.MaxMembers)
	f.fail(fmt.Errorf("%w: %w", ErrTooMany, &intel.ValueError{Code: "too_many", Value: p.String(), Reason: reason}))
}
