package opensearch

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Changes implements lookup.Follower: of every listing of real runs the last
// change, ordered by time, feed, kind and value. Starter data is not told.
func (e *Engine) Changes(ctx context.Context, since string, limit int, emit func(*intel.Event) error) (next string, more bool, err error) {
	r := &searching{e: e, s: &query.Search{Query: query.All{}}, reader: e.reading(time.Time{})}
	if r.pit, err = e.client.open(ctx, e.alias); err != nil {
		return "", false, err
	}
	defer e.client.close(ctx, r.pit)
	if r.facts, err = e.read(ctx, r.pit); err != nil {
		return "", false, err
	}
	t := &teller{r: r, limit: limit, now: r.when.UnixMilli()}
	if t.since, err = readMark(since, r.facts); err != nil {
		return "", false, err
	}
	if err := t.gather(ctx); err != nil {
		return "", false, err
	}
	for i := range t.events {
		if err := ctx.Err(); err != nil {
			return "", false, err
		}
		if err := emit(&t.events[i]); err != nil {
			return "", false, err
		}
	}
	next, err = t.next().encode()
	return next, t.more, err
}

// mark is how far somebody has been told. Times are Unix milliseconds.
type mark struct {
	Swept int64               `json:"s"` // what had ended by itself by then was told
	Feeds map[string]feedMark `json:"f"`
	At    *eventPlace         `json:"a,omitempty"` // the last event told, where others were left
}

// feedMark is how far one feed was told.
type feedMark struct {
	Told int64  `json:"t"` // what runs changed up to then
	Met  int64  `json:"m"` // its last good run, when the mark was made
	From int64  `json:"b"` // that when the feed was first read: what had ended by then was never told as listed
	Rule string `json:"r"` // how long what is absent stays listed
}

// eventPlace is where an event stands in the order.
type eventPlace struct {
	MS   int64           `json:"m"`
	Feed string          `json:"f"`
	Ind  intel.Indicator `json:"i"`
}

func (a eventPlace) compare(b eventPlace) int {
	return cmp.Or(cmp.Compare(a.MS, b.MS), strings.Compare(a.Feed, b.Feed), cmp.Compare(a.Ind.Kind, b.Ind.Kind), strings.Compare(a.Ind.Value, b.Ind.Value))
}

func placeOf(e *intel.Event) eventPlace {
	return eventPlace{e.At.UnixMilli(), e.Listing.Feed, intel.Indicator{Kind: e.Listing.Kind, Value: e.Listing.Canonical}}
}

// untold is before every change.
const untold = math.MinInt64

// rule writes what decides when something absent is no longer listed.
func (f *feedFact) rule() string {
	b, _ := json.Marshal([]any{f.Info.Presence, f.Info.TTL, f.Info.KindTTL}) // these always can be written
	return digest(6, string(b))
}

