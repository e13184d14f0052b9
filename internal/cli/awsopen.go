package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/deploy"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/local"
)

func (p *program) awsCmd() *cobra.Command {
	return p.group("aws", "Look at an installation on AWS, follow its logs, empty its dead letters",
		"  elasticintel aws status\n  elasticintel aws logs ingest --follow\n  elasticintel aws dlq --redrive",
		p.awsStatusCmd(), p.awsLogsCmd(), p.awsDLQCmd())
}

// installation is one that was deployed.
type installation struct {
	*deploy.Account
	out *deploy.Outputs
}

// openInstallation finds an environment by its state; that needs no Terraform.
func (p *program) openInstallation(ctx context.Context, w *where) (*installation, error) {
	if err := deploy.CheckEnv(w.env); err != nil {
		return nil, usageError("", "--env: %w", err)
	}
	a, err := deploy.OpenAccount(ctx, w.region, p.env.Now)
	if err != nil {
		return nil, failedDeploy(err)
	}
	out, err := a.Outputs(ctx, w.env)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &failure{exitUnreachable, err, "Deploy it with `elasticintel deploy" + envFlag(w.env) + "`, or name another one with --env and --region."}
	} else if err != nil {
		return nil, failedDeploy(err)
	}
	return &installation{a, out}, nil
}

// heads is what a bucket holds of each feed, by the feeds' heads alone.
type heads struct {
	app.Engine
	held   map[string]app.Held
	broken map[string]error
}

// Held implements app.Engine.
func (h *heads) Held() map[string]app.Held { return h.held }

// Broken implements app.Engine.
func (h *heads) Broken(feed string) error { return h.broken[feed] }

// feedsOf returns the feeds of an installation, as its functions see them, to be
// looked at.
func (p *program) feedsOf(ctx context.Context, in *installation) (*app.Feeds, error) {
	store, err := dataOf(ctx, in.out)
	if err != nil {
		return nil, failedDeploy(err)
	}
	catalogue, err := p.bucketCatalogue(ctx, in.Account, in.out.Bucket)
	if err != nil {
		return nil, err
	}
	all, broken, err := corpus.Heads(ctx, store)
	if err != nil {
		return nil, fmt.Errorf("s3://%s: %w", in.out.Bucket, err)
	}
	h := &heads{held: map[string]app.Held{}, broken: broken}
	for id, head := range all {
		h.held[id] = app.Held{Version: head.Version, Listings: head.Open(), Snapshot: head.Info.Snapshot}
	}
	secrets, err := aws.NewSecrets(ctx, aws.SecretOptions{URL: "ssm:" + in.out.SSMPrefix, Region: in.out.Region, Check: local.CheckSecretName, Now: p.now,
		Failed: func(name string, err error) { p.talk.problem("Secret %s: %v", name, err) }})
	if err != nil {
		return nil, failedDeploy(err)
	}
	runner := ingest.New(ingest.Config{Store: store, Now: p.now, Log: p.log})
	return app.NewFeeds(app.FeedsConfig{Catalogue: func() *feed.Catalogue { return catalogue }, Store: store, Runner: runner, Ledger: runner, Engine: h,
		Secret: secrets.Getter(ctx), Now: p.now}), nil
}
