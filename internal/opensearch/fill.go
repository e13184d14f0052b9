package opensearch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// ReindexOptions say how an index is made anew. The zero value is what is wanted
// as a rule.
type ReindexOptions struct {
	TakeOver bool           // put it in the place of one that another store fills, too
	Mark     int            // listings after which it is noted how far it came; 0 = 20,000
	Progress func(Progress) // is told now and then, by one goroutine; nil: nobody is
}

// Progress says how far a Reindex has come.
type Progress struct {
	Index                 string // that is being filled
	Feed                  string // that is being sent
	Feeds, AllFeeds       int    // done, and all of them
	Listings, AllListings int    // in the index or on their way to it, and all of them
	Resumed               int    // of Listings: what was there when it began
}

// tellEvery is how many listings are sent from one Progress to the next.
const tellEvery = 1000

// Reindex fills a new index with all of the source, and puts it in the place of
// the old one when it is whole and its counts are those of the source; the old
// one, which answers until then, is removed. Ended before that, by an error or by
// force, it goes on where it was when it is called again: up to Mark listings are
// sent twice. Documents that the index refuses are counted, remembered (Err) and no error.
// ErrForeign where another store fills the index.
func (e *Engine) Reindex(ctx context.Context, src Source, o ReindexOptions) (SyncStats, error) {
	e.sync.Lock()
	defer e.sync.Unlock()
	before, err := e.current(ctx)
	if err != nil {
		return SyncStats{}, err
	}
	if before != "" && !o.TakeOver {
		f, err := e.factsOf(ctx, before)
		if err != nil && e.versioned(before) == nil { // those of another version may be what cannot be read here
			return SyncStats{}, fmt.Errorf("%w; `elasticintel reindex --take-over` makes another in its place", err)
		}
		if f != nil {
			if err := f.owned(before, src); err != nil {
				return SyncStats{}, err
			}
		}
	}
	return e.reindex(ctx, before, src, o)
}

func (e *Engine) reindex(ctx context.Context, before string, src Source, o ReindexOptions) (SyncStats, error) {
	index, have, err := e.begun(ctx, src)
	if err == nil && index == "" {
		have = &facts{Routed: e.opt.Shape.Shards > 1}
		index, err = e.create(ctx, 1)
	}
	if err != nil {
		return SyncStats{}, err
	}
	if o.Mark <= 0 {
		o.Mark = 20_000
	}
	f := &filling{e: e, index: index, src: src, o: o, next: have}
	f.progress.Index = index
	err = f.run(ctx)
	if err = errors.Join(err, f.end()); err != nil {
		return f.stats, err
	}
	if err := e.point(ctx, index, before); err != nil {
		return f.stats, err
	}
	e.facts.Store(f.next)
	if before != "" {
		_ = e.retire(ctx, before) // what fails is left to Tidy; the new one answers
	}
	return f.stats, nil
}

// begun returns the index that a Reindex of this source was filling when it
// ended, and its facts; "" where there is none that can be gone on with.
func (e *Engine) begun(ctx context.Context, src Source) (string, *facts, error) {
	all, err := e.indices(ctx)
	if err != nil {
		return "", nil, err
	}
	for _, x := range slices.Backward(all) {
		if x.pointed || e.versioned(x.name) != nil || x.shards != max(e.opt.Shape.Shards, 1) {
			continue
		}
		f, err := e.factsOf(ctx, x.name)
		if err != nil {
			return "", nil, err
		}
		if f != nil && f.Source == src.ID() && !f.Filled {
			return x.name, f, nil
		}
	}
	return "", nil, nil
}

// filling is one Reindex under way.
type filling struct {
	e     *Engine
	index string
	src   Source
	o     ReindexOptions

	next *facts                    // what is in the index, once the bulk is acknowledged
	want map[string]int            // the source's listings by feed
	held map[string]map[string]int // documents that were there at the beginning, by feed
	pit  *pit                      // of the index at the beginning; nil: it was empty
	bulk *Bulk

	sent, marked int // listings, and how many at the last mark
	base, most   int // Progress.Listings before the feed that is being sent, and what it may add
	stats        SyncStats
	progress     Progress
}

