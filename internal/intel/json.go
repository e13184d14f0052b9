package intel

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the answer's JSON to b: what encoding/json without HTML
// escaping would write, several times as fast, save that a nil slice is [] and
// never null. Where Error is set it is {"value","error"}. Years must have four
// digits, which JSON times want too.
func (a *Answer) AppendJSON(b []byte) []byte {
	b = appendString(append(b, `{"value":`...), a.Value)
	if e := a.Error; e != nil {
		b = appendString(append(b, `,"error":{"code":`...), e.Code)
		b = appendString(append(b, `,"detail":`...), e.Detail)
		return append(b, "}}"...)
	}
	b = appendString(append(b, `,"kind":`...), a.Kind.String())
	b = appendString(append(b, `,"canonical":`...), a.Canonical)
	b = strconv.AppendBool(append(b, `,"found":`...), a.Found)
	b = appendString(append(b, `,"verdict":`...), string(a.Verdict))
	b = strconv.AppendInt(append(b, `,"score":`...), int64(a.Score), 10)
	b = append(b, `,"reasons":[`...)
	for i, r := range a.Reasons {
		b = appendString(append(comma(b, i), `{"text":`...), r.Text)
		b = strconv.AppendInt(append(b, `,"points":`...), int64(r.Points), 10)
		b = append(b, '}')
	}
	b = append(b, `],"listings":[`...)
	for i := range a.Listings {
		b = a.Listings[i].AppendJSON(comma(b, i))
	}
	b = append(b, ']')
	if a.Related != nil {
		b = a.Related.AppendJSON(append(b, `,"related":`...))
	}
	b = a.Enrichment.appendJSON(append(b, `,"enrichment":`...))
	if a.Timeline != nil {
		b = append(b, `,"timeline":[`...)
		for i := range a.Timeline {
			b = a.Timeline[i].appendJSON(comma(b, i))
		}
		b = append(b, ']')
	}
	b = appendTime(append(b, `,"as_of":`...), a.AsOf)
	return append(b, '}')
}

// MarshalJSON is AppendJSON.
func (a Answer) MarshalJSON() ([]byte, error) { return a.AppendJSON(nil), nil }

// UnmarshalJSON reads what AppendJSON wrote, errors too.
func (a *Answer) UnmarshalJSON(b []byte) error {
	type fields Answer
	both := struct {
		*fields
		Failure *AnswerError `json:"error"`
	}{fields: (*fields)(a)}
	if err := json.Unmarshal(b, &both); err != nil {
		return err
	}
	a.Error = both.Failure
	return nil
}

// AppendJSON appends the listing's JSON to b, under the rules of Answer.AppendJSON.
func (l *Listing) AppendJSON(b []byte) []byte {
	b = appendString(append(b, `{"feed":`...), l.Feed)
	b = appendString(append(b, `,"provider":`...), l.Provider)
	b = appendString(append(b, `,"relation":`...), string(l.Relation))
	b = appendMember(b, `,"role":`, l.Role)
	b = appendString(append(b, `,"kind":`...), l.Kind.String())
	b = appendString(append(b, `,"canonical":`...), l.Canonical)
	b = appendString(append(b, `,"original":`...), l.Original)
	b = strconv.AppendBool(append(b, `,"listed":`...), l.Listed)
	b = append(b, `,"intervals":[`...)
	for i := range l.Intervals {
		b = appendTime(append(comma(b, i), `{"from":`...), &l.Intervals[i].From)
		b = append(appendTime(append(b, `,"to":`...), l.Intervals[i].To), '}')
	}
	b = appendTime(append(b, `],"first_seen":`...), &l.FirstSeen)
	b = appendTime(append(b, `,"last_seen":`...), &l.LastSeen)
	b = strconv.AppendInt(append(b, `,"confidence":`...), int64(l.Confidence), 10)
	b = appendString(append(b, `,"tlp":`...), l.TLP)
	b = appendStrings(append(b, `,"tags":`...), l.Tags)
	b = appendMember(b, `,"malware":`, l.Malware)
	b = appendMember(b, `,"threat_type":`, l.ThreatType)
	b = appendMember(b, `,"reference":`, l.Reference)
	b = appendMember(b, `,"description":`, l.Description)
	b = appendMember(b, `,"feed_first_seen":`, l.FeedFirstSeen)
	b = appendMember(b, `,"feed_last_seen":`, l.FeedLastSeen)
	b = appendMember(b, `,"snapshot":`, l.Snapshot)
	b = l.Context.AppendJSON(append(b, `,"context":`...))
	return append(b, '}')
}

