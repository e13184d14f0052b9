package corpus

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sort"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/terms"
)

// changeReader reads changes of one feed in the order of events: those of one
// segment by its batches, or those of a list.
type changeReader struct {
	feed *feedState
	now  int64

	ms      int64  // of the current change
	rec     record // what changed
	segment *segment

	// A segment's batches: of the one at batch-1 the records first to left-1 are
	// still to be read, downwards.
	batches     batches
	dead        *roaring.Bitmap
	batch       int
	first, left int

	list []change // or what is left of a list
}

// change is one record and when it changed, or ended by itself.
type change struct {
	ms      int64
	segment *segment
	ref     uint32 // heap offset/4
	kind    intel.Kind
	value   []byte
}

func (r *changeReader) seg() *segment { return r.segment }

func compareRecords(a, b *record) int {
	if c := cmp.Compare(a.kind, b.kind); c != 0 {
		return c
	}
	return bytes.Compare(a.value, b.value)
}

// after says whether a record comes behind an indicator.
func (r *record) after(i intel.Indicator) bool {
	return r.kind > i.Kind || r.kind == i.Kind && string(r.value) > i.Value
}

// next goes on to the next change; false says that there is none.
func (r *changeReader) next() (ok bool, err error) {
	if r.segment == nil || r.batches.len() == 0 {
		return r.nextOfList()
	}
	for {
		for r.left == r.first {
			if r.batch == r.batches.len() {
				return false, nil
			}
			r.open()
		}
		r.left--
		if r.dead != nil && r.dead.Contains(uint32(r.left)) {
			continue
		}
		if r.rec, err = r.segment.nth(r.left); err != nil {
			return false, err
		}
		if _, ended, err := r.feed.ended(r.segment, &r.rec, r.now); err != nil {
			return false, err
		} else if !ended { // else another reader tells it
			return true, nil
		}
	}
}

// open begins the next batch.
func (r *changeReader) open() {
	r.ms, r.first = r.batches.at(r.batch)
	r.batch++
	r.left = r.segment.listings()
	if r.batch < r.batches.len() {
		_, r.left = r.batches.at(r.batch)
	}
}

func (r *changeReader) nextOfList() (ok bool, err error) {
	if len(r.list) == 0 {
		return false, nil
	}
	c := &r.list[0]
	r.list = r.list[1:]
	r.ms, r.segment = c.ms, c.segment
	r.rec, err = c.segment.record(c.ref)
	return err == nil, err
}

// start goes to the first batch behind a time, and in it behind the place where
// a page ended.
func (r *changeReader) start(told int64, at *spotTold) error {
	r.batch = sort.Search(r.batches.len(), func(i int) bool { ms, _ := r.batches.at(i); return ms > told })
	if at == nil || r.batch == r.batches.len() {
		return nil
	}
	if ms, _ := r.batches.at(r.batch); ms != at.ms {
		return nil
	}
	r.open()
	var err error
	r.left = r.first + sort.Search(r.left-r.first, func(i int) bool {
		rec, e := r.segment.nth(r.first + i)
		if e != nil {
			err = e
		}
		return !rec.after(at.ind)
	})
	return err
}

// ended says whether an open listing has ended by itself at now, and when: its
// time to live has passed.
func (f *feedState) ended(s *segment, r *record, now int64) (ms int64, ended bool, err error) {
	if r.flags&flagOpen == 0 || r.flags&flagGone == 0 || ttlOf(&f.head.Info, r.kind) == 0 {
		return 0, false, nil
	}
	h, _, ok := r.history(nil)
	if !ok {
		return 0, false, s.bad(r.off)
	}
	ms = h.closes(&f.head.Info, r.kind)
	return ms, ms <= now, nil
}

// readers returns the readers of a feed that have something to tell, each at its
// first change.
func (t *teller) readers(f *feedState) ([]*changeReader, error) {
	told := int64(never)
	if known := t.since.feeds[feedHash(f.head.Feed)]; known != nil {
		told = known.told
	}
	var out []*changeReader
	swept := &changeReader{feed: f, now: t.now}
	add := func(r *changeReader) error {
		ok, err := r.next()
		if ok {
			out = append(out, r)
		}
		return err
	}
	until, at := t.sweptUntil(f, told)
	for i, s := range f.segs {
		dead := f.dead[i]
		r := &changeReader{feed: f, now: t.now, segment: s, batches: s.batches(), dead: dead}
		var err error
		if r.batches.len() > 0 {
			err = r.start(told, at)
		} else {
			r.list, err = t.scan(f, s, dead, told)
			r.list, r.segment = sorted(r.list, at), nil
		}
		if err == nil {
			err = add(r)
		}
		if err == nil {
			swept.list, err = t.sweep(swept.list, f, s, dead, until)
		}
		if err != nil {
			return nil, err
		}
	}
	swept.list = sorted(swept.list, at)
	return out, add(swept)
}

