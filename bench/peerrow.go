package main

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// listing is a listing as the peers get it: made ready before their time is taken,
// cut into words by our tokenizer so that all index the same.
type listing struct {
	seq      int64 // the higher, the newer: in an order by seq downwards rows come as ours do
	feed     string
	ind      intel.Indicator
	original string
	context  string     // JSON
	texts    [][]string // words of each text
	rhost    string     // the host reversed, with a dot behind it; "" = none
	lo, hi   netip.Addr // the addresses it is about; invalid = none
	net      netip.Prefix
}

// shown are the fields whose value, where there is one, is a number or an instant
// to us and no words. Read-only.
var shown = []string{intel.FieldConfidence, intel.FieldTLP, intel.FieldFeedFirstSeen, intel.FieldFeedLastSeen}

func makeRow(seq int64, feed string, e *intel.Entry) listing {
	r := listing{seq: seq, feed: feed, ind: e.Indicator, original: e.Original, context: string(e.Fields.AppendJSON(nil))}
	add := func(s string) {
		if t := query.Tokens(nil, s); len(t) > 0 {
			r.texts = append(r.texts, t)
		}
	}
	add(e.Indicator.Value)
	if e.Original != e.Indicator.Value {
		add(e.Original)
	}
	for _, f := range e.Fields {
		if len(f.Values) == 1 && slices.Contains(shown, f.Name) {
			continue
		}
		for _, v := range f.Values {
			add(v)
		}
	}
	if h := hostOf(e.Indicator); h != "" {
		if a, err := netip.ParseAddr(h); err == nil {
			r.net = netip.PrefixFrom(a, a.BitLen())
		} else {
			r.rhost = reversed(h) + "."
		}
	} else if p, ok := e.Indicator.Prefix(); ok {
		r.net = p
	} else if a, ok := e.Indicator.Addr(); ok {
		r.net = netip.PrefixFrom(a, a.BitLen())
	}
	if r.net.IsValid() {
		r.lo, r.hi = r.net.Addr(), lastAddr(r.net)
	}
	return r
}

// hostOf is the host name or address of a domain, URL or email.
func hostOf(i intel.Indicator) string {
	switch i.Kind {
	case intel.Domain, intel.URL, intel.Email:
		return i.Host()
	}
	return ""
}

// text is all words, those of different texts kept apart by a word that nobody
// asks for, so that no phrase goes from one text to the next.
func (r *listing) text() string {
	var b strings.Builder
	for i, t := range r.texts {
		if i > 0 {
			b.WriteString(" zzqz ")
		}
		for j, w := range t {
			if j > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(w)
		}
	}
	return b.String()
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// ordered is an address as bytes that sort like it, 17 of them: the family first.
func ordered(a netip.Addr) []byte {
	b := append([]byte{4}, a.AsSlice()...)
	if a.Is6() {
		b[0] = 6
	}
	return b
}
