package lookup

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// What Found.TotalIs says.
const (
	TotalExact   = "exact"
	TotalAtLeast = "at_least"
)

// Found is what a search found, but for the listings themselves.
type Found struct {
	Query         string           `json:"query"` // as asked
	Total         int              `json:"total"` // listings that match, wherever the page begins
	TotalIs       string           `json:"total_is"`
	Partial       bool             `json:"partial"` // time or damaged data ended the search early
	PartialReason string           `json:"partial_reason,omitempty"`
	Facets        map[string]Facet `json:"facets"` // by field; never nil
	AsOf          *time.Time       `json:"as_of"`
	Hint          string           `json:"hint,omitempty"` // what to ask instead, where nothing was found

	Next      string           `json:"-"` // cursor of the next page; "" where nothing follows
	Indicator *intel.Indicator `json:"-"` // where the whole query is one: a look-up knows more of it
}

// Facet counts listings by their values in a field.
type Facet struct {
	Values []query.FacetValue `json:"values"` // the most frequent first, then by value
	Other  int                `json:"other"`  // counts of all other values together
	Exact  bool               `json:"exact"`  // else there are at least so many
}

// Result is one listing that a search found, as AppendResult writes it.
type Result struct {
	Value string `json:"value"` // the indicator, canonical: what a look-up takes
	intel.Listing
}

// SearchPage is a page of results as AppendPage writes it.
type SearchPage struct {
	Found
	Results []Result `json:"results"`
	Next    *string  `json:"next"` // cursor of the next page, null where nothing follows
}

// MarshalJSON is AppendResult: that of the listing alone would leave the value out.
func (r Result) MarshalJSON() ([]byte, error) { return AppendResult(nil, &r.Listing), nil }

// AppendResult appends the JSON of a listing that was found: the listing's with
// its value in front.
func AppendResult(b []byte, l *intel.Listing) []byte {
	b = appendString(append(b, `{"value":`...), l.Canonical)
	at := len(b)
	b = l.AppendJSON(b)
	b[at] = ','
	return b
}

// AppendJSON appends the JSON of what was found without listings.
func (f *Found) AppendJSON(b []byte) []byte {
	buf := bytes.NewBuffer(b)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil { // texts, numbers and a time always encode
		return append(b, `{}`...)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// AppendPage appends the JSON of a page. results holds what AppendResult wrote,
// with commas between.
func (f *Found) AppendPage(b, results []byte) []byte {
	b = f.AppendJSON(b)
	b = append(b[:len(b)-1], `,"results":[`...)
	b = append(b, results...)
	return f.appendNext(append(b, ']'))
}

// OpenPage is what stands before the results of a page that is written as they
// are found, and AppendRest what stands behind them.
const OpenPage = `{"results":[`

// AppendRest appends what stands behind the results: see OpenPage.
func (f *Found) AppendRest(b []byte) []byte {
	b = append(b, ']')
	at := len(b)
	b = f.AppendJSON(b)
	b[at] = ','
	return f.appendNext(b[:len(b)-1])
}

func (f *Found) appendNext(b []byte) []byte {
	if f.Next == "" {
		return append(b, `,"next":null}`...)
	}
	return append(appendString(append(b, `,"next":`...), f.Next), '}')
}
