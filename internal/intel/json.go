package intel

import (
	"encoding/json"
	"time"
)

// AppendJSON appends the answer's JSON to b.
func (a *Answer) AppendJSON(b []byte) []byte {
	type plain Answer
	j, _ := json.Marshal((*plain)(a))
	return append(b, j...)
}

// AppendJSON appends the listing's JSON to b.
func (l *Listing) AppendJSON(b []byte) []byte {
	type plain Listing
	j, _ := json.Marshal((*plain)(l))
	return append(b, j...)
}

// Duration is a time.Duration written as text ("36h", "30d", "90m").
type Duration time.Duration

// String writes the duration in its largest whole unit.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "36h", "30d", "90m".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Stats counts what a corpus holds now.
type Stats struct {
	Listings   int            `json:"listings"`   // open now
	Indicators int            `json:"indicators"` // distinct
	Feeds      int            `json:"feeds"`
	ByKind     map[string]int `json:"by_kind"` // open listings of each kind
	Bytes      int64          `json:"bytes"`   // of all segments
}
