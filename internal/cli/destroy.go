package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/deploy"
	"github.com/elasticintel/elasticintel/internal/local"
)

// destroyOptions are the flags of destroy.
type destroyOptions struct {
	where
	export, name string
	yes          bool
}

func (p *program) destroyCmd() *cobra.Command {
	var o destroyOptions
	cmd := &cobra.Command{
		Use: "destroy", Short: "Take an installation out of an AWS account, with all its data",
		Long: `Says what is lost, wants the name of the environment typed, and removes all that deploy made: the data with its
history, keys, secrets, functions, queues, logs, and the state where Terraform keeps it. --export FILE writes a backup first, which
` + "`elasticintel restore`" + ` reads. Without a terminal both --yes and --name NAME are wanted. Interrupted, the same command goes on.`,
		Example: "  elasticintel destroy --export ei.tar.zst\n  elasticintel destroy --env test --name test --yes",
		Args:    args(0, 0, "nothing"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.destroy(cmd.Context(), &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.export, "export", "", "write all data to this file first, as `elasticintel backup` does")
	o.flags(cmd, true)
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask; needs --name")
	f.StringVar(&o.name, "name", "", "name of the environment once more, in place of typing it")
	f.SortFlags = false
	return cmd
}

// checkName refuses what is not meant seriously before anything is looked at.
func (o *destroyOptions) checkName(asks bool) error {
	switch {
	case o.name != "" && o.name != o.env:
		return usageError("", "destroy: --name is %q and --env is %q", o.name, o.env)
	case o.yes && o.name == "":
		return usageError("Add --name "+o.env+".", "destroy: --yes alone destroys nothing")
	case !asks && !o.yes:
		return usageError("Say --yes --name "+o.env+" where it shall be done without asking.", "destroy: there is no terminal to type the name on")
	}
	return nil
}

func (p *program) destroy(ctx context.Context, o *destroyOptions) error {
	if err := o.checkName(p.asks()); err != nil {
		return err
	}
	s, err := p.openSession(ctx, &o.where, func(*deploy.Options) {})
	if err != nil {
		return err
	}
	if o.export != "" {
		if err := p.exportData(ctx, s.Account.Bucket(o.env), s.Account.Region, o.export); err != nil {
			return err
		}
	}
	if err := s.Attach(ctx); errors.Is(err, fs.ErrNotExist) {
		_ = s.Forget(ctx) // a deployment that made nothing leaves a bucket for its state
		return failedDeploy(err)
	} else if err != nil {
		return failedDeploy(err)
	}
	err = s.Destroy(ctx, func(*deploy.Plan) (bool, error) {
		p.talk.problem("All data of %s in %s is lost: listings and their history, downloads, API keys, secrets, feed definitions, logs.", o.env, s.Account.Bucket(o.env))
		if o.export == "" {
			p.talk.problem("Nothing was exported: --export FILE does that.")
		}
		if o.name != "" {
			return true, nil
		}
		typed, err := p.ask(ctx, fmt.Sprintf("Type %s to destroy it: ", o.env))
		return typed == o.env, err
	})
	if err != nil {
		return failedDeploy(err)
	}
	_ = s.Runner.Work.Unmark(smokeTodo)
	p.talk.say("Environment %s is gone from account %s, region %s.", o.env, s.Account.ID, s.Account.Region)
	return nil
}

// exportData writes a backup of a bucket to a file.
func (p *program) exportData(ctx context.Context, bucket, region, file string) error {
	store, err := dataOf(ctx, &deploy.Outputs{Bucket: bucket, Region: region})
	if err != nil {
		return failedDeploy(err)
	}
	p.talk.say("Exporting %s to %s …", bucket, file)
	n, err := backupFile(ctx, store, file, local.BackupOptions{Now: p.now(), Plain: strings.HasSuffix(file, ".tar"), OnCopy: p.copied("export")})
	p.talk.finished("export")
	if err != nil {
		return &failure{exitUnreachable, fmt.Errorf("export of %s: %w", bucket, err), "Nothing was destroyed."}
	}
	p.talk.say("Exported %s, %s. Secrets are not in it.", plural(n.Objects, "object"), bytesText(n.Bytes))
	return nil
}
