package opensearch

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Source is one state of all that is to be indexed: what is durable, of which the
// index is a copy that can be made anew.
type Source interface {
	// Feeds returns what is known of the feeds.
	Feeds() []Feed
	// Search is that of lookup.Engine, over this state and no other.
	Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error)
	// Err says what part of its data cannot be read.
	Err() error
	// ID names what is durable, whatever state it is in: an index is filled from one.
	ID() string
}

// Feed is what is known of a feed, from its head.
type Feed struct {
	Info     intel.FeedInfo
	LastGood time.Time // of its last good run; every change of a later run is later than it
	Purged   time.Time // what had ended and changed before was forgotten; zero: nothing was
	Lost     time.Time // the last run that lost listings to damage
}

// SyncStats says what a Sync did.
type SyncStats struct {
	BulkStats
	Feeds int // whose listings were looked at
}

// Sync brings the index to the state of the source, and sends what has changed
// since the last one: of a feed that had no run, nothing. What it sends is seen
// when all of it was acknowledged; where that fails, so does Sync, and doing it
// again is safe. Documents that the index refuses are its error, too, and remembered
// (Err), but do not hold up the others. Only one process may sync an index at a time.
//
// The changes are not those of Changes: those leave out starter data, what was
// purged, and when a run last changed what has ended by itself since.
//
// Where there is no index it makes one, as Reindex does.
func (e *Engine) Sync(ctx context.Context, src Source) (SyncStats, error) {
	e.sync.Lock()
	defer e.sync.Unlock()
	index, err := e.current(ctx)
	if err != nil {
		return SyncStats{}, err
	}
	if index == "" {
		return e.reindex(ctx, "", src, ReindexOptions{})
	}
	if err := e.versioned(index); err != nil {
		return SyncStats{}, err
	}
	p, err := e.client.open(ctx, index)
	if err != nil {
		return SyncStats{}, err
	}
	defer e.client.close(ctx, p)
	before, err := e.load(ctx, p) // what is known here may not know of a sync that was ended by force
	if err != nil {
		return SyncStats{}, err
	}
	if err := before.owned(index, src); err != nil {
		return SyncStats{}, err
	}
	named, err := e.read(ctx, p)
	if err != nil {
		return SyncStats{}, err
	}
	before.torn = named.torn || named.Seq != before.Seq
	if before.Sending != nil { // what that one sent has to be seen here, to be taken out where it is wrong
		if err := e.refresh(ctx, index); err != nil {
			return SyncStats{}, err
		}
		shown, err := e.client.open(ctx, index)
		if err != nil {
			return SyncStats{}, err
		}
		defer e.client.close(ctx, shown)
		p = shown
	}
	return e.send(ctx, index, before, src, p)
}

// announce notes in the index which feeds are about to be sent, and in which state,
// where there are any: whoever finds that later knows that documents of them may be
// of that state, or some of them.
func (e *Engine) announce(ctx context.Context, index string, before *facts, feeds []Feed) error {
	sending := maps.Clone(before.Sending)
	if sending == nil {
		sending = map[string]*feedFact{}
	}
	there := map[string]bool{}
	for i := range feeds {
		id, now := feeds[i].Info.ID, feeds[i].fact()
		if there[id] = true; before.Sending[id] != nil || !sameJSON(before.Feeds[id], now) {
			sending[id] = now
		}
	}
	for id := range before.Feeds {
		if !there[id] {
			sending[id] = nil
		}
	}
	if len(sending) == 0 || sameJSON(sending, before.Sending) {
		return nil
	}
	marked := *before // of the same version: nobody has to read it again
	marked.Sending = sending
	source, err := json.Marshal(map[string]any{"listing": &marked})
	if err != nil {
		return err
	}
	b := e.bulk(ctx, index)
	_ = b.Add(Op{ID: factsID, Source: source, Name: "what is about to be sent"}) // Close tells
	if _, err := b.Close(); err != nil {
		return err
	}
	return e.refresh(ctx, index)
}

// unsure says whether a sync that was ended by force sent documents of the feed that
// were of another state than now: what it left cannot be told from what should be there.
func (f *facts) unsure(id string, now *feedFact) bool {
	sent, was := f.Sending[id]
	return was && !sameJSON(sent, now)
}

