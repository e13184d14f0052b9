package intel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration written as text: "36h", "30d", "90m". A day is 24 hours.
type Duration time.Duration

// day is the unit that time.Duration's text lacks.
const day = 24 * time.Hour

// durationUnits are the units that String uses, largest first. Read-only.
var durationUnits = [...]struct {
	unit time.Duration
	name string
}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}

// String writes the duration in the largest unit that divides it: "30d", "36h", "90m", "0s".
func (d Duration) String() string {
	for _, u := range durationUnits {
		if t := time.Duration(d); t != 0 && t%u.unit == 0 {
			return strconv.FormatInt(int64(t/u.unit), 10) + u.name
		}
	}
	return time.Duration(d).String()
}

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a number of days, hours, minutes or seconds ("30d", "36h",
// "1h30m", "1d12h"), days first. Negative durations are refused.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := parseDuration(string(b))
	if err != nil {
		return fmt.Errorf("duration %q: %w (write 90m, 36h or 30d)", b, err)
	}
	*d = Duration(v)
	return nil
}

// parseDuration reads what UnmarshalText takes.
func parseDuration(s string) (time.Duration, error) {
	var days time.Duration
	rest := s
	if n, tail, ok := strings.Cut(s, "d"); ok {
		v, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return 0, errors.New("not a whole number of days")
		}
		if days, rest = time.Duration(v)*day, tail; rest == "" {
			return days, nil
		}
	}
	v, err := time.ParseDuration(rest)
	switch {
	case err != nil:
		return 0, errors.New("not a duration")
	case v < 0:
		return 0, errors.New("negative")
	case days+v < days:
		return 0, errors.New("too long")
	}
	return days + v, nil
}
