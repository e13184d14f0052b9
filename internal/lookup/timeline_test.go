package lookup_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

func TestTimeline(t *testing.T) {
	spans := func(at ...int) (out []intel.Interval) {
		for i := 0; i < len(at); i += 2 {
			iv := intel.Interval{From: days(at[i])}
			if i+1 < len(at) {
				to := days(at[i+1])
				iv.To = &to
			}
			out = append(out, iv)
		}
		return out
	}
	rolling := &intel.FeedInfo{Presence: intel.Rolling}
	got := lookup.Timeline([]intel.Listing{
		{Feed: "s", Info: &intel.FeedInfo{Presence: intel.Snapshot}, Relation: intel.RelExact, Canonical: "x", FirstSeen: days(-9), Intervals: spans(-9, -7, -5)},
		{Feed: "r", Info: rolling, Relation: intel.RelParent, Canonical: "y", FirstSeen: days(-9), Intervals: spans(-9, -5)},
		{Feed: "cut", Info: rolling, Relation: intel.RelExact, Canonical: "x", FirstSeen: days(-20), Intervals: spans(-8)},
		{Feed: "a", Info: &intel.FeedInfo{Presence: intel.Append}, Relation: intel.RelExact, Canonical: "x", FirstSeen: days(-4), Intervals: spans(-4, -1)},
		{Feed: "bare", Relation: intel.RelExact, Canonical: "x", FirstSeen: days(-3), Intervals: spans(-3, -2)},
	})
	var lines []string
	for _, m := range got {
		lines = append(lines, fmt.Sprintf("%d %s %s %s %s", int(m.At.Sub(now).Hours()/24), m.Feed, m.Type, m.Relation, m.Canonical))
	}
	if d := cmp.Diff([]string{
		"-20 cut listed exact x", "-9 s listed exact x", "-9 r listed parent y", "-8 cut re-listed exact x", "-7 s de-listed exact x",
		"-5 s re-listed exact x", "-5 r aged-out parent y", "-4 a listed exact x", "-3 bare listed exact x", "-2 bare de-listed exact x", "-1 a aged-out exact x",
	}, lines); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got := lookup.Timeline(nil); got == nil || len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	a, err := lookup.New(world(t), clock).Answer(t.Context(), "192.0.2.7", lookup.Options{Timeline: true, AsOf: days(-6)})
	if err != nil || len(a.Timeline) != 2 {
		t.Errorf("six days ago only two listings had begun, and none ended: %+v, %v", a.Timeline, err)
	}
}
