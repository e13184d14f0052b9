package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	elasticintel "github.com/elasticintel/elasticintel"
	"github.com/elasticintel/elasticintel/internal/deploy"
)

// where says which environment a command is about.
type where struct{ env, region, work string }

func (w *where) flags(cmd *cobra.Command, work bool) {
	f := cmd.Flags()
	f.StringVar(&w.env, "env", deploy.Main, "name of the environment; several live side by side in an account")
	f.StringVar(&w.region, "region", "", "region of AWS (default: what AWS_REGION or the profile says)")
	if work {
		f.StringVar(&w.work, "work", "", "folder for Terraform's files on this machine (default ~/.local/state/elasticintel/deploy)")
	}
	_ = cmd.RegisterFlagCompletionFunc("env", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("region", cobra.NoFileCompletions)
}

// deployOptions are the flags of deploy.
type deployOptions struct {
	where
	profile, kms, arch, source, smokeFeed string
	set                                   []string
	yes, plan, noSmoke                    bool
}

func (p *program) deployCmd() *cobra.Command {
	o := deployOptions{arch: deploy.ARM64, source: "."}
	cmd := &cobra.Command{
		Use: "deploy", Short: "Put everything into an AWS account, or bring it up to date",
		Long: `Makes an installation in an AWS account, or brings it up to date: it checks credentials, region, Terraform (or OpenTofu)
and quotas, shows what would be added, changed and destroyed and what it costs a month, asks, and carries it out. Then it uploads
the feed definitions of --feeds, makes the first key and prints it once, and runs one feed through the public address. Interrupted
or failed, the same command goes on where it was; where nothing is to be done it says so. What was given with --profile, --kms and
--set is remembered for the next time. Names of variables are in deploy/terraform/variables.tf. See docs/aws.md.`,
		Example: `  elasticintel deploy                                          # lite: no cluster, a few dollars a month
  elasticintel deploy --plan                                   # only show what would be done
  elasticintel deploy --env prod --region eu-central-1 --profile standard --yes
  elasticintel deploy --set 'alert_emails=["you@example.com"]' --set log_days=90`,
		Args: args(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.deploy(cmd, &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "", "lite (no cluster) or standard (an OpenSearch domain) (default lite, later what it was)")
	o.flags(cmd, true)
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&o.plan, "plan", false, "show what would be done and what it costs, and do nothing")
	f.StringVar(&o.kms, "kms", "", "aws (keys that AWS manages) or own (a key of this installation, $1 a month) (default aws, later what it was)")
	f.StringArrayVar(&o.set, "set", nil, "another variable as NAME=VALUE, VALUE as JSON or text, empty for its default; may be repeated")
	f.StringVar(&o.smokeFeed, "smoke-feed", "", "feed that is run as the test at the end (default a small one that is on and needs no key)")
	f.BoolVar(&o.noSmoke, "no-smoke", false, "run no feed at the end")
	f.StringVar(&o.arch, "arch", o.arch, "processor of the functions: arm64, or amd64 for emulators")
	f.StringVar(&o.source, "source", o.source, "source tree to build the functions from, where they do not lie beside this program")
	f.SortFlags = false
	for flag, values := range map[string][]string{"profile": {"lite", "standard"}, "kms": {"aws", "own"}, "arch": {deploy.ARM64, deploy.AMD64}} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
}

// deployed is what `deploy` prints.
type deployed struct {
	Env         string `json:"env"`
	Profile     string `json:"profile"`
	Region      string `json:"region"`
	API         string `json:"api"`
	FunctionURL string `json:"function_url,omitempty"`
	Bucket      string `json:"bucket"`
	Changed     bool   `json:"changed"`       // something was added, changed or destroyed
	Key         string `json:"key,omitempty"` // the first one, the only time that it is seen
}

func (p *program) deploy(cmd *cobra.Command, o *deployOptions) error {
	ctx := cmd.Context()
	vars, err := o.variables()
	if err != nil {
		return err
	}
	if !o.yes && !o.plan && !p.asks() {
		return usageError("Show what would be done with --plan, and say --yes where it shall be done without asking.", "deploy: there is no terminal to ask on, and no --yes")
	}
	if p.cfg.Feeds != "" {
		if _, err := p.openCatalogue(); err != nil {
			return err
		}
	}
	s, err := p.openSession(ctx, &o.where, func(so *deploy.Options) {
		so.Vars = vars
		so.Code = deploy.Code{Arch: o.arch, Source: o.source, Beside: besideMe(), Env: p.env.Environ, Say: p.talk.say}
	})
	if err != nil {
		return err
	}
	if few, err := s.Quota(ctx); err != nil {
		p.talk.problem("%v", err)
	} else if few != "" {
		p.talk.problem("%s", few)
	}
	if err := s.Bind(ctx); err != nil {
		return failedDeploy(err)
	}
	changed, err := s.Deploy(ctx, deploy.Typical(), func(*deploy.Plan) (bool, error) {
		if o.plan {
			return false, nil
		}
		yes, err := p.confirm(ctx, o.yes, "Do this? [y/N] ")
		if yes && err == nil {
			err = s.Runner.Work.Mark(smokeTodo)
		}
		return yes, err
	})
	if o.plan && (err == nil || errors.Is(err, deploy.ErrDeclined)) {
		return nil
	}
	if err != nil {
		return failedDeploy(err)
	}
	return p.finishDeploy(ctx, s, o, changed)
}

// openSession opens an environment; more sets further options.
func (p *program) openSession(ctx context.Context, w *where, more func(*deploy.Options)) (*deploy.Session, error) {
	work := w.work
	if work == "" {
		var err error
		if work, err = deploy.DefaultWork(p.env.Environ); err != nil {
			return nil, usageError("", "%w", err)
		}
	}
	if err := deploy.CheckEnv(w.env); err != nil {
		return nil, usageError("", "--env: %w", err)
	}
	o := deploy.Options{Env: w.env, Region: w.region, Work: work, Files: elasticintel.TerraformFS(), Environ: p.env.Environ, Now: p.env.Now, Say: p.talk.say}
	more(&o)
	s, err := deploy.Open(ctx, o)
	if err != nil {
		return nil, failedDeploy(err)
	}
	return s, nil
}

// besideMe is the folder of this program's file.
func besideMe() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Dir(exe)
}

// variables puts the flags together that are variables of Terraform.
func (o *deployOptions) variables() (map[string]any, error) {
	if o.arch != deploy.ARM64 && o.arch != deploy.AMD64 {
		return nil, usageError("", "--arch: %q is neither %s nor %s", o.arch, deploy.ARM64, deploy.AMD64)
	}
	vars := map[string]any{}
	for _, f := range []struct{ flag, variable, value string }{{"profile", "profile", o.profile}, {"kms", "kms_key", o.kms}} {
		if f.value == "" {
			continue
		}
		known := map[string]string{"profile": "lite standard", "kms": "aws own"}[f.flag]
		if !strings.Contains(" "+known+" ", " "+f.value+" ") {
			return nil, usageError("", "--%s: %q is neither %s", f.flag, f.value, strings.Replace(known, " ", " nor ", 1))
		}
		vars[f.variable] = f.value
	}
	for _, line := range o.set {
		name, value, err := deploy.ParseVariable(elasticintel.TerraformFS(), line)
		if err != nil {
			return nil, usageError("deploy/terraform/variables.tf describes all of them.", "--set: %w", err)
		}
		vars[name] = value
	}
	return vars, nil
}

// asks is whether somebody is there to be asked.
func (p *program) asks() bool {
	tty, _ := terminal(p.env.In)
	return tty
}

// confirm asks for a yes unless it was given.
func (p *program) confirm(ctx context.Context, yes bool, question string) (bool, error) {
	if yes {
		return true, nil
	}
	line, err := p.ask(ctx, question)
	line = strings.ToLower(line)
	return line == "y" || line == "yes", err
}

// ask reads a line. An end of ctx ends the waiting, not the reading: the process is
// about to end then.
func (p *program) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(p.env.Err, question)
	type answer struct {
		line string
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(p.env.In).ReadString('\n')
		read <- answer{strings.TrimSpace(line), err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Canceled
	case a := <-read:
		return a.line, a.err
	}
}

// failedDeploy is what a person sees of an error of internal/deploy.
func failedDeploy(err error) error {
	var f *failure
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case errors.Is(err, deploy.ErrDeclined):
		return &failure{exitUsage, err, ""}
	case errors.Is(err, context.Canceled):
		var i *deploy.InterruptedError
		if errors.As(err, &i) {
			return &failure{exitInterrupted, i, ""}
		}
		return context.Canceled
	case errors.Is(err, deploy.ErrNoTool), errors.Is(err, deploy.ErrNoCode):
		return configError(err, "")
	}
	return &failure{exitUnreachable, err, ""}
}

