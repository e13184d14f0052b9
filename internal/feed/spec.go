package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// parseVersion goes into every ParseHash. Raise it when a change to the parsers
// makes the same bytes give other listings.
const parseVersion = 2

// Spec returns what parsing needs.
func (d *Definition) Spec() parse.Spec {
	kinds, _ := intel.ParseKindSet(d.Kind) // checked when it was decoded
	columns, _ := d.columns()
	s := parse.Spec{
		Type:       d.Type,
		Kinds:      kinds,
		Separator:  unescape(d.Mapping.Separator),
		Columns:    columns,
		HasHeaders: bool(d.Mapping.HasHeaders),
		Comments:   d.Comments,
		Inline:     d.InlineComments,
		NoQuotes:   d.Quotes != nil && !*d.Quotes,
		Records:    d.Records,
		Exclude:    d.Exclude,
		Blanks:     d.Blanks,
	}
	for _, f := range d.Filter {
		s.Filter = append(s.Filter, parse.FilterRule{Column: f.Column, Values: f.Values, Not: f.Not})
	}
	return s
}

// unescape reads \t, which people write twice escaped in JSON.
func unescape(sep string) string { return strings.ReplaceAll(sep, `\t`, "\t") }

// Info returns what listings say of the feed. Only a threat feed has a
// confidence above 0: being listed in another one is no reason for suspicion.
func (d *Definition) Info() intel.FeedInfo {
	i := intel.FeedInfo{
		ID:          d.ID,
		Name:        d.Name,
		Provider:    d.Provider,
		Homepage:    d.Homepage,
		Description: d.Description,
		Presence:    d.Presence,
		TTL:         d.TTL.Default,
		KindTTL:     d.TTL.Kinds,
		Reliability: d.Reliability,
		TLP:         d.TLP,
		ThreatType:  d.ThreatType,
		Malware:     d.Malware,
		Tags:        d.Tags,
	}
	if d.Role != RoleThreat {
		i.Role = d.Role
	}
	switch {
	case d.Role != RoleThreat:
	case d.Confidence == nil:
		i.Confidence = DefaultConfidence
	default:
		i.Confidence = *d.Confidence
	}
	return i
}

// ParseHash changes when anything changes that makes the same bytes give other
// listings, so that they are parsed again. It is 32 hex digits.
func (d *Definition) ParseHash() string {
	raw, err := json.Marshal(struct {
		Version int
		Spec    parse.Spec
		Info    intel.FeedInfo
		Archive string
	}{parseVersion, d.Spec(), d.Info(), d.Archive})
	if err != nil { // plain data, which always marshals
		raw = []byte(err.Error())
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}
