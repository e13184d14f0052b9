package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/follow"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/opensearch"
)

func (p *program) reindexCmd() *cobra.Command {
	var o opensearch.ReindexOptions
	cmd := &cobra.Command{
		Use: "reindex", Short: "Make the index of a cluster anew from the data folder",
		Long: `Fills a new index from the data folder beside the old one, which answers until the new one is whole, and then takes
its place. Ended by anything, even by force, it goes on where it was when it is started again. A running server may go on: it
syncs when this is done.`,
		Example: "  elasticintel reindex\n  elasticintel reindex --engine opensearch --opensearch-url https://host:9200 --take-over",
		Args:    args(0, 0, "nothing"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.reindex(cmd.Context(), o) },
	}
	p.cfg.Bind(cmd.Flags(), config.EngineFlags()...)
	cmd.Flags().BoolVar(&o.TakeOver, "take-over", false, "replace an index that another data folder fills, too")
	return cmd
}

func (p *program) reindex(ctx context.Context, o opensearch.ReindexOptions) error {
	spec, err := p.clusterSpec()
	if err != nil {
		return err
	}
	if spec == nil {
		return usageError("Name the cluster: --engine opensearch --opensearch-url https://host:9200.", "reindex: the engine is the data folder itself, which needs no index")
	}
	c, err := p.openCluster(ctx, spec)
	if err != nil {
		return err
	}
	f, err := p.openFolder(ctx)
	if err != nil {
		return err
	}
	return p.fill(ctx, f, c, o)
}

// fill makes the index of a cluster anew and says how far it is.
func (p *program) fill(ctx context.Context, f *local.Folder, c *cluster, o opensearch.ReindexOptions) error {
	release, err := local.LockIndex(ctx, f.Root)
	if err != nil {
		return err
	}
	defer release()
	if _, err := f.Corpus.Refresh(ctx); err != nil {
		return err
	}
	began := p.now()
	o.Progress = p.filling(began)
	st, err := c.engine.Reindex(ctx, follow.Of(f.Corpus), o)
	p.talk.finished(indexBar)
	switch {
	case errors.Is(err, opensearch.ErrForeign):
		return configError(err, "")
	case err != nil && ctx.Err() != nil:
		p.talk.problem("Interrupted; the same command goes on where it was.")
		return context.Canceled
	case err != nil:
		_, hint := verdictOf(err)
		return &failure{exitUnreachable, fmt.Errorf("%s: %w", c.where, err), "The same command goes on where it was. " + hint}
	case st.Rejected > 0:
		return &failure{exitPartial, fmt.Errorf("the index is filled, and did not take %s: %w", plural(st.Rejected, "document"), c.engine.Err()), "`elasticintel verify` names what is missing."}
	}
	p.talk.say("The %s is whole: %s written in %s.", c.where, plural(st.Written, "document"), span(p.now().Sub(began).Round(time.Second)))
	return nil
}

// indexBar is what the progress of a filling is called.
const indexBar = "index"

// plainEvery is the time between two lines of progress where there is no terminal.
const plainEvery = 5 * time.Second

// filling tells how far a filling is: by a bar on a terminal, else by lines.
func (p *program) filling(began time.Time) func(opensearch.Progress) {
	var said time.Time
	resumed := -1
	return func(g opensearch.Progress) {
		now := p.now()
		p.talk.progress(feed.Progress{Feed: indexBar, Phase: "send", Done: int64(g.Listings), Total: int64(g.AllListings)}, now)
		done := g.Feeds == g.AllFeeds
		if p.talk.tty || now.Sub(said) < plainEvery && g.Resumed == resumed && !done {
			return
		}
		said, resumed = now, g.Resumed
		rate, more := "", ""
		if s := now.Sub(began).Seconds(); s >= 1 {
			rate = fmt.Sprintf(", %.0f a second", float64(g.Listings-g.Resumed)/s)
		}
		if g.Resumed > 0 {
			more = fmt.Sprintf("; %d of them were there", g.Resumed)
		}
		p.talk.say("%s: %d of %d feeds, %d of %d listings%s%s.", g.Index, g.Feeds, g.AllFeeds, g.Listings, g.AllListings, rate, more)
	}
}

// verifyIndex compares the index, where the engine is a cluster, with the data
// folder. What is found is looked at again: the index may be being brought up to date.
func (p *program) verifyIndex(ctx context.Context, sample int) ([]corpus.Problem, error) {
	spec, err := p.clusterSpec()
	if err != nil || spec == nil {
		return nil, err
	}
	c, err := p.openCluster(ctx, spec)
	if err != nil {
		return nil, err
	}
	f, err := p.openFolder(ctx)
	if err != nil {
		return nil, err
	}
	return p.compareIndex(ctx, f, c, sample)
}

func (p *program) compareIndex(ctx context.Context, f *local.Folder, c *cluster, sample int) (out []corpus.Problem, err error) {
	o := opensearch.VerifyOptions{Sample: sample}
	if sample <= 0 {
		o.Sample = -1
	}
	tries := 2
	if _, serves := local.ServerPID(f.Root); serves {
		tries = 20
	}
	var r *opensearch.Report
	for {
		if _, err := f.Corpus.Refresh(ctx); err != nil {
			return nil, err
		}
		if r, err = c.engine.Verify(ctx, follow.Of(f.Corpus), o); err != nil {
			return nil, fmt.Errorf("%s: %w", c.where, err)
		}
		if tries--; tries <= 0 || len(r.Behind)+len(r.Problems) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lookEvery):
		}
	}
	for _, id := range r.Behind {
		out = append(out, corpus.Problem{Key: r.Index, Detail: "feed " + id + ": the index has another state of it, and it was not compared; `elasticintel serve` or `elasticintel reindex` sends it"})
	}
	for _, x := range r.Problems {
		out = append(out, corpus.Problem{Key: r.Index, Detail: x.Object + ": " + x.Detail})
	}
	p.talk.say("%s: %s of %s, %d compared.", r.Index, plural(r.Documents, "listing"), plural(r.Feeds, "feed"), r.Compared)
	return out, nil
}
