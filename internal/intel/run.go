package intel

import "time"

// RunStatus is how a run ended.
type RunStatus string

// The ways a run ends.
const (
	RunOK          RunStatus = "ok"          // new content accepted, a new head written
	RunUnchanged   RunStatus = "unchanged"   // the feed says what it said before
	RunQuarantined RunStatus = "quarantined" // held back by a guard; the last good data stays
	RunFailed      RunStatus = "failed"      // could not be fetched, read or stored
	RunRejected    RunStatus = "rejected"    // a person refused a quarantined run
	RunSuperseded  RunStatus = "superseded"  // another process finished a run of this feed first
)

// Counts is the accounting of one run: Read = Accepted + Duplicate + Suppressed + Rejected.
type Counts struct {
	Read       int `json:"read"`
	Accepted   int `json:"accepted"`
	Duplicate  int `json:"duplicate"`
	Suppressed int `json:"suppressed"`
	Rejected   int `json:"rejected"`
}

// Reject is one record that was not accepted, and why.
type Reject struct {
	Line   int    `json:"line"`
	Value  string `json:"value"`
	Reason string `json:"reason"`
}

// Change is what a run changed against the feed's previous good run.
type Change struct {
	New      int `json:"new"`
	Updated  int `json:"updated"`
	Relisted int `json:"relisted"`
	Removed  int `json:"removed"` // de-listed or aged out, by the feed's presence model
	Open     int `json:"listed"`  // listings open after the run
}

// Run is one ledger row: one execution of a feed, or a person's decision about one.
type Run struct {
	ID         string    `json:"id"` // sortable: UTC time and random tail
	Feed       string    `json:"feed"`
	Trigger    string    `json:"trigger"` // schedule manual file approve reject starter
	Status     RunStatus `json:"status"`
	Started    time.Time `json:"started"`
	Finished   time.Time `json:"finished"`
	HTTPStatus int       `json:"http_status,omitempty"`
	Source     string    `json:"source,omitempty"` // redacted URL, or the file's name
	Bytes      int64     `json:"bytes"`
	SHA256     string    `json:"sha256,omitempty"` // of the bytes as received
	Raw        string    `json:"raw,omitempty"`    // key of the archived bytes
	Counts
	Rejects []Reject `json:"rejects,omitempty"` // the first 20
	Change
	Code   string `json:"code,omitempty"`   // machine word for Reason: empty html shrink growth rejects …
	Reason string `json:"reason,omitempty"` // why quarantined, failed or unchanged, in a sentence
	Who    string `json:"who,omitempty"`    // who decided (approve, reject)
	Why    string `json:"why,omitempty"`
	Of     string `json:"of,omitempty"` // the run decided about

	Job   string `json:"job,omitempty"`   // the message of a queue that asked for it, if one did
	Parts int    `json:"parts,omitempty"` // in how many parts it was done, where one was not enough
}

// Stats counts what a corpus holds now.
type Stats struct {
	Listings   int            `json:"listings"`   // open now
	Indicators int            `json:"indicators"` // distinct ones among them
	Feeds      int            `json:"feeds"`
	ByKind     map[string]int `json:"by_kind"` // open listings by the kind's name
	Bytes      int64          `json:"bytes"`   // of all segments
	Segments   int            `json:"segments"`
	Indexes    int            `json:"indexes"` // text indexes that a search asks
	Memory     Memory         `json:"memory"`
}

// Memory is what a corpus takes of it, in bytes. What requests take comes on top.
type Memory struct {
	Mapped    int64 `json:"mapped"`    // files in the address space, of which the system keeps in memory what is used and there is room for
	Copied    int64 `json:"copied"`    // files held whole, where the store cannot map them
	Directory int64 `json:"directory"` // the table of exact look-ups
	Networks  int64 `json:"networks"`  // the table of networks, about
	Replaced  int64 `json:"replaced"`  // which records others replace
}
