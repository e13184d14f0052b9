package feed

import (
	"io"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Setting is a user's own choice whether a feed is pulled.
type Setting struct {
	Enabled bool      `json:"enabled"`
	At      time.Time `json:"at"`
	Who     string    `json:"who,omitempty"`
}

// State is what is remembered of a feed between runs: object state/FEED.json.
type State struct {
	Feed           string    `json:"feed"`
	LastAttempt    time.Time `json:"last_attempt,omitzero"`
	LastGood       time.Time `json:"last_good,omitzero"`
	NotBefore      time.Time `json:"not_before,omitzero"` // from the publisher's Retry-After
	Failures       int       `json:"failures,omitempty"`  // failed runs in a row
	LastRun        intel.Run `json:"last_run,omitzero"`
	Quarantined    string    `json:"quarantined,omitempty"`        // id of the run that waits for a decision
	QuarantinedSHA string    `json:"quarantined_sha256,omitempty"` // of its bytes

	QuarantinedCode   string         `json:"quarantined_code,omitempty"`
	QuarantinedReason string         `json:"quarantined_reason,omitempty"`
	Class             Class          `json:"class,omitempty"`   // the health at the end of the last run
	Since             time.Time      `json:"since,omitzero"`    // when the feed went into Class
	Changed           time.Time      `json:"changed,omitzero"`  // when a run last changed what is listed
	Changes           int            `json:"changes,omitempty"` // how many runs did
	Still             intel.Duration `json:"still,omitempty"`   // longest time that the content was seen to stand still; older ones count less
	Empty             bool           `json:"empty,omitempty"`   // the last good run left nothing listed
}

// Then completes next, which a run made of st, with the health that follows. d
// is the feed's definition as far as it is known, else nil: then no run is ever
// too late.
func (st State) Then(next State, d *Definition, run intel.Run) State {
	if d == nil {
		d = &Definition{Interval: intel.Duration(patience)}
	}
	f := Facts{Def: d, Enabled: true, HaveKey: true, State: st}
	was := HealthOf(f, run.Started)
	f.State = next
	next.Class, next.Since = judge(&f, run.Finished).Class, was.Since
	if next.Class != was.Class || next.Since.IsZero() {
		next.Since = run.Finished
	}
	return next
}

// patience is a period that is never over.
const patience = 20 * 365 * 24 * time.Hour

// Change notes a run that changed what is listed, at its end. Standstills are
// told by the good runs that saw them, so a time without runs is none.
func (st *State) Change(at time.Time) {
	if !st.Changed.IsZero() {
		still := max(0, st.LastGood.Sub(st.Changed))
		st.Still = max(intel.Duration(still), st.Still/10*9)
	}
	st.Changed = at
	st.Changes++
}

// Job is one run to be done.
type Job struct {
	Def      *Definition
	Trigger  string                        // as in intel.Run: schedule, manual, file, starter, …
	File     string                        // path of a file that stands in for the download
	Open     func() (io.ReadCloser, error) // the same for data without a path
	Snapshot string                        // YYYY-MM-DD, for starter data
	Who      string                        // who asked for it
	ID       string                        // of the queue's message that asks for it; stands in the ledger
	HandOver bool                          // may be done in parts, each by a run of the same job; needs an ID
	Progress func(Progress)                // may be nil; called from one goroutine
}

// Progress is how far a run has come.
type Progress struct {
	Feed  string
	Phase string // fetch, parse or store
	Done  int64  // bytes, or records once parsed
	Total int64  // 0 = not known
}
