package corpus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// MergeOptions say what a Merge is of.
type MergeOptions struct {
	Feed string
	Info intel.FeedInfo
	Now  time.Time // the run's time: new listings start and absent ones end here

	// State is what an earlier Merge of the same that was broken off got done: that is
	// not done again. Whether Merge fails or not, State says afterwards what is done
	// now. nil: nobody wants to know.
	State *MergeState
}

// Merged is what Merge made of a run.
type Merged struct {
	Segments []SegmentRef // for the next head; the previous ones where nothing changed
	Next     *Head        // the head to commit, but for Run and what the unchanged check needs
	Change   intel.Change
	Changed  bool      // a segment was written, or the feed's data replaced
	Now      time.Time // the time used, LastGood of the next head: always after prev.LastGood
	Damage   error     // the previous segments were damaged: what, and how much history is lost
}

// Merge compares entries with what prev lists (nil: nothing yet) and, where
// anything differs, writes the feed's next segments, durably: of the shards in
// which something differs, the changes as a rule (see Fold). It commits nothing:
// a segment that no head names is swept some day. Nothing changed, nothing written.
//
// What is absent is closed, or kept open, as the feed's presence says. Data of a
// starter snapshot does not count as previous once a run is none itself. Entries
// that are there twice are taken as one, their fields united. Entries are not
// changed and not kept.
//
// Records of a damaged segment that can be read are kept, others are taken as
// never there; so the run mends the feed, and Damage says what it cost.
func (c *Corpus) Merge(ctx context.Context, prev *Head, entries []intel.Entry, o MergeOptions) (*Merged, error) {
	out, earlier, err := c.merge(ctx, prev, entries, o)
	if err == nil && len(earlier) > 0 { // no head names them yet: somebody may have swept them just now
		there := false
		if there, err = c.present(ctx, o.Feed, earlier); err == nil && !there {
			o.State = nil
			out, _, err = c.merge(ctx, prev, entries, o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", o.Feed, err)
	}
	return out, nil
}

// merge also returns the segments that an earlier merge wrote.
func (c *Corpus) merge(ctx context.Context, prev *Head, entries []intel.Entry, o MergeOptions) (out *Merged, earlier []SegmentRef, err error) {
	if o.State == nil {
		o.State = &MergeState{}
	}
	m := &merger{ctx: ctx, c: c, feed: o.Feed, entries: entries, now: o.Now.UnixMilli(), info: o.Info, prev: prev, version: 1}
	out, err = m.merge(o)
	return out, m.earlier, err
}

// merger compares one run with a feed's shards and writes what changes.
type merger struct {
	ctx      context.Context
	c        *Corpus
	feed     string
	entries  []intel.Entry
	prev     *Head // what the run is compared with; nil: nothing
	version  int64 // of the next head
	now      int64
	lastGood int64
	info     intel.FeedInfo

	bits   uint     // first bits of a hash that are the shard
	hashes []uint64 // of each entry
	order  []uint32 // the entries by shard, in a shard in the feed's order
	bounds []int    // shard i has order[bounds[i]:bounds[i+1]]
	shards []*shardMerge

	earlier []SegmentRef // written by a merge that was broken off
}

func (m *merger) merge(o MergeOptions) (*Merged, error) {
	prev := m.prev
	if prev != nil {
		m.version = prev.Version + 1
	}
	out := &Merged{Now: o.Now, Changed: replaces(prev, o)}
	if out.Changed {
		m.prev = nil
	}
	if m.prev != nil {
		m.lastGood = prev.LastGood.UnixMilli()
		if m.lastGood >= m.now { // no two runs change things at one time: a cursor of Changes may stand between them
			m.now = m.lastGood + 1
			out.Now = toTime(m.now)
		}
	}
	if err := m.resume(o.State); err != nil {
		return nil, err
	}
	stacks, err := m.stacks(o.State)
	if err != nil {
		return nil, err
	}
	m.divide()
	if err := m.mergeShards(stacks, o.State); err != nil {
		return nil, err
	}
	out.Next = m.next(prev, o, out.Now)
	lost, damage := 0, error(nil)
	for _, s := range m.shards {
		out.Change = sum(out.Change, s.change)
		out.Changed = out.Changed || s.wrote
		if s.damage != nil {
			lost, damage = lost+s.lost, s.damage
		}
		out.Next.Segments = append(out.Next.Segments, s.out...)
	}
	if damage != nil {
		out.Next.Lost = out.Now
		out.Damage = fmt.Errorf("the history of %d listings is lost: %w", lost, damage)
	}
	out.Segments = out.Next.Segments
	out.Next.replaced(prev)
	return out, nil
}

func sum(a, b intel.Change) intel.Change {
	return intel.Change{New: a.New + b.New, Updated: a.Updated + b.Updated, Relisted: a.Relisted + b.Relisted, Removed: a.Removed + b.Removed, Open: a.Open + b.Open}
}

// next returns the next head without its segments.
func (m *merger) next(prev *Head, o MergeOptions, now time.Time) *Head {
	h := &Head{Format: HeadFormat, Feed: o.Feed, Version: m.version, Info: o.Info, Shards: 1 << m.bits, LastGood: now}
	if m.prev != nil {
		h.Purged, h.Lost = prev.Purged, prev.Lost
	}
	return h
}

// replaces says whether the run's data takes the place of starter data.
func replaces(prev *Head, o MergeOptions) bool {
	return prev != nil && prev.Info.Snapshot != "" && o.Info.Snapshot == ""
}

// stacks opens what the run is compared with, a stack for each shard of the next
// head. A feed that grew out of its shards at once is cut into more before.
func (m *merger) stacks(state *MergeState) ([]*stack, error) {
	limit := m.c.opt.ShardSize
	if m.prev == nil || len(m.prev.Segments) == 0 {
		m.bits = shardBits(len(m.entries), limit)
		return make([]*stack, 1<<m.bits), nil
	}
	if state.Cut != nil {
		m.prev = state.Cut
	} else if want := shardBits(len(m.entries), limit); want > m.prev.shardBits()+1 {
		h, err := m.c.reshard(m.ctx, m.prev, want)
		switch {
		case err == nil:
			m.prev, state.Cut = h, h
			state.Added++
		case !isDamage(err): // what is damaged is mended by the run, and cut next time
			return nil, err
		}
	}
	m.bits = m.prev.shardBits()
	return m.c.openStacks(m.ctx, m.prev)
}

// divide assigns the entries to shards.
func (m *merger) divide() {
	n := len(m.entries)
	m.hashes = make([]uint64, n)
	workers := 1
	if n > 50_000 {
		workers = m.c.opt.Workers
	}
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			for i := n * w / workers; i < n*(w+1)/workers; i++ {
				m.hashes[i] = m.c.hash.sum(m.entries[i].Indicator.Kind, m.entries[i].Indicator.Value)
			}
			return nil
		})
	}
	_ = g.Wait()
	m.bounds = make([]int, 1<<m.bits+1)
	for _, h := range m.hashes {
		m.bounds[shardOf(h, m.bits)+1]++
	}
	for i := range m.bounds[1:] {
		m.bounds[i+1] += m.bounds[i]
	}
	at := slices.Clone(m.bounds)
	m.order = make([]uint32, n)
	for i, h := range m.hashes {
		s := shardOf(h, m.bits)
		m.order[at[s]] = uint32(i)
		at[s]++
	}
}

