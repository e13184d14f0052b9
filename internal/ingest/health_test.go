package ingest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// step is one row of a feed's ledger, or with row "" only a look at the feed,
// and the health that is seen then.
type step struct {
	at    string // since the start, as in "36h" or "30d"
	row   string // the run's status and, after a colon, its code; "ok:N" leaves N listings
	class feed.Class
	since string // as at
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func since(t *testing.T, s string) time.Time {
	t.Helper()
	var d intel.Duration
	if err := d.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return epoch.Add(time.Duration(d))
}

// rowOf is the ledger row of a step; a run takes no time.
func rowOf(n int, at time.Time, text string) intel.Run {
	status, code, _ := strings.Cut(text, ":")
	run := intel.Run{ID: fmt.Sprintf("r%03d", n), Feed: "f", Trigger: "schedule", Status: intel.RunStatus(status), Started: at, Finished: at, Change: intel.Change{Open: 3}}
	switch run.Status {
	case intel.RunOK:
		if _, err := fmt.Sscan(code, &run.Change.Open); code != "" && err != nil {
			panic(err)
		}
	case intel.RunRejected:
		run.Trigger, run.SHA256 = TriggerReject, "abc"
	default:
		run.Code, run.Reason = code, "because of "+code
	}
	return run
}

func TestHealthAfterRuns(t *testing.T) {
	daily := feed.Definition{ID: "f", Interval: feed.DefaultInterval}
	with := func(change func(*feed.Definition)) feed.Definition {
		d := daily
		change(&d)
		return d
	}
	tests := []struct {
		name  string
		def   feed.Definition
		steps []step
	}{
		{"good from the start", daily, []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"24h", "unchanged", feed.ClassHealthy, "0s"},
			{"48h", "ok", feed.ClassHealthy, "0s"},
			{"71h", "", feed.ClassHealthy, "0s"},
		}},
		{"the first run fails", daily, []step{
			{"0s", "failed:dns", feed.ClassFailing, "0s"},
			{"1h", "failed:dns", feed.ClassFailing, "0s"},
			{"60d", "failed:dns", feed.ClassFailing, "0s"}, // it never had data that could be stale
			{"61d", "ok", feed.ClassHealthy, "61d"},
		}},
		{"fails and heals", daily, []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"24h", "failed:timeout", feed.ClassFailing, "24h"},
			{"25h", "failed:timeout", feed.ClassFailing, "24h"},
			{"26h", "unchanged", feed.ClassHealthy, "26h"},
			{"27h", "", feed.ClassHealthy, "26h"},
		}},
		{"fails until what it lists is too old", daily, []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"1d", "failed:status", feed.ClassFailing, "1d"},
			{"7d", "failed:status", feed.ClassFailing, "1d"},
			{"7d1s", "", feed.ClassStale, "7d"},
			{"8d", "failed:status", feed.ClassStale, "7d"},
			{"9d", "failed:status", feed.ClassStale, "7d"},
			{"10d", "ok", feed.ClassHealthy, "10d"},
		}},
		{"listings that end sooner are stale sooner", with(func(d *feed.Definition) { d.TTL.Default = intel.Duration(72 * time.Hour) }), []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"1d", "failed:status", feed.ClassFailing, "1d"},
			{"3d1s", "", feed.ClassStale, "3d"},
		}},
		{"a slow feed is stale later", with(func(d *feed.Definition) { d.Interval = intel.Duration(7 * 24 * time.Hour) }), []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"7d", "failed:status", feed.ClassFailing, "7d"},
			{"28d", "", feed.ClassFailing, "7d"},
			{"28d1s", "", feed.ClassStale, "28d"},
		}},
		{"nothing ran", daily, []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"48h", "", feed.ClassHealthy, "0s"},
			{"48h1s", "", feed.ClassDelayed, "48h"},
			{"60h", "ok", feed.ClassHealthy, "60h"},
			{"84h", "ok", feed.ClassHealthy, "60h"},
			{"30d", "", feed.ClassStale, "252h"},
			{"30d1h", "unchanged", feed.ClassHealthy, "721h"},
		}},
		{"hours of the day", with(func(d *feed.Definition) { d.Interval, d.CheckInterval = 0, []int{0, 20} }), []step{
			{"0s", "ok", feed.ClassHealthy, "0s"}, // at 12:00; due at 20:00, and its shortest period is four hours
			{"12h", "", feed.ClassHealthy, "0s"},
			{"12h1s", "", feed.ClassDelayed, "12h"},
		}},
		{"a short period has a quarter of an hour of grace", with(func(d *feed.Definition) { d.Interval = intel.Duration(time.Minute) }), []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"16m", "", feed.ClassHealthy, "0s"},
			{"16m1s", "", feed.ClassDelayed, "16m"},
		}},
		{"held back, approved", daily, []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"1d", "quarantined:shrink", feed.ClassQuarantined, "1d"},
			{"2d", "quarantined:shrink", feed.ClassQuarantined, "1d"},
			{"30d", "failed:dns", feed.ClassQuarantined, "1d"}, // a person must decide, whatever else there is
			{"31d", "ok", feed.ClassHealthy, "31d"},
		}},
		{"held back, then the old content again (304)", daily, []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"1d", "quarantined:html", feed.ClassQuarantined, "1d"},
			{"2d", "unchanged", feed.ClassHealthy, "2d"},
			{"3d", "unchanged", feed.ClassHealthy, "2d"},
		}},
		{"held back, rejected", daily, []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"24h", "quarantined:shrink", feed.ClassQuarantined, "24h"},
			{"25h", "rejected", feed.ClassHealthy, "25h"}, // the last good data is a day old
			{"48h", "unchanged:" + CodeRejectedBefore, feed.ClassHealthy, "25h"},
			{"72h", "unchanged:" + CodeRejectedBefore, feed.ClassDelayed, "48h"}, // but the publisher still sends it
			{"8d", "", feed.ClassStale, "7d"},
		}},
		{"the first run is rejected", daily, []step{
			{"0s", "quarantined:html", feed.ClassQuarantined, "0s"},
			{"1h", "rejected", feed.ClassEmpty, "1h"},
			{"24h", "unchanged:" + CodeRejectedBefore, feed.ClassEmpty, "1h"},
		}},
		{"an empty list is held back", daily, []step{
			{"0s", "ok", feed.ClassHealthy, "0s"},
			{"1d", "quarantined:empty", feed.ClassEmpty, "1d"},
			{"2d", "quarantined:empty", feed.ClassEmpty, "1d"},
			{"3d", "ok:0", feed.ClassEmpty, "1d"}, // somebody approved it
			{"4d", "unchanged", feed.ClassHealthy, "4d"},
		}},
		{"an empty list is normal", with(func(d *feed.Definition) { d.Guards.AllowEmpty = true }), []step{
			{"0s", "ok:0", feed.ClassHealthy, "0s"},
			{"1d", "ok:4", feed.ClassHealthy, "0s"},
			{"2d", "ok:0", feed.ClassHealthy, "0s"},
		}},
		{"only what is new is asked for, and nothing is", with(func(d *feed.Definition) { d.Since = &feed.Since{} }), []step{
			{"0s", "ok:0", feed.ClassHealthy, "0s"},
			{"1d", "unchanged", feed.ClassHealthy, "0s"},
			{"90d", "unchanged", feed.ClassHealthy, "90d"}, // it was late, and too old, in between
			{"91d", "unchanged", feed.ClassStale, "91d"},   // nothing new for so long is not normal
		}},
		{"the clock is set back", daily, []step{
			{"10d", "ok", feed.ClassHealthy, "10d"},
			{"1d", "", feed.ClassHealthy, "1d"}, // never in the future
			{"1d1h", "failed:dns", feed.ClassFailing, "25h"},
			{"1d2h", "ok", feed.ClassHealthy, "26h"},
			{"50h", "", feed.ClassHealthy, "26h"},
			{"75h", "", feed.ClassDelayed, "74h"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkSteps(t, &tt.def, tt.steps) })
	}
}

