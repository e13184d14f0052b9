package corpus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// FoldOptions say how a Fold is done.
type FoldOptions struct {
	Now time.Time // what was closed Options.Live before it goes to the history
}

// foldShare: a delta of more records than this share of the base's is folded into it.
const foldShare = 0.15

// Fold tidies what runs leave behind: deltas that grew become part of a new
// base, listings that have been closed for long move to history segments, shards
// that grew are cut, segments of older formats are written anew. It does what is
// worth while and changes no answer: no interval, no time of change.
//
// It commits like a run does. Where a run of the feed was faster it gives up
// (false, nil); so does whoever calls it, to try again after the next run.
func (c *Corpus) Fold(ctx context.Context, feed string, o FoldOptions) (changed bool, err error) {
	return c.tidy(ctx, feed, func(head *Head, stacks []*stack) (*Head, error) {
		t := c.tidier(ctx, head)
		t.aged = c.aged(o)
		if bits := c.wantBits(head); bits != head.shardBits() {
			return t.cut(stacks, bits)
		}
		for _, st := range stacks {
			if c.needsFold(st, t.aged) {
				if err := t.fold(st); err != nil {
					return nil, err
				}
			}
		}
		return t.done()
	})
}

// NeedsFold says whether Fold would find something to do, by the current view.
func (c *Corpus) NeedsFold(feed string, o FoldOptions) bool {
	v := c.View()
	i, ok := v.feedIndex(feed)
	if !ok {
		return false
	}
	f := v.feeds[i]
	if c.wantBits(f.head) != f.head.shardBits() {
		return true
	}
	return slices.ContainsFunc(f.stacks(), func(st *stack) bool { return c.needsFold(st, c.aged(o)) })
}

// aged is before when (Unix ms) closed listings must have changed to go to the history.
func (c *Corpus) aged(o FoldOptions) int64 {
	if c.opt.Live < 0 {
		return math.MinInt64
	}
	return o.Now.Add(-c.opt.Live).UnixMilli()
}

// wantBits is how finely the feed should be cut. A little too many or much too
// few records in a shard do no harm.
func (c *Corpus) wantBits(head *Head) uint {
	n := 0
	for _, r := range head.Segments {
		if !r.History {
			n += r.Listings
		}
		if r.Delta {
			n -= r.Replaces
		}
	}
	bits, limit := head.shardBits(), c.opt.ShardSize
	if n > limit*9/8<<bits || n < limit/8<<bits {
		return shardBits(n, limit)
	}
	return bits
}

// needsFold says whether a shard is worth the work.
func (c *Corpus) needsFold(st *stack, aged int64) bool {
	b, d := st.base(), st.delta()
	if d >= 0 && (b < 0 || float64(st.refs[d].Listings) > foldShare*float64(st.refs[b].Listings)) {
		return true
	}
	current := st.refs[st.history():]
	n, old := 0, 0
	for i, s := range st.segs[st.history():] {
		if s.foot.format < segmentFormat {
			return true
		}
		n += current[i].Listings
		old += s.closedBefore(aged)
	}
	return old >= max(c.opt.Small/10, n/10, 1) || c.worn(st) < st.history()
}

// worn is the first of the history segments at the top of which so much is dead
// that they are better written anew, with all above.
func (c *Corpus) worn(st *stack) int {
	for i := range st.history() {
		if dead := st.dead[i]; dead != nil && dead.GetCardinality() > uint64(st.refs[i].Listings/2+c.opt.Small/10) {
			return i
		}
	}
	return st.history()
}

// closedBefore counts the closed records, dead ones too, that changed before a
// time; of a format that does not say it, none.
func (s *segment) closedBefore(ms int64) (n int) {
	for i := range s.changes.len() {
		if at, _ := s.changes.at(i); at >= ms {
			break
		}
		n += s.changes.closed(i)
	}
	return n
}

