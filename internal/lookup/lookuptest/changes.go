package lookuptest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/query"
)

// Changes implements lookup.Follower over what was added before the first call:
// a cursor is how many events were told.
func (e *Engine) Changes(ctx context.Context, since string, limit int, emit func(*intel.Event) error) (next string, more bool, err error) {
	if e.Fail != nil {
		if err := e.Fail(intel.Question{}); err != nil {
			return "", false, err
		}
	}
	all := slices.Collect(e.listings(time.Time{}))
	sort := query.Sort{By: query.ByChanged, Reverse: true}
	slices.SortFunc(all, func(a, b intel.Listing) int { return sort.Compare(sort.Position(&a), sort.Position(&b)) })
	at := 0
	if since != "" {
		if at, err = strconv.Atoi(since); err != nil || at < 0 || at > len(all) {
			return "", false, fmt.Errorf("%w: %.40q is none of this engine's; begin anew", intel.ErrCursor, since)
		}
	}
	end := len(all)
	if limit > 0 {
		end = min(end, at+limit)
	}
	for i := range all[at:end] {
		l := &all[at+i]
		ev := intel.Event{Type: intel.EventListed, At: l.Changed, Listing: *l}
		if !l.Listed {
			ev.Type = l.Info.Presence.Ended()
		}
		if err := ctx.Err(); err != nil {
			return "", false, err
		}
		if err := emit(&ev); err != nil {
			return "", false, err
		}
	}
	return strconv.Itoa(end), end < len(all), nil
}