// mergeShards compares and writes the shards, two at a time, but for those that
// state says are done.
func (m *merger) mergeShards(stacks []*stack, state *MergeState) error {
	m.shards = make([]*shardMerge, len(stacks))
	m.known(state)
	defer m.keep(state)
	g, ctx := errgroup.WithContext(m.ctx)
	g.SetLimit(min(max(m.c.opt.Workers, 1), 2))
	m.ctx = ctx
	for i, st := range stacks {
		if m.shards[i] != nil {
			continue
		}
		g.Go(func() error {
			if ctx.Err() != nil { // the time is up: begin no other
				return ctx.Err()
			}
			s := m.shard(i, st)
			err := s.compareGuarded()
			if isDamage(err) {
				blank := m.shard(i, nil)
				blank.damage, blank.lost = err, st.listings()
				s, err = blank, blank.compareGuarded()
			}
			if err == nil {
				err = s.write()
			}
			s.forget()
			s.done = err == nil
			m.shards[i] = s
			return err
		})
	}
	return g.Wait()
}

func (m *merger) shard(i int, st *stack) *shardMerge {
	if st == nil {
		st = &stack{shard: i}
	}
	return &shardMerge{merger: m, stack: st, mine: m.order[m.bounds[i]:m.bounds[i+1]], lost: st.lost, damage: st.damage}
}

// ttlOf is how long a feed's listing of a kind stays listed when it is absent, in
// ms; 0 where absence is not a matter of time.
func ttlOf(info *intel.FeedInfo, kind intel.Kind) int64 {
	return time.Duration(info.TTLOf(kind)).Milliseconds()
}

// ttlBounds are the shortest and the longest time to live that a feed has for
// any kind; 0 and 0 where it has none.
func ttlBounds(info *intel.FeedInfo) (shortest, longest int64) {
	for _, k := range intel.AnyKind.Kinds() {
		if ttl := ttlOf(info, k); ttl > 0 {
			longest = max(longest, ttl)
			if shortest == 0 || ttl < shortest {
				shortest = ttl
			}
		}
	}
	return shortest, longest
}

// isDamage says whether an error is for what is stored and not there, or not what it was.
func isDamage(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, blob.ErrNotFound) }