// send writes what differs between the facts and the source. p shows the index
// as it was; nil where it is empty.
func (e *Engine) send(ctx context.Context, index string, before *facts, src Source, p *pit) (st SyncStats, err error) {
	feeds := src.Feeds()
	if err := e.announce(ctx, index, before, feeds); err != nil {
		return st, err
	}
	b := e.bulk(ctx, index)
	next := &facts{Feeds: map[string]*feedFact{}, Filled: true, Routed: before.Routed, Source: src.ID(), Marked: before.Marked, Long: maps.Clone(before.Long), Blank: maps.Clone(before.Blank), Lengths: maps.Clone(before.Lengths)}
	if damage := src.Err(); damage != nil {
		next.Damage = damage.Error()
	}
	enc := newEncoder(next)
	for _, f := range feeds {
		now := f.fact()
		next.Feeds[f.Info.ID] = now
		s := sending{e: e, src: src, bulk: b, feed: now, facts: next, enc: enc, pit: p}
		looked := true
		if before.unsure(f.Info.ID, now) {
			err = s.anew(ctx)
		} else {
			looked, err = s.feedSince(ctx, before.Feeds[f.Info.ID])
		}
		if err != nil {
			break
		}
		if looked {
			st.Feeds++
		}
	}
	gone := maps.Clone(before.Sending)
	if gone == nil {
		gone = map[string]*feedFact{}
	}
	maps.Copy(gone, before.Feeds)
	for id := range gone {
		if next.Feeds[id] == nil && err == nil {
			s := sending{e: e, bulk: b, pit: p}
			err = s.prune(ctx, id)
		}
	}
	var closed error
	st.BulkStats, closed = b.Close()
	refused := next.refused(before, closed)
	if err != nil || closed != nil && !refused {
		return st, errors.Join(err, closed)
	}
	if before.torn || !sameFacts(before, next) {
		err = e.publish(ctx, index, next)
	}
	return st, errors.Join(err, closed)
}

// fact is what the index has of the feed when all of it was sent.
func (f *Feed) fact() *feedFact {
	return &feedFact{Info: f.Info, LastGood: f.LastGood.UnixMilli(), Purged: millisOf(f.Purged), Lost: millisOf(f.Lost)}
}

func sameFacts(a, b *facts) bool {
	c := *b
	c.Seq = a.Seq
	return sameJSON(a, &c)
}

// sameJSON compares as what was read compares with what was written: without
// telling nil from empty.
func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// maxRefused is how many refused documents are remembered by id.
const maxRefused = 500

// refused notes what the index would not take, and says whether that was all
// that failed: one such document does not hold up the others for ever.
func (f *facts) refused(before *facts, err error) bool {
	f.Rejected, f.Reject, f.Refused = before.Rejected, before.Reject, before.Refused
	var bulk *BulkError
	if !errors.As(err, &bulk) || bulk.OpenAll > 0 || bulk.Err != nil || len(bulk.Rejected) == 0 {
		return false
	}
	if f.Rejected == 0 {
		f.Reject = short(bulk.Rejected[0].Error(), 500)
	}
	f.Rejected += bulk.Stats.Rejected
	f.Refused = maps.Clone(f.Refused)
	for _, r := range bulk.Rejected {
		if f.Refused == nil {
			f.Refused = map[string]refusal{}
		}
		if len(f.Refused) < maxRefused {
			f.Refused[r.Op.ID] = refusalOf(r)
		}
	}
	return true
}

// millisOf is 0 for the zero time.
func millisOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// publish writes the facts behind the listings that they belong to, and shows both.
func (e *Engine) publish(ctx context.Context, index string, f *facts) error {
	if err := e.write(ctx, index, f); err != nil {
		return err
	}
	return e.refresh(ctx, index)
}

// write writes the facts behind the listings that they belong to. The state lies
// in the shard where the facts are, so that nobody sees one without the other.
func (e *Engine) write(ctx context.Context, index string, f *facts) error {
	f.Seq, f.torn = rand.Text(), false
	b := e.client.NewBulk(ctx, BulkOptions{Alias: writeAlias(index), Copies: e.opt.Copies})
	add := func(id, routing string, v any) error {
		source, err := json.Marshal(map[string]any{"listing": v})
		if err == nil {
			_ = b.Add(Op{ID: id, Routing: routing, Source: source, Name: "the " + id + " of the index"}) // Close tells
		}
		return err
	}
	routing := ""
	if f.Routed {
		routing = factsID // that of the facts by themselves
	}
	err := errors.Join(add(factsID, "", f), add(stateID, routing, state{f.Seq}))
	_, closed := b.Close()
	return errors.Join(err, closed)
}

