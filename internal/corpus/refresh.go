package corpus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// FeedError says that a feed could not be read as it is now.
type FeedError struct {
	Feed string
	Err  error
}

// Error names the feed and the reason.
func (e *FeedError) Error() string { return fmt.Sprintf("feed %s: %v", e.Feed, e.Err) }

// Unwrap returns the reason.
func (e *FeedError) Unwrap() error { return e.Err }

// followed is what Refresh remembers of one feed's head.
type followed struct {
	seen  blob.Info  // as listed when the head was read
	racy  bool       // it may change again without looking different in a listing
	state *feedState // what is in view; nil while there was nothing readable
	err   error      // why the head as seen is not what is in view
}

// racyFor is how long after a head was written its time of change is too young
// to trust: file systems keep times in steps of some milliseconds (some of two
// seconds), so a second write can leave size and time as they were.
const racyFor = 2 * time.Second

// openAtOnce is how many feeds are opened at once: after a cold start that waits
// for the disk and not for the processor.
const openAtOnce = 8

// Refresh re-reads the heads that changed, maps new segments and swaps the view.
// It reports whether the view changed. A feed that cannot be read is named in
// the error (a FeedError, joined) each time until it can be; what was in view of
// it stays. Where nothing changed it costs one List of the heads.
func (c *Corpus) Refresh(ctx context.Context) (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	infos, err := c.store.List(ctx, headDir)
	if err != nil {
		return false, fmt.Errorf("list heads: %w", err)
	}
	now := time.Now() // of the file system's clock, not of the feeds'
	next := make(map[string]*followed, len(infos))
	var g errgroup.Group
	g.SetLimit(max(c.opt.Workers, openAtOnce))
	for _, info := range infos {
		id, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, headDir), headExt)
		if !ok || strings.Contains(id, "/") {
			continue
		}
		f := &followed{seen: info, racy: info.ETag == "" && now.Sub(info.Modified) < racyFor}
		next[id] = f
		old := c.feeds[id]
		if old != nil && old.err == nil && !old.racy && sameInfo(old.seen, info) && !old.state.stale() {
			f.state = old.state
			continue
		}
		g.Go(func() error {
			if old != nil {
				f.state = old.state
			}
			f.err = c.follow(ctx, id, f)
			return nil
		})
	}
	_ = g.Wait()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return c.show(ctx, next)
}

func sameInfo(a, b blob.Info) bool {
	return a.Size == b.Size && a.ETag == b.ETag && a.Modified.Equal(b.Modified)
}

// show makes what was followed the current view. c.mu is held.
func (c *Corpus) show(ctx context.Context, next map[string]*followed) (changed bool, err error) {
	var feeds []*feedState
	broken := map[string]error{}
	for _, id := range slices.Sorted(maps.Keys(next)) {
		f := next[id]
		if f.state != nil {
			feeds = append(feeds, f.state)
		}
		if f.err != nil {
			broken[id] = f.err
		}
	}
	c.broken.Store(&broken)
	old := c.View()
	if !slices.Equal(feeds, old.feeds) {
		v, buildErr := c.newView(feeds, old)
		if buildErr != nil {
			return false, buildErr
		}
		if old.searched() {
			v.prepare(ctx)
		}
		c.view.Store(v)
		changed = true
	} else {
		old.regrouped(ctx)
	}
	c.feeds = next
	return changed, c.Err()
}

// follow brings f.state to what the head says. A writer may replace the head and
// have its old segments swept between our two reads: then read the head again.
func (c *Corpus) follow(ctx context.Context, id string, f *followed) error {
	for try := 0; ; try++ {
		head, etag, err := c.Head(ctx, id)
		if err != nil {
			return err
		}
		if head == nil { // removed since the listing
			f.state = nil
			return nil
		}
		if f.state != nil && f.state.etag == etag && !f.state.stale() {
			return nil
		}
		segs, err := c.openSegments(ctx, head, f.state)
		if err == nil {
			state := &feedState{head: head, etag: etag, segs: segs}
			if err := guard(segs, state.bury); err != nil {
				return err
			}
			f.state = state
			return nil
		}
		if try == 3 || !errors.Is(err, blob.ErrNotFound) {
			return err
		}
	}
}

// openSegments opens what the head names; those that old has open are taken over.
func (c *Corpus) openSegments(ctx context.Context, head *Head, old *feedState) ([]*segment, error) {
	segs := make([]*segment, 0, len(head.Segments))
	for _, ref := range head.Segments {
		s := old.segment(ref.Key)
		if s == nil {
			var err error
			if s, err = openSegment(ctx, c.store, ref, c.hash); err != nil {
				return nil, err
			}
		}
		segs = append(segs, s)
	}
	return segs, nil
}

// bury finds the dead records, and checks what the tables of all feeds will be
// made from, so that damage there is this feed's alone.
func (f *feedState) bury() (err error) {
	if f.dead, err = deadOf(f.head.Segments, f.segs); err != nil {
		return err
	}
	for i, s := range f.segs {
		if s.cidr.n > 0 {
			err = s.check(s.cidr.off, s.cidr.n*s.cidr.size)
		}
		if err == nil && f.dead[i] != nil {
			_, err = s.roffs()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// segment returns the open segment with this key, or nil.
func (f *feedState) segment(key string) *segment {
	if f == nil {
		return nil
	}
	for _, s := range f.segs {
		if s.key == key && !s.stale.Load() {
			return s
		}
	}
	return nil
}

// stale says whether a copy of a segment turned out to be damaged, and was thrown
// away, since it was opened.
func (f *feedState) stale() bool {
	return f != nil && slices.ContainsFunc(f.segs, func(s *segment) bool { return s.stale.Load() })
}
