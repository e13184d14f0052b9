package lookup

import (
	"context"
	"errors"
	"fmt"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// ErrNoChanges says that the engine in use cannot tell what changed.
var ErrNoChanges = errors.New("this engine does not tell what changed")

// Changes tells what changed since a cursor, as Follower says. Errors are ctx's,
// emit's, or wrap ErrCursor, ErrNoChanges or ErrEngine.
func (s *Service) Changes(ctx context.Context, since string, limit int, emit func(*intel.Event) error) (next string, more bool, err error) {
	f, ok := s.engine.(Follower)
	if !ok {
		return "", false, ErrNoChanges
	}
	var own error
	next, more, err = f.Changes(ctx, since, limit, func(e *intel.Event) error {
		own = emit(e)
		return own
	})
	switch {
	case err == nil:
		return next, more, nil
	case ctx.Err() != nil:
		return "", false, ctx.Err()
	case own != nil:
		return "", false, own
	case errors.Is(err, ErrCursor):
		return "", false, err
	}
	return "", false, fmt.Errorf("%w: tell changes: %w", ErrEngine, err)
}
