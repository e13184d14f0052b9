package query

import (
	"strconv"
	"strings"
	"time"
)

// feedLayouts are the ways in which feeds write instants, after the separators
// of a date that begins with the year were made hyphens and the T a blank.
// Fractions of a second are read by all of them. Read-only.
var feedLayouts = []string{
	"2006-01-02 15:04:05",
	"2006-01-02",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05 Z0700",
	"2006-01-02 15:04:05Z0700",
	"2006-01-02 15:04",
	"2006-01-02 15:04Z07:00",
	"2006-01",
	"Mon, 2 Jan 2006 15:04:05 Z0700",
	"Mon, 2 Jan 2006 15:04:05",
	"2 Jan 2006 15:04:05",
	"Mon Jan 2 15:04:05 2006",
}

// FeedTime reads an instant as feeds write it: RFC 3339 and what is like it,
// RFC 1123, seconds or milliseconds since 1970. Without a zone it is UTC, a date
// is its first instant. Dates whose day and month could be swapped are not
// guessed at.
func FeedTime(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if len(s) < len("2006-01") || len(s) > 40 {
		return time.Time{}, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch len(s) {
		case 10:
			return time.Unix(n, 0).UTC(), n > 0
		case 13:
			return time.UnixMilli(n).UTC(), n > 0
		}
		return time.Time{}, false
	}
	s = strings.TrimSuffix(strings.TrimSuffix(s, " UTC"), " GMT")
	if len(s) >= 10 && s[4] == '/' && s[7] == '/' {
		s = s[:4] + "-" + s[5:7] + "-" + s[8:]
	}
	if len(s) > 10 && s[4] == '-' && (s[10] == 'T' || s[10] == 't') {
		s = s[:10] + " " + s[11:]
	}
	if head, ok := strings.CutSuffix(s, "z"); ok {
		s = head + "Z"
	}
	for _, layout := range feedLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), t.Year() > 1
		}
	}
	return time.Time{}, false
}
