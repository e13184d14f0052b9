package feed

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

func at(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		panic(err)
	}
	return t
}

func every(d time.Duration) *Definition { return &Definition{ID: "a", Interval: intel.Duration(d)} }
func hours(h ...int) *Definition        { return &Definition{ID: "a", CheckInterval: h} }

func TestNext(t *testing.T) {
	const last = "2026-03-01 10:30:00"
	attempt := State{LastAttempt: at(last)}
	failed := func(n int) State {
		return State{LastAttempt: at(last), Failures: n, LastRun: intel.Run{Status: intel.RunFailed}}
	}
	tests := []struct {
		name string
		def  *Definition
		st   State
		now  string
		want string // "" = due
	}{
		{"never ran", every(time.Hour), State{}, last, ""},
		{"never ran, hours", hours(3), State{}, last, ""},
		{"interval running", every(time.Hour), attempt, "2026-03-01 11:29:59", "2026-03-01 11:30:00"},
		{"interval over", every(time.Hour), attempt, "2026-03-01 11:30:00", ""},
		{"no schedule is daily", &Definition{}, attempt, "2026-03-01 11:30:00", "2026-03-02 10:30:00"},
		{"hour later today", hours(8, 12, 16), attempt, "2026-03-01 11:59:59", "2026-03-01 12:00:00"},
		{"hour has come", hours(8, 12, 16), attempt, "2026-03-01 12:00:00", ""},
		{"hour tomorrow", hours(3, 8), attempt, "2026-03-01 23:00:00", "2026-03-02 03:00:00"},
		{"ran within its hour", hours(10), attempt, "2026-03-01 10:59:00", "2026-03-02 10:00:00"},
		{"ran on the dot", hours(10), State{LastAttempt: at("2026-03-01 10:00:00")}, "2026-03-01 10:00:00", "2026-03-02 10:00:00"},
		{"last of the month", hours(5), State{LastAttempt: at("2026-12-31 06:00:00")}, "2026-12-31 07:00:00", "2027-01-01 05:00:00"},
		{"other zone", hours(12), State{LastAttempt: at(last).In(time.FixedZone("", 9*3600))}, "2026-03-01 11:00:00", "2026-03-01 12:00:00"},
		{"interval wins over hours", &Definition{Interval: intel.Duration(time.Minute), CheckInterval: []int{3}}, attempt, "2026-03-01 10:30:30", "2026-03-01 10:31:00"},
		{"down for days", hours(0, 6, 12, 18), attempt, "2026-03-09 11:00:00", ""},
		{"first failure", every(24 * time.Hour), failed(1), "2026-03-01 10:31:00", "2026-03-01 10:35:00"},
		{"third failure", every(24 * time.Hour), failed(3), "2026-03-01 10:31:00", "2026-03-01 10:50:00"},
		{"many failures", every(48 * time.Hour), failed(1000), "2026-03-01 10:31:00", "2026-03-01 16:30:00"},
		{"capped at its interval", every(15 * time.Minute), failed(9), "2026-03-01 10:31:00", "2026-03-01 10:45:00"},
		{"at least five minutes", every(time.Minute), failed(1), "2026-03-01 10:31:00", "2026-03-01 10:35:00"},
		{"capped at its shortest gap", hours(0, 1, 12), failed(9), "2026-03-01 10:31:00", "2026-03-01 11:30:00"},
		{"quarantined keeps its schedule", every(time.Hour), State{LastAttempt: at(last), Failures: 3, Quarantined: "r", LastRun: intel.Run{Status: intel.RunQuarantined}},
			"2026-03-01 10:31:00", "2026-03-01 11:30:00"},
		{"retry-after", every(time.Hour), State{LastAttempt: at(last), NotBefore: at("2026-03-01 15:00:00")}, "2026-03-01 12:00:00", "2026-03-01 15:00:00"},
		{"retry-after is over", every(time.Hour), State{LastAttempt: at(last), NotBefore: at("2026-03-01 11:00:00")}, "2026-03-01 11:30:00", ""},
		{"retry-after without sense", every(time.Hour), State{LastAttempt: at(last), NotBefore: at("2099-03-01 11:00:00")}, "2026-03-01 12:00:00", "2026-03-08 10:30:00"},
		{"clock a little back", every(time.Hour), attempt, "2026-03-01 10:00:00", "2026-03-01 11:30:00"},
		{"clock far back", every(time.Hour), attempt, "2026-03-01 09:29:00", ""},
		{"clock far back, with retry-after", every(time.Hour), State{LastAttempt: at(last), NotBefore: at("2026-03-02 00:00:00")}, "2025-03-01 09:29:00", ""},
		{"clock far back, hours", hours(3), attempt, "2025-01-01 00:00:00", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := at(tt.now)
			want := now
			if tt.want != "" {
				want = at(tt.want)
			}
			if got := Next(tt.def, tt.st, now); !got.Equal(want) {
				t.Errorf("next %v, want %v", got, want)
			}
			tt.def.ID = "a"
			jobs := Due([]*Definition{tt.def}, nil, map[string]State{"a": tt.st}, now)
			if due := len(jobs) == 1; due != (tt.want == "") {
				t.Errorf("due %v at %v", due, now)
			}
		})
	}
}

