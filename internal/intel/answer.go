package intel

import "time"

// Relation says how a listing bears on the value asked for.
type Relation string

// The relations (design: Answer).
const (
	RelExact   Relation = "exact"   // the value itself is listed
	RelNetwork Relation = "network" // a listed network covers it
	RelHost    Relation = "host"    // the host of a URL or ip:port is listed
	RelParent  Relation = "parent"  // a listed domain above it, never a public suffix
	RelMember  Relation = "member"  // listed inside the network (or at the address) asked for
)

// Interval is a half-open time span [From, To) in which a feed listed something.
// To is nil while it is still listed.
type Interval struct {
	From time.Time  `json:"from"`
	To   *time.Time `json:"to"`
}

// FeedInfo is what a listing says of its feed: the part of a definition that
// answers and scores need, kept with the feed's data.
type FeedInfo struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Provider    string   `json:"provider,omitempty"`
	Homepage    string   `json:"homepage,omitempty"`
	Description string   `json:"description,omitempty"` // what being listed here means
	Presence    Presence `json:"presence"`
	Role        string   `json:"role,omitempty"` // one of the Role… constants; "" is RoleThreat
	TTL         Duration `json:"ttl,omitempty"`  // how long an absent entry of a rolling or append feed stays listed
	// KindTTL is what differs from TTL, by kind; 0: of this kind the presence model alone decides. See TTLOf.
	KindTTL     map[Kind]Duration `json:"ttl_by_kind,omitempty"`
	Reliability string            `json:"reliability,omitempty"` // A-F
	Confidence  int               `json:"confidence"`            // 0-100, where a listing has none of its own
	TLP         string            `json:"tlp,omitempty"`
	ThreatType  string            `json:"threat_type,omitempty"`
	Malware     string            `json:"malware,omitempty"`
	Tags        []string          `json:"tags,omitempty"`
	Snapshot    string            `json:"snapshot,omitempty"` // YYYY-MM-DD, where the data is the binary's starter data
}

// What a feed is for.
const (
	RoleThreat  = "threat"  // being listed is a reason for suspicion
	RoleContext = "context" // being listed is a fact without a verdict: a VPN exit, a new domain
	RoleAllow   = "allow"   // being listed is a reason not to block
	// RoleEnrichment is of feeds that list nothing: what they say of networks is
	// enrichment, and no answer has a listing of theirs.
	RoleEnrichment = "enrichment"
)

// Presence is what absence from a feed means.
type Presence string

// The presence models.
const (
	Snapshot Presence = "snapshot" // dropped = de-listed
	Rolling  Presence = "rolling"  // a window: dropped = aged out
	Append   Presence = "append"   // only ever added to
)

// Listing is what one feed says of one indicator.
type Listing struct {
	Info          *FeedInfo  `json:"-"`
	Feed          string     `json:"feed"`
	Provider      string     `json:"provider"`
	Relation      Relation   `json:"relation"`
	Role          string     `json:"role,omitempty"` // of the feed; "" is RoleThreat
	Kind          Kind       `json:"kind"`
	Canonical     string     `json:"canonical"`
	Original      string     `json:"original"`
	Listed        bool       `json:"listed"`
	Intervals     []Interval `json:"intervals"`
	FirstSeen     time.Time  `json:"first_seen"`
	LastSeen      time.Time  `json:"last_seen"`
	Confidence    int        `json:"confidence"`
	TLP           string     `json:"tlp"`
	Tags          []string   `json:"tags"`
	Malware       string     `json:"malware,omitempty"`
	ThreatType    string     `json:"threat_type,omitempty"`
	Reference     string     `json:"reference,omitempty"`
	Description   string     `json:"description,omitempty"` // what being listed in this feed means
	FeedFirstSeen string     `json:"feed_first_seen,omitempty"`
	FeedLastSeen  string     `json:"feed_last_seen,omitempty"`
	Snapshot      string     `json:"snapshot,omitempty"`
	Context       Fields     `json:"context"` // the rest of what the feed wrote; {} where there is none
	Changed       time.Time  `json:"-"`       // when it last changed (listed, updated, no longer listed); set by searches
}

// Counts says whether the listing is one of those by which its value is found: it
// is open, and its feed no allow list.
func (l *Listing) Counts() bool { return l.Listed && l.Role != RoleAllow }

// Verdict is the one-word answer.
type Verdict string

// The verdicts.
const (
	Malicious  Verdict = "malicious"
	Suspicious Verdict = "suspicious"
	Listed     Verdict = "listed"
	Allowed    Verdict = "allowed"
	Unknown    Verdict = "unknown"
)

// Reason is one term of the score, in words and points.
type Reason struct {
	Text   string `json:"text"`
	Points int    `json:"points"`
}

// Answer is what a look-up returns for one value.
type Answer struct {
	Value     string    `json:"value"` // as asked
	Kind      Kind      `json:"kind"`
	Canonical string    `json:"canonical"`
	Found     bool      `json:"found"` // at least one listing counts at AsOf (default now): Listing.Counts
	Verdict   Verdict   `json:"verdict"`
	Score     int       `json:"score"` // 0-100
	Reasons   []Reason  `json:"reasons"`
	Listings  []Listing `json:"listings"`
	Related   *Related  `json:"related,omitempty"` // on request
	// Enrichment is what is known besides what feeds say: now, whatever AsOf is.
	Enrichment Enrichment   `json:"enrichment"`
	Timeline   []Moment     `json:"timeline,omitzero"` // on request, oldest first
	AsOf       *time.Time   `json:"as_of"`
	Error      *AnswerError `json:"-"` // set where the value is unusable; then JSON is {"value","error"}
}

// AnswerError says why a value cannot be looked up.
type AnswerError struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}
