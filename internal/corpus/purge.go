package corpus

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

// Purge deletes a feed's closed listings whose last change is before the given
// time, for good, and writes what else is in their segments anew. It returns how
// many it deleted; the head's Purged then says so. Where a run of the feed was
// faster it gives up and deletes none.
func (c *Corpus) Purge(ctx context.Context, feed string, before time.Time) (n int, err error) {
	var deleted atomic.Int64
	ms := before.UnixMilli()
	changed, err := c.tidy(ctx, feed, func(head *Head, stacks []*stack) (*Head, error) {
		deleted.Store(0)
		p := purger{tidier: c.tidier(ctx, head), before: ms}
		for _, st := range stacks {
			if err := p.shard(st); err != nil {
				return nil, err
			}
		}
		deleted.Store(int64(p.deleted))
		if last := head.LastGood.Add(time.Millisecond); before.After(last) {
			before = last // nothing changed later
		}
		if p.deleted > 0 && before.After(p.next.Purged) {
			p.next.Purged = before.UTC()
		}
		return p.done()
	})
	if !changed {
		return 0, err
	}
	return int(deleted.Load()), err
}

type purger struct {
	*tidier
	before  int64
	deleted int
}

// stays says whether a record is not to be deleted, and counts those that are.
func (p *purger) stays(_ *record, h *history) bool {
	if !h.isOpen() && h.changed < p.before {
		p.deleted++
		return false
	}
	return true
}

// shard writes what holds anything to be deleted anew: each history segment by
// itself, base and delta as one.
func (p *purger) shard(st *stack) error {
	first := st.history()
	refs := make([]SegmentRef, 0, len(st.refs))
	for i, ref := range st.refs[:first] {
		if s := st.segs[i]; s.closedBefore(p.before) == s.listings() {
			p.deleted += s.listings() - deadCount(st.dead[i])
			continue
		} else if p.holds(s) {
			var err error
			if ref, err = p.write(p.without(st, i, i+1, refs)); err != nil {
				return err
			}
		}
		if ref.Listings > 0 {
			refs = append(refs, ref)
		}
	}
	current := st.refs[first:]
	if slices.ContainsFunc(st.segs[first:], p.holds) {
		ref, err := p.write(p.without(st, first, len(st.segs), refs))
		if err != nil {
			return err
		}
		if current = nil; ref.Listings > 0 {
			current = []SegmentRef{ref}
		}
	}
	refs = append(refs, current...)
	recount(refs, st)
	p.set(st.shard, refs)
	return nil
}

// without plans a segment of what stays of those from one place in the stack to
// before another, above the given ones.
func (p *purger) without(st *stack, from, to int, below []SegmentRef) rewriting {
	w := rewriting{shard: st.shard, history: to <= st.history(), from: st.sources(from, to, p.stays)}
	for _, s := range st.segs[from:to] {
		w.repl.groups = unionGroups(w.repl.groups, kept(s.replaces, below))
	}
	return w
}

func deadCount(dead *roaring.Bitmap) int {
	if dead == nil {
		return 0
	}
	return int(dead.GetCardinality())
}

// holds says whether a segment may hold something to be deleted.
func (p *purger) holds(s *segment) bool {
	return s.foot.format == 1 && s.foot.open < s.foot.listings || s.closedBefore(p.before) > 0
}

// recount brings what the segments that stay replace up to what is left below
// them: what was written anew has no dead records.
func recount(refs []SegmentRef, st *stack) {
	for i := range refs {
		old := slices.IndexFunc(st.refs, func(r SegmentRef) bool { return r.Name == refs[i].Name })
		if old < 0 {
			continue
		}
		r := replacing{groups: kept(st.segs[old].replaces, refs[:i])}
		refs[i].Replaces, _ = r.counts()
	}
}
