package feed

import (
	"fmt"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Class is how a feed is doing, in a word.
type Class string

// The classes of health. What each means exactly is in docs/operations.md.
const (
	ClassFailing     Class = "failing"     // the last run failed, or what is stored cannot be read
	ClassStale       Class = "stale"       // no good run, or no change of content, for far too long
	ClassQuarantined Class = "quarantined" // a guard holds a run back until a person decides
	ClassEmpty       Class = "empty"       // it answers and lists nothing, though that is not normal for it
	ClassDelayed     Class = "delayed"     // nothing failed, but the last good run is older than the schedule allows
	ClassNeedsKey    Class = "needs-key"   // switched on, and its secret does not exist
	ClassNew         Class = "new"         // never pulled yet
	ClassHealthy     Class = "healthy"     // none of these
	ClassArchived    Class = "archived"    // its publisher ended it, and it is not pulled
	ClassDisabled    Class = "disabled"    // switched off by a person or by its definition
)

// Classes returns all classes, the sick ones first.
func Classes() []Class {
	return []Class{ClassFailing, ClassStale, ClassQuarantined, ClassEmpty, ClassDelayed, ClassNeedsKey, ClassNew, ClassHealthy, ClassArchived, ClassDisabled}
}

// Sick says whether a feed of this class is pulled and is not doing well.
func (c Class) Sick() bool {
	switch c {
	case ClassNew, ClassHealthy, ClassArchived, ClassDisabled:
		return false
	}
	return true
}

// Health is how a feed is doing.
type Health struct {
	Class  Class
	Since  time.Time // when it went into Class; zero where that is not known
	Reason string    // why it is in Class; "" for healthy
	Advice string    // what to do next, with the command; "" where there is nothing to be done
}

// Facts is what the health of a feed is told by.
type Facts struct {
	Def      *Definition
	Enabled  bool      // it is pulled
	Switched time.Time // when a person switched it on or off; zero where its definition decides
	HaveKey  bool      // its secret exists, or it needs none
	State    State
	Listings int    // open now
	Snapshot string // day of the starter data, where that is all that is listed
	Broken   error  // why what is stored of it cannot be read, or nil
}

// The times by which a feed is judged.
const (
	// leastGrace is how long a run may be late, however short the feed's period.
	leastGrace = 15 * time.Minute
	// A feed is stale without a good run for outdatedPeriods, and never before leastOutdated.
	outdatedPeriods = 4
	leastOutdated   = 7 * 24 * time.Hour
	// A feed whose content stands still is stale after stillTimes its longest
	// standstill so far, and never before stillPeriods and leastStill. Where fewer
	// than enoughChanges were seen nobody knows what is usual: longStill.
	stillTimes    = 4
	stillPeriods  = 10
	leastStill    = 14 * 24 * time.Hour
	longStill     = 90 * 24 * time.Hour
	enoughChanges = 4
)

// HealthOf judges a feed at now. It is pure: the same facts give the same health
// in every process and after every restart.
func HealthOf(f Facts, now time.Time) Health {
	h := judge(&f, now)
	if h.Class == f.State.Class {
		h.Since = f.State.Since
	}
	if f.Switched.After(h.Since) {
		h.Since = f.Switched
	}
	if h.Since.After(now) { // the clock was set back
		h.Since = now
	}
	return h
}

// judge is HealthOf without what the state remembers: Since is when the class
// follows from the clock alone, else zero.
func judge(f *Facts, now time.Time) Health {
	switch {
	case !f.Enabled:
		return f.off()
	case !f.HaveKey:
		return f.keyless()
	case f.Broken != nil:
		return Health{Class: ClassFailing, Reason: "its stored data cannot be read: " + f.Broken.Error(),
			Advice: "`elasticintel verify` says more; restore a backup, or let " + f.command("ingest") + " start the feed anew and approve it"}
	case f.State.Quarantined != "":
		return f.held()
	case f.State.LastAttempt.IsZero():
		return f.unseen()
	}
	return f.pulled(now)
}

// off judges a feed that is not pulled.
func (f *Facts) off() Health {
	h := Health{Class: ClassDisabled, Reason: "switched off", Advice: f.command("feeds enable") + " pulls it"}
	switch {
	case f.Def.Ended():
		h = Health{Class: ClassArchived, Reason: "its publisher ended it"}
		if by := f.Def.ReplacedBy; by != "" {
			h.Reason += "; " + by + " replaces it"
			h.Advice = "`elasticintel feeds enable " + by + "` pulls what replaces it"
		}
	case f.Switched.IsZero():
		h.Reason += " by its definition"
	}
	if f.Listings > 0 {
		h.Reason += fmt.Sprintf("; %d listings of it are still held", f.Listings)
	}
	return h
}

func (f *Facts) keyless() Health {
	h := Health{Class: ClassNeedsKey, Reason: "its secret " + f.Def.Auth.Secret + " does not exist", Advice: f.keyCommand() + " gives it, `elasticintel feeds disable " + f.Def.ID + "` goes without"}
	if last := f.State.LastAttempt; !last.IsZero() {
		h.Since = f.Def.after(last) // the first run that was not made
	}
	return h
}

// held judges a feed of which a run waits for a person.
func (f *Facts) held() Health {
	st := &f.State
	h := Health{Class: ClassQuarantined, Reason: "run " + st.Quarantined + " is held back"}
	if st.QuarantinedCode == codeEmpty {
		h.Class = ClassEmpty
	}
	if st.QuarantinedReason != "" {
		h.Reason += ": " + st.QuarantinedReason
	}
	if st.Failures > 0 {
		h.Reason += fmt.Sprintf("; the last %d runs failed: %s", st.Failures, st.LastRun.Reason)
	}
	h.Advice = f.command("feeds runs") + " shows it; " + f.command("feeds approve") + " takes it up, " + f.command("feeds reject") + " drops it"
	return h
}

// codeEmpty is the code of runs that are held back because they list nothing.
const codeEmpty = "empty"

func (f *Facts) unseen() Health {
	h := Health{Class: ClassNew, Reason: "never pulled yet", Advice: f.command("ingest") + " pulls it now, `elasticintel serve` when it is due"}
	if f.Snapshot != "" {
		h.Reason += "; what it lists is starter data of " + f.Snapshot
	}
	return h
}

// pulled judges a feed by its runs.
func (f *Facts) pulled(now time.Time) Health {
	d, st := f.Def, &f.State
	late := d.lateFrom(st.LastGood)
	switch {
	case !st.LastGood.IsZero() && now.Sub(st.LastGood) > d.outdated():
		return Health{ClassStale, st.LastGood.Add(d.outdated()), "no good run since " + day(st.LastGood) + f.why(),
			f.command("ingest") + " tries again; " + f.command("feeds disable") + " gives it up" + f.home()}
	case st.Failures > 0:
		return Health{Class: ClassFailing, Reason: fmt.Sprintf("%s failed in a row: %s", runs(st.Failures), st.LastRun.Reason), Advice: f.mend()}
	case st.LastGood.IsZero():
		return Health{Class: ClassEmpty, Reason: "nothing of it was ever taken" + f.why(), Advice: f.command("feeds runs") + " shows what it sends; " + f.command("feeds disable") + " gives it up"}
	case f.standsStill():
		return Health{ClassStale, st.Changed.Add(d.maxStill(st)), "it answers, but has listed the same since " + day(st.Changed) + usual(st),
			f.command("feeds disable") + " gives it up; `\"life\": \"static\"` in its definition says that it is normal" + f.home()}
	case now.After(late):
		return Health{ClassDelayed, late, "a run was due at " + d.after(st.LastGood).UTC().Format(time.RFC3339) + f.why(),
			f.command("ingest") + " runs it now; a running `elasticintel serve` keeps the schedule"}
	case st.Empty && !d.Guards.AllowEmpty && !d.Delta():
		return Health{Class: ClassEmpty, Reason: "its last good run lists nothing",
			Advice: f.command("feeds runs") + " shows when that began; `allow_empty` in the guards of its definition says that it is normal" + f.home()}
	}
	return Health{Class: ClassHealthy}
}

// standsStill says whether the last good run saw what had been listed for too long. Of
// a feed that is asked for what is new only, nothing new for so long is not normal either.
func (f *Facts) standsStill() bool {
	st := &f.State
	return f.Def.Life != LifeStatic && (!st.Empty || f.Def.Delta()) && !st.Changed.IsZero() && st.LastGood.Sub(st.Changed) > f.Def.maxStill(st)
}

// why says what became of the runs since the last good one.
func (f *Facts) why() string {
	switch st := &f.State; {
	case st.Failures > 0:
		return fmt.Sprintf("; %s failed in a row: %s", runs(st.Failures), st.LastRun.Reason)
	case st.LastAttempt.After(st.LastGood):
		return "; since then it sends what was rejected"
	case !st.LastGood.IsZero():
		return "; none was made"
	}
	return ""
}

func runs(n int) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprintf("%d runs", n)
}

