package opensearch

import (
	"fmt"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// reader makes listings of documents, as of an instant.
type reader struct {
	facts *facts
	when  time.Time // the instant asked about, or now
	asOf  bool
	seen  bool // the listings are wanted in the order of last seen
}

// listing returns what the document says; ok is false where it began later.
func (r *reader) listing(h *hit) (l intel.Listing, ok bool, err error) {
	var f *feedFact
	l, err = readKept(h.Source.Listing, func(feed string) *intel.FeedInfo {
		if f = r.facts.Feeds[feed]; f == nil {
			return nil
		}
		return &f.Info
	})
	if err != nil {
		return l, false, fmt.Errorf("document %s cannot be read: %w; `elasticintel reindex` makes it anew", h.ID, err)
	}
	if f == nil || len(l.Intervals) == 0 {
		return l, false, fmt.Errorf("document %s is of feed %q, which the index does not know yet: it is being sent, and known when that is done; where nothing is, `elasticintel reindex` makes it anew", h.ID, l.Feed)
	}
	l.Changed, l.Relation = h.Source.Changed.UTC(), intel.RelExact
	return l, r.settle(&l, f), nil
}

// settle brings the listing to the instant: the document has its intervals as
// its feed's runs made them, and in LastSeen the last run that had it, zero where
// the last good run has it.
func (r *reader) settle(l *intel.Listing, f *feedFact) bool {
	gone, all := l.LastSeen, len(l.Intervals)
	last := &l.Intervals[all-1]
	if end := f.ends(l.Kind, gone, last.From); last.To == nil && !end.IsZero() && !end.After(r.when) {
		last.To = &end // its time to live has passed without a run
	}
	if l.LastSeen = gone; gone.IsZero() {
		l.LastSeen = time.UnixMilli(f.LastGood).UTC()
		// A document may be newer than the facts: a node restarted in the midst of a sync,
		// or a copy was made. In the order of last seen, a feed's listings stand together.
		if !r.seen && l.Changed.UnixMilli() > f.LastGood {
			l.LastSeen = time.UnixMilli(l.Changed.UnixMilli()).UTC()
		}
	}
	if !r.asOf {
		l.Listed = last.To == nil
		return true
	}
	n := all
	for n > 0 && l.Intervals[n-1].From.After(r.when) {
		n--
	}
	if n == 0 {
		return false
	}
	l.Intervals = l.Intervals[:n]
	last = &l.Intervals[n-1]
	if last.To == nil || last.To.After(r.when) {
		last.To = nil
	} else if n < all {
		l.LastSeen = earlier(l.LastSeen, *last.To)
	}
	l.Listed = last.To == nil
	l.LastSeen = earlier(l.LastSeen, r.when)
	return true
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
