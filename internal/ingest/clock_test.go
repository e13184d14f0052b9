package ingest_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Clocks are set wrong and set right again, in both directions. Whatever they
// say: nothing is seen last before it was seen first, nothing expires in masses,
// every run is recorded and found, and the feed is due again in time.
func TestClock(t *testing.T) {
	jumps := []time.Time{day0.Add(-time.Hour), day0.Add(time.Hour), day0.Add(-24 * time.Hour), day0.Add(24 * time.Hour),
		time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC), time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC)}
	presences := []map[string]any{{"presence": "snapshot"}, {"presence": "rolling", "ttl": "30d"}, {"presence": "append"}, {"presence": "append", "ttl": "30d"}}
	for _, wrong := range jumps {
		for _, more := range presences {
			for _, wrongFirst := range []bool{false, true} {
				name := fmt.Sprintf("%s %v %v first=%v", wrong.Format(time.DateOnly), more["presence"], more["ttl"], wrongFirst)
				t.Run(name, func(t *testing.T) { clockCase(t, more, wrong, wrongFirst) })
			}
		}
	}
}

func clockCase(t *testing.T, more map[string]any, wrong time.Time, wrongFirst bool) {
	l := newLab(t)
	d := l.def("clock", more)
	stays := names("stays", 50)
	at := []time.Time{day0, wrong, day0.Add(5 * time.Minute), day0.Add(10 * time.Minute)}
	if wrongFirst {
		at = []time.Time{wrong, day0, day0.Add(5 * time.Minute), day0.Add(10 * time.Minute)}
	}
	var ids []string
	for i, now := range at {
		l.setClock(now)
		lines := append(append([]string{}, stays...), fmt.Sprintf("only%d.example", i))
		if i == 2 {
			l.want2(feed.Job{Def: d, Open: content(append(append([]string{}, stays...), "only1.example"))}, intel.RunUnchanged) // the same as before
			ids = append(ids, l.state("clock").LastRun.ID)
			continue
		}
		run := l.job(feed.Job{Def: d, Open: content(lines)})
		wantRun(t, run, intel.RunOK, "")
		if run.Finished.Before(run.Started) {
			t.Errorf("run from %s to %s", run.Started, run.Finished)
		}
		ids = append(ids, run.ID)
		l.wantListed(d, time.Time{}, stays, stays)
	}
	for i := range at {
		name := fmt.Sprintf("only%d.example", i)
		if i == 2 {
			continue
		}
		x := l.listing(d, name)
		if x.FirstSeen.After(x.LastSeen) {
			t.Errorf("%s: first seen %s, last seen %s", name, x.FirstSeen, x.LastSeen)
		}
		for _, iv := range x.Intervals {
			if iv.To != nil && iv.To.Before(iv.From) {
				t.Errorf("%s: interval %+v", name, iv)
			}
		}
	}
	if x := l.listing(d, stays[0]); x.FirstSeen.After(x.LastSeen) || len(x.Intervals) != 1 || x.Intervals[0].To != nil {
		t.Errorf("%s: %+v", stays[0], x)
	}
	found := map[string]bool{}
	for _, r := range l.runs("clock") {
		found[r.ID] = true
	}
	for _, id := range ids {
		if !found[id] {
			t.Errorf("run %s is not in the ledger", id)
		}
	}
	// With the clock right again the feed is due within its interval.
	st := l.state("clock")
	if next := feed.Next(d, st, l.now()); next.After(l.now().Add(24 * time.Hour)) {
		t.Errorf("next due %s, now %s", next, l.now())
	}
	l.verify()
	l.open()
	l.wantListed(d, time.Time{}, stays, stays)
}

// A publisher's own dates change nothing of ours.
func TestDatesOfThePublisher(t *testing.T) {
	l := newLab(t)
	d := l.def("dates", nil)
	for _, date := range []string{"Thu, 01 Jan 1970 00:00:00 GMT", "Tue, 19 Jan 2038 03:14:08 GMT", "nonsense"} {
		l.advance(time.Hour)
		l.srv.SetWith("/dates", []byte("a.example\nb.example\n# "+date+"\n"), map[string][]string{"Last-Modified": {date}, "Date": {date}})
		run := l.run(d)
		if run.Status != intel.RunOK && run.Status != intel.RunUnchanged {
			t.Errorf("%s: %s", date, run.Reason)
		}
		if h := l.head("dates"); !h.LastGood.Equal(l.now()) {
			t.Errorf("%s: last good %s, want %s", date, h.LastGood, l.now())
		}
	}
	raw, err := json.Marshal(l.state("dates"))
	if err != nil {
		t.Fatal(err, raw)
	}
	l.verify()
}