// tidy does work on what is current and commits what comes of it (nil: nothing),
// unless another was faster.
func (c *Corpus) tidy(ctx context.Context, feed string, work func(head *Head, stacks []*stack) (*Head, error)) (bool, error) {
	head, etag, err := c.Head(ctx, feed)
	if err != nil || head == nil {
		return false, err
	}
	stacks, err := c.openStacks(ctx, head)
	if err == nil {
		for _, st := range stacks {
			err = errors.Join(err, st.damage)
		}
	}
	var next *Head
	if err == nil {
		next, err = work(head, stacks)
	}
	if err == nil && next != nil {
		_, err = c.Commit(ctx, next, etag)
	}
	switch {
	case err == nil:
		return next != nil, nil
	case errors.Is(err, blob.ErrConflict):
		return false, nil
	case isDamage(err): // or it was replaced and swept meanwhile
		if _, now, again := c.Head(ctx, feed); again == nil && now != etag {
			return false, nil
		}
	}
	return false, fmt.Errorf("feed %s: %w", feed, err)
}

// tidier writes the segments of a feed's next head from those of the last one.
type tidier struct {
	ctx  context.Context
	c    *Corpus
	head *Head
	next *Head
	aged int64 // closed records that changed before go to the history
}

func (c *Corpus) tidier(ctx context.Context, head *Head) *tidier {
	next := *head
	next.Version++
	next.Segments = slices.Clone(head.Segments)
	return &tidier{ctx: ctx, c: c, head: head, next: &next}
}

// done returns the next head, nil where nothing changed.
func (t *tidier) done() (*Head, error) {
	if slices.Equal(t.next.Segments, t.head.Segments) && t.next.Shards == t.head.Shards {
		return nil, nil
	}
	t.next.replaced(t.head)
	return t.next, nil
}

// set makes refs the segments of a shard.
func (t *tidier) set(shard int, refs []SegmentRef) {
	segs := slices.DeleteFunc(t.next.Segments, func(r SegmentRef) bool { return r.Shard == shard })
	at := 0
	for at < len(segs) && segs[at].Shard < shard {
		at++
	}
	t.next.Segments = slices.Insert(segs, at, refs...)
}

// fold makes one base of a shard's base and delta, and one history segment of
// what of them is old and of the last history segments that are not much larger.
func (t *tidier) fold(st *stack) error {
	first := st.history()
	old, keep := t.moves(st)
	refs := slices.Clone(st.refs[:keep])
	var repl replacing
	for _, s := range st.segs[keep:] {
		repl.groups = unionGroups(repl.groups, kept(s.replaces, refs))
	}
	isOld := func(_ *record, h *history) bool { return old > 0 && !h.isOpen() && h.changed < t.aged }
	past := rewriting{shard: st.shard, history: true, repl: repl, from: st.sources(keep, first, nil)}
	if old > 0 {
		past.from = append(past.from, st.sources(first, len(st.segs), isOld)...)
	}
	ref, err := t.write(past)
	if err != nil {
		return err
	}
	if ref.Listings > 0 { // it lies below the base and says what was replaced
		refs, repl = append(refs, ref), replacing{}
	}
	isNew := func(r *record, h *history) bool { return !isOld(r, h) }
	ref, err = t.write(rewriting{shard: st.shard, repl: repl, from: st.sources(first, len(st.segs), isNew)})
	if err != nil {
		return err
	}
	if ref.Listings > 0 {
		refs = append(refs, ref)
	}
	t.set(st.shard, refs)
	return nil
}

// moves returns how many records go to the history, about, and the first of the
// history segments that are written anew with them.
func (t *tidier) moves(st *stack) (old, keep int) {
	first := st.history()
	for _, s := range st.segs[first:] {
		if s.foot.format < segmentFormat {
			old += s.foot.listings - s.foot.open // at most
		}
		old += s.closedBefore(t.aged)
	}
	if old < max(t.c.opt.Small/10, 1) {
		old = 0
	}
	keep = t.c.worn(st)
	for size := old; old > 0 && keep > 0; keep-- {
		n := st.refs[keep-1].Listings
		if n >= 2*size || n+size > 2*t.c.opt.ShardSize { // so that memory follows the shard and not its history
			break
		}
		size += n
	}
	return old, keep
}

