package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"path"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// What a pull of several requests is made of. A definition with none of this is
// pulled with one.

// Pages says how the rest of a feed is asked for that answers in pages.
type Pages struct {
	By    string `json:"by"`              // one of the By… constants
	Path  string `json:"path,omitempty"`  // url, cursor: where an answer holds the next one; a JSON path, or header:NAME
	Param string `json:"param,omitempty"` // cursor, page, offset: the parameter that takes it
	In    string `json:"in,omitempty"`    // where the parameter goes: query (default) or body
	First *int   `json:"first,omitempty"` // page, offset: of the first request; default 1 for page, 0 for offset
	Step  int    `json:"step,omitempty"`  // offset: records of a page; page: default 1
	More  string `json:"more,omitempty"`  // path of a boolean that is not true on the last page
	Max   int    `json:"max,omitempty"`   // most pages of a pull; default DefaultMaxPages
}

// How the next page is found.
const (
	ByLink   = "link"   // the Link header with rel=next (RFC 8288)
	ByURL    = "url"    // the answer holds its URL
	ByCursor = "cursor" // the answer holds what Param must say
	ByPage   = "page"   // Param counts up by one
	ByOffset = "offset" // Param counts up by Step
)

// Since says how a feed is asked for what is new only.
type Since struct {
	Param   string         `json:"param"`             // the parameter that takes it
	In      string         `json:"in,omitempty"`      // where it goes: query (default) or body
	Format  string         `json:"format,omitempty"`  // one of the Since… constants; default rfc3339
	First   intel.Duration `json:"first,omitempty"`   // how far back the first pull asks; 0 = without the parameter
	Overlap intel.Duration `json:"overlap,omitempty"` // asked for again each time
	Most    intel.Duration `json:"most,omitempty"`    // no further back than this, which is all that the provider allows; 0 = no limit
	From    string         `json:"from,omitempty"`    // where an answer says what to ask next: a JSON path or header:NAME; default: the run's start
}

// How Since writes an instant.
const (
	SinceRFC3339 = "rfc3339" // 2026-03-01T12:00:00Z
	SinceUnix    = "unix"    // seconds since 1970
	SinceUnixMS  = "unix_ms" // milliseconds since 1970
	SinceDate    = "date"    // 2026-03-01, UTC
	SinceHours   = "hours"   // whole hours before now, at least 1
	SinceDays    = "days"    // whole days before now, at least 1
)

// Items says that the feed's URL is a list, and that each of its items is
// fetched with a request of its own.
type Items struct {
	Records   string   `json:"records"`             // path of the items in the list, or lines: one a line
	URL       string   `json:"url"`                 // of an item: {PATH} stands for what the item has there, {*} for its name
	Stamp     string   `json:"stamp,omitempty"`     // path of what changes when the item does; the same one is not fetched again
	Reference string   `json:"reference,omitempty"` // as URL: the page that people read, kept as context
	Hosts     []string `json:"hosts,omitempty"`     // that items may lie on beside the feed's own
	Max       int      `json:"max,omitempty"`       // most items of a pull; default DefaultMaxItems
}

// ItemLines is the Records of a list with an item a line.
const ItemLines = "lines"

// Taxii says what is read of a TAXII 2.1 server.
type Taxii struct {
	Collections []string       `json:"collections,omitempty"` // ids, aliases or titles; none = all that may be read
	First       intel.Duration `json:"first,omitempty"`       // how far back the first pull asks; 0 = everything
	Limit       int            `json:"limit,omitempty"`       // objects of a page at most; default DefaultTaxiiLimit
}

// TypeTaxii is the wire format of TAXII servers; its feeds are pulled as Taxii says.
const TypeTaxii = "taxii"

// Defaults and caps of pulls of several requests.
const (
	DefaultMaxPages   = 100
	DefaultMaxItems   = 1000
	DefaultTaxiiLimit = 1000
	MaxRequests       = 10_000 // that one pull may need, whatever a definition says
)

// Several says whether a pull is put together of answers, so that its raw bytes
// are a pack of parts.
func (d *Definition) Several() bool {
	return d.Pages != nil || d.Since != nil || d.Items != nil || d.Type == TypeTaxii || d.isManifest()
}

// Delta says whether a pull brings what is new only, so that an empty or small
// one is normal.
func (d *Definition) Delta() bool { return d.Since != nil || d.Type == TypeTaxii }

// keepsAbsent says whether what a pull lacks stays listed, at least for a time.
func (d *Definition) keepsAbsent() bool {
	return d.Presence == intel.Append || d.Presence == intel.Rolling && d.allLive()
}

// Partial says whether a pull that stops before the end may be taken: where
// absence means something, it must not be.
func (d *Definition) Partial() bool { return d.keepsAbsent() }

// Turn names what feeds take turns at: providers limit requests by the key, or
// by who asks a host that wants a pause. "" where the feed waits for nobody.
func (d *Definition) Turn() string {
	switch u, err := url.Parse(d.URL); {
	case d.NeedsKey():
		return "key " + d.Auth.Secret
	case d.Pause > 0 && err == nil:
		return "host " + strings.ToLower(u.Host)
	}
	return ""
}

// isManifest says whether the URL is that of a MISP feed: its folder, or its manifest.
func (d *Definition) isManifest() bool {
	if d.Type != "misp" || d.Method != "GET" {
		return false
	}
	u, err := url.Parse(d.URL)
	return err == nil && (strings.HasSuffix(u.Path, "/") || u.Path == "" || path.Base(u.Path) == manifestName)
}

const manifestName = "manifest.json"

// List returns the URL of the list and what its items are, nil where the feed
// has none. For a MISP feed that is its manifest and the files of its events,
// which change with their timestamp (misp-standard.org, MISP feed format).
func (d *Definition) List() (rawURL string, items *Items) {
	switch {
	case d.Items != nil:
		return d.URL, d.Items
	case !d.isManifest():
		return d.URL, nil
	}
	rawURL = d.URL
	if base, rest, _ := strings.Cut(d.URL, "?"); !strings.HasSuffix(base, manifestName) {
		rawURL = strings.TrimSuffix(base, "/") + "/" + manifestName
		if rest != "" {
			rawURL += "?" + rest
		}
	}
	return rawURL, &Items{Records: "*", URL: "{*}.json", Stamp: "timestamp", Max: MaxRequests}
}

// PullHash changes when other things are asked for, so that what was remembered
// of earlier answers means nothing any more. It is 16 hex digits.
func (d *Definition) PullHash() string {
	raw, err := json.Marshal([]any{d.URL, d.Method, d.Body, d.Pages, d.Since, d.Items, d.Taxii})
	if err != nil { // plain data, which always marshals
		raw = []byte(err.Error())
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}