func (m *mark) encode() (string, error) {
	b, err := json.Marshal(m)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// readMark reads a cursor and says why it cannot be followed.
func readMark(s string, f *facts) (*mark, error) {
	m := &mark{Swept: untold}
	if s == "" {
		return m, nil
	}
	bad := func(why string) (*mark, error) {
		return nil, fmt.Errorf("%w %.40q cannot be used: %s; begin again without one", intel.ErrCursor, s, why)
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(b, m) != nil {
		return bad("it was cut or changed on the way, or is none of this index")
	}
	for id, told := range m.Feeds {
		now := f.Feeds[id]
		switch {
		case now == nil || now.LastGood < told.Met:
			return bad("it has seen more than there is: a feed was removed, or the data restored from an older backup")
		case told.Told < now.LastGood && max(now.Purged, now.Lost) > max(told.Told, told.From)+1:
			return bad("it is older than what feed " + id + " still knows")
		case told.Rule != now.rule():
			return bad("feed " + id + " has another time to live since, which applies to what it listed before as well")
		}
	}
	return m, nil
}

// teller tells the changes since one mark.
type teller struct {
	r      *searching
	since  *mark
	now    int64
	limit  int
	events []intel.Event
	more   bool
}

// gather finds the events, of which it keeps as many as are wanted. An event is
// no earlier than its listing's last change by a run: in that order there is no
// need to read on when what is wanted lies in front of what is read.
func (t *teller) gather(ctx context.Context) error {
	any := t.candidates()
	if len(any) == 0 {
		return nil
	}
	err := t.r.scan(ctx, allOf(aListing(), anyOf(any...)), query.Sort{By: query.ByChanged, Reverse: true}, func(l *intel.Listing) error {
		if e, ok := t.event(l); ok {
			t.events = append(t.events, e)
		}
		if t.limit > 0 && len(t.events) >= 2*t.limit+pageSize {
			if t.trim(); t.events[t.limit-1].At.Before(l.Changed) {
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	t.trim()
	return err
}

func (t *teller) trim() {
	slices.SortFunc(t.events, func(a, b intel.Event) int { return placeOf(&a).compare(placeOf(&b)) })
	if t.limit > 0 && len(t.events) > t.limit {
		t.more = true
		clear(t.events[t.limit:])
		t.events = t.events[:t.limit]
	}
}

// maxGroups is how many clauses are made for feeds that were told up to different
// instants: a query may not have one for each of many feeds.
const maxGroups = 16

// candidates matches what may have changed since the mark: what a run changed,
// and what may have ended by itself. Feeds told up to about the same instant, and
// those with about the same time to live, go together.
func (t *teller) candidates() (any []clause) {
	var anew []string
	var told, lives []bound
	for id, f := range t.r.facts.Feeds {
		if f.Info.Snapshot != "" {
			continue
		}
		m, known := t.since.Feeds[id]
		if !known {
			anew = append(anew, id)
			continue
		}
		if f.LastGood > m.Told {
			told = append(told, bound{m.Told, id})
		}
		longest := f.Info.TTL
		for _, d := range f.Info.KindTTL {
			longest = max(longest, d)
		}
		if longest > 0 {
			lives = append(lives, bound{t.since.Swept - time.Duration(longest).Milliseconds() - 1, id})
		}
	}
	if len(anew) > 0 {
		slices.Sort(anew)
		any = append(any, terms(pathFeed, anew))
	}
	after := func(path string, ms int64) clause { ms++; return millis(path, &ms, nil) }
	for _, g := range grouped(told) {
		any = append(any, allOf(terms(pathFeed, g.feeds), after(pathChanged, g.from)))
	}
	for _, g := range grouped(lives) {
		any = append(any, allOf(terms(pathFeed, g.feeds), anyOf(after(pathChanged, t.since.Swept), after(pathGone, g.from))))
	}
	return any
}

// bound is from when on a feed is read.
type bound struct {
	from int64
	feed string
}

// group are feeds that are read from the earliest of their bounds on.
type group struct {
	from  int64
	feeds []string
}

// grouped makes at most maxGroups of them: first of what is equal.
func grouped(all []bound) (out []group) {
	slices.SortFunc(all, func(a, b bound) int { return cmp.Or(cmp.Compare(a.from, b.from), strings.Compare(a.feed, b.feed)) })
	for _, b := range all {
		if n := len(out); n > 0 && out[n-1].from == b.from {
			out[n-1].feeds = append(out[n-1].feeds, b.feed)
		} else {
			out = append(out, group{b.from, []string{b.feed}})
		}
	}
	for len(out) > maxGroups {
		var fewer []group
		for pair := range slices.Chunk(out, 2) {
			for _, g := range pair[1:] {
				pair[0].feeds = append(pair[0].feeds, g.feeds...)
			}
			fewer = append(fewer, pair[0])
		}
		out = fewer
	}
	return out
}

// event is a listing's last change; ok is false where it was told.
func (t *teller) event(l *intel.Listing) (e intel.Event, ok bool) {
	last := l.Intervals[len(l.Intervals)-1]
	e = intel.Event{Type: intel.EventUpdated, At: l.Changed, Listing: *l}
	self := false // it has ended by itself
	switch {
	case !l.Listed:
		e.Type = l.Info.Presence.Ended()
		if self = last.To.After(l.Changed); self {
			e.At = *last.To
		}
	case last.From.Equal(l.Changed):
		e.Type = intel.EventListed
	}
	e.Listing.Changed = e.At
	at := placeOf(&e)
	told, known := t.since.Feeds[l.Feed]
	passed := t.since.At != nil && at.MS == t.since.At.MS && at.compare(*t.since.At) <= 0
	if self {
		// Where the clock was set back a run may have let it end before what was swept.
		return e, !known || l.Changed.UnixMilli() > told.Told || at.MS > t.since.Swept && !passed
	}
	return e, !known || at.MS > told.Told && !(passed && at.Feed == t.since.At.Feed && told.Met >= at.MS)
}

// next is the mark behind what was told. A feed's future changes are later than
// its last good run, so up to there all is told where nothing is left.
func (t *teller) next() *mark {
	m := &mark{Swept: t.now, Feeds: map[string]feedMark{}}
	var last eventPlace
	if t.more {
		last = placeOf(&t.events[len(t.events)-1])
		m.Swept, m.At = min(t.now, last.MS-1), &last
	}
	for id, f := range t.r.facts.Feeds {
		if f.Info.Snapshot != "" {
			continue
		}
		until := f.LastGood
		switch {
		case t.more && id < last.Feed:
			until = min(until, last.MS)
		case t.more:
			until = min(until, last.MS-1)
		}
		from := f.LastGood
		if told, known := t.since.Feeds[id]; known {
			until, from = max(until, told.Told), told.From
		}
		m.Feeds[id] = feedMark{Told: until, Met: f.LastGood, From: from, Rule: f.rule()}
	}
	return m
}
