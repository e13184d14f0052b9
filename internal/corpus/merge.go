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

	change intel.Change
	fresh  []freshRecord // what the run brings, to be written anew
	gone   []uint32      // records (heap offset/4) that end, or are absent for the first time
	stale  bitset        // by heap offset/4: records of old that are not copied as they are
	spans  []span        // scratch
	text   []byte        // scratch
}

// freshRecord is an entry to write. merged holds the fields where several
// entries were united; old is the record it replaces.
type freshRecord struct {
	entry  uint32
	old    uint32 // heap offset/4; none
	merged intel.Fields
}

const none = ^uint32(0)

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

// compare joins the entries with the old records by hash.
func (m *merger) compare() error {
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
		if (i+j)%4096 == 0 && m.ctx.Err() != nil {
			return m.ctx.Err()
		}
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
		if i == i0 && j == j0 {
			return fmt.Errorf("%w: hashes of segment %s are not sorted", ErrCorrupt, m.old.key)
		}
		if err := m.group(keys[i0:i], old, j0, j); err != nil {
			return err
		}
	}
	slices.SortFunc(m.fresh, func(a, b freshRecord) int { return int(a.entry) - int(b.entry) })
	slices.Sort(m.gone)
	return nil
}

// group compares the entries and the old records [from, to) of one hash: nearly
// always one each at most, but values decide, not hashes.
func (m *merger) group(keys []hashed, old keyed, from, to int) error {
	var seen []uint32 // places of old that an entry was found for
	for k, key := range keys {
		e := &m.entries[key.ref]
		fields, first := m.unite(keys, k)
		if !first {
			continue
		}
		found := false
		for j := from; j < to && !found; j++ {
			ref := u32at(old.ref, j)
			r, err := m.old.record(ref)
			if err != nil {
				return err
			}
			if found = r.is(e.Indicator.Kind, e.Indicator.Value); found {
				if err := m.present(key.ref, ref, &r, fields); err != nil {
					return err
				}
				seen = append(seen, ref)
			}
		}
		if !found {
			m.change.New++
			m.change.Open++
			m.fresh = append(m.fresh, freshRecord{key.ref, none, fields})
		}
	}
	for j := from; j < to; j++ {
		if ref := u32at(old.ref, j); len(seen) == 0 || !slices.Contains(seen, ref) {
			if err := m.absent(ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// unite returns the united fields of the k-th entry's doubles, nil where it has
// none. first is false for an entry that doubles one before it.
func (m *merger) unite(keys []hashed, k int) (fields intel.Fields, first bool) {
	ind := m.entries[keys[k].ref].Indicator
	for i := range keys {
		e := &m.entries[keys[i].ref]
		if i == k || e.Indicator != ind {
			continue
		}
		if i < k {
			return nil, false
		}
		if fields == nil {
			fields = cloneFields(m.entries[keys[k].ref].Fields)
		}
		fields.Merge(e.Fields)
	}
	return fields, true
}

func cloneFields(fs intel.Fields) intel.Fields {
	out := make(intel.Fields, 0, len(fs)+1)
	for _, f := range fs {
		out = append(out, intel.Field{Name: f.Name, Values: slices.Clone(f.Values)})
	}
	return out
}

// present compares an entry with its old record.
func (m *merger) present(entry, ref uint32, r *record, merged intel.Fields) error {
	h, packed, ok := r.history(m.spans)
	if !ok {
		return m.old.bad(r.off)
	}
	m.spans = h.spans
	e := &m.entries[entry]
	fields := e.Fields
	if merged != nil {
		fields = merged
	}
	same := m.sameText(r, e, fields, packed)
	m.change.Open++
	switch ends := h.closes(m.ttl()); {
	case !h.isOpen() || ends <= m.now:
		m.change.Relisted++
	case !same:
		m.change.Updated++
	case h.gone == 0:
		return nil
	}
	m.fresh = append(m.fresh, freshRecord{entry, ref, merged})
	m.stale.set(ref)
	return nil
}

// sameText says whether the record says what the entry says.
func (m *merger) sameText(r *record, e *intel.Entry, fields intel.Fields, packed []byte) bool {
	if string(r.original) != original(e) {
		return false
	}
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
