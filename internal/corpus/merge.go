package corpus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// MergeOptions say what a Merge is of.
type MergeOptions struct {
	Feed string
	Info intel.FeedInfo
	Now  time.Time // the run's time: new listings start and absent ones end here
}

// Merged is what Merge made of a run.
type Merged struct {
	Segments []SegmentRef // for the next head; the previous ones where nothing changed
	Change   intel.Change
	Changed  bool      // a segment was written, or the feed's data replaced
	Now      time.Time // the time used, LastGood of the next head: never before prev.LastGood
}

// Merge compares entries with what prev lists (nil: nothing yet) and, where
// anything differs, writes the feed's next segment, durably. It commits nothing:
// a segment that no head names is swept some day. Nothing changed, nothing written.
//
// What is absent is closed, or kept open, as the feed's presence says. Data of a
// starter snapshot does not count as previous once a run is none itself. Entries
// that are there twice are taken as one, their fields united. Entries are not
// changed and not kept.
func (c *Corpus) Merge(ctx context.Context, prev *Head, entries []intel.Entry, o MergeOptions) (*Merged, error) {
	replaced := prev != nil && prev.Info.Snapshot != "" && o.Info.Snapshot == ""
	m := merger{ctx: ctx, c: c, entries: entries, now: o.Now.UnixMilli(), info: o.Info}
	out := &Merged{Now: o.Now}
	version := int64(1)
	if prev != nil {
		version = prev.Version + 1
	}
	if prev != nil && !replaced {
		if prev.LastGood.After(o.Now) {
			out.Now, m.now = prev.LastGood, prev.LastGood.UnixMilli()
		}
		m.lastGood = prev.LastGood.UnixMilli()
		out.Segments = prev.Segments
		if err := m.open(prev); err != nil {
			return nil, err
		}
	}
	if err := guard(m.segments(), m.compare); err != nil {
		return nil, fmt.Errorf("feed %s: %w", o.Feed, err)
	}
	out.Change = m.change
	out.Changed = m.changed() || replaced
	if !m.changed() {
		return out, nil
	}
	ref, err := c.writeSegment(ctx, o.Feed, version, m.vocabulary(), m.size(), func(w *segmentWriter) error {
		return guard(m.segments(), func() error { return m.write(w) })
	})
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", o.Feed, err)
	}
	out.Segments = []SegmentRef{ref}
	return out, nil
}

// merger compares one run with a feed's segment.
type merger struct {
	ctx      context.Context
	c        *Corpus
	entries  []intel.Entry
	old      *segment // nil where there is none
	now      int64
	lastGood int64
	info     intel.FeedInfo

	match  []uint32                // per entry: the old record (heap offset/4) it is about; none or doubled
	united map[uint32]intel.Fields // fields of entries that had doubles
	change intel.Change
	fresh  []fresh  // what the run brings, to be written anew, in the feed's order
	gone   []uint32 // records that end, or are absent for the first time
	stale  bitset   // by heap offset/4: records of old that are not copied as they are
	spans  []span   // scratch
	text   []byte   // scratch
}

// fresh is an entry to write, and the old record it replaces or none.
type fresh struct{ entry, old uint32 }

const (
	none    = ^uint32(0)
	doubled = none - 1 // the entry was united with an earlier one
)

func (m *merger) segments() []*segment {
	if m.old == nil {
		return nil
	}
	return []*segment{m.old}
}

// open finds prev's segment, in view as a rule.
func (m *merger) open(prev *Head) error {
	if len(prev.Segments) == 0 {
		return nil
	}
	ref := prev.Segments[0]
	v := m.c.View()
	if i, ok := v.feedIndex(prev.Feed); ok {
		m.old = v.feeds[i].segment(ref.Key)
	}
	if m.old == nil {
		s, err := openSegment(m.ctx, m.c.store, ref, m.c.hash)
		if err != nil {
			return err
		}
		m.old = s
	}
	m.stale = newBitset(len(m.old.heap) / 4)
	return nil
}

func (m *merger) changed() bool { return len(m.fresh)+len(m.gone) > 0 }

// size is at most how many records the next segment has.
func (m *merger) size() int {
	n := len(m.fresh)
	if m.old != nil {
		n += m.old.listings()
	}
	return n
}

// compare finds out what the run changes. The join by hash looks at hashes
// alone; values are compared afterwards in the feed's order, which is the order
// of the old records too as a rule, and so reads memory in order.
func (m *merger) compare() error {
	missing, err := m.join()
	if err != nil {
		return err
	}
	for i, ref := range m.match {
		if i%4096 == 0 && m.ctx.Err() != nil {
			return m.ctx.Err()
		}
		if ref == doubled {
			continue
		}
		if ref != none {
			r, err := m.old.record(ref)
			if err != nil {
				return err
			}
			if e := &m.entries[i].Indicator; r.is(e.Kind, e.Value) {
				if err := m.present(uint32(i), ref, &r); err != nil {
					return err
				}
				continue
			}
			missing = append(missing, ref) // two values with one hash
		}
		m.change.New++
		m.change.Open++
		m.fresh = append(m.fresh, fresh{uint32(i), none})
	}
	slices.Sort(missing)
	for i, ref := range missing {
		if i%4096 == 0 && m.ctx.Err() != nil {
			return m.ctx.Err()
		}
		if err := m.absent(ref); err != nil {
			return err
		}
	}
	return nil
}

