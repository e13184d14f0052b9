package corpus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Sweep deletes the segments that no head names and that were replaced longer
// than grace ago, so that whoever read the head before still finds them. When a
// segment was replaced is when the version of the head without it was written;
// one that no head remembers was never committed and counts from its own time.
// Times are those of the store. A feed whose head cannot be read keeps everything,
// and a run that was handed over what it has so far (see Unfinished).
func (c *Corpus) Sweep(ctx context.Context, now time.Time, grace time.Duration) error {
	infos, err := c.store.List(ctx, segDir)
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	handed, err := c.store.List(ctx, unfinishedDir) // after the segments: those of a run that is handed over meanwhile are young
	if err != nil {
		return fmt.Errorf("list unfinished runs: %w", err)
	}
	unfinished := map[string]bool{}
	for _, info := range handed {
		unfinished[info.Key] = true
	}
	var errs []error
	for len(infos) > 0 {
		feed, _, _ := strings.Cut(strings.TrimPrefix(infos[0].Key, segDir), "/")
		n := 1
		for n < len(infos) && strings.HasPrefix(infos[n].Key, segDir+feed+"/") {
			n++
		}
		spared, all, err := map[string]bool(nil), false, error(nil)
		if unfinished[unfinishedDir+feed+headExt] {
			spared, all, err = c.spared(ctx, feed, now)
		}
		if err == nil && !all {
			err = c.sweepFeed(ctx, feed, infos[:n], spared, now.Add(-grace))
		}
		if err != nil {
			errs = append(errs, &FeedError{feed, err})
		}
		infos = infos[n:]
	}
	return errors.Join(errs...)
}

// sweepFeed deletes what was replaced before the given time, but for what is
// spared. The head is read after the listing: what it names then may be newer,
// never older; and after the unfinished run, which goes when the head names its
// segments.
func (c *Corpus) sweepFeed(ctx context.Context, feed string, infos []blob.Info, spared map[string]bool, before time.Time) error {
	head, _, err := c.Head(ctx, feed)
	if err != nil {
		return err
	}
	current := map[string]bool{}
	until := map[string]int64{}
	if head != nil {
		for _, ref := range head.Segments {
			current[ref.Name] = true
		}
		for _, f := range head.Former {
			until[f.Name] = f.Until
		}
	}
	for _, info := range infos {
		name := path.Base(info.Key)
		if current[name] || spared[name] {
			continue
		}
		at := replacedAt(info, until[name], infos)
		if at.IsZero() { // no later version wrote any: at the last one's time at the latest
			if at, err = c.headTime(ctx, feed); err != nil {
				return err
			}
		}
		if !at.Before(before) {
			continue
		}
		if err := c.store.Delete(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// replacedAt is when the segment was replaced: when the segments of the first
// version without it were written, or, where it had none, those of the next that
// had; zero where none follows. A segment whose last version is not known counts from the time of the next
// younger one, or from its own.
func replacedAt(s blob.Info, until int64, all []blob.Info) time.Time {
	var at time.Time
	version := int64(math.MaxInt64)
	for _, o := range all {
		v := versionOf(path.Base(o.Key))
		switch {
		case until == 0 && o.Modified.After(s.Modified) && (at.IsZero() || o.Modified.Before(at)):
			at = o.Modified
		case until != 0 && v >= until && (v < version || v == version && o.Modified.After(at)):
			at, version = o.Modified, v
		}
	}
	if at.IsZero() && until == 0 {
		return s.Modified
	}
	return at
}

// headTime is when the feed's head was written.
func (c *Corpus) headTime(ctx context.Context, feed string) (time.Time, error) {
	_, info, err := blob.Read(ctx, c.store, headDir+feed+headExt)
	return info.Modified, err
}

// versionOf reads the version of the head that a segment was written for.
func versionOf(name string) int64 {
	digits, _, _ := strings.Cut(name, "-")
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0
	}
	return v
}