// mend is what helps against the failure of the last run.
func (f *Facts) mend() string {
	again := f.command("ingest") + " tries again now"
	switch run := &f.State.LastRun; {
	case run.Code == "disk":
		return "free some space; then " + again
	case run.HTTPStatus == 401 || run.HTTPStatus == 403:
		if f.Def.NeedsKey() {
			return f.keyCommand() + " gives another key; then " + again
		}
	case run.HTTPStatus == 404 || run.HTTPStatus == 410:
		return again + "; where the list has moved, change `feed_url`" + f.home()
	}
	return again + "; " + f.command("feeds runs") + " shows what it did before"
}

// home points to where the publisher explains the feed.
func (f *Facts) home() string {
	if f.Def.Homepage == "" {
		return ""
	}
	return "; see " + f.Def.Homepage
}

func (f *Facts) command(verb string) string { return "`elasticintel " + verb + " " + f.Def.ID + "`" }

func (f *Facts) keyCommand() string {
	return "`elasticintel feeds enable " + f.Def.ID + " --secret " + f.Def.Auth.Secret + "=-`"
}

func usual(st *State) string {
	if st.Changes < enoughChanges {
		return ""
	}
	return "; the longest it stood still before is about " + intel.Duration(time.Duration(st.Still).Round(time.Hour)).String()
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// lateFrom is when the run after one at last is overdue: its time and as much
// again as the feed's period.
func (d *Definition) lateFrom(last time.Time) time.Time {
	return d.after(last).Add(max(d.period(), leastGrace))
}

// outdated is the age of the last good run from which what is listed is too old.
// Where listings end sooner by themselves (ttl, of some kind), it is that.
func (d *Definition) outdated() time.Duration {
	limit := max(leastOutdated, outdatedPeriods*d.period())
	if ttl := time.Duration(d.shortestTTL()); ttl > 0 && ttl < limit {
		limit = max(ttl, 2*d.period())
	}
	return limit
}

// maxStill is how long the feed's content may stand still.
func (d *Definition) maxStill(st *State) time.Duration {
	limit := longStill
	if st.Changes >= enoughChanges {
		limit = max(leastStill, stillTimes*time.Duration(st.Still))
	}
	return max(limit, stillPeriods*d.period())
}
