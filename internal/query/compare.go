package query

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// number makes the node of a field that holds whole numbers.
func (p *parser) number(f fieldInfo, op string, w word, at int) (Node, *Error) {
	pos, err := p.leaf(at)
	if err != nil {
		return nil, err
	}
	bad := func(hint string) (Node, *Error) {
		return nil, p.fail(w.at, quote(w.text), "a whole number from 0 to "+formatNumber(f.limit)+", or a range such as 1..80", hint)
	}
	parse := func(s string) (float64, bool) {
		if f.field == FieldASN {
			s = strings.TrimPrefix(strings.ToUpper(s), "AS")
		}
		n, err := strconv.ParseUint(s, 10, 64)
		return float64(n), err == nil && float64(n) <= f.limit
	}
	n, ok := numberRange(op, w, parse)
	switch {
	case !ok:
		return bad("")
	case n.Min > n.Max:
		return bad("the range runs backwards")
	}
	if n.MinOpen {
		n.Min, n.MinOpen = n.Min+1, false
	}
	if n.MaxOpen {
		n.Max, n.MaxOpen = n.Max-1, false
	}
	if n.Min > f.limit || n.Max < 0 {
		return bad("no number is " + op + w.text)
	}
	n.Pos, n.Field = pos, f.field
	return n, nil
}

// numberRange reads a number behind an operator, or a range.
func numberRange(op string, w word, parse func(string) (float64, bool)) (n Number, ok bool) {
	n.Min, n.Max = math.Inf(-1), math.Inf(1)
	low, high, isRange := strings.Cut(w.text, "..")
	if isRange {
		ok = op == "" && low+high != ""
		if low != "" && ok {
			n.Min, ok = parse(low)
		}
		if high != "" && ok {
			n.Max, ok = parse(high)
		}
		return n, ok
	}
	v, ok := parse(low)
	switch op {
	case "", "=":
		n.Min, n.Max = v, v
	case "<", "<=":
		n.Max, n.MaxOpen = v, op == "<"
	default:
		n.Min, n.MinOpen = v, op == ">"
	}
	return n, ok
}