// sending sends one feed.
type sending struct {
	e     *Engine
	src   Source
	bulk  *Bulk
	feed  *feedFact
	facts *facts // that will be published
	enc   *encoder
	pit   *pit                         // of the index as it was; nil: it is empty
	sent  idSet                        // where what was not sent is to be taken out; else nil
	added func(l *intel.Listing) error // is told of each listing behind its Add; nil: nobody is
}

// errEnough ends a search.
var errEnough = errors.New("enough")

// feedSince sends what changed of the feed since it was known as before. What a
// feed says of itself is in the documents of all its listings: where that has
// changed, all are sent; and what is no longer there is taken out where the feed
// may have forgotten something.
func (s *sending) feedSince(ctx context.Context, before *feedFact) (looked bool, err error) {
	switch {
	case before == nil:
		return true, s.since(ctx, nil, nil)
	case s.feed.forgot(before):
		return true, s.anew(ctx)
	case !sameJSON(before.Info, s.feed.Info):
		return true, s.since(ctx, nil, nil)
	case before.LastGood != s.feed.LastGood:
		return true, s.since(ctx, &before.LastGood, nil)
	}
	return false, nil
}

// forgot says whether the feed may have fewer listings than it had before.
func (f *feedFact) forgot(before *feedFact) bool {
	return before.Purged != f.Purged || before.Lost != f.Lost || before.LastGood > f.LastGood || before.Info.Snapshot != "" && f.Info.Snapshot == ""
}

// anew sends all of the feed, and takes out what else the index has of it.
func (s *sending) anew(ctx context.Context) error {
	s.sent = idSet{}
	if err := s.since(ctx, nil, nil); err != nil {
		return err
	}
	return s.prune(ctx, s.feed.Info.ID)
}

// since sends the feed's listings that changed after an instant, nil for all, and
// stand behind a position in the order of changes, nil for all.
func (s *sending) since(ctx context.Context, told *int64, after *query.Position) error {
	id := s.feed.Info.ID
	// The newest change first: the one order in which a source need not sort, and
	// hold, what it gives.
	search := query.Search{Query: query.Equal{Field: query.FieldFeed, Value: strings.TrimSpace(string(query.Fold(nil, id)))}, After: after}
	_, err := s.src.Search(ctx, search, func(l *intel.Listing) error {
		switch {
		case l.Feed != id:
			return nil
		case told != nil && l.Changed.UnixMilli() <= *told:
			return errEnough
		}
		op, err := s.enc.op(l, PresenceOf(l, time.UnixMilli(s.feed.LastGood)))
		if err != nil {
			return err
		}
		if s.sent != nil {
			s.sent.add(op.ID)
		}
		if err := s.bulk.Add(op); err != nil || s.added == nil {
			return err
		}
		return s.added(l)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("send feed %s: %w", id, err)
	}
	return nil
}

// prune takes out what the index has of a feed and was not sent.
func (s *sending) prune(ctx context.Context, feed string) error {
	if s.pit == nil {
		return nil
	}
	q := &question{Query: term(pathFeed, feed), Size: pageSize, Source: true, Sort: byValue(), PIT: s.pit}
	for {
		r, err := s.e.client.ask(ctx, s.e.alias, q)
		if err != nil {
			return fmt.Errorf("take out what feed %s has forgotten: %w", feed, err)
		}
		for _, h := range r.Hits.Hits {
			var l intel.Listing
			if err := json.Unmarshal(h.Source.Listing, &l); err != nil {
				return fmt.Errorf("document %s: %w", h.ID, err)
			}
			q.After = []any{int(l.Kind), l.Canonical}
			if s.sent.has(h.ID) {
				continue
			}
			if err := s.bulk.Add(Op{ID: h.ID, Routing: h.Routing, Name: l.Canonical}); err != nil {
				return err
			}
		}
		if len(r.Hits.Hits) < q.Size {
			return nil
		}
	}
}

// byValue is an order of the listings of one feed.
func byValue() []clause { return []clause{{pathOrder: "asc"}, {pathName: "asc"}} }
