package cli

import (
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/feed"
)

func TestReportNotes(t *testing.T) {
	pulled := feed.Report{ID: "a", Role: "threat", Enabled: true}
	starter := feed.Report{ID: "b", Role: "threat", Enabled: true, Snapshot: "2026-08-22"}
	gone := feed.Report{ID: "c"}
	for _, x := range []struct {
		all  []feed.Report
		want string
	}{
		{nil, "No feed holds data."},
		{[]feed.Report{pulled}, ""},
		{[]feed.Report{pulled, starter}, "Some of it is starter data"},
		{[]feed.Report{gone, pulled}, "Not pulled, or not of role threat, so that others are no less unique: c."},
	} {
		if got := strings.Join(reportNotes(x.all), "\n"); (got == "") != (x.want == "") || !strings.HasPrefix(got, x.want) {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
}

func TestPercent(t *testing.T) {
	for x, want := range map[float64]string{0: "0%", 0.0001: "<1%", 0.01: "1%", 0.505: "50%", 0.989: "99%", 0.9999: ">99%", 1: "100%"} {
		if got := percent(x); got != want {
			t.Errorf("%v is %s, want %s", x, got, want)
		}
	}
}