// smokeLimit is for a first run, whose functions are cold and whose feed is slow.
const smokeLimit = 5 * time.Minute

// finishDeploy does what Terraform does not: feed definitions, the first key, the
// test. The result is printed before the test, so that a key is never lost by one.
func (p *program) finishDeploy(ctx context.Context, s *deploy.Session, o *deployOptions, changed bool) error {
	out, err := s.Account.Outputs(ctx, o.env)
	if err != nil {
		return failedDeploy(err)
	}
	if out.FunctionURL != "" {
		if err := s.Account.AllowURL(ctx, out.Prefix+"-api"); err != nil {
			return failedDeploy(err)
		}
	}
	if err := p.uploadFeeds(ctx, s.Account, out.Bucket); err != nil {
		return failedDeploy(err)
	}
	key, err := p.firstKey(ctx, out)
	if err != nil {
		return failedDeploy(err)
	}
	r := &deployed{Env: o.env, Profile: out.Profile, Region: out.Region, API: out.APIURL, FunctionURL: out.FunctionURL, Bucket: out.Bucket, Changed: changed, Key: key}
	if err := errors.Join(printOne(p.out, r, deployedColumns()), p.out.flush()); err != nil {
		return err
	}
	if key != "" {
		p.talk.say("The key is of the role admin and is not shown again: keep it.")
	}
	if err := p.smoke(ctx, s, o, out, key, changed); err != nil {
		return err
	}
	p.whatNext(o.env, out)
	return nil
}

func deployedColumns() []column[deployed] {
	return []column[deployed]{
		{name: "env", text: func(d *deployed) string { return d.Env }},
		{name: "profile", text: func(d *deployed) string { return d.Profile }},
		{name: "region", text: func(d *deployed) string { return d.Region }},
		{name: "api", text: func(d *deployed) string { return d.API }},
		{name: "function_url", text: func(d *deployed) string { return d.FunctionURL }},
		{name: "bucket", text: func(d *deployed) string { return d.Bucket }},
		{name: "changed", text: func(d *deployed) string { return fmt.Sprint(d.Changed) }},
		{name: "key", text: func(d *deployed) string { return d.Key }},
	}
}

func (p *program) whatNext(env string, out *deploy.Outputs) {
	p.talk.say("Look something up: curl -H \"Authorization: Bearer $KEY\" %s/api/v1/indicators/192.0.2.1", out.APIURL)
	p.talk.say("More keys: elasticintel keys create NAME --data s3://%s. How it does: elasticintel aws status%s. Everything else: docs/aws.md.", out.Bucket, envFlag(env))
}

// envFlag is how an environment is named on a command line.
func envFlag(env string) string {
	if env == deploy.Main {
		return ""
	}
	return " --env " + env
}
