package corpus

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// texts is what a record says in words.
type texts struct {
	value, original string
	fields          intel.Fields
}

// take returns the record's texts in memory of their own.
func (m *scratch) take(s *segment, r *record, packed []byte) (t texts, ok bool) {
	if !m.unpack(s, r, packed, true) {
		return t, false
	}
	c := cutter{all: string(m.text), ends: m.ends}
	t.value, t.original = c.next(), c.next()
	if r.flags&flagOriginal == 0 {
		t.original = t.value
	}
	if len(m.shape) > 0 {
		t.fields = make(intel.Fields, len(m.shape))
	}
	for i, x := range m.shape {
		if x.id >= 0 {
			t.fields[i].Name = s.names[x.id]
		} else {
			t.fields[i].Name = c.next()
		}
		t.fields[i].Values = c.several(x.values)
	}
	return t, true
}

// feeder hands out the records of one segment that go on, in the order in which
// a segment has them.
type feeder struct {
	seg  *segment
	skip bitset                           // heap offsets/4 of those that do not go on
	only func(r *record, h *history) bool // nil: all the others do
	list []byte                           // u32 heap offsets/4 in order
	keep bool                             // packed fields mean the same in the new segment
	lost *int                             // counts records that cannot be read, and go no further; nil: they are an error

	n      int  // the next one
	have   bool // there is a record in hand:
	rec    record
	hist   history
	packed []byte
	spans  []span
}

// newFeeder takes the order from the segment where that is in order and not
// damaged, and else from its records.
func newFeeder(s *segment, skip bitset, lost *int) (*feeder, error) {
	f := &feeder{seg: s, skip: skip, list: s.bytes(secRoff), lost: lost}
	if _, err := s.roffs(); err == nil && s.foot.format > 1 {
		return f, nil
	}
	f.list = nil
	type timed struct {
		changed int64
		ref     uint32
	}
	var all []timed
	for _, ref := range s.refs() {
		if skip.has(ref) {
			continue
		}
		if err := f.read(ref); err != nil {
			if err := f.lose(err); err != nil {
				return nil, err
			}
			continue
		}
		all = append(all, timed{f.hist.changed, ref})
	}
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Compare(a.changed, b.changed) })
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].changed == all[0].changed {
			n++
		}
		for _, i := range sortByValue(n, func(i uint32) (intel.Kind, string) {
			r, _ := s.record(all[i].ref) // was read above
			return r.kind, string(r.value)
		}) {
			f.list = le.AppendUint32(f.list, all[i].ref)
		}
		all = all[n:]
	}
	return f, nil
}

// refs returns the heap offset/4 of every record in heap order. It takes them
// from hoff, which was checked as a whole, and so does not depend on roff.
func (s *segment) refs() []uint32 {
	out := make([]uint32, 0, s.byHash.len())
	for i := range s.byHash.len() {
		if ref := u32at(s.byHash.ref, i); int(ref) < len(s.heap)/4 {
			out = append(out, ref)
		}
	}
	slices.Sort(out)
	return out
}

// next takes the next record in hand.
func (f *feeder) next() error {
	for f.have = false; !f.have && f.n < len(f.list)/4; f.n++ {
		ref := u32at(f.list, f.n)
		if f.skip.has(ref) {
			continue
		}
		if err := f.read(ref); err != nil {
			if err := f.lose(err); err != nil {
				return err
			}
			continue
		}
		f.have = f.only == nil || f.only(&f.rec, &f.hist)
	}
	return nil
}

// read takes the record at heap offset ref*4 in hand.
func (f *feeder) read(ref uint32) error {
	r, err := f.seg.record(ref)
	if err != nil {
		return err
	}
	h, packed, ok := r.history(f.spans)
	if f.spans = h.spans; !ok {
		return f.seg.bad(r.off)
	}
	f.rec, f.hist, f.packed = r, h, packed
	return nil
}

// lose counts a record that cannot be read, if that is how it is to be.
func (f *feeder) lose(err error) error {
	if f.lost == nil || !errors.Is(err, ErrCorrupt) {
		return err
	}
	*f.lost++
	return nil
}

// before says whether f's record comes before g's in a segment.
func (f *feeder) before(g *feeder) bool {
	switch {
	case f.hist.changed != g.hist.changed:
		return f.hist.changed < g.hist.changed
	case f.rec.kind != g.rec.kind:
		return f.rec.kind > g.rec.kind
	}
	return bytes.Compare(f.rec.value, g.rec.value) > 0
}

// arrivals are records that come with a run.
type arrivals struct {
	order []uint32 // by kind and value downwards
	at    func(i uint32) (intel.Kind, string)
	put   func(x *weaver, i uint32) error
}

// weaver writes one segment of the records of others and of what a run brings.
type weaver struct {
	ctx      context.Context
	vocab    *vocabulary
	size     int // of arrivals, about
	from     []*feeder
	repl     replacing
	changed  int64 // when the arrivals did
	arrivals arrivals

	w   *segmentWriter
	mem scratch
}

// write writes all records in order.
func (x *weaver) write(w *segmentWriter) error {
	n := x.size
	for _, f := range x.from {
		n += f.seg.listings()
		f.keep = x.vocab.extends(f.seg)
		if err := f.next(); err != nil {
			return err
		}
	}
	w.repl, x.w = x.repl, w
	w.begin(x.vocab, n)
	for i := 0; ; i++ {
		if i%4096 == 0 && x.ctx.Err() != nil {
			return x.ctx.Err()
		}
		f := x.first()
		todo := x.arrivals.order
		switch {
		case f == nil && len(todo) == 0:
			return nil
		case f == nil || len(todo) > 0 && x.arrives(todo[0], f):
			if err := x.arrivals.put(x, todo[0]); err != nil {
				return err
			}
			x.arrivals.order = todo[1:]
		default:
			if err := x.copy(f); err != nil {
				return err
			}
			if err := f.next(); err != nil {
				return err
			}
		}
	}
}

// first returns the feeder whose record comes first, nil where none has one.
func (x *weaver) first() (first *feeder) {
	for _, f := range x.from {
		if f.have && (first == nil || f.before(first)) {
			first = f
		}
	}
	return first
}

// arrives says whether the i-th arrival comes before f's record.
func (x *weaver) arrives(i uint32, f *feeder) bool {
	if f.hist.changed != x.changed {
		return x.changed < f.hist.changed
	}
	kind, value := x.arrivals.at(i)
	if kind != f.rec.kind {
		return kind > f.rec.kind
	}
	return strings.Compare(value, string(f.rec.value)) > 0
}

// copy writes a record as it is.
func (x *weaver) copy(f *feeder) error {
	t, ok := x.mem.take(f.seg, &f.rec, f.packed)
	if !ok {
		return f.seg.bad(f.rec.off)
	}
	if f.keep {
		return x.w.put(f.rec.kind, &t, &f.hist, f.seg.heap[f.rec.off:f.rec.off+f.rec.size])
	}
	return x.w.add(f.rec.kind, &t, &f.hist)
}

// extends says whether fields packed by the segment mean the same under v.
func (v *vocabulary) extends(s *segment) bool {
	if len(v.names) < len(s.names) || len(v.words) < s.words.n || !slices.Equal(v.names[:len(s.names)], s.names) {
		return false
	}
	for i := range s.words.n {
		if v.words[i] != string(s.words.at(uint64(i))) {
			return false
		}
	}
	return true
}
