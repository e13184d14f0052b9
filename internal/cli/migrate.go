package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/follow"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/opensearch"
)

func (p *program) migrateCmd() *cobra.Command {
	var to string
	sample := 1000
	cmd := &cobra.Command{
		Use: "migrate --to opensearch|embedded", Short: "Move look-ups to a cluster, or back to the data folder",
		Long: `--to opensearch tries the cluster and the user's rights, fills its index from the data folder, compares the two, and only then
chooses the cluster for this data folder: a running server lets it answer as soon as the index is up to date, without a gap, and
every later command asks it without further settings. --to embedded chooses the data folder again, which has everything in any case;
the index stays where it is. Ended by anything, the same command goes on where it was.

The choice lies in the data folder (settings/engine.json), without the password: that is the secret opensearch
(EI_SECRET_OPENSEARCH, or secrets/opensearch in the data folder). --engine, where it is given, counts for more.`,
		Example: "  elasticintel migrate --to opensearch --opensearch-url https://host:9200 --opensearch-user elasticintel\n  elasticintel migrate --to embedded",
		Args:    args(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch to {
			case config.EngineOpenSearch:
				return p.migrateToCluster(cmd.Context(), sample)
			case config.EngineEmbedded:
				return p.migrateBack(cmd.Context())
			}
			return usageError("Say --to opensearch or --to embedded.", "migrate: --to %q is no engine", to)
		},
	}
	p.cfg.Bind(cmd.Flags(), config.EngineFlags()...)
	cmd.Flags().StringVar(&to, "to", "", "opensearch or embedded")
	cmd.Flags().IntVar(&sample, "sample", sample, "about how many listings are compared before the cluster is chosen")
	return cmd
}

func (p *program) migrateToCluster(ctx context.Context, sample int) error {
	if len(p.cfg.OpenSearch.URLs) == 0 {
		return usageError("Give --opensearch-url https://host:9200.", "migrate: which cluster?")
	}
	spec, err := p.givenSpec()
	if err != nil {
		return err
	}
	c, err := p.openCluster(ctx, spec)
	if err != nil {
		return err
	}
	f, err := p.openFolder(ctx)
	if err != nil {
		return err
	}
	before, err := local.ReadChoice(ctx, f.Store)
	if err != nil {
		return configError(err, "Move the file away, and try again.")
	}
	if err := p.tryCluster(ctx, c); err != nil {
		return err
	}
	if err := p.bringIndex(ctx, f, c); err != nil {
		return err
	}
	problems, err := p.compareIndex(ctx, f, c, sample)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		if err := printList(p.out, problems, []column[corpus.Problem]{
			{name: "object", text: func(x *corpus.Problem) string { return x.Key }},
			{name: "problem", text: func(x *corpus.Problem) string { return x.Detail }},
		}); err != nil {
			return err
		}
		return &failure{exitPartial, fmt.Errorf("the index is not what the data folder is: %s; nothing was switched", plural(len(problems), "problem")),
			"`elasticintel reindex` with the same --engine opensearch and --opensearch-… settings makes it anew."}
	}
	if err := p.choose(ctx, f, before, choiceOf(spec)); err != nil {
		return err
	}
	p.talk.say("Chosen for %s: the %s. %s", f.Root, c.where, p.afterChoice(f))
	return nil
}

// afterChoice says who takes the choice up.
func (p *program) afterChoice(f *local.Folder) string {
	if _, serves := local.ServerPID(f.Root); serves {
		return "The running server takes it up by itself, unless it was started with --engine."
	}
	return "Every command takes it up, unless it is started with --engine."
}

// tryCluster finds out whether the cluster will do, before anything is sent.
func (p *program) tryCluster(ctx context.Context, c *cluster) error {
	info, err := c.client.Check(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", c.where, err)
	}
	h, err := c.client.Health(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", c.where, err)
	case h.Status == "red":
		return &failure{exitUnreachable, fmt.Errorf("%s: the cluster is red, %s not there", c.where, plural(h.Unassigned, "shard")), "GET _cluster/allocation/explain says why."}
	}
	if err := c.engine.TryFill(ctx); err != nil {
		_, hint := verdictOf(err)
		return &failure{exitUnreachable, fmt.Errorf("%s: the user cannot do all that is needed: %w", c.where, err), hint}
	}
	p.talk.say("%s: OpenSearch %s, %s, and the user may do what is needed.", info.Cluster, info.Version, h.Status)
	return nil
}

// bringIndex fills the index, or sends what it lacks where it was filled before.
func (p *program) bringIndex(ctx context.Context, f *local.Folder, c *cluster) error {
	if _, err := c.engine.Feeds(ctx); err != nil {
		return p.fill(ctx, f, c, opensearch.ReindexOptions{})
	}
	release, err := local.LockIndex(ctx, f.Root)
	if err != nil {
		return err
	}
	defer release()
	st, err := c.engine.Sync(ctx, follow.Of(f.Corpus))
	switch {
	case errors.Is(err, opensearch.ErrForeign):
		return configError(err, "")
	case err != nil:
		return fmt.Errorf("%s: %w", c.where, err)
	}
	p.talk.say("The %s was there; %s sent.", c.where, plural(st.Written+st.Deleted, "change"))
	return nil
}

func (p *program) migrateBack(ctx context.Context) error {
	f, err := p.openFolder(ctx)
	if err != nil {
		return err
	}
	if err := f.Corpus.Err(); err != nil {
		return &failure{exitPartial, fmt.Errorf("data folder %s: %w", f.Root, err), "`elasticintel verify` says what is damaged. The cluster answers as before."}
	}
	before, err := local.ReadChoice(ctx, f.Store)
	if err != nil {
		return configError(err, "Move the file away: the data folder answers then.")
	}
	if err := p.choose(ctx, f, before, local.Choice{Engine: config.EngineEmbedded}); err != nil {
		return err
	}
	p.talk.say("Chosen for %s: the data folder itself. %s", f.Root, p.afterChoice(f))
	if before.Engine == config.EngineOpenSearch {
		p.talk.say("The index %s stays in the cluster; nothing follows there any more.", before.Index)
	}
	return nil
}

// choose writes a choice, unless somebody chose at the same time.
func (p *program) choose(ctx context.Context, f *local.Folder, before, next local.Choice) error {
	if before.Same(next) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // it is a file
	defer cancel()
	err := local.WriteChoice(ctx, f.Store, before, next)
	if errors.Is(err, blob.ErrConflict) {
		return &failure{exitUnreachable, errors.New("somebody chose an engine for this data folder at the same time; nothing was switched"), "The same again looks anew."}
	}
	return err
}
