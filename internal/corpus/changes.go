package corpus

import (
	"context"
	"errors"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// Changes implements lookup.Follower over the current view.
func (c *Corpus) Changes(ctx context.Context, since string, limit int, emit func(*intel.Event) error) (next string, more bool, err error) {
	return "", false, errors.New("being written")
}
