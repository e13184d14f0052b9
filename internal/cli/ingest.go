package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/local"
)

func (p *program) ingestCmd() *cobra.Command {
	var all bool
	var file string
	cmd := &cobra.Command{
		Use: "ingest [FEED…|--all] [--file PATH]", Short: "Run feeds once, now",
		Long: `Runs feeds once: fetches, checks and takes up what they list. Works beside a running server, which sees the result within
two seconds. A feed that is named is run although it is disabled; --all runs those that are enabled. With --file a file
stands in for the download of one feed.

Exit code: 0 done or unchanged, 4 not reachable, 5 where a run was held back or some feeds failed.`,
		Example: `  elasticintel ingest --all
  elasticintel ingest feodotracker urlhaus
  elasticintel ingest mylist --feeds ./my-feeds --file today.csv`,
		Args: args(0, -1, ""), ValidArgsFunction: p.completeFeeds,
		RunE: func(cmd *cobra.Command, ids []string) error {
			switch {
			case len(ids) == 0 && !all:
				return usageError("`elasticintel ingest --all` runs all that are enabled, `elasticintel feeds list` shows them.", "ingest: name feeds, or --all")
			case len(ids) > 0 && all:
				return usageError("", "ingest: name feeds or give --all, not both")
			case file != "" && len(ids) != 1:
				return usageError("", "ingest: --file stands in for one feed: name it")
			}
			return p.ingest(cmd.Context(), ids, file)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "run every feed that is enabled")
	cmd.Flags().StringVar(&file, "file", "", "read this file instead of downloading")
	p.cfg.Bind(cmd.Flags(), append(append(alertFlags(), config.EngineFlags()...), "parallel", "keep-raw", "keep-history")...)
	return cmd
}

func (p *program) ingest(ctx context.Context, ids []string, file string) error {
	if file != "" {
		if _, err := os.Stat(file); err != nil {
			return pathError("--file", err)
		}
	}
	if len(ids) > 0 { // before a folder is made
		if _, err := p.definitions(ids); err != nil {
			return err
		}
	}
	x, err := p.openParts(ctx, true)
	if err != nil {
		return err
	}
	hooks, err := p.receivers(x.secrets, p.tempDir(x.folder))
	if err != nil {
		return err
	}
	jobs, err := p.jobs(ctx, x, ids, file)
	if err != nil {
		return err
	}
	runs, err := p.runJobs(ctx, x, jobs)
	if err != nil {
		return err
	}
	synced := p.syncIndex(ctx, x)
	p.tidy(ctx, x, runs)
	p.tellAlerts(ctx, x, hooks)
	return errors.Join(outcome(runs), synced)
}

// tidy does what can wait until after the runs that changed something. What
// cannot be done now is done after another run.
func (p *program) tidy(ctx context.Context, x *parts, runs []intel.Run) {
	var ids []string
	for i := range runs {
		if runs[i].Status == intel.RunOK {
			ids = append(ids, runs[i].Feed)
		}
	}
	if len(ids) == 0 {
		return
	}
	if _, err := x.folder.Corpus.Refresh(ctx); err != nil {
		p.log.WarnContext(ctx, "data cannot be read", "error", err)
	}
	if err := x.runner.Tidy(ctx, ids...); err != nil && ctx.Err() == nil {
		p.talk.say("Tidying up: %v", err)
	}
}

// jobs makes the jobs of the feeds named; of all enabled ones where none is.
func (p *program) jobs(ctx context.Context, x *parts, ids []string, file string) ([]feed.Job, error) {
	var jobs []feed.Job
	add := func(d *feed.Definition) {
		jobs = append(jobs, feed.Job{Def: d, Who: who(), File: file,
			Progress: func(g feed.Progress) { p.talk.progress(g, p.now()) }})
	}
	if len(ids) == 0 {
		views, err := x.feeds.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range views {
			switch d := x.catalogue.Current().Get(v.ID); {
			case v.State.Status == feed.ClassNeedsKey && aws.IsURL(p.cfg.Data):
				p.talk.say("%s needs a key: set %s, or let the functions run it, which have the parameters.", v.ID, local.SecretVar(d.Auth.Secret))
			case v.State.Status == feed.ClassNeedsKey:
				p.talk.say("%s needs a key: `elasticintel feeds enable %s --secret %s=-`", v.ID, v.ID, d.Auth.Secret)
			case v.Enabled && d != nil:
				add(d)
			}
		}
		return jobs, nil
	}
	seen := map[string]bool{}
	for _, id := range ids {
		d, err := x.feeds.Definition(id)
		if err != nil {
			return nil, unknownFeed(err)
		}
		if file == "" && !x.feeds.HaveKey(d) {
			return nil, configError(fmt.Errorf("feed %s needs the secret %s", id, d.Auth.Secret),
				fmt.Sprintf("Give it with `elasticintel feeds enable %s --secret %s=-`.", id, d.Auth.Secret))
		}
		if !seen[id] {
			add(d)
		}
		seen[id] = true
	}
	return jobs, nil
}

// runJobs runs jobs, a few at a time, and prints each run as it ends.
func (p *program) runJobs(ctx context.Context, x *parts, jobs []feed.Job) ([]intel.Run, error) {
	var mu sync.Mutex
	var runs []intel.Run
	list := newLister(p.out, runColumns(p.now))
	told := p.out.format == "table" && p.out.tty && p.talk.tty && !p.cfg.Quiet // the talk says it all, on the same screen
	var group errgroup.Group
	group.SetLimit(p.cfg.Parallel)
	for _, j := range jobs {
		group.Go(func() error {
			run, err := x.runner.Run(ctx, j)
			p.talk.finished(j.Def.ID)
			if err != nil {
				return fmt.Errorf("feed %s: %w", j.Def.ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			runs = append(runs, run)
			p.talk.say("%s", runText(&run))
			if told {
				return nil
			}
			return errors.Join(list.add(&run), p.out.flush())
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		err = context.Canceled
	}
	return runs, errors.Join(err, list.close())
}

// outcome is the exit code of a number of runs.
func outcome(runs []intel.Run) error {
	failed, unreachable, held := 0, 0, 0
	for i := range runs {
		switch runs[i].Status {
		case intel.RunFailed:
			failed++
			if unreachableRun(&runs[i]) {
				unreachable++
			}
		case intel.RunQuarantined:
			held++
		}
	}
	switch {
	case held == 0 && failed == 0:
		return nil
	case held == 0 && unreachable == len(runs):
		return &failure{exitUnreachable, fmt.Errorf("%s could not be reached", plural(unreachable, "feed")), "What was listed before stays. `elasticintel feeds status` shows the errors."}
	case held > 0 && failed == 0:
		return &failure{exitPartial, fmt.Errorf("%s held back; what was listed before stays", plural(held, "run")),
			"`elasticintel feeds runs FEED` says why; `elasticintel feeds approve FEED` takes it up, `feeds reject FEED` drops it."}
	}
	return &failure{exitPartial, fmt.Errorf("%d of %s failed or held back", failed+held, plural(len(runs), "feed")), "`elasticintel feeds status` shows the errors."}
}

// unreachableRun says whether a failed run never got the feed's bytes.
func unreachableRun(r *intel.Run) bool {
	return slices.Contains([]string{
		fetch.CodeURL, fetch.CodeBlocked, fetch.CodeDNS, fetch.CodeRefused, fetch.CodeReset, fetch.CodeTimeout, fetch.CodeSlow,
		fetch.CodeTLS, fetch.CodeProtocol, fetch.CodeStatus, fetch.CodeRateLimited, fetch.CodeRedirect, fetch.CodeTruncated,
	}, r.Code)
}

// runColumns are a run in a table and in CSV.
func runColumns(now func() time.Time) []column[intel.Run] {
	num := func(name string, get func(*intel.Run) int) column[intel.Run] {
		return column[intel.Run]{name: name, right: true, text: func(r *intel.Run) string { return fmt.Sprint(get(r)) },
			cell: func(r *intel.Run) string { return thousands(get(r)) }}
	}
	return []column[intel.Run]{
		{name: "run", text: func(r *intel.Run) string { return r.ID }},
		{name: "feed", text: func(r *intel.Run) string { return r.Feed }},
		{name: "status", text: func(r *intel.Run) string { return string(r.Status) }, paint: statusColor},
		{name: "trigger", text: func(r *intel.Run) string { return r.Trigger }},
		{name: "started", text: func(r *intel.Run) string { return stamp(&r.Started) }, cell: func(r *intel.Run) string { return ago(&r.Started, now()) }},
		{name: "finished", in: csvOnly, text: func(r *intel.Run) string { return stamp(&r.Finished) }},
		num("read", func(r *intel.Run) int { return r.Read }),
		num("accepted", func(r *intel.Run) int { return r.Accepted }),
		{name: "duplicate", in: csvOnly, text: func(r *intel.Run) string { return fmt.Sprint(r.Duplicate) }},
		{name: "suppressed", in: csvOnly, text: func(r *intel.Run) string { return fmt.Sprint(r.Suppressed) }},
		num("rejected", func(r *intel.Run) int { return r.Rejected }),
		num("new", func(r *intel.Run) int { return r.New }),
		num("removed", func(r *intel.Run) int { return r.Removed }),
		num("listed", func(r *intel.Run) int { return r.Change.Open }),
		{name: "code", in: csvOnly, text: func(r *intel.Run) string { return r.Code }},
		{name: "reason", text: runReason},
	}
}

func statusColor(r *intel.Run) string {
	switch r.Status {
	case intel.RunOK:
		return "32"
	case intel.RunFailed:
		return "31"
	case intel.RunQuarantined:
		return "33"
	}
	return ""
}

// runReason says why, and who decided.
func runReason(r *intel.Run) string {
	text := r.Reason
	if r.Of != "" {
		text = strings.TrimSpace(fmt.Sprintf("%s of %s by %s: %s", r.Trigger, r.Of, r.Who, r.Why))
	}
	return strings.TrimSuffix(text, ":")
}

// runText is a finished run in one line of talk.
func runText(r *intel.Run) string {
	took := span(r.Finished.Sub(r.Started))
	switch r.Status {
	case intel.RunOK:
		text := fmt.Sprintf("%-28s %s listed, %s new, %s gone", r.Feed, thousands(r.Change.Open), thousands(r.New), thousands(r.Removed))
		if r.Rejected > 0 {
			text += fmt.Sprintf(", %s of %s records rejected", thousands(r.Rejected), thousands(r.Read))
		}
		return text + "  " + took
	case intel.RunUnchanged:
		return fmt.Sprintf("%-28s unchanged  %s", r.Feed, took)
	case intel.RunQuarantined:
		return fmt.Sprintf("%-28s held back: %s", r.Feed, r.Reason)
	}
	return fmt.Sprintf("%-28s %s: %s", r.Feed, r.Status, r.Reason)
}