func checkSteps(t *testing.T, d *feed.Definition, steps []step) {
	t.Helper()
	st := feed.State{Feed: "f"}
	for i, s := range steps {
		now := since(t, s.at)
		if s.row != "" {
			st = after(st, rowOf(i, now, s.row), 0, d)
		}
		data, err := json.Marshal(st) // what outlives the process
		if err != nil {
			t.Fatal(err)
		}
		var read feed.State
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		h := feed.HealthOf(feed.Facts{Def: d, Enabled: true, HaveKey: true, State: read}, now)
		if want := since(t, s.since); h.Class != s.class || !h.Since.Equal(want) {
			t.Errorf("at %s after %q: %s since %s (%s), want %s since %s", s.at, s.row, h.Class, h.Since.Sub(epoch), h.Reason, s.class, s.since)
		}
		if sick := h.Class.Sick(); sick != (h.Reason != "") || sick != (h.Advice != "") {
			t.Errorf("at %s: %s with the reason %q and the advice %q", s.at, h.Class, h.Reason, h.Advice)
		}
	}
}

// A feed that stands still is stale only where that is unusual for it.
func TestHealthOfContentThatStandsStill(t *testing.T) {
	day := func(n int) time.Time { return epoch.AddDate(0, 0, n) }
	tests := []struct {
		name    string
		def     feed.Definition
		changes []int // days on which the content changed; it is pulled daily
		until   int   // the last pull
		class   feed.Class
		since   int
	}{
		{"unknown what is usual", feed.Definition{}, []int{0}, 90, feed.ClassHealthy, 0},
		{"unknown, for a quarter", feed.Definition{}, []int{0}, 91, feed.ClassStale, 91},
		{"usually daily", feed.Definition{}, []int{0, 1, 2, 3}, 17, feed.ClassHealthy, 0},
		{"usually daily, for two weeks", feed.Definition{}, []int{0, 1, 2, 3}, 18, feed.ClassStale, 18},
		{"usually monthly", feed.Definition{}, []int{0, 30, 60, 90}, 200, feed.ClassHealthy, 0},
		{"usually monthly, for months", feed.Definition{}, []int{0, 30, 60, 90}, 209, feed.ClassStale, 207},
		{"static by its definition", feed.Definition{Life: feed.LifeStatic}, []int{0}, 900, feed.ClassHealthy, 0},
		{"a slow feed", feed.Definition{Interval: intel.Duration(30 * 24 * time.Hour)}, []int{0, 1, 2, 3}, 200, feed.ClassHealthy, 0},
		{"changes again", feed.Definition{}, []int{0, 1, 2, 3, 50}, 51, feed.ClassHealthy, 50},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.def.ID = "f"
			st := feed.State{Feed: "f"}
			for i := range tt.until + 1 {
				row := "unchanged"
				for _, n := range tt.changes {
					if i == n {
						row = "ok"
					}
				}
				st = after(st, rowOf(i, day(i), row), 0, &tt.def)
			}
			h := feed.HealthOf(feed.Facts{Def: &tt.def, Enabled: true, HaveKey: true, State: st}, day(tt.until))
			if h.Class != tt.class || !h.Since.Equal(day(tt.since)) {
				t.Errorf("%s since day %v (%s), want %s since day %d; state %+v", h.Class, h.Since.Sub(epoch).Hours()/24, h.Reason, tt.class, tt.since, st)
			}
		})
	}
}

