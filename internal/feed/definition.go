package feed

import (
	"cmp"
	"net/netip"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// File is one file of feed definitions.
type File struct {
	Schema string       `json:"$schema,omitempty"` // for editors; not read
	Feeds  []Definition `json:"feeds"`
}

// Definition says where one feed comes from, how it is read and what being
// listed in it means. Its JSON is the 2018 feed format (feed_name, feed_type,
// indicator_type, feed_url, field_mapping, check_interval) and a superset of it;
// docs/feeds.md explains every key. Decode fills in what is not written.
type Definition struct {
	File string `json:"-"` // the file it was read from, for messages
	Line int    `json:"-"` // 1-based line of its object in File

	ID   string `json:"id,omitempty"` // default: the slug of the name
	Name string `json:"feed_name"`
	Type string `json:"feed_type"`                             // wire format: one of parse.Formats
	Kind string `json:"indicator_type,omitempty" alias:"kind"` // a kind, a 2018 name (ipaddress, hash, proxy) or auto; may be "" where parse.Fixed(Type)
	URL  string `json:"feed_url"`                              // {secret} stands where a path or query secret goes

	Mapping       Mapping        `json:"field_mapping,omitzero"`
	CheckInterval []int          `json:"check_interval,omitempty"` // hours of the day, UTC, sorted; 24 is read as 0
	Interval      intel.Duration `json:"interval,omitempty"`       // wins over hours; default 24h where there are none

	Provider      string         `json:"provider,omitempty"`
	Homepage      string         `json:"homepage,omitempty"`
	Licence       string         `json:"licence,omitempty"`
	Terms         string         `json:"terms,omitempty"`
	CommercialUse *bool          `json:"commercial_use,omitempty"` // nil: the terms do not say
	Enabled       *bool          `json:"enabled,omitempty"`        // nil: enabled
	Presence      intel.Presence `json:"presence,omitempty"`       // default snapshot
	TTL           TTL            `json:"ttl,omitzero"`             // how long an absent entry stays listed; 0 = the presence model alone decides
	KeepHistory   intel.Duration `json:"keep_history,omitempty"`   // how long listings that ended are kept after their last change; 0 = as for all feeds
	Role          string         `json:"role,omitempty"`           // one of the Role… constants; default threat
	Note          string         `json:"note,omitempty"`           // for maintainers; shown nowhere else

	Life       string `json:"life,omitempty"`        // what is known of the publisher's side: one of the Life… constants; "" = not said
	Evidence   string `json:"evidence,omitempty"`    // what Life and the expected sizes rest on
	Checked    string `json:"checked,omitempty"`     // YYYY-MM-DD: the day of the newest of the evidence
	ReplacedBy string `json:"replaced_by,omitempty"` // id of the feed to use instead of one that ended

	Auth          *Auth             `json:"auth,omitempty"`
	Method        string            `json:"method,omitempty"` // GET (default) or POST
	Body          string            `json:"body,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
	AllowNetworks []netip.Prefix    `json:"allow_networks,omitempty"` // may be connected to although not public
	Archive       string            `json:"archive_entry,omitempty"`  // the member of a zip archive to read
	Pages         *Pages            `json:"pages,omitempty"`          // the feed answers in pages
	Since         *Since            `json:"since,omitempty"`          // it is asked for what is new only
	Items         *Items            `json:"items,omitempty"`          // it is a list, each of whose items is fetched
	Taxii         *Taxii            `json:"taxii,omitempty"`
	Pause         intel.Duration    `json:"pause,omitempty"` // least time between two requests of a pull

	Description string   `json:"description,omitempty"` // what being listed here means
	ThreatType  string   `json:"threat_type,omitempty"`
	Malware     string   `json:"malware,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	TLP         string   `json:"tlp,omitempty"`         // clear green amber amber+strict red
	Reliability string   `json:"reliability,omitempty"` // A-F
	Confidence  *int     `json:"confidence,omitempty"`  // 0-100; default 50
	Expect      int      `json:"expect,omitempty"`      // listings a healthy pull has, about; 0 = not known
	ExpectMin   int      `json:"expect_min,omitempty"`  // a pull with fewer is held back; 0 = no limit
	ExpectMax   int      `json:"expect_max,omitempty"`  // a pull with more is held back; 0 = no limit
	Guards      Guards   `json:"guards,omitzero"`

	Records        string    `json:"records,omitempty"`         // json, xml: path of the records; html: which table
	Comments       *[]string `json:"comments,omitempty"`        // line-start prefixes; nil = the format's
	InlineComments *[]string `json:"inline_comments,omitempty"` // prefixes that end a value after a blank
	Quotes         *bool     `json:"quotes,omitempty"`          // false: a quote is an ordinary character
	Exclude        string    `json:"exclude,omitempty"`         // line prefix that marks an exclusion
	Blanks         []string  `json:"blanks,omitempty"`          // cell texts that mean that there is none
	Filter         []Filter  `json:"filter,omitempty"`
}

// What a feed is for.
const (
	RoleThreat     = intel.RoleThreat
	RoleContext    = intel.RoleContext
	RoleAllow      = intel.RoleAllow
	RoleEnrichment = intel.RoleEnrichment
)

// What is known of a feed's publisher. How the feed's own runs do is another
// matter, and told by its state; but a feed that ended is archived there,
// whatever its last run was.
const (
	LifeAlive   = "alive"   // dated evidence that it yields data
	LifeListed  = "listed"  // in kept lists of feeds, but nobody is known to have pulled it lately
	LifeStatic  = "static"  // it answers, and nothing is added to it any more
	LifeBlocked = "blocked" // it answers people, and challenges or turns away programs
	LifeEnded   = "ended"   // it is gone: never pulled unless a person asks
)

// Mapping says what the columns of a row, or the paths of a record, hold.
type Mapping struct {
	Separator   string                `json:"separator,omitempty"`
	Source      []*string             `json:"source,omitempty"`      // column i's name in the feed, or a path; null skips it
	Destination []*string             `json:"destination,omitempty"` // where column i goes; null skips it; default: the source's name
	HasHeaders  Flag                  `json:"has_headers,omitempty"`
	Types       map[string]ColumnType `json:"types,omitempty"`   // by destination
	Several     bool                  `json:"several,omitempty"` // a row offers several indicators
}

// Flag is a bool that definitions may also write as the text "true" or "false".
type Flag bool

// ColumnType is how the text of one column is read.
type ColumnType struct {
	Type  string `json:"type,omitempty"`  // text (default), list, time or int
	Split string `json:"split,omitempty"` // list: the separator; default ","
	Kind  string `json:"kind,omitempty"`  // an indicator column: what its values may be
}

// Filter keeps only records whose column equals (or, with Not, does not equal) one of Values.
type Filter struct {
	Column string   `json:"column"`
	Values []string `json:"values"`
	Not    bool     `json:"not,omitempty"`
}

// Auth says how a feed's secret is sent. The secret itself is never in a definition.
type Auth struct {
	Secret string `json:"secret"`         // its name
	In     string `json:"in"`             // one of the In… constants
	Name   string `json:"name,omitempty"` // of the header or query parameter; the user for basic
}

// Where a secret goes.
const (
	InHeader = "header" // the header Name
	InQuery  = "query"  // the query parameter Name, or {secret} in the URL's query
	InPath   = "path"   // {secret} in the URL
	InBasic  = "basic"  // HTTP Basic: Name is the user; without Name the secret is "user:password"
	InBearer = "bearer" // Authorization: Bearer
	InBody   = "body"   // {secret} in the body of a POST
)

// Guards are the limits that a run must keep to be accepted without a person.
// Decode fills in the defaults.
type Guards struct {
	MaxShrink  float64 `json:"max_shrink,omitempty"`  // share of the listings that may go at once, default 0.5; 1 = all
	MaxGrowth  float64 `json:"max_growth,omitempty"`  // times the listings there were, default 5
	MaxReplace float64 `json:"max_replace,omitempty"` // share of the listings that others may take the place of at once, default 1 = all; snapshot feeds only
	MaxReject  float64 `json:"max_reject,omitempty"`  // share of the records that may be rejected, default 0.2; 1 = all
	AllowEmpty bool    `json:"allow_empty,omitempty"` // an empty list is normal
}

// Defaults of definitions.
const (
	DefaultInterval   = intel.Duration(24 * 60 * 60 * 1e9)
	DefaultConfidence = 50
	DefaultMaxShrink  = 0.5
	DefaultMaxGrowth  = 5.0
	DefaultMaxReplace = 1.0
	DefaultMaxReject  = 0.2
)

// KindName says what the feed's indicators are, for people: its indicator_type,
// auto where the format says it.
func (d *Definition) KindName() string { return cmp.Or(d.Kind, "auto") }

// Allowed returns the networks the feed may connect to although they are not public.
func (d *Definition) Allowed() []netip.Prefix { return d.AllowNetworks }

// NeedsKey says whether the feed is sent a secret.
func (d *Definition) NeedsKey() bool { return d.Auth != nil }

// Ended says whether the publisher has given the feed up: its health class is archived.
func (d *Definition) Ended() bool { return d.Life == LifeEnded }

// OnByDefault says whether the feed is pulled unless a user says otherwise: one
// that ended never is. A feed that is on and needs a key waits until its secret exists.
func (d *Definition) OnByDefault() bool {
	return !d.Ended() && (d.Enabled == nil || *d.Enabled)
}
