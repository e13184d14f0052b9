package opensearch

import (
	"encoding/json"
	"strings"
	"testing"
)

// A state that cannot be used is an error in words; one whose facts are not at
// hand is none.
func TestKnown(t *testing.T) {
	e := &Engine{}
	for source, want := range map[string]string{
		`{"seq":"a"}`: "",
		`{}`:          "it names no version",
		`{"seq":7}`:   "cannot unmarshal number",
		``:            "unexpected end",
	} {
		var h hit
		h.Source.Listing = json.RawMessage(source)
		f, err := e.known(h)
		if f != nil || (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "%!")) {
			t.Errorf("%q: %v, %v, want %q", source, f, err, want)
		}
	}
}
