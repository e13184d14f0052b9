package query

import (
	"slices"
	"strings"

	"github.com/elasticintel/elasticintel/internal/near"
)

// Field names what a node looks at. Context makes the names of the others.
type Field string

// The fields. FieldAny is all text of a listing (Doc.Values).
const (
	FieldAny           Field = ""
	FieldValue         Field = "value"
	FieldKind          Field = "kind"
	FieldDomain        Field = "domain"
	FieldNet           Field = "net"
	FieldPort          Field = "port"
	FieldFeed          Field = "feed"
	FieldProvider      Field = "provider"
	FieldTag           Field = "tag"
	FieldMalware       Field = "malware"
	FieldThreatType    Field = "threat_type"
	FieldDescription   Field = "description"
	FieldReference     Field = "reference"
	FieldTLP           Field = "tlp"
	FieldConfidence    Field = "confidence"
	FieldListed        Field = "listed"
	FieldFirstSeen     Field = "first_seen"
	FieldLastSeen      Field = "last_seen"
	FieldFeedFirstSeen Field = "feed_first_seen"
	FieldFeedLastSeen  Field = "feed_last_seen"
	FieldCountry       Field = "country"
	FieldASN           Field = "asn"
	FieldOrg           Field = "org"
	FieldRegistered    Field = "registered"
	FieldEnriched      Field = "enriched"
)

const contextPrefix = "context."

// Context returns the field of a listing's context with that name. Names are
// compared as keywords: context.file_name is the field that a feed calls
// "File Name" or file-name.
func Context(name string) Field { return Field(contextPrefix + Keyword(name)) }

// Context returns the keyword form of the context field's name; ok is false for
// every other field.
func (f Field) Context() (name string, ok bool) { return strings.CutPrefix(string(f), contextPrefix) }

// String returns the field as it is written in a query, without the colon.
func (f Field) String() string { return strings.ReplaceAll(string(f), " ", "_") }

// class is how a field's values are written and compared.
type class uint8

const (
	classNone    class = iota
	classWords         // words anywhere in the value; = for the whole value as a keyword
	classWhole         // the whole value, folded
	classNumber        // a whole number
	classDate          // an instant
	classValue         // the indicator
	classContext       // words, numbers or dates, as they are written
	classKind
	classDomain
	classNet
	classListed
	classAsked // an instant, or whether there is one: true and false
)

// fieldInfo is a row of the table of fields.
type fieldInfo struct {
	field Field
	class class
	limit float64 // the largest number, classNumber
}

// fields is the table of fields. Read-only.
var fields = []fieldInfo{
	{FieldValue, classValue, 0},
	{FieldKind, classKind, 0},
	{FieldDomain, classDomain, 0},
	{FieldNet, classNet, 0},
	{FieldPort, classNumber, 1<<16 - 1},
	{FieldFeed, classWhole, 0},
	{FieldProvider, classWords, 0},
	{FieldTag, classWords, 0},
	{FieldMalware, classWords, 0},
	{FieldThreatType, classWords, 0},
	{FieldDescription, classWords, 0},
	{FieldReference, classWords, 0},
	{FieldTLP, classWhole, 0},
	{FieldConfidence, classNumber, 100},
	{FieldListed, classListed, 0},
	{FieldFirstSeen, classDate, 0},
	{FieldLastSeen, classDate, 0},
	{FieldFeedFirstSeen, classDate, 0},
	{FieldFeedLastSeen, classDate, 0},
	{FieldCountry, classWhole, 0},
	{FieldASN, classNumber, 1<<32 - 1},
	{FieldOrg, classWords, 0},
	{FieldRegistered, classDate, 0},
	{FieldEnriched, classAsked, 0},
}

// Fields returns the names of all fields but context.NAME, for help and completion.
func Fields() []Field {
	out := make([]Field, len(fields))
	for i, f := range fields {
		out[i] = f.field
	}
	return out
}

// meant is what people write for a field's name who know other tools or our
// JSON, and what they mean. Read-only.
var meant = map[string]string{
	"tags":      "tag",
	"type":      "kind",
	"ioc_type":  "kind",
	"ioc":       "value",
	"indicator": "value",
	"canonical": "value",
	"original":  "value",
	"url":       "value",
	"hash":      "value",
	"ip":        "net",
	"cidr":      "net",
	"network":   "net",
	"host":      "domain",
	"hostname":  "domain",
	"subdomain": "domain",
	"source":    "feed",
	"family":    "malware",
	"threat":    "threat_type",
	"category":  "threat_type",
	"ref":       "reference",
	"desc":      "description",
	"seen":      "last_seen",
	"active":    "listed",
	"as":        "asn",
	"cc":        "country",
	"created":   "registered",
}

// lookupField finds a field by its name, in any case.
func lookupField(name string) (fieldInfo, bool) {
	if n := len(contextPrefix); len(name) > n && strings.EqualFold(name[:n], contextPrefix) {
		if len(tokensOf(name[n:])) == 0 {
			return fieldInfo{}, false
		}
		return fieldInfo{field: Context(name[n:]), class: classContext}, true
	}
	for _, f := range fields {
		if strings.EqualFold(name, string(f.field)) {
			return f, true
		}
	}
	return fieldInfo{}, false
}

// fieldHint says which field an unknown name probably means.
func fieldHint(name string) string {
	name = strings.ToLower(name)
	switch {
	case name == "score":
		return "an indicator has a score, its listings have a confidence: write confidence:>=80"
	case strings.TrimSuffix(name, ".") == "context":
		return "write context.NAME, with the name that the feed gives the field"
	case meant[name] != "":
		return "did you mean " + meant[name] + ":?"
	}
	if best := nearest(name); best != "" {
		return "did you mean " + best + ":?"
	}
	return `put text that has a colon in quotes: "like:this"`
}

// nearest returns the field's name most like s, "" where more than a third of
// the letters differ from all of them.
func nearest(s string) string {
	if len(s) > 32 {
		return ""
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = string(f.field)
	}
	return near.Name(s, names)
}

// contextNames are the names, in keyword form, under which feeds give what has
// a field of its own here, and enrichment too. Read-only.
var contextNames = map[Field][]string{
	FieldCountry:    {"country", "country code", "countrycode", "cc"},
	FieldASN:        {"asn", "as number"},
	FieldOrg:        {"org", "organization", "organisation", "as name", "as org", "isp"},
	FieldPort:       {"port", "dst port", "dest port", "destination port", "dport"},
	FieldRegistered: {"registered", "registration date", "domain registered"},
}

// ContextNames returns the names of context and enrichment fields, in keyword
// form, that country, asn, org, port and registered read; nil for other fields.
func ContextNames(f Field) []string { return slices.Clone(contextNames[f]) }

// tokensOf returns the tokens of s.
func tokensOf(s string) []string { return Tokens(nil, s) }