// MarshalJSON is AppendJSON.
func (l Listing) MarshalJSON() ([]byte, error) { return l.AppendJSON(nil), nil }

// AppendJSON appends the fields as a JSON object to b: a string for a field with
// one value, an array for one with several.
func (f Fields) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	for i, e := range f {
		b = append(appendString(comma(b, i), e.Name), ':')
		if len(e.Values) == 1 {
			b = appendString(b, e.Values[0])
		} else {
			b = appendStrings(b, e.Values)
		}
	}
	return append(b, '}')
}

// MarshalJSON is AppendJSON.
func (f Fields) MarshalJSON() ([]byte, error) { return f.AppendJSON(nil), nil }

// UnmarshalJSON reads an object of strings and arrays of strings, in any order.
// As in Add, empty values are left out. null is no fields.
func (f *Fields) UnmarshalJSON(b []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("fields: %w", err)
	}
	*f = nil
	for name, raw := range m {
		values := make([]string, 1)
		err := json.Unmarshal(raw, &values[0])
		if len(raw) > 0 && raw[0] == '[' {
			err = json.Unmarshal(raw, &values)
		}
		if err != nil {
			return fmt.Errorf("field %q is neither a string nor an array of strings: %w", name, err)
		}
		for _, v := range values {
			f.Add(name, v)
		}
	}
	return nil
}

// comma appends a comma before every element but the first.
func comma(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

// appendMember appends a member that is left out where it is empty.
func appendMember(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, key...), value)
}

// appendStrings appends an array of strings.
func appendStrings(b []byte, s []string) []byte {
	b = append(b, '[')
	for i, v := range s {
		b = appendString(comma(b, i), v)
	}
	return append(b, ']')
}

// appendTime appends a time, null for nil.
func appendTime(b []byte, t *time.Time) []byte {
	if t == nil {
		return append(b, "null"...)
	}
	b = t.AppendFormat(append(b, '"'), time.RFC3339Nano)
	return append(b, '"')
}

// jsonPlain are the bytes that a JSON string has as they are. Read-only.
var jsonPlain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendString appends a JSON string. Like encoding/json it writes bytes that
// are not UTF-8 as \ufffd, and U+2028 and U+2029, which end lines in JavaScript,
// escaped.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		if i+8 <= len(s) && plain8(s[i:i+8]) {
			i += 8
			continue
		}
		c := s[i]
		if jsonPlain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = appendEscape(append(b, s[done:i]...), c)
			i++
			done = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(append(b, s[done:i]...), `\ufffd`...)
			done = i + n
		case r == '\u2028' || r == '\u2029':
			b = append(append(b, s[done:i]...), `\u202`...)
			b = append(b, '8'+byte(r&1))
			done = i + n
		}
		i += n
	}
	return append(append(b, s[done:]...), '"')
}

// plain8 says whether none of eight bytes is a control character, a quote, a
// backslash or beyond ASCII. Almost all text is like that, and this looks at
// the eight at once (the zero-byte test of Bit Twiddling Hacks).
func plain8(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	_ = s[7]
	v := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	quote, slash := v^(ones*'"'), v^(ones*'\\')
	special := (v - ones*0x20) | (quote-ones)&^quote | (slash-ones)&^slash | v
	return special&highs == 0
}

// appendEscape appends the escape of a control character, quote or backslash.
func appendEscape(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
