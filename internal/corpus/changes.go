package corpus

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// never is before every change.
const never = math.MinInt64

// Changes tells what changed since a cursor, as lookup.Follower says, from the
// current view: of every listing of real runs the last change, ordered by time,
// feed, kind and value.
//
//   - listed: it is open, and its last change began the interval
//   - updated: it is open, and something else changed: its context, or that its
//     feed's last run did not have it while its time to live lasts
//   - de-listed, aged-out: it ended; aged-out where the feed is a window of time,
//     also where the time to live has passed and no run has noted it yet
//
// Starter data is not told; all that the first real run has is.
func (c *Corpus) Changes(ctx context.Context, since string, limit int, emit func(*intel.Event) error) (next string, more bool, err error) {
	t := &teller{ctx: ctx, c: c, now: c.opt.Now().UnixMilli(), limit: limit, emit: emit}
	if err := t.begin(since); err != nil {
		return "", false, err
	}
	if err := guard(t.v.segs, t.tell); err != nil {
		return "", false, err
	}
	return t.next().encode(c.hash), t.more, nil
}

// teller tells the changes since one cursor.
type teller struct {
	ctx   context.Context
	c     *Corpus
	v     *View
	since *mark
	now   int64
	limit int // 0 = all
	emit  func(*intel.Event) error

	n    int
	last *changeKey // the last event told
	more bool
}

// changeKey is where an event stands in the order.
type changeKey struct {
	ms   int64
	feed string
	ind  intel.Indicator
}

// begin reads the cursor and decides whether it can be followed from here.
func (t *teller) begin(since string) error {
	t.v = t.c.View()
	if since == "" {
		t.since = &mark{swept: never, feeds: map[uint64]*feedTold{}}
		return nil
	}
	var err error
	if t.since, err = readMark(since, t.c.hash); err != nil {
		return err
	}
	if t.ahead() { // another process has seen more than this one
		if _, err := t.c.Refresh(t.ctx); err != nil && !errors.As(err, new(*FeedError)) {
			return err
		}
		t.v = t.c.View()
		if t.ahead() && t.c.Err() == nil {
			return badCursor("it has seen more than there is: a feed was removed, or the data restored from an older backup")
		}
	}
	for _, f := range t.v.feeds {
		if told := t.since.feeds[feedHash(f.head.Feed)]; told != nil {
			if err := told.follows(f.head); err != nil {
				return err
			}
		}
	}
	return nil
}

// follows says whether all that changed behind what was told can still be told.
func (t *feedTold) follows(h *Head) error {
	if until := forgotten(h); t.told < h.LastGood.UnixMilli() && until.UnixMilli() > t.safe()+1 {
		return badCursor("it is older than what feed %s still knows: changes before %s were purged, or lost to damage", h.Feed, until.UTC().Format(time.RFC3339))
	}
	if t.rule != ruleHash(&h.Info) {
		return badCursor("feed %s has another time to live since, which applies to what it listed before as well", h.Feed)
	}
	return nil
}

// forgotten is the time before which a feed may have changes that it cannot tell
// any more.
func forgotten(h *Head) time.Time {
	if h.Lost.After(h.Purged) {
		return h.Lost
	}
	return h.Purged
}

// ahead says whether the cursor knows a feed, or a run, that the view does not.
func (t *teller) ahead() bool {
	known := 0
	for _, f := range t.v.feeds {
		told := t.since.feeds[feedHash(f.head.Feed)]
		if told == nil {
			continue
		}
		if told.told > f.head.LastGood.UnixMilli() {
			return true
		}
		known++
	}
	return known < len(t.since.feeds)
}

// tell tells the events in order, up to the limit.
func (t *teller) tell() error {
	var all changeHeap
	for _, f := range t.v.feeds {
		if f.head.Info.Snapshot != "" {
			continue
		}
		rs, err := t.readers(f)
		if err != nil {
			return err
		}
		all = append(all, rs...)
	}
	heap.Init(&all)
	f := finder{v: t.v, ctx: t.ctx, mem: t.c.scratch()}
	defer t.c.pool.Put(f.mem)
	for len(all) > 0 {
		r := all[0]
		if t.limit > 0 && t.n == t.limit {
			t.more = true
			return nil
		}
		if t.n%1024 == 0 && t.ctx.Err() != nil {
			return t.ctx.Err()
		}
		if err := t.event(&f, r); err != nil {
			return err
		}
		ok, err := r.next()
		if err != nil {
			return err
		}
		if ok {
			heap.Fix(&all, 0)
		} else {
			heap.Pop(&all)
		}
	}
	return nil
}

// event tells the reader's current change.
func (t *teller) event(f *finder, r *changeReader) error {
	e := intel.Event{At: toTime(r.ms)}
	ok, err := f.listing(&e.Listing, r.feed, r.seg(), &r.rec, "")
	if err != nil || !ok {
		return err
	}
	l := &e.Listing
	l.Relation, l.Changed = intel.RelExact, e.At
	switch last := l.Intervals[len(l.Intervals)-1]; {
	case !l.Listed:
		e.Type = r.feed.head.Info.Presence.Ended()
	case last.From.Equal(e.At):
		e.Type = intel.EventListed
	default:
		e.Type = intel.EventUpdated
	}
	t.n++
	t.last = &changeKey{r.ms, r.feed.head.Feed, intel.Indicator{Kind: l.Kind, Value: l.Canonical}}
	return t.emit(&e)
}

// next is the mark behind what was told. A feed's future changes are later than
// its last good run in view, so everything up to there is told when nothing is left.
// What ended by itself is told up to now, even where more was told when the clock
// was ahead: a run since then may have let something end in between.
func (t *teller) next() *mark {
	m := &mark{swept: t.now, feeds: t.since.feeds}
	if t.more {
		m.swept = min(t.now, t.last.ms-1)
		m.at = &spotTold{t.last.ms, feedHash(t.last.feed), t.last.ind}
	}
	for _, f := range t.v.feeds {
		if f.head.Info.Snapshot != "" {
			continue
		}
		lastGood := f.head.LastGood.UnixMilli()
		until := lastGood
		if t.more && f.head.Feed < t.last.feed {
			until = min(until, t.last.ms)
		} else if t.more {
			until = min(until, t.last.ms-1)
		}
		id := feedHash(f.head.Feed)
		if told := m.feeds[id]; told == nil {
			m.feeds[id] = &feedTold{told: until, met: lastGood, rule: ruleHash(&f.head.Info)}
		} else {
			told.told = max(told.told, until)
		}
	}
	return m
}

// changeHeap has the reader whose event is next on top.
type changeHeap []*changeReader

func (h changeHeap) Len() int           { return len(h) }
func (h changeHeap) Less(i, j int) bool { return h[i].compare(h[j]) < 0 }
func (h changeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface; nothing is ever pushed.
func (h *changeHeap) Push(x any) { *h = append(*h, x.(*changeReader)) }

// Pop implements heap.Interface.
func (h *changeHeap) Pop() any {
	old := *h
	r := old[len(old)-1]
	*h = old[:len(old)-1]
	return r
}

func (r *changeReader) compare(o *changeReader) int {
	if c := cmp.Compare(r.ms, o.ms); c != 0 {
		return c
	}
	if c := strings.Compare(r.feed.head.Feed, o.feed.head.Feed); c != 0 {
		return c
	}
	return compareRecords(&r.rec, &o.rec)
}
