package feed

import (
	"strconv"
	"strings"
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
	Status      Class      `json:"status"`
	Since       *time.Time `json:"since"` // when it went into Status; nil where that is not known
	Reason      string     `json:"reason,omitempty"`
	Advice      string     `json:"advice,omitempty"` // what to do next
	Listings    int        `json:"listings"`         // open now
	LastRun     *time.Time `json:"last_run"`
	LastGood    *time.Time `json:"last_good"`
	Next        *time.Time `json:"next"` // nil where it is not pulled
	Failures    int        `json:"failures"`
	Snapshot    string     `json:"snapshot,omitempty"`    // the listings are starter data of this day
	Quarantined string     `json:"quarantined,omitempty"` // run that waits for a decision
}

// NewView puts together what is known of a feed.
func NewView(f Facts, now time.Time) View {
	d, h := f.Def, HealthOf(f, now)
	v := View{
		ID: d.ID, Name: d.Name, Provider: d.Provider, Kind: d.KindName(), Type: d.Type, Enabled: f.Enabled,
		Licence: d.Licence, Terms: d.Terms, CommercialUse: d.CommercialUse, Presence: d.Presence,
		NeedsKey: d.NeedsKey(), Description: d.Description,
		Life: d.Life, Evidence: d.Evidence, Checked: d.Checked, ReplacedBy: d.ReplacedBy, Expect: d.Expect,
		State: ViewState{
			Status: h.Class, Since: instant(h.Since), Reason: h.Reason, Advice: h.Advice,
			Listings: f.Listings, Failures: f.State.Failures, Snapshot: f.Snapshot, Quarantined: f.State.Quarantined,
			LastRun: instant(f.State.LastAttempt), LastGood: instant(f.State.LastGood),
		},
	}
	if f.Enabled && f.HaveKey {
		v.State.Next = instant(Next(d, f.State, now))
	}
	return v
}

// instant is t in UTC, nil where there is none.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Tally counts feeds by their health: "2 failing, 31 healthy".
func Tally(views []View) string {
	count := map[Class]int{}
	for i := range views {
		count[views[i].State.Status]++
	}
	var parts []string
	for _, c := range Classes() {
		if n := count[c]; n > 0 {
			parts = append(parts, strconv.Itoa(n)+" "+string(c))
		}
	}
	if len(parts) == 0 {
		return "no feeds"
	}
	return strings.Join(parts, ", ")
}
