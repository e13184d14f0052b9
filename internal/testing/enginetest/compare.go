package enginetest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// Compare implements lookup.Comparer by looking at every two listings.
func (m *Model) Compare(ctx context.Context, aside func(string) bool) (*intel.Comparison, error) {
	all := map[intel.Indicator]map[string]intel.Listing{}
	since := map[string]time.Time{}
	for _, l := range m.listings(time.Time{}) {
		i := intel.Indicator{Kind: l.Kind, Value: l.Canonical}
		if all[i] == nil {
			all[i] = map[string]intel.Listing{}
		}
		all[i][l.Feed] = l
		if first, has := since[l.Feed]; l.Snapshot == "" && (!has || l.FirstSeen.Before(first)) {
			since[l.Feed] = l.FirstSeen
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := &intel.Comparison{}
	for id := range m.feeds {
		out.Feeds = append(out.Feeds, compared(id, all, since, aside))
	}
	slices.SortFunc(out.Feeds, func(a, b intel.Compared) int { return strings.Compare(a.Feed, b.Feed) })
	return out, ctx.Err()
}

// compared holds one feed against all others.
func compared(id string, all map[intel.Indicator]map[string]intel.Listing, since map[string]time.Time, aside func(string) bool) intel.Compared {
	c := intel.Compared{Feed: id, Kinds: map[intel.Kind]int{}, Since: since[id]}
	pairs := map[string]*intel.Pair{}
	var lead, lag []time.Duration
	for i, by := range all {
		own, has := by[id]
		if !has {
			continue
		}
		unique, earliest := own.Listed, time.Time{}
		unknown := false
		for feed, o := range by {
			if feed == id {
				continue
			}
			unique = unique && !(o.Listed && (aside == nil || !aside(feed)))
			if pairs[feed] == nil {
				pairs[feed] = &intel.Pair{Feed: feed}
			}
			ok := comparableSince(own, o, since)
			pairCounts(pairs[feed], own, o, ok)
			unknown = unknown || !ok && o.FirstSeen.Before(own.FirstSeen)
			if ok && (earliest.IsZero() || o.FirstSeen.Before(earliest)) {
				earliest = o.FirstSeen
			}
		}
		if own.Listed {
			c.Listings++
			c.Kinds[i.Kind]++
		}
		if unique {
			c.Unique++
		}
		if earliest.IsZero() || unknown {
			continue
		}
		switch d := own.FirstSeen.Sub(earliest); {
		case d <= -time.Hour:
			lead = append(lead, -d)
		case d >= time.Hour:
			lag = append(lag, d)
		default:
			c.Early.Tied++
		}
	}
	c.Early.First, c.Early.Later, c.Early.Lead, c.Early.Lag = len(lead), len(lag), quantilesOf(lead), quantilesOf(lag)
	for _, p := range pairs {
		if *p != (intel.Pair{Feed: p.Feed}) {
			c.Pairs = append(c.Pairs, *p)
		}
	}
	slices.SortFunc(c.Pairs, func(a, b intel.Pair) int { return strings.Compare(a.Feed, b.Feed) })
	return c
}

// comparableSince says whether both began to list it behind the first pull of both.
func comparableSince(a, b intel.Listing, since map[string]time.Time) bool {
	for _, feed := range []string{a.Feed, b.Feed} {
		first, known := since[feed]
		if !known || !a.FirstSeen.After(first) || !b.FirstSeen.After(first) {
			return false
		}
	}
	return true
}

func pairCounts(p *intel.Pair, own, o intel.Listing, ok bool) {
	if own.Listed && o.Listed {
		p.Shared++
	}
	if !ok {
		return
	}
	switch d := own.FirstSeen.Sub(o.FirstSeen); {
	case d <= -time.Hour:
		p.First++
	case d >= time.Hour:
		p.Later++
	default:
		p.Tied++
	}
}

// quantilesOf sorts them all.
func quantilesOf(ds []time.Duration) (q intel.Quantiles) {
	if len(ds) == 0 {
		return q
	}
	slices.SortFunc(ds, func(a, b time.Duration) int { return cmp.Compare(a, b) })
	at := func(share float64) int {
		return int(ds[int(math.Ceil(share*float64(len(ds))-1e-9))-1] / time.Hour)
	}
	return intel.Quantiles{Median: at(0.5), P90: at(0.9)}
}

// Compare is a question for a comparison of all feeds.
type Compare struct {
	Aside []string // feeds that do not make others' listings less unique
}

func (c *Compare) print(b *strings.Builder) {
	b.WriteString("compare")
	for _, id := range c.Aside {
		b.WriteString(" aside=" + plain(id))
	}
	b.WriteByte('\n')
}

// compare asks for a comparison where the engine makes one.
func (r *runner) compare(c *Compare) ([]string, error) {
	e, ok := r.engine.(lookup.Comparer)
	if !ok {
		return nil, nil
	}
	aside := func(id string) bool { return slices.Contains(c.Aside, id) }
	got, err := e.Compare(r.ctx, aside)
	if err != nil {
		return nil, err
	}
	want, err := r.model.Compare(r.ctx, aside)
	if err != nil {
		return nil, err
	}
	g, w := compareLines(got), compareLines(want)
	return g, difference(g, w)
}

// compareLines writes a comparison: of each feed what it is, and below it a line
// a pair. Of early three numbers are those of first, tied, later.
func compareLines(c *intel.Comparison) (lines []string) {
	for _, f := range c.Feeds {
		line := fmt.Sprintf("%s %d listings, %d unique", f.Feed, f.Listings, f.Unique)
		for _, k := range intel.AnyKind.Kinds() {
			if n := f.Kinds[k]; n > 0 {
				line += fmt.Sprintf(", %d %s", n, k)
			}
		}
		since := "unknown"
		if !f.Since.IsZero() {
			since = stamp(f.Since)
		}
		e := f.Early
		lines = append(lines, fmt.Sprintf("%s; since %s; early %d %d %d, lead %d %d, lag %d %d", line, since, e.First, e.Tied, e.Later, e.Lead.Median, e.Lead.P90, e.Lag.Median, e.Lag.P90))
		for _, p := range f.Pairs {
			lines = append(lines, fmt.Sprintf("  %s %d shared, early %d %d %d", p.Feed, p.Shared, p.First, p.Tied, p.Later))
		}
	}
	return lines
}
