package feed

import (
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// View is a feed as the API and the command line show it.
type View struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Provider      string         `json:"provider"`
	Kind          string         `json:"kind"`
	Type          string         `json:"type"`
	Enabled       bool           `json:"enabled"`
	Licence       string         `json:"licence"`
	Terms         string         `json:"terms"`
	CommercialUse *bool          `json:"commercial_use"`
	Presence      intel.Presence `json:"presence"`
	NeedsKey      bool           `json:"needs_key"`
	Description   string         `json:"description"`
	State         ViewState      `json:"state"`
}

// ViewState is how a feed is doing.
type ViewState struct {
	Status      string     `json:"status"`   // one of the Status… constants
	Listings    int        `json:"listings"` // open now
	LastRun     *time.Time `json:"last_run"`
	LastGood    *time.Time `json:"last_good"`
	Next        *time.Time `json:"next"` // nil where it is not pulled
	Failures    int        `json:"failures"`
	Error       string     `json:"error,omitempty"`
	Snapshot    string     `json:"snapshot,omitempty"`    // the listings are starter data of this day
	Quarantined string     `json:"quarantined,omitempty"` // run that waits for a decision
}

// What ViewState.Status says.
const (
	StatusOK            = "ok"
	StatusNever         = "never"
	StatusFailed        = "failed"
	StatusQuarantined   = "quarantined"
	StatusDisabled      = "disabled"
	StatusWaitingForKey = "waiting-for-key"
)

// NewView puts together what is known of a feed.
func NewView(d *Definition, enabled, haveKey bool, st State, listings int, snapshot string, now time.Time) View {
	panic("todo")
}
