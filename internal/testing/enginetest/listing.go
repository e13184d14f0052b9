package enginetest

import (
	"slices"
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// listing is what the feed says of i as of the instant at (zero: now); ok is
// false where it began later.
func (m *Model) listing(f *modelFeed, i intel.Indicator, r *modelRecord, at time.Time) (l intel.Listing, ok bool) {
	when := m.now().UnixMilli()
	asOf := !at.IsZero()
	if asOf {
		when = at.UnixMilli()
	}
	spans := slices.Clone(r.spans)
	seen := f.lastGood
	if r.gone != 0 {
		seen = r.gone
	}
	if end := r.ends(f.ttl(i.Kind)); r.isOpen() && end <= when { // a time to live passed without a run
		spans[len(spans)-1].to = end
	}
	if asOf {
		spans = slices.DeleteFunc(spans, func(s span) bool { return s.from > when })
		if len(spans) == 0 {
			return l, false
		}
		switch last := &spans[len(spans)-1]; {
		case last.to > when:
			last.to = open
		case len(spans) < len(r.spans):
			seen = min(seen, last.to)
		}
		seen = min(seen, when)
	}
	l = intel.Listing{Info: &f.info, Feed: f.info.ID, Provider: f.info.Provider, Role: f.info.Role, Snapshot: f.info.Snapshot,
		Kind: i.Kind, Canonical: i.Value, Original: r.entry.Original, Listed: spans[len(spans)-1].to == open,
		FirstSeen: toTime(spans[0].from), LastSeen: toTime(seen), Changed: toTime(r.changed)}
	for _, s := range spans {
		iv := intel.Interval{From: toTime(s.from)}
		if s.to != open {
			to := toTime(s.to)
			iv.To = &to
		}
		l.Intervals = append(l.Intervals, iv)
	}
	fill(&l, &f.info, r.entry.Fields)
	return l, true
}

// fill shows the fields: in their places, those that have none or several values
// (also) in the context, and the feed's defaults where there are none.
func fill(l *intel.Listing, info *intel.FeedInfo, fields intel.Fields) {
	l.Confidence, l.TLP, l.Malware, l.ThreatType, l.Description = info.Confidence, info.TLP, info.Malware, info.ThreatType, info.Description
	places := map[string]*string{
		intel.FieldTLP: &l.TLP, intel.FieldMalware: &l.Malware, intel.FieldThreatType: &l.ThreatType, intel.FieldReference: &l.Reference,
		intel.FieldFeedFirstSeen: &l.FeedFirstSeen, intel.FieldFeedLastSeen: &l.FeedLastSeen, intel.FieldDescription: &l.Description,
	}
	l.Tags = []string{}
	l.Context = intel.Fields{}
	for _, e := range fields {
		shown := false
		switch place := places[e.Name]; {
		case e.Name == intel.FieldTags:
			l.Tags = append(l.Tags, e.Values...)
			continue
		case e.Name == intel.FieldConfidence:
			if n, err := strconv.Atoi(e.Values[0]); err == nil && n >= 0 && n <= 100 {
				l.Confidence, shown = n, true
			}
		case place != nil:
			*place, shown = e.Values[0], true
		}
		if !shown || len(e.Values) > 1 {
			l.Context = append(l.Context, e)
		}
	}
	l.Tags = append(l.Tags, info.Tags...)
	slices.Sort(l.Tags)
	l.Tags = slices.Compact(l.Tags)
}
