package corpus

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// A record of the heap is
//
//	u8 kind, u8 flags, uvarint length of what follows
//	text value                         (text: uvarint length and bytes)
//	text original                      with flagOriginal
//	uvarint number of intervals, at least 1; for each, in order:
//	  uvarint start, ms after the end of the one before (the first: Unix ms)
//	  uvarint length, ms               not for the last one with flagOpen
//	varint last change - start of the last interval, ms
//	varint last change - gone, ms      with flagGone
//	varint first start - first seen    with flagFirst
//	packed fields                      with flagFields (fields.go)
//
// and zeros up to a multiple of 4. Times are to the millisecond.
const (
	flagOriginal = 1 << iota // the original differs from the value
	flagOpen                 // the last interval has no end
	flagGone                 // gone is there: when a good run last had it
	flagFirst                // first seen is before the first interval, older ones having been cut
	flagFields

	maxRecord    = 16 << 20 // bytes
	maxIntervals = 1000     // kept per record; beyond, the oldest are cut
)

// open stands for the end of an interval that has none.
const open = math.MaxInt64

// span is an interval in Unix milliseconds, half-open.
type span struct{ from, to int64 }

// history is when a feed listed something.
type history struct {
	spans   []span
	changed int64 // when this record last changed
	gone    int64 // last good run that had it, where the last good run has not; 0 = none
	first   int64 // first seen, where the oldest spans were cut; 0 = start of the first span
}

func (h *history) last() *span      { return &h.spans[len(h.spans)-1] }
func (h *history) isOpen() bool     { return h.last().to == open }
func (h *history) firstSeen() int64 { return cmpOr(h.first, h.spans[0].from) }

func cmpOr(a, b int64) int64 {
	if a != 0 {
		return a
	}
	return b
}

// begin lists it (again) from now on.
func (h *history) begin(now int64) {
	h.gone = 0
	if n := len(h.spans); n > 0 && h.spans[n-1].to >= now {
		h.spans[n-1].to = open // de-listed and listed in one instant
		return
	}
	h.spans = append(h.spans, span{now, open})
	if n := len(h.spans); n > maxIntervals {
		h.first = h.firstSeen()
		h.spans = slices.Delete(h.spans, 0, n-maxIntervals)
	}
}

// end closes the open interval.
func (h *history) end(at int64) { h.last().to = max(at, h.last().from) }

// closes returns when the open interval ends by itself: gone plus the time to
// live that the feed has for the kind; open where nothing makes it end.
func (h *history) closes(info *intel.FeedInfo, kind intel.Kind) int64 {
	if h.gone == 0 {
		return open
	}
	ttl := ttlOf(info, kind)
	if ttl <= 0 {
		return open
	}
	return max(h.gone+ttl, h.last().from)
}

// record is a decoded heap record. Its bytes lie in the segment.
type record struct {
	off      int // in the heap
	size     int // without the zeros at the end
	kind     intel.Kind
	flags    byte
	value    []byte
	original []byte // the value where the feed wrote just that
	rest     []byte // times and fields
}

// is says whether the record is about this indicator.
func (r *record) is(kind intel.Kind, value string) bool {
	return r.kind == kind && string(r.value) == value
}

// history decodes the times into spans' memory and returns the packed fields.
func (r *record) history(spans []span) (h history, fields []byte, ok bool) {
	c := cursor{b: r.rest}
	n := c.length()
	h.spans = spans[:0]
	at := int64(0)
	for i := range n {
		s := span{from: addTime(at, c.uvarint()), to: open}
		if i < n-1 || r.flags&flagOpen == 0 {
			s.to = addTime(s.from, c.uvarint())
		}
		at = s.to
		h.spans = append(h.spans, s)
	}
	if n == 0 {
		return h, nil, false
	}
	h.changed = h.last().from + c.varint()
	if r.flags&flagGone != 0 {
		h.gone = h.changed - c.varint()
	}
	if r.flags&flagFirst != 0 {
		h.first = h.spans[0].from - c.varint()
	}
	return h, c.b, !c.bad
}

// addTime adds without overflow; damage gives odd times, never undefined ones.
func addTime(a int64, d uint64) int64 {
	const far = 1 << 60
	return min(a+int64(min(d, far)), far)
}

// appendRecord encodes a record, without the zeros at its end. body is scratch memory.
func appendRecord(b, body []byte, kind intel.Kind, value, original string, h *history, fields []byte) (rec, scratch []byte) {
	flags := byte(0)
	body = appendText(body[:0], value)
	if original != value {
		flags |= flagOriginal
		body = appendText(body, original)
	}
	body = binary.AppendUvarint(body, uint64(len(h.spans)))
	at := int64(0)
	for _, s := range h.spans {
		body = binary.AppendUvarint(body, uint64(max(s.from-at, 0)))
		if s.to == open {
			flags |= flagOpen
			break
		}
		body = binary.AppendUvarint(body, uint64(s.to-s.from))
		at = s.to
	}
	body = binary.AppendVarint(body, h.changed-h.last().from)
	if h.gone != 0 {
		flags |= flagGone
		body = binary.AppendVarint(body, h.changed-h.gone)
	}
	if h.first != 0 {
		flags |= flagFirst
		body = binary.AppendVarint(body, h.spans[0].from-h.first)
	}
	if len(fields) > 0 {
		flags |= flagFields
		body = append(body, fields...)
	}
	b = append(b, byte(kind), flags)
	b = binary.AppendUvarint(b, uint64(len(body)))
	return append(b, body...), body
}

// texts decodes value and original at the beginning of a record's body.
func (r *record) texts(body []byte) bool {
	c := cursor{b: body}
	r.value = c.bytes(c.uvarint())
	r.original = r.value
	if r.flags&flagOriginal != 0 {
		r.original = c.bytes(c.uvarint())
	}
	r.rest = c.b
	return !c.bad
}

// toTime converts Unix milliseconds.
func toTime(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
