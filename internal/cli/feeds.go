package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/local"
)

func (p *program) feedsCmd() *cobra.Command {
	return p.group("feeds", "Show feeds, switch them, try definitions, decide about held-back runs",
		"  elasticintel feeds list\n  elasticintel feeds status\n  elasticintel feeds report\n  elasticintel feeds test my-feed.json --input sample.txt",
		p.feedsListCmd(), p.feedsStatusCmd(), p.feedsRunsCmd(), p.feedsReportCmd(), p.feedsEnableCmd(), p.feedsDisableCmd(),
		p.feedsTestCmd(), p.decideCmd(true), p.decideCmd(false))
}

func (p *program) feedsListCmd() *cobra.Command {
	return &cobra.Command{
		Use: "list [FEED…]", Short: "List the catalogue: what each feed holds, under which licence, and whether it is pulled",
		Example: "  elasticintel feeds list\n  elasticintel feeds list -o json | jq -r '.[] | select(.needs_key).id'",
		Args:    args(0, -1, ""), ValidArgsFunction: p.completeFeeds,
		RunE: func(cmd *cobra.Command, ids []string) error {
			views, err := p.feedViews(cmd.Context(), ids)
			if err != nil {
				return err
			}
			return printList(p.out, views, listColumns())
		},
	}
}

func (p *program) feedsStatusCmd() *cobra.Command {
	return &cobra.Command{
		Use: "status [FEED…]", Short: "Show how feeds are doing: their health, since when, why, and what to do",
		Long: `Shows how feeds are doing. STATUS is a word for each feed: healthy, or failing, stale, quarantined, empty, delayed,
needs-key; new where it was never pulled; archived where its publisher ended it; disabled where it is switched off. A table
starts with those that need somebody.`,
		Example: "  elasticintel feeds status\n  elasticintel feeds status feodotracker --json\n" +
			"  elasticintel feeds status --json | jq -r '.[] | select(.state.status == \"failing\").id'",
		Args: args(0, -1, ""), ValidArgsFunction: p.completeFeeds,
		RunE: func(cmd *cobra.Command, ids []string) error {
			views, err := p.feedViews(cmd.Context(), ids)
			if err != nil {
				return err
			}
			if len(ids) == 0 && p.out.format == "table" {
				slices.SortStableFunc(views, func(a, b feed.View) int {
					return slices.Index(feed.Classes(), a.State.Status) - slices.Index(feed.Classes(), b.State.Status)
				})
			}
			err = errors.Join(printList(p.out, views, p.statusColumns()), p.out.flush())
			p.talk.say("%s.", feed.Tally(views))
			return err
		},
	}
}

// feedViews are the feeds named, or all.
func (p *program) feedViews(ctx context.Context, ids []string) ([]feed.View, error) {
	x, err := p.openParts(ctx, false)
	if err != nil {
		return nil, err
	}
	views, err := x.feeds.List(ctx)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 {
		byID := map[string]feed.View{}
		for _, v := range views {
			byID[v.ID] = v
		}
		views = nil
		for _, id := range ids {
			if _, err := x.feeds.Definition(id); err != nil {
				return nil, unknownFeed(err)
			}
			views = append(views, byID[id])
		}
	}
	return views, nil
}

// view makes columns of feed.View shorter to write down.
func view(name string, text func(*feed.View) string) column[feed.View] {
	return column[feed.View]{name: name, text: text}
}

