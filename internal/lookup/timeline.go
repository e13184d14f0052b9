package lookup

import (
	"slices"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Timeline tells what happened to an answer's listings, oldest first; what
// happened at one instant stands together, in the order of the listings. It is
// never nil.
func Timeline(ls []intel.Listing) []intel.Moment {
	out := []intel.Moment{}
	for i := range ls {
		out = appendMoments(out, &ls[i])
	}
	slices.SortStableFunc(out, func(a, b intel.Moment) int { return a.At.Compare(b.At) })
	return out
}

func appendMoments(out []intel.Moment, l *intel.Listing) []intel.Moment {
	m := intel.Moment{Feed: l.Feed, Relation: l.Relation, Kind: l.Kind, Canonical: l.Canonical}
	ended := intel.EventDelisted
	if l.Info != nil {
		ended = l.Info.Presence.Ended()
	}
	begun := intel.EventListed
	if len(l.Intervals) > 0 && l.FirstSeen.Before(l.Intervals[0].From) { // the oldest intervals are not kept
		m.At, m.Type = l.FirstSeen, begun
		out, begun = append(out, m), intel.EventRelisted
	}
	for _, iv := range l.Intervals {
		m.At, m.Type = iv.From, begun
		out, begun = append(out, m), intel.EventRelisted
		if iv.To != nil {
			m.At, m.Type = *iv.To, ended
			out = append(out, m)
		}
	}
	return out
}
