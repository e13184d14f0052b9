package feed

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/intel"
)

func TestNewReport(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	ago := func(days float64) time.Time { return now.Add(-time.Duration(days * 24 * float64(time.Hour))) }
	run := func(days float64, status intel.RunStatus, trigger string, added, back, removed int) intel.Run {
		return intel.Run{Started: ago(days), Status: status, Trigger: trigger, Change: intel.Change{New: added, Relisted: back, Removed: removed}}
	}
	first := run(10, intel.RunOK, "schedule", 1000, 0, 0)
	first.Started = first.Started.Add(345 * time.Microsecond) // listings begin at the millisecond
	unchanged := run(0.1, intel.RunUnchanged, "schedule", 0, 0, 0)
	read := run(0.2, intel.RunOK, "schedule", 3, 1, 2)
	read.Counts = intel.Counts{Read: 30, Accepted: 20, Suppressed: 6, Rejected: 3, Duplicate: 1}
	decided := run(1.2, intel.RunOK, "approve", 10, 0, 7)
	decided.Read = 5
	runs := []intel.Run{unchanged, read, run(0.5, intel.RunFailed, "schedule", 0, 0, 0), decided, run(1.5, intel.RunQuarantined, "schedule", 50, 0, 50),
		run(2.5, intel.RunOK, "manual", 6, 0, 2), run(3.5, intel.RunOK, "schedule", 8, 0, 3), run(4.5, intel.RunOK, "schedule", 4, 1, 2),
		run(5.5, intel.RunOK, "schedule", 9, 0, 1), run(6.5, intel.RunOK, "schedule", 4, 0, 2), first, run(11, intel.RunOK, "starter", 90, 0, 0), run(31, intel.RunFailed, "schedule", 1, 1, 1)}
	c := &intel.Compared{Feed: "f", Listings: 3, Unique: 1, Kinds: map[intel.Kind]int{intel.URL: 3}, Since: ago(10),
		Early: intel.Early{First: 2, Tied: 1, Later: 3, Lead: intel.Quantiles{Median: 4, P90: 9}, Lag: intel.Quantiles{Median: 1, P90: 2}},
		Pairs: []intel.Pair{{Feed: "a", Shared: 1}, {Feed: "b", Shared: 2, First: 1, Tied: 2, Later: 3}, {Feed: "c", Shared: 1}}}
	got := NewReport(ReportFacts{ID: "f", Def: &Definition{ID: "f", Name: "F", Provider: "P"}, Compared: c, Runs: runs,
		Listings: map[string]int{"a": 1, "b": 8}, Roles: map[string]string{"f": RoleContext, "a": RoleAllow}, Enabled: map[string]bool{"f": true, "b": true}}, now)
	since := ago(10)
	want := Report{ID: "f", Name: "F", Provider: "P", Role: RoleContext, Enabled: true, Since: &since, Listings: 3, Kinds: map[string]int{"url": 3}, Unique: 1, UniqueShare: 0.3333,
		Early: ReportEarly{Compared: 6, First: 2, Tied: 1, Later: 3, FirstShare: 0.3333, MedianLead: 4, P90Lead: 9, MedianLag: 1, P90Lag: 2},
		Overlap: []ReportPair{{Feed: "b", Enabled: true, Shared: 2, Share: 0.6667, TheirShare: 0.25, First: 1, Tied: 2, Later: 3},
			{Feed: "a", Role: RoleAllow, Shared: 1, Share: 0.3333, TheirShare: 1}, {Feed: "c", Shared: 1, Share: 0.3333}},
		Overlaps: 3,
		LastRead: &ReportRead{At: read.Started, Read: 30, Suppressed: 6, Rejected: 3, SuppressedShare: 0.2, RejectedShare: 0.1},
		// of ten days 4 10 6 8 5 9 4 0 0 0 came and 2 7 2 3 2 1 2 0 0 0 went
		Runs: ReportRuns{Runs: 10, Failed: 1, Quarantined: 1, Days: 10, Added: 4, Removed: 2},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	got.Cut(1)
	if len(got.Overlap) != 1 || got.Overlaps != 3 {
		t.Errorf("cut: %+v", got)
	}
	none := NewReport(ReportFacts{ID: "x"}, now)
	if d := cmp.Diff(Report{ID: "x", Name: "x", Kinds: map[string]int{}, Overlap: []ReportPair{}}, none); d != "" {
		t.Errorf("of nothing (-want +got)\n%s", d)
	}
}
