package corpus

import (
	"context"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Search answers s from the current view: View.Search.
func (c *Corpus) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	return c.View().Search(ctx, s, emit)
}

// Search hands the listings that s asks for to emit and counts the rest.
func (v *View) Search(ctx context.Context, s query.Search, emit func(*intel.Listing) error) (query.Page, error) {
	panic("being written")
}
