package parse

import (
	"context"
	"errors"
	"io"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// formats is the one table of wire formats. A new format is one file with its
// reader and one line here.
var formats = []struct{ name string }{{"txt"}, {"csv"}, {"json"}, {"ndjson"}, {"hosts"}}

// Formats lists the names of the wire formats, which are the values of a feed's type.
func Formats() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return names
}

// Options says what Collect keeps of records that were not accepted.
type Options struct {
	MaxRejects int                // kept in Result.Rejects; 0 = 20
	OnReject   func(intel.Reject) // called for every reject, in order; may be nil
}

// Result is what one feed's bytes say.
type Result struct {
	Entries []intel.Entry // in the order of their first appearance
	intel.Counts
	Rejects       []intel.Reject // the first Options.MaxRejects
	SuppressedFor map[string]int // reason → records left out by rule
}

// Collect reads a whole feed.
func Collect(ctx context.Context, r io.Reader, s Spec, o Options) (*Result, error) {
	return &Result{}, errors.New("parse: not implemented yet")
}

// Check reports everything that is wrong with the spec, each error naming its key.
func (s Spec) Check() error { return nil }
