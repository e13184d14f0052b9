package opensearch

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/query"
)

// place says in which fields of a document a field of the query language is
// looked for; "" where it is not asked in that way.
type place struct {
	words string // tokens, for words and phrases
	whole string // texts in the form in which they are compared from end to end
	exact string // keyword, address, number or date
	more  string // a second one of those
}

// places is the table of fields. Read-only. FieldAny (anyWords) and the fields of
// the context (contextKey) are not in it, nor is FieldEnriched: what registries say is
// in no document, so that nothing counts as enriched.
var places = map[query.Field]place{
	query.FieldValue:         {words: "ei.words.value", whole: "ei.whole.value", exact: "threat.indicator.name"}, // whole has what differs from exact
	query.FieldKind:          {exact: "ei.kind"},
	query.FieldDomain:        {whole: "ei.whole.domain", exact: "ei.host"},
	query.FieldNet:           {exact: "threat.indicator.ip", more: "ei.range"},
	query.FieldPort:          {exact: "threat.indicator.port"},
	query.FieldFeed:          {whole: "ei.feed", exact: "ei.feed"},
	query.FieldProvider:      {words: "ei.words.provider", whole: "ei.whole.provider"},
	query.FieldTag:           {words: "ei.words.tag", whole: "ei.whole.tag"},
	query.FieldMalware:       {words: "ei.words.malware", whole: "ei.whole.malware"},
	query.FieldThreatType:    {words: "ei.words.threat_type", whole: "ei.whole.threat_type"},
	query.FieldDescription:   {words: "ei.words.description", whole: "ei.whole.description"},
	query.FieldReference:     {words: "ei.words.reference", whole: "ei.whole.reference"},
	query.FieldTLP:           {whole: "ei.whole.tlp"},
	query.FieldConfidence:    {exact: "ei.confidence"},
	query.FieldListed:        {exact: "ei.intervals"},
	query.FieldFirstSeen:     {exact: "threat.indicator.first_seen"},
	query.FieldLastSeen:      {exact: "threat.indicator.last_seen", more: "ei.feed"}, // what is present was last seen by its feed's last good run
	query.FieldFeedFirstSeen: {exact: "ei.feed_first_seen"},
	query.FieldFeedLastSeen:  {exact: "ei.feed_last_seen"},
	query.FieldCountry:       {whole: "ei.whole.country"},
	query.FieldASN:           {exact: "threat.indicator.as.number"},
	query.FieldOrg:           {words: "ei.words.org", whole: "ei.whole.org"},
	query.FieldRegistered:    {exact: "ei.registered"},
}

// anyWords are the fields that together hold all texts of a listing (FieldAny).
// One field for all would hold every token a second time. Read-only.
var anyWords = []string{"ei.words.value", "ei.words.tag", "ei.words.malware", "ei.words.threat_type", "ei.words.description", "ei.words.reference",
	"ei.words.provider", "ei.words.more"}

// The fields of a document in which all fields of a context are, each value
// behind the key of its name: however many names feeds make up, the mapping has
// these five.
const (
	contextName   = "ei.context.name"
	contextWords  = "ei.context.words"
	contextWhole  = "ei.context.whole"
	contextNumber = "ei.context.number"
	contextDate   = "ei.context.date"
)

// contextKey is what stands in front of the values, tokens, numbers and dates of
// the context field with this name, in keyword form. A longer one than words may
// have in front of them is hashed: a term of an index has a limit, and a name that a
// feed makes up would have its listing refused. No name has a capital letter.
func contextKey(name string) string {
	if len(name) >= maxContextKey {
		return "H" + digest(16, name) + "="
	}
	return strings.ReplaceAll(name, " ", "_") + "="
}

// maxContextKey is the longest key in bytes: the tokenizer cuts at 255 characters.
const maxContextKey = 255 - query.MaxToken

// sortableNumber writes a number so that the order of the texts is that of the numbers.
func sortableNumber(f float64) string {
	if f == 0 {
		f = 0 // not -0
	}
	bits := math.Float64bits(f)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, bits))
}

// sortableTime does so for instants, to the millisecond.
func sortableTime(t time.Time) string { return sortableMillis(t.UnixMilli()) }

func sortableMillis(ms int64) string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(ms)^1<<63))
}

// reversedHost writes a host name from its end, each label with a dot behind it:
// what lies under a name begins with its reversed name.
func reversedHost(host string) string {
	labels := strings.Split(host, ".")
	var b strings.Builder
	for i := len(labels) - 1; i >= 0; i-- {
		b.WriteString(labels[i])
		b.WriteByte('.')
	}
	return b.String()
}
