package corpus

import (
	"bytes"
	"cmp"
	"container/heap"
	"sort"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// stream gives one member's documents in the order of change: within a segment
// that is batch by batch, and within a batch from the last record to the first.
type stream struct {
	r     *searching
	h     *hits
	docs  *roaring.Bitmap
	m     member
	s     *segment
	b     batches
	batch int    // the current one
	doc   uint32 // the current document
	key   int64  // when it changed
}

// batchesOf returns when the segment's records changed. One of format 1 does not
// say: it counts as the oldest there is.
func batchesOf(s *segment) batches {
	if b := s.batches(); b.len() > 0 {
		return b
	}
	return batches{make([]byte, batchRow)}
}

// of returns the batch of a record.
func (b batches) of(rec int) int {
	return sort.Search(b.len(), func(i int) bool { _, first := b.at(i); return first > rec }) - 1
}

// bounds returns the records of a batch, from the first to behind the last; n is
// how many there are in all.
func (b batches) bounds(i, n int) (first, end int) {
	_, first = b.at(i)
	if i+1 < b.len() {
		_, n = b.at(i + 1)
	}
	return first, n
}

// streams opens a stream for every member that has anything behind the position
// that the search begins at.
func (r *searching) streams() *merge {
	w := &merge{r: r}
	for i := range r.hits {
		h := &r.hits[i]
		docs := h.all()
		for doc := docs.PreviousValue(h.u.docs); doc >= 0; {
			at := h.u.member(uint32(doc))
			m := h.u.members[at]
			st := &stream{r: r, h: h, docs: docs, m: m, s: r.v.segs[m.seg], b: batchesOf(r.v.segs[m.seg])}
			if st.begin() {
				w.streams = append(w.streams, st)
			}
			if m.base == 0 {
				break
			}
			doc = docs.PreviousValue(m.base - 1)
		}
	}
	heap.Init(w)
	return w
}

// begin goes to the first document.
func (st *stream) begin() bool {
	b, after := st.b, st.r.s.After
	reverse := st.r.s.Sort.Reverse
	if after == nil {
		if reverse {
			return st.enter(0, -1)
		}
		return st.enter(b.len()-1, -1)
	}
	// i is the first batch that did not change before the position.
	i := sort.Search(b.len(), func(i int) bool { t, _ := b.at(i); return t >= after.Key })
	if i < b.len() {
		if t, _ := b.at(i); t == after.Key {
			switch c := cmp.Compare(st.r.v.feeds[st.m.feed].head.Feed, after.Feed); {
			case c > 0:
				return st.enter(i, -1)
			case c == 0:
				return st.enter(i, st.behind(i, after.Indicator))
			case reverse:
				i++
			}
		}
	}
	if reverse {
		return st.enter(i, -1)
	}
	return st.enter(i-1, -1)
}

// enter goes to the batch's last document below the record limit (-1: all of the
// batch), or on to the next batch that has one.
func (st *stream) enter(batch, limit int) bool {
	b := st.b
	for batch >= 0 && batch < b.len() {
		t, first := b.at(batch)
		end := int(st.m.n)
		if batch+1 < b.len() {
			_, end = b.at(batch + 1)
		}
		if limit >= 0 {
			end, limit = min(end, limit), -1
		}
		if end > first {
			if doc := st.docs.PreviousValue(st.m.base + uint32(end) - 1); doc >= int64(st.m.base)+int64(first) {
				st.batch, st.doc, st.key = batch, uint32(doc), t
				return true
			}
		}
		if batch = st.nextBatch(batch, first, end); batch < 0 {
			return false
		}
	}
	return false
}

// nextBatch returns the next batch in order that has a document, -1 for none.
// The current one has the records [first, end).
func (st *stream) nextBatch(batch, first, end int) int {
	var rec int
	if st.r.s.Sort.Reverse {
		_, after := st.b.bounds(batch, int(st.m.n))
		doc := st.docs.NextValue(st.m.base + uint32(after))
		if doc < 0 || doc >= int64(st.m.base)+int64(st.m.n) {
			return -1
		}
		rec = int(uint32(doc) - st.m.base)
	} else {
		if st.m.base+uint32(first) == 0 {
			return -1
		}
		doc := st.docs.PreviousValue(st.m.base + uint32(first) - 1)
		if doc < int64(st.m.base) {
			return -1
		}
		rec = int(uint32(doc) - st.m.base)
	}
	return st.b.of(rec)
}

// next goes on to the following document.
func (st *stream) next() bool { return st.enter(st.batch, int(st.doc-st.m.base)) }

// behind returns the record of the batch from which on, downwards, records come
// behind the indicator: those in front of it are at or above.
func (st *stream) behind(batch int, ind intel.Indicator) int {
	first, end := st.b.bounds(batch, int(st.m.n))
	// Records go down in kind and value, so those with a larger one come first.
	n := sort.Search(end-first, func(i int) bool {
		r, err := st.s.nth(first + i)
		if err != nil {
			st.r.fail(err)
			return true
		}
		return cmp.Or(cmp.Compare(r.kind, ind.Kind), bytes.Compare(r.value, []byte(ind.Value))) <= 0
	})
	return first + n
}

// merge gives the documents of several streams in order.
type merge struct {
	r       *searching
	streams []*stream
}

// Len, Less, Swap, Push and Pop are those of heap.Interface.
func (w *merge) Len() int      { return len(w.streams) }
func (w *merge) Swap(i, j int) { w.streams[i], w.streams[j] = w.streams[j], w.streams[i] }
func (w *merge) Push(any)      {}
func (w *merge) Pop() any {
	last := w.streams[len(w.streams)-1]
	w.streams = w.streams[:len(w.streams)-1]
	return last
}

// Less compares by change time, feed, and then, for segments of one feed, value.
func (w *merge) Less(i, j int) bool {
	a, b := w.streams[i], w.streams[j]
	if a.key != b.key {
		return (a.key > b.key) != w.r.s.Sort.Reverse
	}
	if a.m.feed != b.m.feed {
		return a.m.feed < b.m.feed
	}
	return w.r.compareRecords(a.s, int(a.doc-a.m.base), b.s, int(b.doc-b.m.base)) < 0
}

func (r *searching) compareRecords(s *segment, i int, t *segment, j int) int {
	a, err := s.nth(i)
	if err != nil {
		r.fail(err)
	}
	b, err := t.nth(j)
	if err != nil {
		r.fail(err)
	}
	return cmp.Or(cmp.Compare(a.kind, b.kind), bytes.Compare(a.value, b.value))
}

// step drops the first document and goes on.
func (w *merge) step() {
	if w.streams[0].next() {
		heap.Fix(w, 0)
	} else {
		heap.Pop(w)
	}
}

// give emits the page.
func (r *searching) give() {
	if r.s.Sort.By != query.ByChanged {
		r.giveSorted()
		return
	}
	found := 0 // among those that were uncertain
	for n, i, w := 0, 0, r.streams(); len(w.streams) > 0; w.step() {
		if i++; i%checkEvery == 0 && r.stopped() || r.err != nil {
			break
		}
		st := w.streams[0]
		if r.s.Limit > 0 && n == r.s.Limit {
			r.page.More = true
			break
		}
		var l intel.Listing
		var ok bool
		if !isEmpty(st.h.maybe) && st.h.maybe.Contains(st.doc) {
			if l, ok = r.matches(st.h, st.doc); ok {
				found++
			}
		} else {
			l, ok = r.read(st.h, st.doc)
		}
		if !ok {
			continue
		}
		if !r.hand(&l) {
			return
		}
		n++
	}
	r.settle(found)
}

// settle completes the count: found of what was uncertain turned out to match.
func (r *searching) settle(found int) {
	r.page.Total += found
	if r.s.Limit == 0 && r.s.After == nil && r.err == nil && !r.cut {
		r.page.Exact = true // all of it was read
	}
}