// cut writes all segments anew, for other shards.
func (t *tidier) cut(stacks []*stack, bits uint) (*Head, error) {
	was := t.head.shardBits()
	t.next.Shards = 1 << bits
	shards := make([][]SegmentRef, t.next.Shards)
	g, ctx := errgroup.WithContext(t.ctx)
	g.SetLimit(min(max(t.c.opt.Workers, 1), 2))
	t.ctx = ctx
	for i := range shards {
		from, to := i<<was>>bits, (i+1)<<was>>bits // of the stacks that its records are in
		g.Go(func() (err error) {
			shards[i], err = t.piece(stacks[from:max(to, from+1)], i)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	t.next.Segments = slices.Concat(shards...)
	return t.done()
}

// piece writes one of the new shards, from the old ones that its records are in.
func (t *tidier) piece(stacks []*stack, shard int) (refs []SegmentRef, err error) {
	bits := t.next.shardBits()
	mine := func(r *record, _ *history) bool { return shardOf(t.c.hash.sumBytes(r.kind, r.value), bits) == shard }
	var todo []rewriting
	current := rewriting{shard: shard}
	for _, st := range stacks {
		for _, s := range st.sources(0, st.history(), mine) {
			todo = append(todo, rewriting{shard: shard, history: true, from: []source{s}})
		}
		current.from = append(current.from, st.sources(st.history(), len(st.segs), mine)...)
	}
	for _, w := range append(todo, current) {
		ref, err := t.write(w)
		if err != nil {
			return nil, err
		}
		if ref.Listings > 0 {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// reshard writes a feed's segments anew, cut in another way. It commits nothing.
func (c *Corpus) reshard(ctx context.Context, head *Head, bits uint) (*Head, error) {
	stacks, err := c.openStacks(ctx, head)
	if err != nil {
		return nil, err
	}
	for _, st := range stacks {
		if st.damage != nil {
			return nil, st.damage
		}
	}
	t := c.tidier(ctx, head)
	next, err := t.cut(stacks, bits)
	if next != nil {
		next.Version = head.Version
	}
	return next, err
}

// source is a segment of a stack, and which of its records go on.
type source struct {
	st   *stack
	i    int
	only func(r *record, h *history) bool // nil: all that are not dead
}

// sources returns the segments from one place in the stack to before another.
func (st *stack) sources(from, to int, only func(r *record, h *history) bool) (out []source) {
	for i := from; i < to; i++ {
		out = append(out, source{st, i, only})
	}
	return out
}

// rewriting is one segment to be written of the records of others.
type rewriting struct {
	shard   int
	history bool
	repl    replacing
	from    []source
}

// write writes it, and nothing where there is nothing to write.
func (t *tidier) write(f rewriting) (ref SegmentRef, err error) {
	x := &weaver{ctx: t.ctx, repl: f.repl}
	x.repl.shardBits = max(x.repl.shardBits, t.next.shardBits())
	var segs []*segment
	for _, s := range f.from {
		segs = append(segs, s.st.segs[s.i])
	}
	if len(segs) == 0 {
		return ref, nil
	}
	err = guard(segs, func() error {
		for _, s := range f.from {
			skip, err := s.st.deadRefs(s.i)
			if err != nil {
				return err
			}
			r, err := newFeeder(s.st.segs[s.i], skip, nil)
			if err != nil {
				return err
			}
			r.only = s.only
			x.from = append(x.from, r)
		}
		return x.learn()
	})
	if err != nil {
		return ref, err
	}
	ref, err = t.c.writeSegment(t.ctx, t.head.Feed, t.next.Version, func(w *segmentWriter) error {
		return guard(segs, func() error { return x.write(w) })
	})
	if err == nil && ref.Listings == 0 {
		return SegmentRef{}, t.c.store.Delete(t.ctx, ref.Key)
	}
	ref.Shard, ref.History = f.shard, f.history
	return ref, err
}

// learn makes a vocabulary of a sample of the records.
func (x *weaver) learn() error {
	n := 0
	for _, f := range x.from {
		n += len(f.list) / 4
	}
	var sample []intel.Fields
	for _, f := range x.from {
		for i := 0; i < len(f.list)/4; i += 1 + n/maxSample {
			ref := u32at(f.list, i)
			if f.skip.has(ref) {
				continue
			}
			r, err := f.seg.record(ref)
			if err != nil {
				return err
			}
			h, packed, ok := r.history(f.spans)
			f.spans = h.spans
			t, good := x.mem.take(f.seg, &r, packed)
			if !ok || !good {
				return f.seg.bad(r.off)
			}
			sample = append(sample, t.fields)
		}
	}
	x.vocab = newVocabulary(nil, nil)
	x.vocab.learn(len(sample), func(i int) intel.Fields { return sample[i] })
	return nil
}
