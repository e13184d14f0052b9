package corpus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Sweep deletes the segments that no head names and that were replaced longer
// than grace ago, so that whoever read the head before still finds them. When a
// segment was replaced is when the feed's next one was written; one that nothing
// follows was never committed and counts from its own time. Times are those of
// the store. A feed whose head cannot be read keeps everything.
func (c *Corpus) Sweep(ctx context.Context, now time.Time, grace time.Duration) error {
	infos, err := c.store.List(ctx, segDir)
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	var errs []error
	for len(infos) > 0 {
		feed, _, _ := strings.Cut(strings.TrimPrefix(infos[0].Key, segDir), "/")
		n := 1
		for n < len(infos) && strings.HasPrefix(infos[n].Key, segDir+feed+"/") {
			n++
		}
		if err := c.sweepFeed(ctx, feed, infos[:n], now.Add(-grace)); err != nil {
			errs = append(errs, &FeedError{feed, err})
		}
		infos = infos[n:]
	}
	return errors.Join(errs...)
}

// sweepFeed deletes what was replaced before the given time. The head is read
// after the listing: what it names then may be newer, never older.
func (c *Corpus) sweepFeed(ctx context.Context, feed string, infos []blob.Info, before time.Time) error {
	head, _, err := c.Head(ctx, feed)
	if err != nil {
		return err
	}
	named := map[string]bool{}
	if head != nil {
		for _, ref := range head.Segments {
			named[ref.Key] = true
		}
	}
	for _, info := range infos {
		if named[info.Key] || !replacedAt(info, infos).Before(before) {
			continue
		}
		if err := c.store.Delete(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// replacedAt is the time of the next younger segment, or the segment's own.
func replacedAt(s blob.Info, all []blob.Info) time.Time {
	var next time.Time
	for _, o := range all {
		if o.Modified.After(s.Modified) && (next.IsZero() || o.Modified.Before(next)) {
			next = o.Modified
		}
	}
	if next.IsZero() {
		return s.Modified
	}
	return next
}
