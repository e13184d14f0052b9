package feed

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// What does not follow from the runs: switches, keys, what the definition says
// and what is stored. internal/ingest has the table of what follows from runs.
func TestHealthOf(t *testing.T) {
	now := at("2026-03-10 12:00:00")
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	good := State{LastAttempt: ago(time.Hour), LastGood: ago(time.Hour), Changed: ago(time.Hour), Class: ClassHealthy, Since: ago(240 * time.Hour), LastRun: intel.Run{Status: intel.RunOK}}
	failing := State{LastAttempt: ago(time.Minute), LastGood: ago(25 * time.Hour), Failures: 3, Class: ClassFailing, Since: ago(time.Hour)}
	failedBy := func(code string, status int) State {
		st := failing
		st.LastRun = intel.Run{Status: intel.RunFailed, Code: code, HTTPStatus: status, Reason: "no luck"}
		return st
	}
	held := good
	held.Quarantined, held.QuarantinedCode, held.QuarantinedReason = "r1", "shrink", "it shrank"
	plain := &Definition{ID: "f", Interval: DefaultInterval, Homepage: "https://f.example/"}
	keyed := &Definition{ID: "f", Interval: DefaultInterval, Auth: &Auth{Secret: "K", In: InBearer}}
	ended := &Definition{ID: "f", Interval: DefaultInterval, Life: LifeEnded, ReplacedBy: "g"}
	tests := []struct {
		name   string
		facts  Facts
		class  Class
		since  time.Duration // ago; -1 = not known
		reason string
		advice string // a part of it
	}{
		{"new", Facts{Def: plain, Enabled: true, HaveKey: true}, ClassNew, -1, "never pulled yet", "`elasticintel ingest f`"},
		{"starter data", Facts{Def: plain, Enabled: true, HaveKey: true, Snapshot: "2026-02-01"}, ClassNew, -1, "never pulled yet; what it lists is starter data of 2026-02-01", "`elasticintel ingest f`"},
		{"healthy", Facts{Def: plain, Enabled: true, HaveKey: true, State: good}, ClassHealthy, 240 * time.Hour, "", ""},
		{"switched on lately", Facts{Def: plain, Enabled: true, HaveKey: true, State: good, Switched: ago(5 * time.Hour)}, ClassHealthy, 5 * time.Hour, "", ""},
		{"a state of an older version", Facts{Def: plain, Enabled: true, HaveKey: true, State: State{LastAttempt: ago(time.Hour), LastGood: ago(time.Hour), LastRun: good.LastRun}}, ClassHealthy, -1, "", ""},

		{"off by definition", Facts{Def: plain, HaveKey: true, State: good, Listings: 7}, ClassDisabled, -1, "switched off by its definition; 7 listings of it are still held", "`elasticintel feeds enable f`"},
		{"off by a person", Facts{Def: plain, HaveKey: true, State: failing, Switched: ago(2 * time.Hour)}, ClassDisabled, 2 * time.Hour, "switched off", "`elasticintel feeds enable f`"},
		{"off and keyless", Facts{Def: keyed}, ClassDisabled, -1, "switched off by its definition", "`elasticintel feeds enable f`"},
		{"ended", Facts{Def: ended, HaveKey: true, State: failing, Listings: 3}, ClassArchived, -1, "its publisher ended it; g replaces it; 3 listings of it are still held", "`elasticintel feeds enable g`"},
		{"ended, and a person pulls it", Facts{Def: ended, Enabled: true, HaveKey: true, State: failedBy("status", 404), Switched: ago(100 * time.Hour)}, ClassFailing, time.Hour, "3 runs failed in a row: no luck", "`elasticintel ingest f`"},

		{"keyless", Facts{Def: keyed, Enabled: true, Switched: ago(time.Hour)}, ClassNeedsKey, time.Hour, "its secret K does not exist", "`elasticintel feeds enable f --secret K=-`"},
		{"keyless by definition", Facts{Def: keyed, Enabled: true}, ClassNeedsKey, -1, "its secret K does not exist", "`elasticintel feeds disable f`"},
		{"the key was taken away", Facts{Def: keyed, Enabled: true, State: State{LastAttempt: ago(27 * time.Hour), LastGood: ago(27 * time.Hour), Class: ClassHealthy, Since: ago(50 * time.Hour)}}, ClassNeedsKey, 3 * time.Hour, "its secret K does not exist", ""},

		{"fails", Facts{Def: plain, Enabled: true, HaveKey: true, State: failedBy("dns", 0)}, ClassFailing, time.Hour, "3 runs failed in a row: no luck", "`elasticintel feeds runs f`"},
		{"is gone", Facts{Def: plain, Enabled: true, HaveKey: true, State: failedBy("status", 404)}, ClassFailing, time.Hour, "3 runs failed in a row: no luck", "see https://f.example/"},
		{"the key is refused", Facts{Def: keyed, Enabled: true, HaveKey: true, State: failedBy("status", 403)}, ClassFailing, time.Hour, "3 runs failed in a row: no luck", "`elasticintel feeds enable f --secret K=-` gives another key"},
		{"the disk is full", Facts{Def: plain, Enabled: true, HaveKey: true, State: failedBy("disk", 200)}, ClassFailing, time.Hour, "3 runs failed in a row: no luck", "free some space"},
		{"its data is broken", Facts{Def: plain, Enabled: true, HaveKey: true, State: good, Broken: errors.New("bad sum")}, ClassFailing, -1, "its stored data cannot be read: bad sum", "`elasticintel verify`"},
		{"held back", Facts{Def: plain, Enabled: true, HaveKey: true, State: held}, ClassQuarantined, -1, "run r1 is held back: it shrank", "`elasticintel feeds approve f` takes it up, `elasticintel feeds reject f` drops it"},
		{"held back and keyless", Facts{Def: keyed, Enabled: true, State: held}, ClassNeedsKey, 0, "its secret K does not exist", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := HealthOf(tt.facts, now)
			ago := time.Duration(-1)
			if !h.Since.IsZero() {
				ago = now.Sub(h.Since)
			}
			if h.Class != tt.class || ago != tt.since || h.Reason != tt.reason || !strings.Contains(h.Advice, tt.advice) || (h.Advice == "") != (h.Class == ClassHealthy) {
				t.Errorf("%s since %s ago: %q, %q", h.Class, ago, h.Reason, h.Advice)
			}
			if !slices.Contains(Classes(), h.Class) {
				t.Errorf("%s is not among the classes", h.Class)
			}
		})
	}
}

func TestSickClasses(t *testing.T) {
	var sick, well []Class
	for _, c := range Classes() {
		if c.Sick() {
			sick = append(sick, c)
		} else {
			well = append(well, c)
		}
	}
	if !slices.Equal(slices.Concat(sick, well), Classes()) || len(sick) != 6 || len(well) != 4 {
		t.Errorf("sick %v, well %v: the sick ones stand first", sick, well)
	}
}
