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
}

// Job is one run to be done.
type Job struct {
	Def      *Definition
	Trigger  string                        // as in intel.Run: schedule, manual, file, starter, …
	File     string                        // path of a file that stands in for the download
	Open     func() (io.ReadCloser, error) // the same for data without a path
	Snapshot string                        // YYYY-MM-DD, for starter data
	Who      string                        // who asked for it
	Progress func(Progress)                // may be nil; called from one goroutine
}

// Progress is how far a run has come.
type Progress struct {
	Feed  string
	Phase string // fetch, parse or store
	Done  int64  // bytes, or records once parsed
	Total int64  // 0 = not known
}
