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
	Life          string         `json:"life"`     // of the publisher: one of the Life… constants, "" where nothing is said
	Evidence      string         `json:"evidence"` // what Life rests on
	Checked       string         `json:"checked"`  // YYYY-MM-DD, or ""
	ReplacedBy    string         `json:"replaced_by"`
	Expect        int            `json:"expect"` // listings a healthy pull has, about; 0 = not known
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

// NewView puts together what is known of a feed: its definition, whether it is
// pulled, whether its secret exists, its state, how many listings are open, and
// the day of the starter data where they are that.
func NewView(d *Definition, enabled, haveKey bool, st State, listings int, snapshot string, now time.Time) View {
	v := View{
		ID: d.ID, Name: d.Name, Provider: d.Provider, Kind: d.KindName(), Type: d.Type, Enabled: enabled,
		Licence: d.Licence, Terms: d.Terms, CommercialUse: d.CommercialUse, Presence: d.Presence,
		NeedsKey: d.NeedsKey(), Description: d.Description,
		Life: d.Life, Evidence: d.Evidence, Checked: d.Checked, ReplacedBy: d.ReplacedBy, Expect: d.Expect,
		State: ViewState{
			Status: status(d, enabled, haveKey, st), Listings: listings, Failures: st.Failures,
			Snapshot: snapshot, Quarantined: st.Quarantined,
			LastRun: instant(st.LastAttempt), LastGood: instant(st.LastGood),
		},
	}
	if st.LastRun.Status == intel.RunFailed || st.LastRun.Status == intel.RunQuarantined {
		v.State.Error = st.LastRun.Reason
	}
	if v.State.Status != StatusDisabled && v.State.Status != StatusWaitingForKey {
		v.State.Next = instant(Next(d, st, now))
	}
	return v
}

func status(d *Definition, enabled, haveKey bool, st State) string {
	switch {
	case !enabled:
		return StatusDisabled
	case d.NeedsKey() && !haveKey:
		return StatusWaitingForKey
	case st.Quarantined != "":
		return StatusQuarantined
	case st.Failures > 0 || st.LastRun.Status == intel.RunFailed:
		return StatusFailed
	case st.LastGood.IsZero():
		return StatusNever
	}
	return StatusOK
}

// instant is t in UTC, nil where there is none.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