func listColumns() []column[feed.View] {
	commercial := func(v *feed.View) string {
		switch {
		case v.CommercialUse == nil:
			return ""
		case *v.CommercialUse:
			return "yes"
		}
		return "no"
	}
	csv := func(c column[feed.View]) column[feed.View] { c.in = csvOnly; return c }
	return []column[feed.View]{
		view("id", func(v *feed.View) string { return v.ID }),
		csv(view("name", func(v *feed.View) string { return v.Name })),
		csv(view("provider", func(v *feed.View) string { return v.Provider })),
		view("kind", func(v *feed.View) string { return v.Kind }),
		view("type", func(v *feed.View) string { return v.Type }),
		{name: "enabled", text: func(v *feed.View) string { return fmt.Sprint(v.Enabled) }, cell: func(v *feed.View) string { return yesNo(v.Enabled) }},
		{name: "needs_key", text: func(v *feed.View) string { return fmt.Sprint(v.NeedsKey) }, cell: func(v *feed.View) string { return yesNo(v.NeedsKey) }},
		view("licence", func(v *feed.View) string { return v.Licence }),
		csv(view("terms", func(v *feed.View) string { return v.Terms })),
		view("commercial_use", commercial),
		csv(view("presence", func(v *feed.View) string { return string(v.Presence) })),
		view("life", func(v *feed.View) string { return v.Life }),
		csv(view("evidence", func(v *feed.View) string { return v.Evidence })),
		csv(view("checked", func(v *feed.View) string { return v.Checked })),
		csv(view("replaced_by", func(v *feed.View) string { return v.ReplacedBy })),
		csv(view("expect", func(v *feed.View) string { return fmt.Sprint(v.Expect) })),
		{name: "status", text: func(v *feed.View) string { return string(v.State.Status) }, paint: feedColor},
		{name: "listings", right: true, text: func(v *feed.View) string { return fmt.Sprint(v.State.Listings) }, cell: func(v *feed.View) string { return thousands(v.State.Listings) }},
		{name: "description", text: func(v *feed.View) string { return v.Description }},
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func feedColor(v *feed.View) string {
	switch c := v.State.Status; {
	case c == feed.ClassHealthy:
		return "32"
	case c == feed.ClassFailing || c == feed.ClassStale:
		return "31"
	case c.Sick():
		return "33"
	}
	return ""
}

func (p *program) statusColumns() []column[feed.View] {
	at := func(name string, get func(*feed.View) *time.Time) column[feed.View] {
		return column[feed.View]{name: name, text: func(v *feed.View) string { return stamp(get(v)) },
			cell: func(v *feed.View) string { return ago(get(v), p.now()) }}
	}
	next := at("next", func(v *feed.View) *time.Time { return v.State.Next })
	next.cell = func(v *feed.View) string {
		if v.State.Next == nil {
			return ""
		} else if !v.State.Next.After(p.now()) {
			return "now"
		}
		return ago(v.State.Next, p.now())
	}
	return []column[feed.View]{
		view("id", func(v *feed.View) string { return v.ID }),
		{name: "status", text: func(v *feed.View) string { return string(v.State.Status) }, paint: feedColor},
		{name: "since", text: func(v *feed.View) string { return stamp(v.State.Since) }, cell: func(v *feed.View) string {
			if v.State.Since == nil {
				return ""
			}
			return ago(v.State.Since, p.now())
		}},
		at("last_good", func(v *feed.View) *time.Time { return v.State.LastGood }),
		at("last_run", func(v *feed.View) *time.Time { return v.State.LastRun }),
		next,
		{name: "listings", right: true, text: func(v *feed.View) string { return fmt.Sprint(v.State.Listings) }, cell: func(v *feed.View) string { return thousands(v.State.Listings) }},
		{name: "failures", right: true, text: func(v *feed.View) string { return fmt.Sprint(v.State.Failures) }},
		{name: "snapshot", text: func(v *feed.View) string { return v.State.Snapshot }},
		{name: "reason", in: csvOnly, text: func(v *feed.View) string { return v.State.Reason }},
		{name: "advice", in: csvOnly, text: func(v *feed.View) string { return v.State.Advice }},
		{name: "why", in: tableOnly, text: func(v *feed.View) string {
			if !v.State.Status.Sick() {
				return v.State.Reason
			}
			return v.State.Reason + " → " + v.State.Advice
		}},
	}
}

func (p *program) feedsRunsCmd() *cobra.Command {
	limit := 20
	cmd := &cobra.Command{
		Use: "runs FEED", Short: "List a feed's ledger, newest run first",
		Example: "  elasticintel feeds runs feodotracker\n  elasticintel feeds runs feodotracker --limit 0 -o ndjson",
		Args:    args(1, 1, "a feed"), ValidArgsFunction: p.completeFeeds,
		RunE: func(cmd *cobra.Command, a []string) error {
			if limit < 0 {
				return usageError("", "--limit: %d is negative; 0 means all", limit)
			}
			x, err := p.openParts(cmd.Context(), false)
			if err != nil {
				return err
			}
			runs, err := x.feeds.Runs(cmd.Context(), a[0], limit)
			if err != nil {
				return unknownFeed(err)
			}
			return printList(p.out, runs, runColumns(p.now))
		},
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "how many runs to show; 0 = all")
	return cmd
}

// decideCmd is `feeds approve` and `feeds reject`.
func (p *program) decideCmd(approve bool) *cobra.Command {
	var run, why string
	use, short := "approve", "Accept a run that was held back: what it listed becomes current"
	if !approve {
		use, short = "reject", "Drop a run that was held back: what was listed before stays"
	}
	cmd := &cobra.Command{
		Use: use + " FEED", Short: short,
		Long:    short + ". The ledger keeps who decided and why. Deciding twice is no error.",
		Example: fmt.Sprintf("  elasticintel feeds %s feodotracker --why 'checked with the publisher'", use),
		Args:    args(1, 1, "a feed"), ValidArgsFunction: p.completeFeeds,
		RunE: func(cmd *cobra.Command, a []string) error { return p.decide(cmd.Context(), a[0], run, why, approve) },
	}
	cmd.Flags().StringVar(&run, "run", "", "decide about this run instead of the newest")
	cmd.Flags().StringVar(&why, "why", "", "reason for the ledger")
	if approve {
		p.cfg.Bind(cmd.Flags(), config.EngineFlags()...)
	}
	return cmd
}

func (p *program) decide(ctx context.Context, id, run, why string, approve bool) error {
	x, err := p.openParts(ctx, false)
	if err != nil {
		return err
	}
	if _, err := x.feeds.Definition(id); err != nil {
		return unknownFeed(err)
	}
	if x.folder == nil {
		return fmt.Errorf("data folder %s: %w", p.cfg.Data, local.ErrNoData)
	}
	decide := x.feeds.Reject
	if approve {
		decide = x.feeds.Approve
	}
	r, err := decide(ctx, id, run, who(), why)
	if errors.Is(err, ingest.ErrNothingQuarantined) {
		if run != "" {
			return usageError("See `elasticintel feeds runs "+id+"`.", "feed %s: run %s waits for no decision", id, run)
		}
		p.talk.say("%s: no run waits for a decision.", id)
		return nil
	} else if errors.Is(err, ingest.ErrDecided) {
		return usageError("See `elasticintel feeds runs "+id+"`.", "%w", err)
	} else if err != nil {
		return err
	}
	if r.Status == intel.RunOK {
		p.talk.say("%s: run %s accepted, %s listed.", id, r.Of, thousands(r.Change.Open))
	} else {
		p.talk.say("%s: run %s %s.", id, r.Of, r.Status)
	}
	var synced error
	if approve {
		synced = p.syncIndex(ctx, x)
	}
	return errors.Join(printList(p.out, []intel.Run{r}, runColumns(p.now)), synced)
}
