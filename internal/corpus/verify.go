package corpus

import (
	"context"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Problem is one thing wrong with one object.
type Problem struct {
	Key    string `json:"key"`
	Detail string `json:"detail"`
}

// Verify reads every head and segment of a store and reports what is wrong with
// them. Its error is for a store that cannot be read at all.
func Verify(ctx context.Context, store blob.Store, report func(Problem)) error { panic("TODO") }
