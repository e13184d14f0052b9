package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/elasticintel/elasticintel/internal/corpus"
)

// purgeStep is how much later the oldest closed listings have to be than at the
// last purge for another one: each writes their segments anew.
const purgeStep = 24 * time.Hour

// Tidy does what can wait until after the runs of feeds: it folds what they
// left behind (corpus.Fold), deletes closed listings older than
// Config.KeepHistory or the feed's own time, and groups small indexes. It changes no answer but for
// what it deletes, may run beside runs, and may be given up at any time. Feeds
// that cannot be tidied are named in the error, the others are.
func (r *Runner) Tidy(ctx context.Context, feeds ...string) error {
	var errs []error
	changed := false
	for _, id := range feeds {
		did, err := r.tidy(ctx, id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		changed = changed || did
		errs = append(errs, err)
	}
	if changed {
		if _, err := r.cfg.Corpus.Refresh(ctx); err != nil {
			r.cfg.Log.WarnContext(ctx, "data cannot be read", "error", err)
		}
	}
	_, err := r.cfg.Corpus.Regroup(ctx)
	return errors.Join(append(errs, err)...)
}

func (r *Runner) tidy(ctx context.Context, id string) (changed bool, err error) {
	const turns = 3 // the first may cut a feed into other shards, the next tidies those
	for range turns {
		again, err := r.cfg.Corpus.Fold(ctx, id, corpus.FoldOptions{Now: r.now()})
		if err != nil {
			return changed, err
		} else if !again {
			break
		}
		changed = true
	}
	purged, err := r.purge(ctx, id)
	return changed || purged, err
}

// purge deletes what is older than is to be kept, if that is worth it.
func (r *Runner) purge(ctx context.Context, id string) (bool, error) {
	keep := r.keepHistory(id)
	if keep <= 0 {
		return false, nil
	}
	head, _, err := r.cfg.Corpus.Head(ctx, id)
	before := r.now().Add(-keep)
	if err != nil || head == nil || before.Sub(head.Purged) < min(purgeStep, keep) {
		return false, err
	}
	n, err := r.cfg.Corpus.Purge(ctx, id, before)
	if n > 0 {
		r.cfg.Log.InfoContext(ctx, "old listings deleted", "feed", id, "listings", n, "before", before.Format(time.DateOnly))
	}
	return n > 0, err
}

// keepHistory is how long closed listings of a feed are kept; 0: for ever.
func (r *Runner) keepHistory(id string) time.Duration {
	if r.cfg.KeepHistoryOf != nil {
		if own := r.cfg.KeepHistoryOf(id); own > 0 {
			return own
		}
	}
	return r.cfg.KeepHistory
}

// errTidied says that the head a run began with was tidied meanwhile: what the
// run brings is compared with the new one.
var errTidied = errors.New("the feed was tidied meanwhile")

// maxTidied is how often that may happen to a run.
const maxTidied = 10

// overtaken takes up the current head where nothing but tidying came between.
func (a *attempt) overtaken(ctx context.Context) bool {
	if a.head == nil || a.tidied == maxTidied {
		return false
	}
	head, etag, err := a.cfg.Corpus.Head(ctx, a.def.ID)
	if err != nil || head == nil || head.Run.ID != a.head.Run.ID {
		return false
	}
	a.head, a.etag = head, etag
	a.tidied++
	return true
}

// untilCommitted repeats what ends in a swap while tidying comes in between.
func (a *attempt) untilCommitted(try func() error) error {
	for {
		run := a.run
		if err := try(); !errors.Is(err, errTidied) {
			return err
		}
		a.run = run
	}
}
