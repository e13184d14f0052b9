package corpus

import (
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// vocabulary is what the next segment's records are packed with: the old
// segment's, and what the fresh records repeat. Where they are the most of it,
// it is learnt anew, and old records are packed again.
func (m *merger) vocabulary() *vocabulary {
	v := newVocabulary(nil, nil)
	if m.old != nil && len(m.fresh) <= m.old.listings() {
		v = newVocabulary(m.old.names, m.old.words.strings())
	}
	v.learn(len(m.fresh), func(i int) intel.Fields { return m.fields(m.fresh[i].entry) })
	return v
}

// write writes the next segment: what stays as it is in its old order, then
// what this run changed.
func (m *merger) write(w *segmentWriter) error {
	w.begin(m.vocabulary(), m.size())
	p := repacker{w: w, from: m.old}
	if m.old != nil {
		p.keep = w.vocab.extends(m.old)
		if err := m.copyOld(&p); err != nil {
			return err
		}
	}
	for i, ref := range m.gone {
		if i%4096 == 0 && m.ctx.Err() != nil {
			return m.ctx.Err()
		}
		r, h, packed, err := m.decode(ref)
		if err != nil {
			return err
		}
		m.leave(&h)
		h.changed = m.now
		if err := w.add(r.kind, r.value, r.original, &h, p.repack(&r, packed)); err != nil {
			return err
		}
	}
	return m.writeFresh(w)
}

// copyOld copies the records that stay as they are.
func (m *merger) copyOld(p *repacker) error {
	for i, ref := range m.old.refs() {
		if i%4096 == 0 && m.ctx.Err() != nil {
			return m.ctx.Err()
		}
		if m.stale.has(ref) {
			continue
		}
		r, h, packed, err := m.decode(ref)
		if err != nil {
			return err
		}
		if err := p.copy(&r, &h, packed); err != nil {
			return err
		}
	}
	return nil
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

func (m *merger) decode(ref uint32) (record, history, []byte, error) {
	r, err := m.old.record(ref)
	if err != nil {
		return r, history{}, nil, err
	}
	h, packed, ok := r.history(m.spans)
	if !ok {
		return r, h, nil, m.old.bad(r.off)
	}
	m.spans = h.spans
	return r, h, packed, nil
}

func (m *merger) writeFresh(w *segmentWriter) error {
	var value, orig []byte
	for i := range m.fresh {
		if i%4096 == 0 && m.ctx.Err() != nil {
			return m.ctx.Err()
		}
		f := m.fresh[i]
		e := &m.entries[f.entry]
		h := history{spans: m.spans[:0]}
		if f.old != none {
			var err error
			if _, h, _, err = m.decode(f.old); err != nil {
				return err
			}
		}
		m.come(&h)
		m.spans = h.spans
		value = append(value[:0], e.Indicator.Value...)
		orig = append(orig[:0], original(e)...)
		var packed []byte
		if fields := m.fields(f.entry); len(fields) > 0 {
			w.fields = w.vocab.pack(w.fields[:0], fields)
			packed = w.fields
		}
		if err := w.add(e.Indicator.Kind, value, orig, &h, packed); err != nil {
			return err
		}
	}
	return nil
}

// come applies a run with it to a history.
func (m *merger) come(h *history) {
	if len(h.spans) > 0 && h.isOpen() {
		if end := h.closes(m.ttl()); end > m.now {
			h.gone, h.changed = 0, m.now
			return
		} else {
			h.end(end)
		}
	}
	h.begin(m.now)
	h.changed = m.now
}

// repacker brings records of one segment into another.
type repacker struct {
	w    *segmentWriter
	from *segment
	keep bool // packed fields mean the same in both
	buf  []byte
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

// repack returns the fields as the writer's vocabulary packs them.
func (p *repacker) repack(r *record, packed []byte) []byte {
	if p.keep || r.flags&flagFields == 0 {
		return packed
	}
	u := p.from.unpacker(packed)
	p.buf = p.w.vocab.pack(p.buf[:0], u.fields())
	return p.buf
}

// copy writes a record as it is.
func (p *repacker) copy(r *record, h *history, packed []byte) error {
	if p.keep {
		return p.w.put(r.kind, r.value, h, p.from.heap[r.off:r.off+r.size])
	}
	return p.w.add(r.kind, r.value, r.original, h, p.repack(r, packed))
}
