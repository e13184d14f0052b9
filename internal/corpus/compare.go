package corpus

import (
	"bytes"
	"context"
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Compare implements lookup.Comparer from the current view. All segments are
// sorted by one hash, so that one merge of them gives every indicator with all of
// its listings; what is kept is a row a pair of feeds and a count an hour.
func (c *Corpus) Compare(ctx context.Context, aside func(feed string) bool) (*intel.Comparison, error) {
	v := c.View()
	x := &comparer{ctx: ctx, v: v, now: c.opt.Now().UnixMilli(), aside: make([]bool, len(v.feeds)), since: make([]int64, len(v.feeds))}
	for i, f := range v.feeds {
		x.aside[i] = aside != nil && aside(f.head.Feed)
		for range f.segs {
			x.feedOf = append(x.feedOf, i)
		}
	}
	if err := guard(v.segs, x.compare); err != nil {
		return nil, err
	}
	return x.result(), nil
}

// comparer compares the feeds of a view.
type comparer struct {
	ctx    context.Context
	v      *View
	now    int64
	aside  []bool   // by feed: it does not make others' listings less unique
	since  []int64  // by feed: its first pull, Unix ms; never where that was of starter data
	feedOf []int    // of each segment
	skip   []bitset // per segment, by heap offset/4: what is dead
	sum    *compareTally
}

// noPull is the first pull of a feed whose listings' beginnings say nothing:
// later than all.
const noPull = math.MaxInt64

func (x *comparer) compare() (err error) {
	if x.skip, err = x.v.dir.skip(); err != nil {
		return err
	}
	if err := x.firstPulls(); err != nil {
		return err
	}
	parts := max(x.v.c.opt.Workers, 1)
	tallies := make([]*compareTally, parts)
	g, ctx := errgroup.WithContext(x.ctx)
	step := math.MaxUint64/uint64(parts) + 1 // 0 for one part
	for i := range parts {
		g.Go(func() error {
			tallies[i] = newCompareTally(x)
			w := &comparison{comparer: x, ctx: ctx, tally: tallies[i], last: i == parts-1, to: step * uint64(i+1)}
			return guard(x.v.segs, func() error { return w.run(step * uint64(i)) })
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	x.sum = tallies[0]
	for _, t := range tallies[1:] {
		x.sum.add(t)
	}
	return nil
}

// firstPulls finds when each feed began: when its first listing did. Where a feed
// lost listings to damage its next run brought them anew, which is like a first pull.
func (x *comparer) firstPulls() error {
	firsts := make([]int64, len(x.v.segs))
	g, ctx := errgroup.WithContext(x.ctx)
	g.SetLimit(max(x.v.c.opt.Workers, 1))
	for n, s := range x.v.segs {
		g.Go(func() error {
			return guard([]*segment{s}, func() (err error) {
				firsts[n], err = x.firstOf(ctx, n, s)
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, f := range x.v.feeds {
		x.since[i] = noPull
		if f.head.Info.Snapshot != "" {
			continue
		}
		for n, first := range firsts {
			if x.feedOf[n] == i {
				x.since[i] = min(x.since[i], first)
			}
		}
		if lost := f.head.Lost; !lost.IsZero() && x.since[i] != noPull {
			x.since[i] = max(x.since[i], lost.UnixMilli())
		}
	}
	return nil
}

// firstOf returns when the first of a segment's listings began.
func (x *comparer) firstOf(ctx context.Context, n int, s *segment) (int64, error) {
	first := int64(noPull)
	dead := x.v.dead[n]
	var spans []span
	for i := range s.listings() {
		if i%4096 == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if dead != nil && dead.Contains(uint32(i)) {
			continue
		}
		r, err := s.nth(i)
		if err != nil {
			return 0, err
		}
		h, _, ok := r.history(spans)
		if !ok {
			return 0, s.bad(r.off)
		}
		spans = h.spans
		first = min(first, h.firstSeen())
	}
	return first, nil
}

// comparison goes through the indicators whose hashes are in one range.
type comparison struct {
	*comparer
	ctx   context.Context
	to    uint64 // before which it ends
	last  bool   // there is no end
	tally *compareTally

	heap  []comparePlace
	group []compareRecord // the records with one hash
	one   []compareRecord // those of one indicator
	spans []span
}

// comparePlace is a place in a segment's hashes.
type comparePlace struct {
	hash uint64
	seg  int
	at   int
}

// compareRecord is one listing of an indicator.
type compareRecord struct {
	rec   record
	feed  int
	first int64 // when it began
	open  bool
}

// run goes through the hashes from one on.
func (w *comparison) run(from uint64) error {
	for n, s := range w.v.segs {
		if at := s.byHash.seek(from); at < s.byHash.len() {
			w.push(comparePlace{u64at(s.byHash.hash, at), n, at})
		}
	}
	for n := 0; len(w.heap) > 0; n++ {
		if n%4096 == 0 && w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		h := w.heap[0].hash
		if !w.last && h >= w.to {
			return nil
		}
		w.group = w.group[:0]
		for len(w.heap) > 0 && w.heap[0].hash == h {
			if err := w.take(); err != nil {
				return err
			}
		}
		w.divide()
	}
	return nil
}

// take reads the record on top of the heap into the group, and goes on in its segment.
func (w *comparison) take() error {
	p := &w.heap[0]
	s := w.v.segs[p.seg]
	if ref := u32at(s.byHash.ref, p.at); !w.skip[p.seg].has(ref) {
		r, err := s.record(ref)
		if err != nil {
			return err
		}
		h, _, ok := r.history(w.spans)
		if !ok {
			return s.bad(r.off)
		}
		w.spans = h.spans
		feed := w.feedOf[p.seg]
		open := h.isOpen() && h.closes(&w.v.feeds[feed].head.Info, r.kind) > w.now
		w.group = append(w.group, compareRecord{r, feed, h.firstSeen(), open})
	}
	if p.at++; p.at < s.byHash.len() {
		next := u64at(s.byHash.hash, p.at)
		if next < p.hash {
			return unsorted(s)
		}
		p.hash = next
		w.sink()
		return nil
	}
	w.heap[0] = w.heap[len(w.heap)-1]
	w.heap = w.heap[:len(w.heap)-1]
	w.sink()
	return nil
}

// divide counts a group by its indicators: as a rule one, but hashes collide.
func (w *comparison) divide() {
	for len(w.group) > 0 {
		first, rest := w.group[0].rec, w.group[:0] // a copy: rest takes its place
		w.one = append(w.one[:0], w.group[0])
		for _, r := range w.group[1:] {
			if r.rec.kind == first.kind && bytes.Equal(r.rec.value, first.value) {
				w.one = append(w.one, r)
			} else {
				rest = append(rest, r)
			}
		}
		w.tally.count(w.one)
		w.group = rest
	}
}

// push puts a place into the heap: a binary heap by hash, written out since it is
// asked for every record.
func (w *comparison) push(p comparePlace) {
	h := append(w.heap, p)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up].hash <= h[i].hash {
			break
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
	w.heap = h
}

// sink puts the top of the heap where it belongs.
func (w *comparison) sink() {
	h := w.heap
	for i := 0; ; {
		low := 2*i + 1
		if low >= len(h) {
			return
		}
		if low+1 < len(h) && h[low+1].hash < h[low].hash {
			low++
		}
		if h[i].hash <= h[low].hash {
			return
		}
		h[i], h[low] = h[low], h[i]
		i = low
	}
}
