package enrich

import (
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Date is intel.Date.
type Date = intel.Date

// layouts are the ways in which registries write days, and days with times;
// those with fractions of seconds need no line of their own. Read-only.
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02", "2006-Jan-02",
	"20060102 15:04:05", "20060102", "2006.01.02 15:04:05", "2006.01.02", "2006/01/02 15:04:05", "2006/01/02",
	"2.1.2006 15:04:05", "2.1.2006", "2/1/2006 15:04:05", "2/1/2006", "2-1-2006 15:04:05", "2-1-2006", // days first: no registry writes months first
	"2-Jan-2006 15:04:05", "2-Jan-2006", "2-Jan-06", "2 Jan 2006", "Jan-2006", "Mon Jan 2 15:04:05 2006",
}

// zones are the abbreviations that registries add, in seconds east of UTC. Read-only.
var zones = map[string]int{
	"UTC": 0, "GMT": 0, "Z": 0, "GMT+0:00": 0, "JST": 9 * 3600, "KST": 9 * 3600, "CLT": -4 * 3600, "CLST": -3 * 3600, "BRT": -3 * 3600,
	"CET": 3600, "CEST": 2 * 3600, "EET": 2 * 3600, "EEST": 3 * 3600, "MSK": 3 * 3600,
}

// parseDate reads a date in any layout that registries use, "" for what is none.
// Without a zone it is taken for UTC, as only the registry knows better.
func parseDate(s string) Date {
	s = strings.TrimSuffix(strings.TrimPrefix(clean(s), "before "), ".")
	if d := tryDate(s, 0); d != "" {
		return d
	}
	head, tail := s, ""
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		head, tail = s[:i], strings.Trim(s[i+1:], "()")
	}
	if east, ok := zones[strings.ToUpper(tail)]; ok {
		return tryDate(head, east)
	}
	if strings.HasPrefix(tail, "#") || tail == "YYYY-MM-DD" { // "19990518 #162310": a ticket
		return tryDate(head, 0)
	}
	return ""
}

func tryDate(s string, east int) Date {
	for _, l := range layouts {
		t, err := time.Parse(l, s)
		if err != nil {
			continue
		}
		t = t.UTC().Add(-time.Duration(east) * time.Second).Truncate(time.Second)
		if t.Year() < 1970 || t.Year() > 2200 {
			return ""
		}
		return Date(t.Format(time.RFC3339))
	}
	return ""
}

// lastDate finds the day in "who@example.net 20041207 (Changed)".
func lastDate(s string) Date {
	d := parseDate(s)
	for _, word := range strings.Fields(clean(s)) {
		if len(word) == 8 && d == "" {
			d = parseDate(word)
		}
	}
	return d
}
