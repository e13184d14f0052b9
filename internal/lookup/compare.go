package lookup

import (
	"context"
	"errors"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// ErrNoCompare says that the engine in use cannot compare feeds.
var ErrNoCompare = errors.New("this engine does not compare feeds")

// Comparer is an engine that compares what feeds list. It is optional.
type Comparer interface {
	// Compare compares all feeds that hold data as things stand now, as
	// intel.Comparison says. A feed that aside names is compared like all others,
	// but what it lists does not make the listings of others less unique: an allow
	// list is no substitute for a list of threats. It may take seconds, since it goes
	// through everything; what it sees is one state of the data. An error is ctx's,
	// or means that the answer is not known now: nothing is left out in silence.
	Compare(ctx context.Context, aside func(feed string) bool) (*intel.Comparison, error)
}
