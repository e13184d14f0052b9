package lookup

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Summary is the short form of an answer, fields=summary in the API.
type Summary struct {
	Value   string        `json:"value"`
	Kind    intel.Kind    `json:"kind"`
	Found   bool          `json:"found"`
	Verdict intel.Verdict `json:"verdict"`
	Score   int           `json:"score"`
	Feeds   []string      `json:"feeds"` // whose listing counts at the instant asked for, sorted
}

// Feeds returns the ids of the feeds whose listings count at the instant asked
// for, sorted, never nil. Allow lists are none of them.
func Feeds(a *intel.Answer) []string {
	out := make([]string, 0, 4)
	for i := range a.Listings {
		l := &a.Listings[i]
		if j, ok := slices.BinarySearch(out, l.Feed); l.Counts() && !ok {
			out = slices.Insert(out, j, l.Feed)
		}
	}
	return out
}

// AppendSummary appends the JSON of the answer's Summary to b; of an unusable
// value what Answer.AppendJSON writes.
func AppendSummary(b []byte, a *intel.Answer) []byte {
	if a.Error != nil {
		return a.AppendJSON(b)
	}
	b = append(b, `{"value":`...)
	b = appendString(b, a.Value)
	b = append(b, `,"kind":"`...)
	b = append(b, a.Kind.String()...)
	b = append(b, `","found":`...)
	b = strconv.AppendBool(b, a.Found)
	b = append(b, `,"verdict":"`...)
	b = append(b, a.Verdict...)
	b = append(b, `","score":`...)
	b = strconv.AppendInt(b, int64(a.Score), 10)
	b = append(b, `,"feeds":[`...)
	for i, f := range Feeds(a) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, f)
	}
	return append(b, ']', '}')
}

// appendString appends s as a JSON string: as it is where no byte needs an
// escape, which is nearly always, else by encoding/json.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return append(b, quote(s)...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// quote writes < > & as they are, as Answer.AppendJSON does.
func quote(s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return []byte(`""`) // a string always encodes
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
