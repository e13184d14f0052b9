package corpus

import (
	"maps"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// deltaShare: a delta that would have so many records for each of the base's is
// no cheaper than a new base.
const deltaShare = 0.5

// maxDeltaSample is how many entries a delta's words are learnt from: it is soon
// folded into a base, which learns from more.
const maxDeltaSample = 5000

// write writes what the run changed: a new delta, or a new base where there is
// none to begin with, the shard is small, or the delta would be large.
func (s *shardMerge) write() error {
	st := s.stack
	if !s.changed() {
		s.out = st.refs
		return nil
	}
	if s.damage == nil && s.worthDelta() {
		err := s.put(s.newDelta)
		if err == nil || !isDamage(err) {
			return err
		}
		s.damage = err // of the record numbers: a new base does without them
	}
	return s.put(s.newBase)
}

// worthDelta says whether the changes are better written beside the base.
func (s *shardMerge) worthDelta() bool {
	st := s.stack
	if st.base() < 0 {
		return false
	}
	base, delta := st.refs[st.base()].Listings, len(s.fresh)+len(s.gone)
	if d := st.delta(); d >= 0 {
		delta += st.refs[d].Listings - len(s.replaced[d])
	}
	return base+delta > s.c.opt.Small && float64(delta) < deltaShare*float64(base)
}

// put writes a segment; plan says what is below it and what is in it.
func (s *shardMerge) put(plan func() (below []SegmentRef, ref SegmentRef, w *weaver, err error)) error {
	var below []SegmentRef
	var ref SegmentRef
	var x *weaver
	err := guard(s.stack.segs, func() (err error) {
		below, ref, x, err = plan()
		return err
	})
	if err != nil {
		return err
	}
	x.changed, x.arrivals = s.now, s.arrivals()
	written, err := s.c.writeSegment(s.ctx, s.feed, s.version, func(w *segmentWriter) error {
		return guard(s.stack.segs, func() error { return x.write(w) })
	})
	if err != nil {
		return err
	}
	written.Shard, written.Delta = s.stack.shard, ref.Delta
	if s.out = slices.Clone(below); written.Listings > 0 {
		s.out = append(s.out, written)
	}
	return nil
}

// newDelta plans a delta of what the last one still says and of the changes.
func (s *shardMerge) newDelta() (below []SegmentRef, ref SegmentRef, x *weaver, err error) {
	st, d := s.stack, s.stack.delta()
	var last *segment
	if d >= 0 {
		last = st.segs[d]
	}
	x = s.weaver(last, maxDeltaSample)
	x.repl.open = maps.Clone(s.openOf)
	if d >= 0 {
		for _, k := range last.kinds {
			if k.openBelow > 0 {
				x.repl.open[k.kind] += k.openBelow
			}
		}
		if x.from, err = s.feeders(d, d+1); err != nil {
			return nil, ref, nil, err
		}
	}
	below = st.refs[:st.base()+1]
	x.repl.groups, err = s.replacing(last, st.base()+1)
	return below, SegmentRef{Delta: true}, x, err
}

// newBase plans a base of all that is current. Where something is damaged the
// history is taken into it as well, so that all is written anew.
func (s *shardMerge) newBase() (below []SegmentRef, ref SegmentRef, x *weaver, err error) {
	st, first := s.stack, s.stack.history()
	if s.damage != nil {
		first = 0
	}
	var vocab *segment
	if b := st.base(); b >= 0 && len(s.fresh) <= st.segs[b].listings() {
		vocab = st.segs[b]
	}
	x = s.weaver(vocab, maxSample)
	if x.from, err = s.feeders(first, len(st.segs)); err != nil || s.damage != nil {
		return nil, ref, x, err
	}
	for i := first; i < len(st.segs) && err == nil; i++ {
		x.repl.groups = unionGroups(x.repl.groups, kept(st.segs[i].replaces, st.refs[:first]))
	}
	own, err := s.replacing(nil, first)
	x.repl.groups = unionGroups(x.repl.groups, own)
	return st.refs[:first], ref, x, err
}

// weaver prepares to write the shard's next segment with the vocabulary of one
// of before and what a sample of the fresh records repeats.
func (s *shardMerge) weaver(vocab *segment, sample int) *weaver {
	x := &weaver{ctx: s.ctx, vocab: newVocabulary(nil, nil)}
	if vocab != nil {
		x.vocab = newVocabulary(vocab.names, vocab.words.strings())
	}
	every := 1 + len(s.fresh)/sample
	x.vocab.learn(len(s.fresh)/every, func(i int) intel.Fields { return s.fields(s.fresh[i*every].entry) })
	x.repl.shardBits = s.bits
	x.size = len(s.fresh) + len(s.gone)
	return x
}

// feeders return what goes on of the segments from one place in the stack to before another.
func (s *shardMerge) feeders(from, to int) (out []*feeder, err error) {
	var lost *int
	if s.damage != nil {
		lost = &s.lost
	}
	for i := from; i < to; i++ {
		f, err := newFeeder(s.stack.segs[i], s.skip[i], lost)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// replacing returns which records of the first n segments are replaced: by the
// run, and by the segment that is written anew.
func (s *shardMerge) replacing(last *segment, n int) (groups []replGroup, err error) {
	for i := range n {
		if len(s.replaced[i]) == 0 {
			continue
		}
		g := replGroup{segment: nameHash(s.stack.refs[i].Name)}
		if g.records, err = s.stack.segs[i].numbers(s.replaced[i]); err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	if last != nil {
		groups = unionGroups(groups, kept(last.replaces, s.stack.refs[:n]))
	}
	return groups, nil
}

// arrivals are the run's changes, by kind and value downwards.
func (s *shardMerge) arrivals() arrivals {
	at := func(i uint32) (intel.Kind, string) {
		if n := uint32(len(s.fresh)); i >= n {
			return s.gone[i-n].kind, s.gone[i-n].value
		}
		ind := &s.entries[s.fresh[i].entry].Indicator
		return ind.Kind, ind.Value
	}
	return arrivals{order: sortByValue(len(s.fresh)+len(s.gone), at), at: at, put: s.putArrival}
}

// putArrival writes one of the run's changes.
func (s *shardMerge) putArrival(x *weaver, i uint32) error {
	n := uint32(len(s.fresh))
	if i >= n {
		return s.putGone(x, &s.gone[i-n])
	}
	f := s.fresh[i]
	e := &s.entries[f.entry]
	h := history{spans: s.spans[:0]}
	if f.old.seg != nowhere {
		r, err := s.record(f.old)
		if err != nil {
			return err
		}
		if h, err = s.history(f.old, &r); err != nil {
			return err
		}
	}
	s.come(&h, e.Indicator.Kind)
	s.spans = h.spans
	return x.w.add(e.Indicator.Kind, &texts{e.Indicator.Value, original(e), s.fields(f.entry)}, &h)
}

// putGone writes a record that the run does not have.
func (s *shardMerge) putGone(x *weaver, g *gone) error {
	seg := s.stack.segs[g.old.seg]
	r, err := s.record(g.old)
	if err != nil {
		return err
	}
	h, packed, ok := r.history(s.spans)
	if s.spans = h.spans; !ok {
		return seg.bad(r.off)
	}
	t, ok := x.mem.take(seg, &r, packed)
	if !ok {
		return seg.bad(r.off)
	}
	s.leave(&h, r.kind)
	h.changed = s.now
	return x.w.add(r.kind, &t, &h)
}