// sweptTold says what was told of a feed's listings that ended by themselves:
// what had ended up to swept. But what a later run leaves out was there in the last
// good run, which is not before told, and ends a time to live later: that is not
// told yet, wherever the clock stood when that was swept.
type sweptTold struct{ swept, told int64 }

// behind is when something with this time to live must have ended, at the
// earliest, for not having been told.
func (s sweptTold) behind(ttl int64) int64 {
	if s.told == never {
		return never
	}
	return min(s.swept, s.told+ttl-1)
}

// goneBehind is after when it must have been there for the last time, where
// longest is the longest time to live.
func (s sweptTold) goneBehind(longest int64) int64 {
	if s.told == never {
		return never
	}
	return min(s.swept-longest, s.told-1)
}

// sweptUntil returns up to when it was told what ended by itself, and the place
// where a page ended where that was in this feed.
func (t *teller) sweptUntil(f *feedState, told int64) (until sweptTold, at *spotTold) {
	ms := t.since.swept
	if p := t.since.at; p != nil {
		switch id := feedHash(f.head.Feed); {
		case id == p.feed:
			at = p
		case t.before(f, p.feed):
			ms = max(ms, p.ms)
		}
	}
	return sweptTold{ms, told}, at
}

// before says whether a feed stands before the one with a hash.
func (t *teller) before(f *feedState, hash uint64) bool {
	for _, o := range t.v.feeds {
		if feedHash(o.head.Feed) == hash {
			return f.head.Feed < o.head.Feed
		}
	}
	return false
}

// sorted puts a list in the order of events and drops what comes before the
// place where a page ended.
func sorted(list []change, at *spotTold) []change {
	slices.SortFunc(list, func(a, b change) int {
		if c := cmp.Compare(a.ms, b.ms); c != 0 {
			return c
		}
		if c := cmp.Compare(a.kind, b.kind); c != 0 {
			return c
		}
		return bytes.Compare(a.value, b.value)
	})
	if at == nil {
		return list
	}
	n := sort.Search(len(list), func(i int) bool {
		c := &list[i]
		return c.ms > at.ms || c.ms == at.ms && (&record{kind: c.kind, value: c.value}).after(at.ind)
	})
	return list[n:]
}

// scan lists what changed behind told in a segment of format 1, which has no batches.
func (t *teller) scan(f *feedState, s *segment, dead *roaring.Bitmap, told int64) (out []change, err error) {
	err = t.each(s, dead, func(r *record) error {
		h, _, ok := r.history(nil)
		if !ok {
			return s.bad(r.off)
		}
		if _, ended, err := f.ended(s, r, t.now); err != nil || ended {
			return err
		}
		if h.changed > told {
			out = append(out, change{h.changed, s, uint32(r.off / 4), r.kind, r.value})
		}
		return nil
	})
	return out, err
}

// sweep adds the listings that ended by themselves and were not told.
func (t *teller) sweep(out []change, f *feedState, s *segment, dead *roaring.Bitmap, until sweptTold) ([]change, error) {
	shortest, longest := ttlBounds(&f.head.Info)
	if longest == 0 {
		return out, nil
	}
	look := func(r *record) error {
		ms, ended, err := f.ended(s, r, t.now)
		if ended && ms > until.behind(ttlOf(&f.head.Info, r.kind)) {
			out = append(out, change{ms, s, uint32(r.off / 4), r.kind, r.value})
		}
		return err
	}
	err := t.absent(s, dead, until.goneBehind(longest), t.now-shortest, look)
	return out, err
}

// absent calls f for the records that are not dead and were last there after
// from and not after to, and maybe for others.
func (t *teller) absent(s *segment, dead *roaring.Bitmap, from, to int64, f func(*record) error) error {
	x, err := s.terms()
	if err != nil {
		return err
	}
	if x == nil {
		return t.each(s, dead, f)
	}
	docs := roaring.New()
	err = x.Range(goneKey(from+1), goneKey(to+1), func(_ []byte, p terms.Postings) bool {
		p.Or(docs)
		return true
	})
	if err != nil {
		return fmt.Errorf("segment %s: %w: text index: %w", s.key, ErrCorrupt, err)
	}
	if dead != nil {
		docs.AndNot(dead)
	}
	for it := docs.Iterator(); it.HasNext(); {
		r, err := s.nth(int(it.Next()))
		if err == nil {
			err = f(&r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func goneKey(ms int64) []byte { return appendTimeKey([]byte{keyGone}, ms) }

// each reads the records of a segment that are not dead.
func (t *teller) each(s *segment, dead *roaring.Bitmap, f func(*record) error) error {
	for i := range s.listings() {
		if i%4096 == 0 && t.ctx.Err() != nil {
			return t.ctx.Err()
		}
		if dead != nil && dead.Contains(uint32(i)) {
			continue
		}
		r, err := s.nth(i)
		if err == nil {
			err = f(&r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