// parseDecimal reads a plain decimal number: no exponent, no NaN.
func parseDecimal(s string) (float64, bool) {
	if s == "" || len(s) > 40 || strings.Trim(s, "-0123456789.") != "" {
		return 0, false
	}
	if digits := strings.TrimPrefix(s, "-"); digits == "" || digits[0] == '.' || digits[len(digits)-1] == '.' {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v + 0, err == nil
}

func formatNumber(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// context makes the node of a field of the context: words, unless it is compared
// or given as a range.
func (p *parser) context(f fieldInfo, op string, w word, at int) (Node, *Error) {
	isRange := op == "" && !w.quoted && strings.Contains(w.text, "..")
	if isRange || strings.ContainsAny(op, "<>") {
		if n, ok := numberRange(op, w, parseDecimal); ok {
			if n.Min > n.Max {
				return nil, p.fail(w.at, quote(w.text), "a range that runs upwards", "")
			}
			pos, err := p.leaf(at)
			if err != nil {
				return nil, err
			}
			n.Pos, n.Field = pos, f.field
			return n, nil
		}
		if _, reason := dateRange(op, w.text, p.now); reason == "" || !isRange {
			return p.date(f, op, w, at)
		}
	}
	if op == "=" {
		return p.whole(f.field, w, at)
	}
	return p.words(f.field, w, at)
}

// date makes the node of a field that holds instants.
func (p *parser) date(f fieldInfo, op string, w word, at int) (Node, *Error) {
	pos, err := p.leaf(at)
	if err != nil {
		return nil, err
	}
	d, reason := dateRange(op, w.text, p.now)
	if reason != "" {
		expected := "a date (2026-01-31, 2026-01, 2026-01-31T08:00:00Z), a range of them, or an age (<30d)"
		if f.class == classContext {
			expected = "a number, a date (2026-01-31) or an age (30d) to compare with"
		}
		return nil, p.fail(w.at, quote(w.text), expected, reason)
	}
	d.Pos, d.Field = pos, f.field
	return d, nil
}

// dateRange reads what follows the colon of a date field; reason says what is
// wrong with it.
func dateRange(op, text string, now time.Time) (d Date, reason string) {
	low, high, isRange := strings.Cut(text, "..")
	if isRange && (op != "" || low+high == "") {
		return d, "a range stands alone: 2026-01..2026-03, 2026-01.., ..2026-03"
	}
	if isAge(low) || low == "" && isAge(high) {
		return ageRange(op, low, high, isRange, now)
	}
	d.Written = strings.TrimPrefix(op, "=") + text
	if isRange {
		if low != "" {
			d.From, _, reason = span(low)
		}
		if high != "" && reason == "" {
			_, d.To, reason = span(high)
		}
		if low != "" && high != "" && reason == "" && !d.From.Before(d.To) {
			reason = "the range runs backwards"
		}
		return d, reason
	}
	from, to, reason := span(text)
	switch op {
	case "", "=":
		d.From, d.To = from, to
	case "<":
		d.To = from
	case "<=":
		d.To = to
	case ">":
		d.From = to
	case ">=":
		d.From = from
	}
	return d, reason
}

// span returns the time that a date, month or year (UTC) covers, and for an
// instant the nanosecond that it is.
func span(s string) (from, to time.Time, reason string) {
	layout, years, months, days := "", 0, 0, 0
	switch len(s) {
	case len("2006"):
		layout, years = "2006", 1
	case len("2006-01"):
		layout, months = "2006-01", 1
	case len("2006-01-02"):
		layout, days = time.DateOnly, 1
	default:
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return t, t, "a time needs seconds and a zone: 2026-01-31T08:00:00Z"
		}
		return t.UTC(), t.UTC().Add(1), tooOld(t)
	}
	from, err := time.Parse(layout, s)
	if err != nil {
		return from, from, "no such date"
	}
	return from, from.AddDate(years, months, days), tooOld(from)
}

// tooOld refuses years that are slips, and would be taken for no bound.
func tooOld(t time.Time) string {
	if t.UTC().Year() < 1900 {
		return "a year before 1900"
	}
	return ""
}

// ageUnits are the units of an age. Read-only.
const ageUnits = "smhdw"

// isAge says whether s has the form of an age: it begins with a digit and ends in a unit.
func isAge(s string) bool {
	return len(s) > 1 && s[0] >= '0' && s[0] <= '9' && strings.IndexByte(ageUnits, s[len(s)-1]) >= 0
}

// parseAge reads an age: a number of seconds, minutes, hours, days or weeks.
func parseAge(s string) (time.Duration, bool) {
	if !isAge(s) {
		return 0, false
	}
	if n, ok := strings.CutSuffix(s, "w"); ok {
		weeks, err := strconv.ParseUint(n, 10, 13)
		return time.Duration(weeks) * 7 * 24 * time.Hour, err == nil
	}
	var d intel.Duration
	if err := d.UnmarshalText([]byte(s)); err != nil {
		return 0, false
	}
	return time.Duration(d), true
}

// ageRange reads ages: <30d is what happened less than 30 days before now, 7d..30d
// what happened at least 7 and at most 30 days ago.
func ageRange(op, low, high string, isRange bool, now time.Time) (d Date, reason string) {
	const bad = "an age is a number of s, m (minutes), h, d or w"
	age, ok := parseAge(low)
	if !ok && low != "" {
		return d, bad
	}
	if !isRange {
		d.Written = op + intel.Duration(age).String()
		t := now.Add(-age).UTC()
		switch op {
		case "<":
			d.From = t.Add(1)
		case "<=":
			d.From = t
		case ">":
			d.To = t
		case ">=":
			d.To = t.Add(1)
		default:
			return d, "write <" + low + " for younger than that, >" + low + " for older"
		}
		return d, ""
	}
	if low != "" {
		d.To = now.Add(-age).UTC().Add(1)
		d.Written = intel.Duration(age).String()
	}
	d.Written += ".."
	if high != "" {
		oldest, ok := parseAge(high)
		if !ok {
			return d, bad
		}
		if oldest < age {
			return d, "the range runs backwards: the younger age comes first"
		}
		d.From = now.Add(-oldest).UTC()
		d.Written += intel.Duration(oldest).String()
	}
	return d, ""
}
