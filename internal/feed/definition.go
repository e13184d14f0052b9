package feed

import (
	"net/netip"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// Definition says where one feed comes from, how it is read and what being
// listed in it means. Its JSON is the 2018 feed format (feed_name, feed_type,
// indicator_type, feed_url, field_mapping, check_interval) and a superset of it;
// docs/feeds.md explains every key.
type Definition struct {
	File string `json:"-"` // the file it was read from, for messages
	Line int    `json:"-"` // 1-based line of its object in File

	ID   string `json:"id,omitempty"` // default: the slug of the name
	Name string `json:"feed_name"`
	Type string `json:"feed_type"`      // wire format: a key of parse.Formats
	Kind string `json:"indicator_type"` // a kind, a 2018 name (ipaddress, hash, proxy) or auto
	URL  string `json:"feed_url"`       // {secret} stands where a path or query secret goes

	Mapping       Mapping        `json:"field_mapping,omitzero"`
	CheckInterval []int          `json:"check_interval,omitempty"` // hours of the day, UTC; 24 is read as 0
	Interval      intel.Duration `json:"interval,omitempty"`       // used where there are no hours; default 24h

	Provider      string         `json:"provider,omitempty"`
	Homepage      string         `json:"homepage,omitempty"`
	Licence       string         `json:"licence,omitempty"`
	Terms         string         `json:"terms,omitempty"`
	CommercialUse *bool          `json:"commercial_use,omitempty"` // nil: the terms do not say
	Enabled       *bool          `json:"enabled,omitempty"`        // nil: enabled
	Presence      intel.Presence `json:"presence,omitempty"`       // default snapshot
	TTL           intel.Duration `json:"ttl,omitempty"`
	Role          string         `json:"role,omitempty"` // threat (default), context or allow
	Note          string         `json:"note,omitempty"` // for maintainers; shown nowhere else

	Auth          *Auth             `json:"auth,omitempty"`
	Method        string            `json:"method,omitempty"` // GET (default) or POST
	Body          string            `json:"body,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
	AllowNetworks []netip.Prefix    `json:"allow_networks,omitempty"` // may be connected to although not public
	Archive       string            `json:"archive_entry,omitempty"`  // member of a zip archive

	Description string   `json:"description,omitempty"` // what being listed here means
	ThreatType  string   `json:"threat_type,omitempty"`
	Malware     string   `json:"malware,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	TLP         string   `json:"tlp,omitempty"`
	Reliability string   `json:"reliability,omitempty"` // A-F
	Confidence  *int     `json:"confidence,omitempty"`  // 0-100; default 50
	ExpectMin   int      `json:"expect_min,omitempty"`  // listings a healthy pull has
	ExpectMax   int      `json:"expect_max,omitempty"`
	Guards      Guards   `json:"guards,omitzero"`

	Records        string    `json:"records,omitempty"`         // json: path of the records
	Comments       *[]string `json:"comments,omitempty"`        // line-start prefixes; absent = the format's
	InlineComments *[]string `json:"inline_comments,omitempty"` // prefixes that end a value after a blank
	Quotes         *bool     `json:"quotes,omitempty"`          // false: a quote is an ordinary character
	Exclude        string    `json:"exclude,omitempty"`         // line prefix that marks an exclusion
	Filter         []Filter  `json:"filter,omitempty"`
}

// Mapping says what the columns of a row, or the paths of a record, hold.
type Mapping struct {
	Separator   string       `json:"separator,omitempty"`
	Source      []*string    `json:"source"`      // column i's name in the feed, or a path; null skips it
	Destination []*string    `json:"destination"` // where column i goes; null skips it
	HasHeaders  bool         `json:"has_headers,omitempty"`
	Types       []ColumnType `json:"types,omitempty"`
	Several     bool         `json:"several,omitempty"` // a row offers several indicators
}

// ColumnType is how one column's text is read.
type ColumnType struct {
	Column string `json:"column"`
	Type   string `json:"type,omitempty"`
	Split  string `json:"split,omitempty"`
	Kind   string `json:"kind,omitempty"`
}

// Filter keeps only records whose column equals (or, with Not, does not equal) one of Values.
type Filter struct {
	Column string   `json:"column"`
	Values []string `json:"values"`
	Not    bool     `json:"not,omitempty"`
}

// Auth says how a feed's secret is sent. The secret itself is never in a definition.
type Auth struct {
	Secret string `json:"secret"` // its name
	In     string `json:"in"`     // header, query, path, basic or bearer
	Name   string `json:"name,omitempty"`
}

// Guards are the limits that a run must keep to be accepted without a person.
// A zero number means the default.
type Guards struct {
	MinRecords int     `json:"min_records,omitempty"` // accepted records at least; 0 = no such limit
	MaxShrink  float64 `json:"max_shrink,omitempty"`  // share of the listings that may go, default 0.5
	MaxGrowth  float64 `json:"max_growth,omitempty"`  // times the listings there were, default 5
	MaxReject  float64 `json:"max_reject,omitempty"`  // share of the records that may be rejected, default 0.2
	AllowEmpty bool    `json:"allow_empty,omitempty"` // an empty list is normal
}

// Spec returns what parsing needs.
func (d *Definition) Spec() parse.Spec { panic("todo") }

// Info returns what listings say of the feed.
func (d *Definition) Info() intel.FeedInfo { panic("todo") }

// Allowed returns the networks the feed may connect to although they are not public.
func (d *Definition) Allowed() []netip.Prefix { return d.AllowNetworks }

// NeedsKey says whether the feed is sent a secret.
func (d *Definition) NeedsKey() bool { return d.Auth != nil }

// OnByDefault says whether the feed is pulled unless a user says otherwise.
func (d *Definition) OnByDefault() bool { return d.Enabled == nil || *d.Enabled }

// ParseHash changes when anything changes that makes the same bytes give other
// listings, so that they are parsed again.
func (d *Definition) ParseHash() string { panic("todo") }