// join fills in match and returns the old records that no entry has the hash of.
func (m *merger) join() (missing []uint32, err error) {
	m.match = make([]uint32, len(m.entries))
	keys := make([]hashed, len(m.entries))
	for i := range m.entries {
		ind := &m.entries[i].Indicator
		keys[i] = hashed{m.c.hash.sum(ind.Kind, ind.Value), uint32(i)}
	}
	keys = sortHashed(keys)
	var old keyed
	if m.old != nil {
		old = m.old.byHash
	}
	n := old.len()
	for i, j := 0, 0; i < len(keys) || j < n; {
		i0, j0 := i, j
		var h uint64
		if i < len(keys) && (j == n || keys[i].hash <= u64at(old.hash, j)) {
			h = keys[i].hash
		} else {
			h = u64at(old.hash, j)
		}
		for i < len(keys) && keys[i].hash == h {
			i++
		}
		for j < n && u64at(old.hash, j) == h {
			j++
		}
		switch {
		case i == i0 && j == j0:
			return nil, fmt.Errorf("%w: hashes of segment %s are not sorted", ErrCorrupt, m.old.key)
		case i == i0 && j == j0+1:
			missing = append(missing, u32at(old.ref, j0))
		case i == i0+1 && j == j0:
			m.match[keys[i0].ref] = none
		case i == i0+1 && j == j0+1:
			m.match[keys[i0].ref] = u32at(old.ref, j0)
		default:
			if missing, err = m.group(keys[i0:i], old, j0, j, missing); err != nil {
				return nil, err
			}
		}
	}
	return missing, nil
}

// group joins several entries or old records [from, to) that have one hash:
// doubles, or different values that collide.
func (m *merger) group(keys []hashed, old keyed, from, to int, missing []uint32) ([]uint32, error) {
	taken := make([]bool, to-from)
	for k, key := range keys {
		e := &m.entries[key.ref]
		if m.unite(keys[:k], e) {
			m.match[key.ref] = doubled
			continue
		}
		m.match[key.ref] = none
		for j := range taken {
			ref := u32at(old.ref, from+j)
			r, err := m.old.record(ref)
			if err != nil {
				return nil, err
			}
			if r.is(e.Indicator.Kind, e.Indicator.Value) {
				m.match[key.ref], taken[j] = ref, true
				break
			}
		}
	}
	for j, t := range taken {
		if !t {
			missing = append(missing, u32at(old.ref, from+j))
		}
	}
	return missing, nil
}

// unite adds the entry's fields to the one of before that is about the same, if
// there is one.
func (m *merger) unite(before []hashed, e *intel.Entry) bool {
	for _, k := range before {
		first := &m.entries[k.ref]
		if m.match[k.ref] == doubled || first.Indicator != e.Indicator {
			continue
		}
		fields, ok := m.united[k.ref]
		if !ok {
			fields = cloneFields(first.Fields)
		}
		fields.Merge(e.Fields)
		if m.united == nil {
			m.united = map[uint32]intel.Fields{}
		}
		m.united[k.ref] = fields
		return true
	}
	return false
}

func cloneFields(fs intel.Fields) intel.Fields {
	out := make(intel.Fields, 0, len(fs)+1)
	for _, f := range fs {
		out = append(out, intel.Field{Name: f.Name, Values: slices.Clone(f.Values)})
	}
	return out
}

// fields are those of an entry and its doubles.
func (m *merger) fields(entry uint32) intel.Fields {
	if len(m.united) > 0 {
		if f, ok := m.united[entry]; ok {
			return f
		}
	}
	return m.entries[entry].Fields
}

// present compares an entry with its old record.
func (m *merger) present(entry, ref uint32, r *record) error {
	h, packed, ok := r.history(m.spans)
	if !ok {
		return m.old.bad(r.off)
	}
	m.spans = h.spans
	same := m.sameText(r, entry, packed)
	m.change.Open++
	switch ends := h.closes(m.ttl()); {
	case !h.isOpen() || ends <= m.now:
		m.change.Relisted++
	case !same:
		m.change.Updated++
	case h.gone == 0:
		return nil
	}
	m.fresh = append(m.fresh, fresh{entry, ref})
	m.stale.set(ref)
	return nil
}

// sameText says whether the record says what the entry says.
func (m *merger) sameText(r *record, entry uint32, packed []byte) bool {
	if string(r.original) != original(&m.entries[entry]) {
		return false
	}
	fields := m.fields(entry)
	if r.flags&flagFields == 0 {
		return len(fields) == 0
	}
	u := m.old.unpacker(packed)
	same, text := u.equal(fields, m.text)
	m.text = text
	return same
}

// original is what the feed wrote.
func original(e *intel.Entry) string {
	if e.Original == "" {
		return e.Indicator.Value
	}
	return e.Original
}

// absent decides about an old record that the run does not have.
func (m *merger) absent(ref uint32) error {
	r, err := m.old.record(ref)
	if err != nil {
		return err
	}
	if r.flags&flagOpen == 0 {
		return nil
	}
	h, _, ok := r.history(m.spans)
	if !ok {
		return m.old.bad(r.off)
	}
	m.spans = h.spans
	wasGone := h.gone != 0
	if m.leave(&h); !h.isOpen() {
		m.change.Removed++
	} else if m.change.Open++; wasGone {
		return nil
	}
	m.gone = append(m.gone, ref)
	m.stale.set(ref)
	return nil
}

// leave applies a run without it to an open history.
func (m *merger) leave(h *history) {
	if h.gone == 0 {
		h.gone = m.lastGood
	}
	switch p := m.info.Presence; {
	case p == intel.Append, p == intel.Rolling && m.ttl() > 0:
		if end := h.closes(m.ttl()); end <= m.now {
			h.end(end)
		}
	default:
		h.end(m.now)
	}
}

// ttl is the feed's time to live in ms; 0 where absence is not a matter of time.
func (m *merger) ttl() int64 { return ttlOf(&m.info) }

func ttlOf(info *intel.FeedInfo) int64 {
	if info.Presence == intel.Snapshot {
		return 0
	}
	return time.Duration(info.TTL).Milliseconds()
}
