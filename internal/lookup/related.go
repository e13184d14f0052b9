package lookup

import (
	"context"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// relate sets a.Related.
func (s *Service) relate(ctx context.Context, ind intel.Indicator, o Options, a *intel.Answer) error {
	a.Related = &intel.Related{}
	return ctx.Err()
}
