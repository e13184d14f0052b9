package corpus

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// hostKinds are the kinds that may have a host name.
var hostKinds = intel.Domain.Set() | intel.URL.Set() | intel.Email.Set()

// kindsMaybe plans what only listings of these kinds can match.
func (p *planner) kindsMaybe(kinds intel.KindSet) plan {
	of := p.kinds(kinds)
	return func(e *evaluator) set { return possible(of(e).yes) }
}

// exact plans an indicator, and listings that mention it.
func (p *planner) exact(n query.Exact) plan {
	records := p.r.v.recordsOf(n.Indicator, p.r.fail)
	mention := func(*evaluator) set { return set{} }
	if n.Tokens != nil {
		mention = func(e *evaluator) set { return possible(e.phrase(n.Tokens, false)) }
	}
	own := func(e *evaluator) set {
		var docs []uint32
		for _, m := range e.u.members {
			for _, rec := range records[m.seg] {
				docs = append(docs, m.base+rec)
			}
		}
		return certain(bitmapOf(docs, e.u.docs)).or(mention(e))
	}
	if n.Tokens == nil || n.Field != query.FieldAny {
		return own
	}
	return p.common(n, n.Field, own)
}

// recordsOf returns the numbers of the records of an indicator, by segment.
func (v *View) recordsOf(i intel.Indicator, fail func(error)) map[int][]uint32 {
	out := map[int][]uint32{}
	slots, err := v.dir.find(ofValue, v.c.hash.sum(i.Kind, i.Value), nil)
	if err != nil {
		fail(err)
	}
	for _, x := range slots {
		seg, ref := slotRecord(x)
		s := v.segs[seg]
		r, err := s.record(ref)
		if err != nil {
			fail(err)
			continue
		}
		if n, ok := s.number(ref); ok && r.is(i.Kind, i.Value) {
			out[seg] = append(out[seg], uint32(n))
		}
	}
	return out
}

// number plans a range of numbers.
func (p *planner) number(n query.Number) plan {
	if _, ok := n.Field.Context(); ok {
		return func(e *evaluator) set { return possible(e.having(n.Field)) }
	}
	prefix := fieldKey(n.Field, "")
	in := func(key []byte) bool {
		v, err := strconv.ParseFloat(string(key[len(prefix):]), 64)
		return err == nil && v >= n.Min && v <= n.Max
	}
	own := func(e *evaluator) set {
		if n.Min == n.Max {
			return certain(e.get(fieldKey(n.Field, strconv.FormatFloat(n.Min, 'f', -1, 64)))).or(possible(e.unsorted(n.Field)))
		}
		return certain(e.collect(prefix, after(prefix), in)).or(possible(e.unsorted(n.Field)))
	}
	if n.Field == query.FieldConfidence {
		return p.common(n, n.Field, own)
	}
	return own
}

// date plans a range of instants.
func (p *planner) date(n query.Date) plan {
	switch n.Field {
	case query.FieldFirstSeen:
		return func(e *evaluator) set { return certain(e.times(keyFirst, n)) }
	case query.FieldLastSeen:
		return p.lastSeen(n)
	}
	if _, ok := n.Field.Context(); ok {
		return func(e *evaluator) set { return possible(e.having(n.Field)) }
	}
	prefix := fieldKey(n.Field, "")
	from, to := dayOf(n.From, 0), dayOf(n.To, 1)
	return func(e *evaluator) set {
		docs := e.collect(prefix, after(prefix), func(key []byte) bool {
			d := string(key[len(prefix):])
			return (from == "" || d >= from) && (to == "" || d < to)
		})
		return possible(union(docs, e.unsorted(n.Field)))
	}
}

// dayOf is the day of a bound, so many days later; "" where there is none.
func dayOf(t time.Time, later int) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().AddDate(0, 0, later).Format(time.DateOnly)
}

// times unites the documents whose instant of this sort is in the range.
func (e *evaluator) times(sort byte, n query.Date) *roaring.Bitmap {
	from, to := []byte{sort}, []byte{sort + 1}
	if !n.From.IsZero() {
		from = timeKey(sort, ceilMilli(n.From))
	}
	if !n.To.IsZero() {
		to = timeKey(sort, ceilMilli(n.To))
	}
	return e.collect(from, to, nil)
}

// ceilMilli is the first whole millisecond that is not before t: stored times
// are whole ones.
func ceilMilli(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}

// lastSeen plans a range of our last seen: that of the feed's last good run, but
// for records that were absent from it.
func (p *planner) lastSeen(n query.Date) plan {
	if !p.r.s.AsOf.IsZero() {
		return func(e *evaluator) set { return possible(e.universe()) }
	}
	var in []int
	for i, f := range p.r.v.feeds {
		if t := f.head.LastGood; (n.From.IsZero() || !t.Before(n.From)) && (n.To.IsZero() || t.Before(n.To)) {
			in = append(in, i)
		}
	}
	feeds := p.feedSet(in)
	return func(e *evaluator) set {
		present := without(e.ofFeeds(feeds), e.beginning([]byte{keyGone}))
		return certain(union(present, e.times(keyGone, n)))
	}
}

// listed plans listed:true and listed:false.
func (p *planner) listed(want bool) plan {
	if !p.r.s.AsOf.IsZero() {
		return func(e *evaluator) set { return possible(e.universe()) }
	}
	var aging []int // feeds whose listings can end without a run
	for i, f := range p.r.v.feeds {
		if _, longest := ttlBounds(&f.head.Info); longest > 0 {
			aging = append(aging, i)
		}
	}
	feeds := p.feedSet(aging)
	return func(e *evaluator) set {
		closed := e.get([]byte{keyClosed})
		unsure := intersect(e.ofFeeds(feeds), without(e.beginning([]byte{keyGone}), closed))
		if !want {
			return set{closed, unsure}
		}
		return certain(without(e.universe(), closed)).minus(possible(unsure))
	}
}

// net finds what lies in a network, in the sections that are sorted by address.
func (p *planner) net(in netip.Prefix) plan {
	return func(e *evaluator) set {
		var docs []uint32
		for _, m := range e.u.members {
			s := p.r.v.segs[m.seg]
			f := finder{v: p.r.v, ctx: p.r.ctx}
			f.refsInside(s, in, func(ref uint32) bool {
				if n, ok := s.number(ref); ok {
					docs = append(docs, m.base+uint32(n))
				}
				return len(docs)%checkEvery != 0 || !p.r.late()
			})
			if f.err != nil {
				e.fail(f.err)
			}
		}
		return certain(bitmapOf(docs, e.u.docs))
	}
}

func hostKey(reversed string) []byte { return append([]byte{keyHost}, reversed...) }

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// domain plans a host name, or the names below it.
func (p *planner) domain(n query.Domain) plan {
	key := hostKey(reversed(n.Name))
	if n.Below {
		key = append(key, '.')
		return func(e *evaluator) set { return certain(e.beginning(key)) }
	}
	return func(e *evaluator) set { return certain(e.get(key)) }
}

// hosts plans a pattern over host names. The keys are reversed, so its end leads.
func (p *planner) hosts(pattern query.Pattern) plan {
	literals := pattern.Literals()
	tail := hostKey(reversed(literals[len(literals)-1]))
	long := []byte(reversed(pattern.Longest()))
	return func(e *evaluator) set {
		return certain(e.collect(tail, after(tail), func(key []byte) bool {
			return bytes.Contains(key, long) && pattern.Match(strings.ToLower(reversed(string(key[1:]))))
		}))
	}
}
