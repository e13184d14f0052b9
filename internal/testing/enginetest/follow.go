package enginetest

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// follower is somebody who keeps a list of what is listed by following an
// engine's changes. Read to the end, it must be what is listed.
type follower struct {
	cursor string
	list   map[spot]string
}

// spot is what a listing is known by.
type spot struct {
	feed string
	ind  intel.Indicator
}

// said is what a follower keeps of a listing.
func said(l *intel.Listing) string {
	return strconv.Quote(l.Original) + " since " + stamp(l.FirstSeen) + " " + string(l.Context.AppendJSON(nil))
}

// follow reads all that changed, so many at a time, and compares.
func (r *runner) follow(limit int) error {
	e, ok := r.engine.(lookup.Follower)
	if !ok {
		return nil
	}
	f := &r.follower
	for anew := false; ; {
		var at int64
		next, more, err := e.Changes(r.ctx, f.cursor, limit, func(e *intel.Event) error {
			if ms := e.At.UnixMilli(); ms < at {
				return fmt.Errorf("%s stands behind %s", stamp(e.At), stamp(toTime(at)))
			}
			at = e.At.UnixMilli()
			return f.take(e)
		})
		switch {
		case errors.Is(err, intel.ErrCursor) && f.cursor != "" && !anew:
			*f, anew = follower{}, true
			continue
		case err != nil:
			return fmt.Errorf("changes: %w", err)
		case more && next == f.cursor:
			return fmt.Errorf("changes: the cursor stays where it is, and yet more")
		}
		f.cursor = next
		if !more {
			return r.followed()
		}
	}
}

func (f *follower) take(e *intel.Event) error {
	if f.list == nil {
		f.list = map[spot]string{}
	}
	key := spot{e.Listing.Feed, intel.Indicator{Kind: e.Listing.Kind, Value: e.Listing.Canonical}}
	switch e.Type {
	case intel.EventListed, intel.EventUpdated:
		if !e.Listing.Listed {
			return fmt.Errorf("%s %v: %s, and yet not listed", key.feed, key.ind, e.Type)
		}
		f.list[key] = said(&e.Listing)
	case intel.EventDelisted, intel.EventAgedOut:
		if e.Listing.Listed {
			return fmt.Errorf("%s %v: %s, and yet listed", key.feed, key.ind, e.Type)
		}
		want := intel.EventAgedOut
		if p := e.Listing.Info.Presence; p == intel.Snapshot || p == "" {
			want = intel.EventDelisted
		}
		if e.Type != want {
			return fmt.Errorf("%s %v of presence %q: %s, want %s", key.feed, key.ind, e.Listing.Info.Presence, e.Type, want)
		}
		delete(f.list, key)
	default:
		return fmt.Errorf("the unknown event %q", e.Type)
	}
	return nil
}

// followed compares the follower's list with the Model.
func (r *runner) followed() error {
	want := map[spot]string{}
	for _, l := range r.model.listings(time.Time{}) {
		if l.Listed && l.Snapshot == "" {
			want[spot{l.Feed, intel.Indicator{Kind: l.Kind, Value: l.Canonical}}] = said(&l)
		}
	}
	for key, w := range want {
		if g, ok := r.follower.list[key]; !ok || g != w {
			return fmt.Errorf("who follows the changes has %q for %s %v, want %q", g, key.feed, key.ind, w)
		}
	}
	for key := range r.follower.list {
		if _, ok := want[key]; !ok {
			return fmt.Errorf("who follows the changes was never told that %s no longer lists %v", key.feed, key.ind)
		}
	}
	return nil
}
