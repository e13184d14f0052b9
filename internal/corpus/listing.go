package corpus

import (
	"slices"
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// fieldSlot says where an answer shows a context field.
type fieldSlot uint8

const (
	inContext fieldSlot = iota
	inConfidence
	inTags
	inTLP // from here on a place for one text of any sort
	inMalware
	inThreatType
	inReference
	inFeedFirstSeen
	inFeedLastSeen
	inDescription
)

func slotOf(name string) fieldSlot {
	switch name {
	case intel.FieldConfidence:
		return inConfidence
	case intel.FieldTLP:
		return inTLP
	case intel.FieldTags:
		return inTags
	case intel.FieldMalware:
		return inMalware
	case intel.FieldThreatType:
		return inThreatType
	case intel.FieldReference:
		return inReference
	case intel.FieldFeedFirstSeen:
		return inFeedFirstSeen
	case intel.FieldFeedLastSeen:
		return inFeedLastSeen
	case intel.FieldDescription:
		return inDescription
	}
	return inContext
}

// scratch is memory that the listings of one answer are made in.
type scratch struct {
	spans []span
	text  []byte       // value, original, and each field's name (where the vocabulary has none) and values
	ends  []int        // of each of those
	shape []fieldShape // of each field

	probes  []probe
	slots   []uint64
	touched uint64 // keeps the compiler from leaving reads out
}

type fieldShape struct{ id, values int }

// listing fills in what the record says as of the instant asked for. canonical is
// the record's value where it is at hand as a string, else "". ok is false where
// it was first listed later, or cannot be read.
func (f *finder) listing(l *intel.Listing, feed *feedState, s *segment, r *record, canonical string) (ok bool, err error) {
	h, fields, ok := r.history(f.mem.spans)
	if !ok {
		return false, s.bad(r.off)
	}
	f.mem.spans = h.spans
	head := feed.head
	last := f.settle(&h, head, r.kind)
	if len(h.spans) == 0 {
		return false, nil
	}
	if !f.mem.unpack(s, r, fields, canonical == "") {
		return false, s.bad(r.off)
	}
	l.Info, l.Feed, l.Provider, l.Role, l.Snapshot = &head.Info, head.Feed, head.Info.Provider, head.Info.Role, head.Info.Snapshot
	l.Kind, l.Canonical = r.kind, canonical
	l.Listed = h.isOpen()
	l.FirstSeen, l.LastSeen = toTime(h.firstSeen()), last
	l.Intervals = feed.intervals(h.spans)
	f.mem.fill(l, s, r)
	return true, nil
}

// settle brings the history of something of this kind to the instant asked for,
// empty where nothing of it had begun by then, and returns when it was last seen.
func (f *finder) settle(h *history, head *Head, kind intel.Kind) (last time.Time) {
	last = head.LastGood.UTC()
	if h.gone != 0 {
		last = toTime(h.gone)
		if end := h.closes(&head.Info, kind); h.isOpen() && end != open {
			now := f.at
			if !f.asOf {
				now = f.v.c.opt.Now().UnixMilli()
			}
			if end <= now {
				h.end(end)
			}
		}
	}
	if !f.asOf {
		return last
	}
	n := len(h.spans)
	for n > 0 && h.spans[n-1].from > f.at {
		n--
	}
	cut := n < len(h.spans)
	h.spans = h.spans[:n]
	if n == 0 {
		return last
	}
	end := h.last()
	if end.to > f.at {
		end.to = open
	} else if cut {
		last = earlier(last, toTime(end.to))
	}
	return earlier(last, toTime(f.at))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// intervals converts spans. Most listings of a feed began with one of few runs
// and have not ended: those share what they have in common.
func (f *feedState) intervals(spans []span) []intel.Interval {
	if len(spans) == 1 && spans[0].to == open {
		from := spans[0].from
		place := &f.sinces[mixTime(from)]
		p := place.Load()
		if p == nil || p.from != from {
			p = &since{from, [1]intel.Interval{{From: toTime(from)}}}
			place.Store(p)
		}
		return p.interval[:]
	}
	out := make([]intel.Interval, len(spans))
	for i, s := range spans {
		out[i].From = toTime(s.from)
		if s.to != open {
			to := toTime(s.to)
			out[i].To = &to
		}
	}
	return out
}

// since is the history of what was listed once and still is.
type since struct {
	from     int64
	interval [1]intel.Interval
}

// mixTime spreads times over the places of feedState.sinces.
func mixTime(ms int64) uint64 { return uint64(ms) * 0x9e3779b97f4a7c15 >> 61 }

// unpack writes the record's texts into the scratch memory, the value only if
// that is wanted.
func (m *scratch) unpack(s *segment, r *record, packed []byte, value bool) bool {
	m.text = m.text[:0]
	if value {
		m.text = append(m.text, r.value...)
	}
	m.ends = append(m.ends[:0], len(m.text))
	m.shape = m.shape[:0]
	if r.flags&flagOriginal != 0 {
		m.text = append(m.text, r.original...)
	}
	m.ends = append(m.ends, len(m.text))
	if r.flags&flagFields == 0 {
		return true
	}
	u := s.unpacker(packed)
	for range u.length() {
		id, name, values := u.field()
		m.shape = append(m.shape, fieldShape{id, values})
		if id < 0 {
			m.text = append(m.text, name...)
			m.ends = append(m.ends, len(m.text))
		}
		for range values {
			m.text = u.value(m.text)
			m.ends = append(m.ends, len(m.text))
		}
	}
	return !u.bad && len(m.text) <= 2*maxRecord
}

// cutter cuts a string at the ends in turn.
type cutter struct {
	all  string
	ends []int
	at   int
	list []string // what slices of strings are cut from
}

func (c *cutter) next() string {
	s := c.all[c.at:c.ends[0]]
	c.at, c.ends = c.ends[0], c.ends[1:]
	return s
}

func (c *cutter) several(n int) []string {
	if c.list == nil {
		c.list = make([]string, 0, len(c.ends))
	}
	start := len(c.list)
	for range n {
		c.list = append(c.list, c.next())
	}
	return c.list[start:len(c.list):len(c.list)]
}

// fill copies the unpacked texts into one string and hands out its parts. What
// has no place of its own, or does not fit there, goes to the context.
func (m *scratch) fill(l *intel.Listing, s *segment, r *record) {
	c := cutter{all: string(m.text), ends: m.ends}
	if value := c.next(); l.Canonical == "" {
		l.Canonical = value
	}
	l.Original = c.next()
	if r.flags&flagOriginal == 0 {
		l.Original = l.Canonical
	}
	info := l.Info
	l.Confidence, l.TLP, l.Malware, l.ThreatType, l.Description = info.Confidence, info.TLP, info.Malware, info.ThreatType, info.Description
	l.Context = intel.Fields{}
	var own []string
	for i, x := range m.shape {
		var name string
		var slot fieldSlot
		if x.id >= 0 {
			name, slot = s.names[x.id], s.slots[x.id]
		} else {
			name = c.next()
			slot = slotOf(name)
		}
		if x.values == 1 && slot >= inTLP {
			place(l, slot, c.next())
			continue
		}
		values := c.several(x.values)
		if slot == inTags {
			own = values
			continue
		}
		if len(values) > 0 && place(l, slot, values[0]) && len(values) == 1 {
			continue
		}
		if len(l.Context) == 0 {
			l.Context = make(intel.Fields, 0, len(m.shape)-i)
		}
		l.Context = append(l.Context, intel.Field{Name: name, Values: values})
	}
	l.Tags = tags(own, info.Tags)
}

// place shows a value where its slot says; false says that it does not fit there.
func place(l *intel.Listing, slot fieldSlot, v string) bool {
	if v == "" {
		return slot != inContext
	}
	switch slot {
	case inConfidence:
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > 100 {
			return false
		}
		l.Confidence = n
	case inTLP:
		l.TLP = v
	case inMalware:
		l.Malware = v
	case inThreatType:
		l.ThreatType = v
	case inReference:
		l.Reference = v
	case inFeedFirstSeen:
		l.FeedFirstSeen = v
	case inFeedLastSeen:
		l.FeedLastSeen = v
	case inDescription:
		l.Description = v
	default:
		return false
	}
	return true
}

// tags unites the record's tags with the feed's.
func tags(own, feed []string) []string {
	switch {
	case len(own) == 0 && feed == nil:
		return []string{}
	case len(own) == 0:
		return feed
	case len(feed) == 0:
		return own
	}
	out := slices.Concat(own, feed)
	slices.Sort(out)
	return slices.Compact(out)
}
