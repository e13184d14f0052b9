package feed

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// ReportDays is how far back a report looks into the ledger.
const ReportDays = 30

// Report is what a feed adds to the others, how early it is, and how it runs.
// Indicators are compared exactly (intel.Comparison). Shares are from 0 to 1.
type Report struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Provider    string         `json:"provider"`
	Role        string         `json:"role"`               // as in the definition; "" where there is none any more
	Enabled     bool           `json:"enabled"`            // it is pulled
	Snapshot    string         `json:"snapshot,omitempty"` // all there is is starter data of this day
	Since       *time.Time     `json:"since"`              // the first pull, as far as is known
	Listings    int            `json:"listings"`           // open now
	Kinds       map[string]int `json:"kinds"`              // of these, by kind
	Unique      int            `json:"unique"`             // of these, what no other feed lists that is pulled and of role threat
	UniqueShare float64        `json:"unique_share"`
	Early       ReportEarly    `json:"early"`
	Overlap     []ReportPair   `json:"overlap"`  // with other feeds, the largest first
	Overlaps    int            `json:"overlaps"` // with how many there is any, where Overlap has been cut
	LastRead    *ReportRead    `json:"last_read"`
	Runs        ReportRuns     `json:"runs"`
}

// ReportEarly says how early a feed lists what others list too (intel.Early).
type ReportEarly struct {
	Compared   int     `json:"compared"` // indicators that count
	First      int     `json:"first"`
	Tied       int     `json:"tied"`
	Later      int     `json:"later"`
	FirstShare float64 `json:"first_share"`
	MedianLead int     `json:"median_lead_hours"` // before the earliest other, where it was first
	P90Lead    int     `json:"p90_lead_hours"`
	MedianLag  int     `json:"median_lag_hours"` // behind the earliest other, where it was later
	P90Lag     int     `json:"p90_lag_hours"`
}

// ReportPair is what a feed shares with another one.
type ReportPair struct {
	Feed       string  `json:"feed"`
	Role       string  `json:"role"`
	Enabled    bool    `json:"enabled"`
	Shared     int     `json:"shared"`
	Share      float64 `json:"share"`       // of the feed's listings
	TheirShare float64 `json:"their_share"` // of the other's
	First      int     `json:"first"`       // as in ReportEarly, between the two
	Tied       int     `json:"tied"`
	Later      int     `json:"later"`
}

// ReportRead is what became of the records of the last run that read any.
type ReportRead struct {
	At              time.Time `json:"at"`
	Read            int       `json:"read"`
	Suppressed      int       `json:"suppressed"`
	Rejected        int       `json:"rejected"`
	SuppressedShare float64   `json:"suppressed_share"`
	RejectedShare   float64   `json:"rejected_share"`
}

// ReportRuns are the last ReportDays days of the ledger.
type ReportRuns struct {
	Runs        int `json:"runs"` // pulls, good or not; decisions of people are none
	Failed      int `json:"failed"`
	Quarantined int `json:"quarantined"`
	Days        int `json:"days"`            // how many the next two are of: those since the first pull, itself left out
	Added       int `json:"added_per_day"`   // median, listed or listed again
	Removed     int `json:"removed_per_day"` // median, de-listed or aged out
}

// ReportFacts are what a Report is made of.
type ReportFacts struct {
	ID       string
	Def      *Definition     // nil: it is in the catalogue no more
	Compared *intel.Compared // nil: it holds nothing
	Snapshot string
	Runs     []intel.Run // those of the last ReportDays days at least, the newest first
	Listings map[string]int
	Roles    map[string]string // of all feeds
	Enabled  map[string]bool   // those that are pulled
}