// One long standstill does not make a feed's silence usual for ever.
func TestStandstillsFade(t *testing.T) {
	st := feed.State{Feed: "f"}
	now := epoch
	for i := range 40 {
		pause := 24 * time.Hour
		if i == 5 {
			pause = 60 * 24 * time.Hour
		}
		for range int(pause / (24 * time.Hour)) {
			now = now.Add(24 * time.Hour)
			st = after(st, rowOf(i, now, "unchanged"), 0, nil)
		}
		now = now.Add(24 * time.Hour)
		st = after(st, rowOf(i, now, "ok"), 0, nil)
		if i == 5 && time.Duration(st.Still) < 59*24*time.Hour {
			t.Fatalf("the long standstill was not seen: %s", st.Still)
		}
	}
	if days := time.Duration(st.Still).Hours() / 24; days > 3 || days < 1 {
		t.Errorf("after 34 changes the standstill of 60 days counts %.1f days", days)
	}
}

// Without a definition, as when a store is repaired, everything but what its
// schedule says comes out the same.
func TestHealthWithoutDefinition(t *testing.T) {
	d := &feed.Definition{ID: "f", Interval: feed.DefaultInterval}
	var with, without feed.State
	for i, row := range []string{"failed:dns", "ok", "unchanged", "quarantined:shrink", "failed:dns", "rejected", "ok", "failed:dns", "failed:dns", "ok:0"} {
		run := rowOf(i, epoch.Add(time.Duration(i)*time.Hour), row)
		with, without = after(with, run, 0, d), after(without, run, 0, nil)
		if diff := cmp.Diff(with, without); diff != "" {
			t.Errorf("after %q (-with +without):\n%s", row, diff)
		}
	}
}