func TestDueOrderAndEnabled(t *testing.T) {
	off := false
	now := at("2026-03-01 12:00:00")
	defs := []*Definition{
		{ID: "recent", Interval: intel.Duration(time.Hour)},
		{ID: "late", Interval: intel.Duration(time.Hour)},
		{ID: "off", Enabled: &off},
		{ID: "waits", Interval: intel.Duration(time.Hour)},
		{ID: "new"},
		{ID: "also-new"},
	}
	states := map[string]State{
		"recent": {LastAttempt: now.Add(-61 * time.Minute)}, "late": {LastAttempt: now.Add(-48 * time.Hour)}, "waits": {LastAttempt: now},
	}
	ids := func(enabled func(*Definition) bool) (ids []string) {
		for _, j := range Due(defs, enabled, states, now) {
			if j.Trigger != TriggerSchedule || j.File != "" || j.Open != nil {
				t.Errorf("job %+v", j)
			}
			ids = append(ids, j.Def.ID)
		}
		return ids
	}
	if got, want := ids(nil), []string{"also-new", "new", "late", "recent"}; !slices.Equal(got, want) {
		t.Errorf("due %q, want %q", got, want)
	}
	if got, want := ids(func(d *Definition) bool { return d.ID == "off" || d.ID == "late" }), []string{"off", "late"}; !slices.Equal(got, want) {
		t.Errorf("due by setting %q, want %q", got, want)
	}
}

// TestDueOverTime plays weeks of a scheduler that ticks at random, is down at
// times and whose runs may fail, and holds it to what a schedule promises.
func TestDueOverTime(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := randomDefinition(r)
		now := at("2026-03-01 00:00:00").Add(time.Duration(r.IntN(100000)) * time.Second)
		var st State
		for range 400 {
			step := time.Duration(1+r.IntN(600)) * time.Second
			if r.IntN(40) == 0 {
				step = time.Duration(r.IntN(100)) * time.Hour // down
			}
			before := now
			now = now.Add(step)
			due := len(Due([]*Definition{d}, nil, map[string]State{d.ID: st}, now)) == 1
			next := Next(d, st, now)
			if due != next.Equal(now) {
				t.Fatalf("seed %d: due %v but next %v at %v", seed, due, next, now)
			}
			if limit := longestWait(d); !due && next.Sub(now) > limit {
				t.Fatalf("seed %d: waits %v, more than %v", seed, next.Sub(now), limit)
			}
			if due && !st.LastAttempt.IsZero() && st.Failures == 0 && !slotBetween(d, st.LastAttempt, now) {
				t.Fatalf("seed %d: due at %v without a slot since %v (before %v)", seed, now, st.LastAttempt, before)
			}
			if !due && st.Failures == 0 && slotBetween(d, st.LastAttempt, now) {
				t.Fatalf("seed %d: not due at %v although a slot passed since %v", seed, now, st.LastAttempt)
			}
			if due {
				st.LastAttempt, st.LastRun.Status = now, intel.RunOK
				st.Failures = 0
				if r.IntN(3) == 0 {
					st.Failures, st.LastRun.Status = 1+r.IntN(20), intel.RunFailed
				}
				// However many times were missed, one run makes up for them.
				if len(Due([]*Definition{d}, nil, map[string]State{d.ID: st}, now)) != 0 {
					t.Fatalf("seed %d: due twice at %v", seed, now)
				}
			}
		}
	}
}

func randomDefinition(r *rand.Rand) *Definition {
	if r.IntN(2) == 0 {
		return every(time.Duration(1+r.IntN(3000)) * time.Minute)
	}
	h := r.Perm(24)[:1+r.IntN(23)]
	slices.Sort(h)
	return hours(h...)
}

func longestWait(d *Definition) time.Duration {
	if d.Interval > 0 {
		return max(time.Duration(d.Interval), 5*time.Minute)
	}
	return 24 * time.Hour
}

// slotBetween says, hour by hour, whether one of the feed's times lies in (from, to].
func slotBetween(d *Definition, from, to time.Time) bool {
	if d.Interval > 0 {
		return to.Sub(from) >= time.Duration(d.Interval)
	}
	for h := from.Truncate(time.Hour).Add(time.Hour); !h.After(to); h = h.Add(time.Hour) {
		if slices.Contains(d.CheckInterval, h.Hour()) {
			return true
		}
	}
	return false
}

// Who looks once an hour pulls a feed of an hour's interval at each look.
func TestDueWithin(t *testing.T) {
	now := at("2026-03-01 12:00:00")
	last := func(s string) State { return State{LastAttempt: at(s)} }
	failed := last("2026-03-01 11:58:00")
	failed.Failures = 1
	paused := last("2026-03-01 11:00:07")
	paused.NotBefore = now.Add(time.Minute)
	for name, c := range map[string]struct {
		d    *Definition
		st   State
		want bool
	}{
		"moments too early": {every(time.Hour), last("2026-03-01 11:00:07"), true},
		"too early":         {every(time.Hour), last("2026-03-01 11:05:00"), false},
		"short interval":    {every(5 * time.Minute), last("2026-03-01 11:58:00"), false},
		"hours":             {hours(0, 12), last("2026-03-01 00:00:07"), true},
		"hours, too early":  {hours(12), State{LastAttempt: at("2026-03-01 12:00:00")}, false},
		"failed":            {every(time.Hour), failed, false},
		"paused":            {every(time.Hour), paused, false},
	} {
		on := func(*Definition) bool { return true }
		got := len(DueWithin([]*Definition{c.d}, on, map[string]State{"a": c.st}, now, 4*time.Minute)) == 1
		if got != c.want {
			t.Errorf("%s: due %v", name, got)
		}
		if early := len(Due([]*Definition{c.d}, on, map[string]State{"a": c.st}, now)) == 1; early && !got {
			t.Errorf("%s: due, but not within four minutes", name)
		}
	}
}
