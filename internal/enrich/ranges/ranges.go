// Package ranges holds what is known of ranges of addresses as numbers: layers of
// ranges in order and without overlap, and walks through several layers at once.
package ranges

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"net/netip"
	"slices"
	"sort"
)

// IP is an address of one family as a number; IP4 and IP6 are the two.
type IP[K any] interface {
	comparable
	Compare(K) int   // -1, 0 or 1
	Minus(K) K       // the distance to a smaller one
	Next() (K, bool) // the one after it; false after the last
	Prev() K         // the one before it; never asked of the first
	Addr() netip.Addr
}

// IP4 is an IPv4 address.
type IP4 uint32

// From4 returns the number of an IPv4 address.
func From4(a netip.Addr) IP4 {
	b := a.As4()
	return IP4(binary.BigEndian.Uint32(b[:]))
}

// Compare implements IP.
func (a IP4) Compare(b IP4) int { return cmp.Compare(a, b) }

// Minus implements IP.
func (a IP4) Minus(b IP4) IP4 { return a - b }

// Next implements IP.
func (a IP4) Next() (IP4, bool) { return a + 1, a+1 != 0 }

// Prev implements IP.
func (a IP4) Prev() IP4 { return a - 1 }

// Addr implements IP.
func (a IP4) Addr() netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(a))))
}

// IP6 is an IPv6 address.
type IP6 struct{ High, Low uint64 }

// From6 returns the number of an IPv6 address.
func From6(a netip.Addr) IP6 {
	b := a.As16()
	return IP6{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Compare implements IP.
func (a IP6) Compare(b IP6) int {
	return cmp.Or(cmp.Compare(a.High, b.High), cmp.Compare(a.Low, b.Low))
}

// Minus implements IP.
func (a IP6) Minus(b IP6) IP6 {
	high := a.High - b.High
	if a.Low < b.Low {
		high--
	}
	return IP6{high, a.Low - b.Low}
}

// Next implements IP.
func (a IP6) Next() (IP6, bool) {
	a.Low++
	if a.Low == 0 {
		a.High++
		return a, a.High != 0
	}
	return a, true
}

// Prev implements IP.
func (a IP6) Prev() IP6 {
	if a.Low == 0 {
		a.High--
	}
	a.Low--
	return a
}

// Addr implements IP.
func (a IP6) Addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.High)
	binary.BigEndian.PutUint64(b[8:], a.Low)
	return netip.AddrFrom16(b)
}

// Span is a range of addresses, both ends in, and the number of what is known of it.
type Span[K IP[K]] struct {
	First, Last K
	Info        int32
}

// Layer is what one kind of source knows: spans in order, without overlap.
type Layer[K IP[K]] []Span[K]

// Find returns the number of what is known of an address, -1 for nothing.
func (l Layer[K]) Find(a K) int32 {
	i := sort.Search(len(l), func(i int) bool { return l[i].Last.Compare(a) >= 0 })
	if i < len(l) && l[i].First.Compare(a) <= 0 {
		return l[i].Info
	}
	return -1
}

// Flatten makes a layer of spans that overlap: the narrowest wins, of those of one
// width the one with the larger number.
func Flatten[K IP[K]](spans []Span[K]) Layer[K] {
	slices.SortFunc(spans, func(a, b Span[K]) int { return a.First.Compare(b.First) })
	var out Layer[K]
	var open narrowest[K]
	for i, at, more := 0, *new(K), true; more && (i < len(spans) || len(open) > 0); {
		for len(open) > 0 && open[0].Last.Compare(at) < 0 {
			heap.Pop(&open)
		}
		if len(open) == 0 {
			if i == len(spans) {
				break
			}
			if x := spans[i]; i+1 == len(spans) || x.Last.Compare(spans[i+1].First) < 0 { // alone, as most are
				out = append(out, x)
				at, more = x.Last.Next()
				i++
				continue
			}
			at = spans[i].First
		}
		for ; i < len(spans) && spans[i].First.Compare(at) <= 0; i++ {
			heap.Push(&open, spans[i])
		}
		top := open[0]
		last := top.Last
		if i < len(spans) && spans[i].First.Compare(last) <= 0 {
			last = spans[i].First.Prev()
		}
		if n := len(out); n > 0 && out[n-1].Info == top.Info && out[n-1].Last.Compare(at.Prev()) == 0 {
			out[n-1].Last = last // cut by one that lost
		} else {
			out = append(out, Span[K]{at, last, top.Info})
		}
		at, more = last.Next()
	}
	return out
}

// narrowest is a heap of spans.
type narrowest[K IP[K]] []Span[K]

func (h narrowest[K]) Len() int { return len(h) }
func (h narrowest[K]) Less(i, j int) bool {
	a, b := h[i].Last.Minus(h[i].First), h[j].Last.Minus(h[j].First)
	return cmp.Or(a.Compare(b), cmp.Compare(h[j].Info, h[i].Info)) < 0
}
func (h narrowest[K]) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *narrowest[K]) Push(x any)   { *h = append(*h, x.(Span[K])) }
func (h *narrowest[K]) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// Walk hands on, upwards and without overlap, the ranges in which each layer says the
// same all through, where any says something: for each layer the number, -1 for
// nothing. The numbers are valid until emit returns.
func Walk[K IP[K]](layers []Layer[K], emit func(first, last K, info []int32) bool) bool {
	at := make([]int, len(layers))
	info := make([]int32, len(layers))
	var from K
	for started := false; ; started = true {
		var first K
		found := false
		for i, l := range layers {
			for at[i] < len(l) && started && l[at[i]].Last.Compare(from) < 0 {
				at[i]++
			}
			if at[i] < len(l) {
				begin := l[at[i]].First
				if started && begin.Compare(from) < 0 {
					begin = from
				}
				if !found || begin.Compare(first) < 0 {
					first, found = begin, true
				}
			}
		}
		if !found {
			return true
		}
		last, bounded := first, false
		limit := func(k K) {
			if !bounded || k.Compare(last) < 0 {
				last, bounded = k, true
			}
		}
		for i, l := range layers {
			info[i] = -1
			switch {
			case at[i] == len(l):
			case l[at[i]].First.Compare(first) <= 0:
				info[i] = l[at[i]].Info
				limit(l[at[i]].Last)
			default:
				limit(l[at[i]].First.Prev())
			}
		}
		if !emit(first, last, info) {
			return false
		}
		var more bool
		if from, more = last.Next(); !more {
			return true
		}
	}
}
