// Package lookuptest has an engine in plain memory, with hooks for faults, for
// the tests of whatever stands on lookup.
package lookuptest

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Engine is a lookup.Engine over a map. Add before the first use; Fail may be
// set any time before.
type Engine struct {
	Fail   func(q intel.Question) error // called for every question; nil = never fails
	Damage error                        // what Err says: why some of its data cannot be read

	by    map[intel.Indicator][]intel.Listing
	nets  []netip.Prefix // listed networks, and addresses as networks
	keys  []intel.Indicator
	asked atomic.Int64
}

// Err is Damage.
func (e *Engine) Err() error { return e.Damage }

// Asked says how many questions the engine was asked.
func (e *Engine) Asked() int64 { return e.asked.Load() }

// Add lists an indicator in a feed over [from, to); a zero to means that it is
// still listed.
func (e *Engine) Add(ind intel.Indicator, info *intel.FeedInfo, from, to time.Time, context ...string) {
	l := intel.Listing{
		Info: info, Feed: info.ID, Provider: info.Provider, Role: info.Role, Kind: ind.Kind, Canonical: ind.Value, Original: ind.Value,
		Listed: to.IsZero(), Intervals: []intel.Interval{{From: from}}, FirstSeen: from, LastSeen: from.Add(time.Hour),
		Confidence: info.Confidence, TLP: info.TLP, Tags: info.Tags, Malware: info.Malware, Description: info.Description, Snapshot: info.Snapshot,
	}
	if !to.IsZero() {
		l.Intervals[0].To, l.LastSeen = &to, to
	}
	for i := 0; i+1 < len(context); i += 2 {
		l.Context.Add(context[i], context[i+1])
	}
	if e.by == nil {
		e.by = map[intel.Indicator][]intel.Listing{}
	}
	if p, ok := network(ind); ok && len(e.by[ind]) == 0 {
		e.nets, e.keys = append(e.nets, p), append(e.keys, ind)
	}
	e.by[ind] = append(e.by[ind], l)
}

// network is where an indicator lies among networks.
func network(ind intel.Indicator) (netip.Prefix, bool) {
	if p, ok := ind.Prefix(); ok {
		return p, true
	}
	if a, ok := ind.Addr(); ok && ind.Kind == intel.IPPort {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.Prefix{}, false
}

// Find implements lookup.Engine by looking at everything.
func (e *Engine) Find(ctx context.Context, q intel.Question, at time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	e.asked.Add(1)
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if e.Fail != nil {
		if err := e.Fail(q); err != nil {
			return dst, err
		}
	}
	for _, k := range q.Keys {
		dst = e.take(dst, k.Indicator, k.Relation, at)
	}
	if !q.Covers.IsValid() && !q.Inside.IsValid() {
		return dst, nil
	}
	for i, p := range e.nets {
		switch ind := e.keys[i]; {
		case ind == q.Indicator:
		case ind.Kind == intel.CIDR && q.Covers.IsValid() && p.Bits() <= q.Covers.Bits() && p.Contains(q.Covers.Addr()):
			dst = e.take(dst, ind, intel.RelNetwork, at)
		case q.Inside.IsValid() && p.Bits() >= q.Inside.Bits() && q.Inside.Contains(p.Addr()):
			dst = e.take(dst, ind, intel.RelMember, at)
		}
	}
	return dst, nil
}

// take appends what is listed of ind as it stood at the instant at.
func (e *Engine) take(dst []intel.Listing, ind intel.Indicator, rel intel.Relation, at time.Time) []intel.Listing {
	for _, l := range e.by[ind] {
		l.Relation = rel
		if !at.IsZero() {
			if l.FirstSeen.After(at) {
				continue
			}
			iv := l.Intervals[0]
			l.Listed = iv.To == nil || iv.To.After(at)
			if l.Listed {
				iv.To = nil
			}
			l.Intervals = []intel.Interval{iv}
			if l.LastSeen.After(at) {
				l.LastSeen = at
			}
		}
		dst = append(dst, l)
	}
	return dst
}

// Stats implements lookup.Engine.
func (e *Engine) Stats(ctx context.Context) (intel.Stats, error) {
	if e.Fail != nil {
		if err := e.Fail(intel.Question{}); err != nil {
			return intel.Stats{}, err
		}
	}
	st := intel.Stats{ByKind: map[string]int{}, Indicators: len(e.by)}
	feeds := map[string]bool{}
	for ind, ls := range e.by {
		for _, l := range ls {
			feeds[l.Feed] = true
			if l.Listed {
				st.Listings++
				st.ByKind[ind.Kind.String()]++
			}
		}
	}
	st.Feeds = len(feeds)
	return st, ctx.Err()
}