func (f *filling) run(ctx context.Context) error {
	if err := f.begin(ctx); err != nil {
		return err
	}
	if f.pit != nil {
		defer f.e.client.close(ctx, f.pit)
	}
	for _, x := range f.src.Feeds() {
		if err := f.feed(ctx, &x); err != nil {
			return err
		}
	}
	if err := f.forget(ctx); err != nil {
		return err
	}
	if err := f.mark(ctx); err != nil {
		return err
	}
	if err := f.whole(ctx); errors.Is(err, errCounts) {
		f.next.Feeds = map[string]*feedFact{}
		return errors.Join(err, f.e.write(ctx, f.index, f.next))
	} else if err != nil {
		return err
	}
	f.next.Filled = true
	return f.e.publish(ctx, f.index, f.next)
}

// begin finds out what there is and what is to be sent, and notes that somebody
// is at it.
func (f *filling) begin(ctx context.Context) error {
	feeds := f.src.Feeds()
	f.want = map[string]int{}
	for _, x := range feeds {
		f.want[x.Info.ID] = 0
	}
	page, err := f.src.Search(ctx, query.Search{Query: query.All{}, Limit: -1, Facets: []query.Field{query.FieldFeed}, FacetLimit: len(feeds) + 1},
		func(*intel.Listing) error { return nil })
	if err != nil {
		return fmt.Errorf("count what is to be sent: %w", err)
	}
	for _, v := range page.Facets[0].Values {
		f.want[v.Value] = v.Count
	}
	if f.next.Source != "" { // it was begun before
		if err := f.e.refresh(ctx, f.index); err != nil {
			return err
		}
		if f.pit, err = f.e.client.open(ctx, f.index); err != nil {
			return err
		}
		if f.held, err = f.e.feedCounts(ctx, f.pit); err != nil {
			return err
		}
	}
	n := f.next
	n.Source, n.Filled, n.Damage = f.src.ID(), false, ""
	if damage := f.src.Err(); damage != nil {
		n.Damage = damage.Error()
	}
	if n.Feeds == nil {
		n.Feeds = map[string]*feedFact{}
	}
	f.progress.AllFeeds, f.progress.AllListings = len(feeds), page.Total
	f.bulk = f.e.bulk(ctx, f.index)
	return f.mark(ctx)
}

// bulk writes to an index.
func (e *Engine) bulk(ctx context.Context, index string) *Bulk {
	return e.client.NewBulk(ctx, BulkOptions{Alias: writeAlias(index), Copies: e.opt.Copies})
}

// mark waits until everything sent is acknowledged, and then notes in the index
// how far that is.
func (f *filling) mark(ctx context.Context) error {
	if err := f.end(); err != nil {
		return err
	}
	f.marked = f.sent
	f.next.Marked = f.e.opt.Now().UnixMilli()
	if err := f.e.write(ctx, f.index, f.next); err != nil {
		return err
	}
	f.bulk = f.e.bulk(ctx, f.index)
	return nil
}

// end ends the bulk. What the index refuses is noted, and no error.
func (f *filling) end() error {
	if f.bulk == nil {
		return nil
	}
	st, err := f.bulk.Close()
	f.bulk = nil
	f.stats.add(st)
	if f.next.refused(f.next, err) {
		return nil
	}
	return err
}

func (s *BulkStats) add(o BulkStats) {
	s.Written += o.Written
	s.Deleted += o.Deleted
	s.Rejected += o.Rejected
	s.Requests += o.Requests
	s.Retried += o.Retried
}

