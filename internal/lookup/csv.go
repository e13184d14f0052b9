package lookup

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// CSVHeader is the first record of search results as CSV (RFC 4180).
const CSVHeader = "value,kind,feed,provider,listed,first_seen,last_seen,confidence,tlp,tags,malware,threat_type,reference,description," +
	"original,feed_first_seen,feed_last_seen,snapshot,role,intervals,context\r\n"

// AppendCSV appends a listing as a CSV record: values as they are, tags and
// intervals with semicolons between, the context as JSON. A text in which a
// spreadsheet would see a formula gets a ' in front.
func AppendCSV(b []byte, l *intel.Listing) []byte {
	b = appendCSVText(b, l.Canonical)
	for _, s := range []string{l.Kind.String(), l.Feed, l.Provider, strconv.FormatBool(l.Listed), csvTime(&l.FirstSeen), csvTime(&l.LastSeen),
		strconv.Itoa(l.Confidence), l.TLP, strings.Join(l.Tags, ";"), l.Malware, l.ThreatType, l.Reference, l.Description,
		l.Original, l.FeedFirstSeen, l.FeedLastSeen, l.Snapshot, cmp.Or(l.Role, intel.RoleThreat), csvIntervals(l.Intervals), string(l.Context.AppendJSON(nil))} {
		b = appendCSVText(append(b, ','), s)
	}
	return append(b, "\r\n"...)
}

func csvTime(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// csvIntervals writes intervals as ISO 8601 does, with an open end for what is
// still listed.
func csvIntervals(ivs []intel.Interval) string {
	var b strings.Builder
	for i := range ivs {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(csvTime(&ivs[i].From) + "/" + csvTime(ivs[i].To))
	}
	return b.String()
}

func appendCSVText(b []byte, s string) []byte {
	if s != "" && strings.IndexByte("=+-@\t\r\n", s[0]) >= 0 {
		s = "'" + s
	}
	if !strings.ContainsAny(s, ",\"\r\n") && s == strings.TrimSpace(s) {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}
