package opensearch

import (
	"encoding/json"
	"strconv"
	"time"
)

// appendText appends a JSON string.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			q, _ := json.Marshal(s) // a string always can
			return append(b, q...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// comma appends a comma unless an object or array has just begun.
func comma(b []byte) []byte {
	if c := b[len(b)-1]; c != '[' && c != '{' {
		b = append(b, ',')
	}
	return b
}

// appendList appends a member of texts, unless there are none. name needs no escapes.
func appendList(b []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(append(append(comma(b), '"'), name...), `":[`...)
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

// appendNumbers appends whole numbers between what begins and ends the member, unless there are none.
func appendNumbers(b []byte, begin string, list []float64, end string) []byte {
	for i, n := range list {
		if i == 0 {
			b = append(b, begin...)
		} else {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	if len(list) > 0 {
		b = append(b, end...)
	}
	return b
}

// appendDates appends a member of instants, unless there are none.
func appendDates(b []byte, begin string, list []time.Time) []byte {
	for i, t := range list {
		if i == 0 {
			b = append(b, begin...)
		} else {
			b = append(b, ',')
		}
		b = appendDate(b, t)
	}
	if len(list) > 0 {
		b = append(b, ']')
	}
	return b
}

// appendDate appends an instant, UTC.
func appendDate(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}
