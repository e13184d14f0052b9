package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/deploy"
	"github.com/elasticintel/elasticintel/internal/near"
)

func (p *program) awsLogsCmd() *cobra.Command {
	var w where
	since, follow, failed := 10*time.Minute, false, false
	cmd := &cobra.Command{
		Use: "logs FUNCTION", Short: "Print what a function logged, and follow it",
		Long: `Prints the lines of a function's log group: scheduler, ingest, api or health, or http for the access log of the HTTP API.
--follow goes on until Ctrl-C. A job of ingest has one line that says all of it.`,
		Example:   "  elasticintel aws logs ingest --since 1h\n  elasticintel aws logs api --follow\n  elasticintel aws logs ingest --since 24h --errors -o ndjson",
		Args:      args(1, 1, "a function: scheduler, ingest, api, health, or http"),
		ValidArgs: []string{"scheduler", "ingest", "api", "health", "http"},
		RunE: func(cmd *cobra.Command, a []string) error {
			if since < 0 {
				return usageError("", "--since: %s is negative", since)
			}
			return p.awsLogs(cmd.Context(), &w, a[0], deploy.LogQuery{Since: p.now().Add(-since), Errors: failed}, follow)
		},
	}
	w.flags(cmd, false)
	f := cmd.Flags()
	f.DurationVar(&since, "since", since, "how far back to begin, such as 30s, 10m, 24h")
	f.BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on")
	f.BoolVar(&failed, "errors", false, "only lines that say that something went wrong")
	f.SortFlags = false
	return cmd
}

func (p *program) awsLogs(ctx context.Context, w *where, function string, q deploy.LogQuery, follow bool) error {
	if strings.Contains(function, "/") {
		return usageError("", "logs: %q is no function", function)
	}
	in, err := p.openInstallation(ctx, w)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(in.out.LogGroups))
	if q.Group = in.out.LogGroups[function]; q.Group == "" {
		hint := "There are " + strings.Join(names, ", ") + "."
		if n := near.Name(function, names); n != "" {
			hint = "Did you mean " + n + "?"
		}
		return usageError(hint, "logs: there is no function %q", function)
	}
	list := newLister(p.out, []column[deploy.LogLine]{
		{name: "time", text: func(l *deploy.LogLine) string { return stamp(&l.Time) }},
		{name: "stream", in: csvOnly, text: func(l *deploy.LogLine) string { return l.Stream }},
		{name: "text", text: func(l *deploy.LogLine) string { return l.Text }},
	})
	print := func(l deploy.LogLine) error {
		l.Text = strings.TrimRight(l.Text, "\r\n")
		if p.out.format != "table" {
			return list.add(&l)
		}
		fmt.Fprintf(p.out.w, "%s %s\n", stamp(&l.Time), printable(l.Text, false))
		return nil
	}
	if !follow {
		if err := in.Logs(ctx, q, print); err != nil {
			return failedDeploy(err)
		}
		if p.out.format == "table" {
			return nil
		}
		return list.close()
	}
	err = in.Follow(ctx, q, func(ctx context.Context) error {
		if err := p.out.flush(); err != nil {
			return err
		}
		return pause(ctx)
	}, print)
	return failedDeploy(err)
}