// feed sends what the index does not have of a feed.
func (f *filling) feed(ctx context.Context, x *Feed) error {
	id, now := x.Info.ID, x.fact()
	was, there := f.next.Feeds[id], sum(f.held[id])
	s := &sending{e: f.e, src: f.src, bulk: f.bulk, feed: now, facts: f.next, enc: newEncoder(f.next), pit: f.pit}
	s.added = func(*intel.Listing) error { f.count(1); return nil }
	f.progress.Feed, f.base, f.most = id, f.progress.Listings, f.want[id]
	f.tell()
	looked, err := true, error(nil)
	switch {
	case was == nil && there == 0:
		err = f.rest(ctx, s, nil)
	case was == nil || was.After != nil && (now.forgot(was) || !sameJSON(was.Info, now.Info)):
		err = s.anew(ctx)
	case was.After != nil:
		f.resume(there)
		if was.LastGood != now.LastGood {
			err = s.since(ctx, &was.LastGood, nil)
		}
		if err == nil {
			err = f.rest(ctx, s, was.After)
		}
	default:
		f.resume(there)
		looked, err = s.feedSince(ctx, was)
	}
	if err != nil {
		return err
	}
	if looked {
		f.stats.Feeds++
	}
	now.After, f.next.Feeds[id] = nil, now
	f.progress.Feeds, f.progress.Listings = f.progress.Feeds+1, f.base+f.most
	f.tell()
	if f.sent-f.marked >= f.o.Mark {
		return f.mark(ctx)
	}
	return nil
}

// rest sends the listings of a feed behind a position, nil for all, in the order of
// changes, and marks how far it came. That a large feed was begun is marked, too:
// what of it is there then is known to be of this state.
func (f *filling) rest(ctx context.Context, s *sending, after *query.Position) error {
	mark := func(at query.Position) error {
		s.feed.After, f.next.Feeds[s.feed.Info.ID] = &at, s.feed
		err := f.mark(ctx)
		s.bulk = f.bulk
		return err
	}
	if after != nil && *after == (query.Position{}) {
		after = nil
	}
	if after == nil && f.most > f.o.Mark {
		if err := mark(query.Position{}); err != nil {
			return err
		}
	}
	s.added = func(l *intel.Listing) error {
		f.count(1)
		if f.sent-f.marked < f.o.Mark {
			return nil
		}
		return mark(query.Sort{}.Position(l))
	}
	return s.since(ctx, nil, after)
}

// resume says that of the feed that is being sent so much is there already.
func (f *filling) resume(there int) {
	f.progress.Resumed += min(there, f.most)
	f.progress.Listings = f.base + min(there, f.most)
	f.tell()
}

// count counts listings that were sent.
func (f *filling) count(n int) {
	f.sent += n
	f.progress.Listings = min(f.progress.Listings+n, f.base+f.most)
	if f.sent%tellEvery == 0 {
		f.tell()
	}
}

func (f *filling) tell() {
	if f.o.Progress != nil {
		f.o.Progress(f.progress)
	}
}

// forget takes out the feeds that the source no longer has.
func (f *filling) forget(ctx context.Context) error {
	for id := range f.next.Feeds {
		if _, known := f.want[id]; !known {
			delete(f.next.Feeds, id)
		}
	}
	for id := range f.held {
		if _, known := f.want[id]; known {
			continue
		}
		s := sending{e: f.e, bulk: f.bulk, pit: f.pit}
		if err := s.prune(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// errCounts is of an index that does not have what it should.
var errCounts = errors.New("the same again sends all of it anew, and takes out the rest")

// whole says why the index is not what the source is: it counts.
func (f *filling) whole(ctx context.Context) error {
	if err := f.e.refresh(ctx, f.index); err != nil {
		return err
	}
	p, err := f.e.client.open(ctx, f.index)
	if err != nil {
		return err
	}
	defer f.e.client.close(ctx, p)
	got, err := f.e.feedCounts(ctx, p)
	if err != nil {
		return err
	}
	missing := 0
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if has := sum(got[id]); has > f.want[id] {
			return fmt.Errorf("opensearch: %s has %d listings of feed %s, expected %d; %w", f.index, has, id, f.want[id], errCounts)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.want)) {
		if missing += f.want[id] - sum(got[id]); missing > f.next.Rejected {
			return fmt.Errorf("opensearch: %s has %d listings of feed %s, expected %d; %w", f.index, sum(got[id]), id, f.want[id], errCounts)
		}
	}
	return nil
}
