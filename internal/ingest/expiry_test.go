package ingest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// bundle is a STIX bundle in which every domain's indicator ends some days after
// day0, or never for 0.
func bundle(days map[string]int) string {
	var objects []string
	for _, name := range names("x", 10) {
		n, listed := days[name]
		if !listed {
			continue
		}
		until := ""
		if n > 0 {
			until = fmt.Sprintf(`,"valid_until":%q`, day0.AddDate(0, 0, n).Format(time.RFC3339))
		}
		objects = append(objects, fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-00000000%s","pattern_type":"stix",
"pattern":"[domain-name:value = '%s']","valid_from":"2026-01-01T00:00:00Z"%s}`, "0"+name[1:4], name, until))
	}
	return `{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000000","objects":[` + strings.Join(objects, ",") + `]}`
}

// Indicators that say when they end do so although the publisher sends the same
// for ever, however many end at once; a feed that takes nothing back keeps them.
func TestIndicatorsEndByThemselves(t *testing.T) {
	l := newLab(t)
	all := names("x", 10)
	days := map[string]int{}
	for i, name := range all {
		days[name] = []int{0, 3, 3, 3, 3, 3, 3, 9, 9, 0}[i]
	}
	stix := func(id, presence string) map[string]any {
		l.srv.SetString("/"+id, bundle(days))
		return map[string]any{"feed_type": "stix", "indicator_type": "auto", "field_mapping": map[string]any{}, "presence": presence}
	}
	d := l.def("ends", stix("ends", "snapshot"))
	l.want(d, intel.RunOK, "")
	l.advance(2 * 24 * time.Hour)
	l.want(d, intel.RunUnchanged, "")
	l.wantListed(d, time.Time{}, all, all)
	l.advance(24 * time.Hour)
	run := l.want(d, intel.RunOK, "")
	left := []string{all[0], all[7], all[8], all[9]}
	l.wantListed(d, time.Time{}, all, left)
	if run.Suppressed != 6 || run.Change.Removed != 6 {
		t.Errorf("%+v", run)
	}
	l.advance(time.Hour)
	if run := l.want(d, intel.RunUnchanged, ""); run.HTTPStatus != 304 {
		t.Errorf("asked without validators although nothing more has ended: %+v", run)
	}
	l.advance(9 * 24 * time.Hour)
	l.want(d, intel.RunOK, "")
	l.wantListed(d, time.Time{}, all, []string{all[0], all[9]})

	for _, name := range []string{all[0], all[9]} {
		delete(days, name)
	}
	l.setClock(day0)
	none := l.def("none", stix("none", "snapshot")) // all of it ends
	l.want(none, intel.RunOK, "")
	kept := l.def("kept", stix("kept", "append"))
	l.want(kept, intel.RunOK, "")
	l.advance(10 * 24 * time.Hour)
	l.want(none, intel.RunOK, "")
	l.wantListed(none, time.Time{}, all, nil)
	l.want(kept, intel.RunUnchanged, "")
	l.wantListed(kept, time.Time{}, all, all[1:9])
	l.verify()
}