// NewReport puts a report together.
func NewReport(f ReportFacts, now time.Time) Report {
	r := Report{ID: f.ID, Name: f.ID, Role: f.Roles[f.ID], Enabled: f.Enabled[f.ID], Snapshot: f.Snapshot, Kinds: map[string]int{}, Overlap: []ReportPair{}}
	if d := f.Def; d != nil {
		r.Name, r.Provider = d.Name, d.Provider
	}
	var since time.Time
	if c := f.Compared; c != nil {
		since = c.Since
		r.Since = instant(since)
		r.compare(c, &f)
	}
	r.LastRead = lastRead(f.Runs)
	r.Runs = countRuns(f.Runs, since, now)
	return r
}

func (r *Report) compare(c *intel.Compared, f *ReportFacts) {
	r.Listings, r.Unique, r.UniqueShare = c.Listings, c.Unique, share(c.Unique, c.Listings)
	for k, n := range c.Kinds {
		r.Kinds[k.String()] = n
	}
	e := &c.Early
	r.Early = ReportEarly{Compared: e.Compared(), First: e.First, Tied: e.Tied, Later: e.Later, FirstShare: share(e.First, e.Compared()),
		MedianLead: e.Lead.Median, P90Lead: e.Lead.P90, MedianLag: e.Lag.Median, P90Lag: e.Lag.P90}
	for _, p := range c.Pairs {
		r.Overlap = append(r.Overlap, ReportPair{Feed: p.Feed, Role: f.Roles[p.Feed], Enabled: f.Enabled[p.Feed], Shared: p.Shared, Share: share(p.Shared, c.Listings),
			TheirShare: share(p.Shared, f.Listings[p.Feed]), First: p.First, Tied: p.Tied, Later: p.Later})
	}
	slices.SortStableFunc(r.Overlap, func(a, b ReportPair) int { return cmp.Compare(b.Shared, a.Shared) })
	r.Overlaps = len(r.Overlap)
}

// Cut leaves the n largest overlaps; 0: all of them.
func (r *Report) Cut(n int) {
	if n > 0 && len(r.Overlap) > n {
		r.Overlap = r.Overlap[:n:n]
	}
}

// share is to four places.
func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return math.Round(float64(part)/float64(whole)*1e4) / 1e4
}

func lastRead(runs []intel.Run) *ReportRead {
	for i := range runs {
		if r := &runs[i]; r.Read > 0 && isPull(r) {
			return &ReportRead{At: r.Started, Read: r.Read, Suppressed: r.Suppressed, Rejected: r.Rejected,
				SuppressedShare: share(r.Suppressed, r.Read), RejectedShare: share(r.Rejected, r.Read)}
		}
	}
	return nil
}

// isPull says whether a row is of a run that pulled something, not of a person's
// decision, or of starter data.
func isPull(r *intel.Run) bool {
	return r.Trigger != "approve" && r.Trigger != "reject" && r.Trigger != "starter"
}

// countRuns counts the runs of the last days. What changed is summed up for each
// of the last 24-hour spans since the first pull; that pull itself is no change.
func countRuns(runs []intel.Run, since, now time.Time) (out ReportRuns) {
	const day = 24 * time.Hour
	if age := now.Sub(since); !since.IsZero() && age > 0 {
		out.Days = min(ReportDays, int((age+day-1)/day))
	}
	added, removed := make([]int, out.Days), make([]int, out.Days)
	for i := range runs {
		r := &runs[i]
		at := now.Sub(r.Started)
		if at < 0 || at >= ReportDays*day {
			continue
		}
		if isPull(r) {
			out.Runs++
		}
		switch r.Status {
		case intel.RunFailed:
			out.Failed++
		case intel.RunQuarantined:
			out.Quarantined++
		}
		if n := int(at / day); n < out.Days && r.Status == intel.RunOK && r.Started.Truncate(time.Millisecond).After(since) {
			added[n] += r.New + r.Relisted
			removed[n] += r.Removed
		}
	}
	out.Added, out.Removed = median(added), median(removed)
	return out
}

// median is the lower one of two.
func median(list []int) int {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[(len(list)-1)/2]
}
