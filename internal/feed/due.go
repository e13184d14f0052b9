package feed

import (
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// TriggerSchedule is the trigger of the jobs that Due makes.
const TriggerSchedule = "schedule"

// Limits of back-off for a feed that fails.
const (
	minBackoff = 5 * time.Minute
	maxBackoff = 6 * time.Hour
	// maxRetryAfter caps what a publisher may ask for in a Retry-After.
	maxRetryAfter = 7 * 24 * time.Hour
)

// Due returns the jobs to start at now, the longest overdue first, so that
// where few run at a time none is passed over for ever. A feed that missed
// several of its times while nothing ran is due once. enabled nil means
// OnByDefault.
func Due(defs []*Definition, enabled func(*Definition) bool, states map[string]State, now time.Time) []Job {
	return DueWithin(defs, enabled, states, now, 0)
}

// DueWithin is Due for who looks only now and then: a feed with an interval that
// becomes due within ahead is due now, because at the next look it would be late.
// One that failed, whose publisher asked for a pause, or that names its hours is
// not pulled early.
func DueWithin(defs []*Definition, enabled func(*Definition) bool, states map[string]State, now time.Time, ahead time.Duration) []Job {
	type due struct {
		job Job
		at  time.Time
	}
	var list []due
	for _, d := range defs {
		if enabled == nil && !d.OnByDefault() || enabled != nil && !enabled(d) {
			continue
		}
		st, until := states[d.ID], now
		if len(d.CheckInterval) == 0 && st.Failures == 0 && !st.NotBefore.After(now) {
			until = now.Add(min(ahead, d.period()/2))
		}
		if at := dueAt(d, st, now); !at.After(until) {
			list = append(list, due{Job{Def: d, Trigger: TriggerSchedule}, at})
		}
	}
	slices.SortStableFunc(list, func(a, b due) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return strings.Compare(a.job.Def.ID, b.job.Def.ID)
	})
	jobs := make([]Job, len(list))
	for i := range list {
		jobs[i] = list[i].job
	}
	return jobs
}

// Next returns when d is next due by its schedule and state, now where it is due already.
func Next(d *Definition, st State, now time.Time) time.Time {
	if at := dueAt(d, st, now); at.After(now) {
		return at
	}
	return now
}

// dueAt is the time from which d may run. A feed that never ran is due since ever.
func dueAt(d *Definition, st State, now time.Time) time.Time {
	if st.LastAttempt.IsZero() {
		return time.Time{}
	}
	if st.LastAttempt.Sub(now) > d.period() { // the clock was set back: what it said then means nothing now
		return now
	}
	at := d.after(st.LastAttempt)
	if st.Failures > 0 && st.LastRun.Status != intel.RunQuarantined {
		at = st.LastAttempt.Add(backoff(st.Failures, d.period()))
	}
	if st.NotBefore.After(at) {
		at = st.NotBefore
		if latest := st.LastAttempt.Add(maxRetryAfter); at.After(latest) {
			at = latest
		}
	}
	return at
}

// after returns the first time of the feed's schedule after t.
func (d *Definition) after(t time.Time) time.Time {
	if d.Interval > 0 || len(d.CheckInterval) == 0 {
		return t.Add(d.period())
	}
	t = t.UTC()
	year, month, day := t.Date()
	for _, h := range d.CheckInterval {
		if slot := time.Date(year, month, day, h, 0, 0, 0, time.UTC); slot.After(t) {
			return slot
		}
	}
	return time.Date(year, month, day+1, d.CheckInterval[0], 0, 0, 0, time.UTC)
}

// period is the feed's interval, or the shortest time between two of its hours.
func (d *Definition) period() time.Duration {
	hours := d.CheckInterval
	switch {
	case d.Interval > 0:
		return time.Duration(d.Interval)
	case len(hours) == 0:
		return time.Duration(DefaultInterval)
	}
	shortest := 24 - hours[len(hours)-1] + hours[0]
	for i := 1; i < len(hours); i++ {
		shortest = min(shortest, hours[i]-hours[i-1])
	}
	return time.Duration(shortest) * time.Hour
}

// backoff is how long a feed waits after its n-th failure in a row: five
// minutes, doubled each time, up to its own period or six hours.
func backoff(n int, period time.Duration) time.Duration {
	limit := max(min(period, maxBackoff), minBackoff)
	wait := minBackoff
	for i := 1; i < n && wait < limit; i++ {
		wait *= 2
	}
	return min(wait, limit)
}
