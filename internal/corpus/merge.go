package corpus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
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
	Damage   error     // the previous segment was damaged: what, and how much history is lost
}

// Merge compares entries with what prev lists (nil: nothing yet) and, where
// anything differs, writes the feed's next segment, durably. It commits nothing:
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
	m, err := c.compareRun(ctx, prev, entries, o)
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", o.Feed, err)
	}
	out := &Merged{Change: m.change, Changed: true, Now: o.Now, Damage: m.cost()}
	if m.now > o.Now.UnixMilli() {
		out.Now = prev.LastGood
	}
	if !m.changed() {
		out.Changed = replaces(prev, o)
		if prev != nil && !out.Changed {
			out.Segments = prev.Segments
		}
		return out, nil
	}
	version := int64(1)
	if prev != nil {
		version = prev.Version + 1
	}
	ref, err := c.writeSegment(ctx, o.Feed, version, func(w *segmentWriter) error { return guard(m.segments(), func() error { return m.write(w) }) })
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", o.Feed, err)
	}
	if ref.Listings > 0 {
		out.Segments = []SegmentRef{ref}
	}
	return out, nil
}

// replaces says whether the run's data takes the place of starter data.
func replaces(prev *Head, o MergeOptions) bool {
	return prev != nil && prev.Info.Snapshot != "" && o.Info.Snapshot == ""
}

// compareRun finds out what the run changes.
func (c *Corpus) compareRun(ctx context.Context, prev *Head, entries []intel.Entry, o MergeOptions) (*merger, error) {
	blank := merger{ctx: ctx, c: c, entries: entries, now: o.Now.UnixMilli(), info: o.Info}
	if prev == nil || replaces(prev, o) {
		return &blank, blank.compare()
	}
	blank.lastGood = prev.LastGood.UnixMilli()
	blank.now = max(blank.now, blank.lastGood)
	m := blank
	err := m.open(prev)
	if err == nil {
		err = guard(m.segments(), m.compare)
	}
	if errors.Is(err, ErrCorrupt) || errors.Is(err, blob.ErrNotFound) {
		m = blank
		m.damage, m.lost = err, prev.Segments[0].Listings
		err = m.compare()
	}
	return &m, err
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
	damage error    // the first sign of damage in old
	lost   int      // records of old that cannot be read
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

func (m *merger) changed() bool { return len(m.fresh)+len(m.gone) > 0 || m.damage != nil }

// lose notes that a record of old cannot be read: it is not carried on. Errors
// of another sort are returned.
func (m *merger) lose(ref uint32, err error) error {
	if !errors.Is(err, ErrCorrupt) {
		return err
	}
	if m.damage == nil {
		m.damage = err
	}
	m.lost++
	m.stale.set(ref)
	return nil
}

// cost says what damage cost, nil where there was none.
func (m *merger) cost() error {
	if m.damage == nil {
		return nil
	}
	return fmt.Errorf("the history of %d listings is lost: %w", m.lost, m.damage)
}

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
			switch e := &m.entries[i].Indicator; {
			case err != nil:
				if err := m.lose(ref, err); err != nil {
					return err
				}
			case !r.is(e.Kind, e.Value): // two values with one hash
				missing = append(missing, ref)
			default:
				if m.present(uint32(i), ref, &r) {
					continue
				}
			}
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

// fields are those of an entry and its doubles.
func (m *merger) fields(entry uint32) intel.Fields {
	if len(m.united) > 0 {
		if f, ok := m.united[entry]; ok {
			return f
		}
	}
	return m.entries[entry].Fields
}

// present compares an entry with its old record; false says that the record
// cannot be read.
func (m *merger) present(entry, ref uint32, r *record) bool {
	h, packed, ok := r.history(m.spans)
	if !ok {
		_ = m.lose(ref, m.old.bad(r.off))
		return false
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
		return true
	}
	m.fresh = append(m.fresh, fresh{entry, ref})
	m.stale.set(ref)
	return true
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
	_, h, _, err := m.decode(ref)
	if err != nil {
		return m.lose(ref, err)
	}
	if !h.isOpen() {
		return nil
	}
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
