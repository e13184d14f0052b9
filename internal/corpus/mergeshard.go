package corpus

import (
	"errors"
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// shardMerge compares one run with one shard.
type shardMerge struct {
	*merger
	stack  *stack
	mine   []uint32 // the entries that belong here, in the feed's order
	out    []SegmentRef
	change intel.Change
	damage error // the first sign of damage
	lost   int   // records that cannot be read
	wrote  bool  // set by forget: something changed
	done   bool  // what it wrote stands

	match    []spot                  // per entry of mine: the record it is about
	united   map[uint32]intel.Fields // fields of entries that had doubles
	fresh    []fresh                 // what the run brings, to be written anew, in the feed's order
	gone     []gone                  // records that end, or are absent for the first time
	skip     []bitset                // per segment, by heap offset/4: what is dead, or not carried on as it is
	replaced [][]uint32              // per segment: heap offsets/4 of what is in fresh or gone
	openOf   map[intel.Kind]int      // how many open ones of the base's are in fresh or gone
	spans    []span                  // scratch
	text     []byte                  // scratch
	touched  byte                    // keeps the compiler from leaving reads out
}

// spot is a record of a stack.
type spot struct {
	seg uint32 // in the stack; nowhere or doubled
	ref uint32 // heap offset/4
}

// fresh is an entry to write, and the record that it replaces.
type fresh struct {
	entry uint32
	old   spot
}

// gone is a record that the run does not have.
type gone struct {
	old   spot
	kind  intel.Kind
	value string
}

const (
	nowhere = ^uint32(0)
	doubled = nowhere - 1 // the entry was united with an earlier one
)

func (s *shardMerge) changed() bool { return len(s.fresh)+len(s.gone) > 0 || s.damage != nil }

// forget frees what was needed to compare and write.
func (s *shardMerge) forget() {
	*s = shardMerge{out: s.out, change: s.change, damage: s.damage, lost: s.lost, wrote: s.changed()}
}

func (s *shardMerge) compareGuarded() error { return guard(s.stack.segs, s.compare) }

// compare finds out what the run changes. The join by hash looks at hashes
// alone; values are compared afterwards in the feed's order, so that its entries
// are read in order.
func (s *shardMerge) compare() error {
	st := s.stack
	s.skip, s.replaced, s.openOf = make([]bitset, len(st.segs)), make([][]uint32, len(st.segs)), map[intel.Kind]int{}
	for i := range st.segs {
		var err error
		if s.skip[i], err = st.deadRefs(i); err != nil {
			return err
		}
	}
	missing, err := s.join()
	if err != nil {
		return err
	}
	for i, old := range s.match {
		if i%4096 == 0 && s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		if i%touchAhead == 0 {
			s.touch(s.match[i:min(i+touchAhead, len(s.match))])
		}
		if old.seg == doubled {
			continue
		}
		entry := s.mine[i]
		if old.seg != nowhere {
			r, err := s.record(old)
			switch e := &s.entries[entry].Indicator; {
			case err != nil:
				if err := s.lose(old, err); err != nil {
					return err
				}
			case r.is(e.Kind, e.Value):
				if s.present(entry, old, &r) {
					continue
				}
			default: // two values with one hash
				missing = append(missing, old)
				if known, err := s.remembered(entry); err != nil {
					return err
				} else if known {
					continue
				}
			}
		}
		s.change.New++
		s.change.Open++
		s.fresh = append(s.fresh, fresh{entry, spot{seg: nowhere}})
	}
	return s.leaveOut(missing)
}

// touchAhead is how many records are touched before they are read.
const touchAhead = 32

// touch reads a byte of each record's beginning and of what follows. What the
// comparison waits for is memory: these reads wait together.
func (s *shardMerge) touch(spots []spot) {
	for _, p := range spots {
		if p.seg < doubled {
			heap, at := s.stack.segs[p.seg].heap, int(p.ref)*4
			if at+64 < len(heap) {
				s.touched += heap[at] + heap[at+64]
			}
		}
	}
}

// remembered looks an entry up in the history alone.
func (s *shardMerge) remembered(entry uint32) (known bool, err error) {
	e := &s.entries[entry].Indicator
	for _, o := range recall(s.past(), s.hashes[entry]) {
		p := spot{o.seg, o.ref}
		if s.skip[o.seg].has(o.ref) {
			continue
		}
		r, err := s.record(p)
		if err != nil {
			if err := s.lose(p, err); err != nil {
				return false, err
			}
		} else if r.is(e.Kind, e.Value) {
			return s.present(entry, p, &r), nil
		}
	}
	return false, nil
}

// leaveOut decides about the records that no entry is about.
func (s *shardMerge) leaveOut(missing []spot) error {
	slices.SortFunc(missing, func(a, b spot) int {
		if a.seg != b.seg {
			return int(a.seg) - int(b.seg)
		}
		return int(int64(a.ref) - int64(b.ref))
	})
	for i, old := range missing {
		if i%4096 == 0 && s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		if err := s.absent(old); err != nil {
			return err
		}
	}
	return nil
}

func (s *shardMerge) record(p spot) (record, error) { return s.stack.segs[p.seg].record(p.ref) }

// lose notes that a record cannot be read: it is not carried on. Errors of
// another sort are returned.
func (s *shardMerge) lose(p spot, err error) error {
	if !errors.Is(err, ErrCorrupt) {
		return err
	}
	if s.damage == nil {
		s.damage = err
	}
	s.lost++
	s.skip[p.seg].set(p.ref)
	return nil
}

// fields are those of an entry and its doubles.
func (s *shardMerge) fields(entry uint32) intel.Fields {
	if len(s.united) > 0 {
		if f, ok := s.united[entry]; ok {
			return f
		}
	}
	return s.entries[entry].Fields
}

// present compares an entry with its record; false says that the record cannot
// be read.
func (s *shardMerge) present(entry uint32, old spot, r *record) bool {
	h, packed, ok := r.history(s.spans)
	if !ok {
		_ = s.lose(old, s.stack.segs[old.seg].bad(r.off))
		return false
	}
	s.spans = h.spans
	same := s.sameText(r, entry, old, packed)
	s.change.Open++
	switch ends := h.closes(&s.info, r.kind); {
	case !h.isOpen() || ends <= s.now:
		s.change.Relisted++
	case !same:
		s.change.Updated++
	case h.gone == 0:
		return true
	}
	s.fresh = append(s.fresh, fresh{entry, old})
	s.replace(old, r)
	return true
}

// replace notes that a record is to be written anew.
func (s *shardMerge) replace(old spot, r *record) {
	s.skip[old.seg].set(old.ref)
	s.replaced[old.seg] = append(s.replaced[old.seg], old.ref)
	if int(old.seg) == s.stack.base() && r.flags&flagOpen != 0 {
		s.openOf[r.kind]++
	}
}

// sameText says whether the record says what the entry says.
func (s *shardMerge) sameText(r *record, entry uint32, old spot, packed []byte) bool {
	if string(r.original) != original(&s.entries[entry]) {
		return false
	}
	fields := s.fields(entry)
	if r.flags&flagFields == 0 {
		return len(fields) == 0
	}
	u := s.stack.segs[old.seg].unpacker(packed)
	same, text := u.equal(fields, s.text)
	s.text = text
	return same
}

// original is what the feed wrote.
func original(e *intel.Entry) string {
	if e.Original == "" {
		return e.Indicator.Value
	}
	return e.Original
}

// absent decides about a record that the run does not have.
func (s *shardMerge) absent(old spot) error {
	r, err := s.record(old)
	if err == nil && r.flags&flagOpen == 0 {
		return nil
	}
	var h history
	if err == nil {
		h, err = s.history(old, &r)
	}
	if err != nil {
		return s.lose(old, err)
	}
	wasGone := h.gone != 0
	if s.leave(&h, r.kind); !h.isOpen() {
		s.change.Removed++
	} else if s.change.Open++; wasGone {
		return nil
	}
	s.gone = append(s.gone, gone{old, r.kind, string(r.value)})
	s.replace(old, &r)
	return nil
}

func (s *shardMerge) history(old spot, r *record) (history, error) {
	h, _, ok := r.history(s.spans)
	if !ok {
		return h, s.stack.segs[old.seg].bad(r.off)
	}
	s.spans = h.spans
	return h, nil
}

// leave applies a run without it to an open history of something of this kind.
func (s *shardMerge) leave(h *history, kind intel.Kind) {
	if h.gone == 0 {
		h.gone = s.lastGood
	}
	switch p := s.info.Presence; {
	case p == intel.Append, p == intel.Rolling && ttlOf(&s.info, kind) > 0:
		if end := h.closes(&s.info, kind); end <= s.now {
			h.end(end)
		}
	default:
		h.end(s.now)
	}
}

// come applies a run with it to a history of something of this kind.
func (s *shardMerge) come(h *history, kind intel.Kind) {
	if len(h.spans) > 0 && h.isOpen() {
		if end := h.closes(&s.info, kind); end > s.now {
			h.gone, h.changed = 0, s.now
			return
		} else {
			h.end(end)
		}
	}
	h.begin(s.now)
	h.changed = s.now
}
