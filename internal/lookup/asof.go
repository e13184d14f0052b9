package lookup

import (
	"fmt"
	"strings"
	"time"
)

// ParseAsOf reads the instant of an as-of question: RFC 3339, or a date, which
// means the end of that UTC day (its last second), today meaning now. An
// instant in the future is an error: nothing is known of it.
func ParseAsOf(s string, now time.Time) (time.Time, error) {
	s = strings.TrimSpace(s)
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		end := day.AddDate(0, 0, 1).Add(-time.Second)
		switch {
		case day.After(now):
			return time.Time{}, fmt.Errorf("as_of %s is in the future (now %s)", s, now.UTC().Format(time.RFC3339))
		case end.After(now):
			return now.UTC(), nil
		}
		return end, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("as_of %.40q is neither RFC 3339 (2026-03-01T12:00:00Z) nor a date (2026-03-01)", s)
	}
	if t.After(now) {
		return time.Time{}, fmt.Errorf("as_of %s is in the future (now %s)", s, now.UTC().Format(time.RFC3339))
	}
	if t.IsZero() {
		return time.Time{}, fmt.Errorf("as_of %s is not an instant that can be asked for", s)
	}
	return t.UTC(), nil
}