// Whatever happens to a feed, since is when it went into its class: it stays while
// the class does, and a change lies between the looks before and after it.
func TestSinceIsWhenTheClassBegan(t *testing.T) {
	const seeds = 40
	seen := map[feed.Class]int{}
	for seed := range uint64(seeds) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		d := &feed.Definition{ID: "f", Interval: intel.Duration([]time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}[rnd.IntN(3)])}
		d.Guards.AllowEmpty = rnd.IntN(4) == 0
		rows := []string{"ok", "ok", "ok:0", "unchanged", "unchanged", "unchanged", "failed:dns", "failed:dns", "quarantined:shrink", "quarantined:empty", "rejected", "unchanged:" + CodeRejectedBefore}
		st, now := feed.State{Feed: "f"}, epoch
		before := feed.HealthOf(feed.Facts{Def: d, Enabled: true, HaveKey: true, State: st}, now)
		last := now
		row := "ok"
		for i := range 150 {
			if rnd.IntN(3) == 0 {
				row = rows[rnd.IntN(len(rows))]
			}
			waits := st.Quarantined != ""
			if row == "rejected" && !waits || strings.HasSuffix(row, CodeRejectedBefore) && (waits || st.QuarantinedSHA == "") {
				row = "failed:dns" // there is nothing to be rejected
			}
			run := now.Add(time.Duration(rnd.Int64N(int64(d.Interval) * 3 / 2)))
			if rnd.IntN(20) == 0 {
				run = run.Add(time.Duration(rnd.Int64N(int64(200 * 24 * time.Hour))))
			}
			for ; now.Before(run); now = now.Add(max(time.Minute, run.Sub(now)/7)) {
				before, last = look(t, seed, d, st, before, last, now), now
				seen[before.Class]++
			}
			now = run
			before, last = look(t, seed, d, st, before, last, now), now
			st = after(st, rowOf(i, now, row), 0, d)
			before = look(t, seed, d, st, before, last, now)
		}
	}
	for _, c := range []feed.Class{feed.ClassHealthy, feed.ClassFailing, feed.ClassQuarantined, feed.ClassEmpty, feed.ClassDelayed, feed.ClassStale} {
		if seen[c] < seeds {
			t.Errorf("%s was seen %d times only", c, seen[c])
		}
	}
}

func look(t *testing.T, seed uint64, d *feed.Definition, st feed.State, before feed.Health, last, now time.Time) feed.Health {
	t.Helper()
	h := feed.HealthOf(feed.Facts{Def: d, Enabled: true, HaveKey: true, State: st}, now)
	switch {
	case h.Class == before.Class && !h.Since.Equal(before.Since):
		t.Fatalf("seed %d: %s since %s becomes %s since %s", seed, before.Class, before.Since, h.Class, h.Since)
	case h.Class != before.Class && (h.Since.Before(last) || h.Since.After(now)):
		t.Fatalf("seed %d: %s since %s becomes %s since %s (%s), between %s and %s", seed, before.Class, before.Since, h.Class, h.Since, h.Reason, last, now)
	}
	return h
}
