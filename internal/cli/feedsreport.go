package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/follow"
)

// reportPairs is how many overlaps a row shows unless it is told.
const reportPairs = 3

func (p *program) feedsReportCmd() *cobra.Command {
	limit := reportPairs
	cmd := &cobra.Command{
		Use: "report [FEED…]", Short: "Compare feeds: what only one has, what they share, who is first, how they run",
		Long: `Compares what feeds list now, those named or all that hold data, with all others.
UNIQUE is what no other feed lists that is pulled and of role threat; the row of each feed ends with those that it shares most with, as a
share of its own listings. FIRST is in how many of the indicators that it can be compared in it was first, LEAD and LAG
the medians of how long before or behind the earliest other. ADDED and REMOVED are medians a day, RUNS, FAILED and
HELD of the last 30 days. A table begins with the feed that adds least; with one feed its overlaps are told in full.

Indicators are compared exactly: a network that covers an address is another indicator. What a feed's first pull
brought is no news, and counts neither for nor against it. docs/operations.md says how to read it.`,
		Example: "  elasticintel feeds report\n  elasticintel feeds report feodotracker --limit 0\n" +
			"  elasticintel feeds report --json | jq -r '.[] | select(.unique_share < 0.01).id'",
		Args: args(0, -1, ""), ValidArgsFunction: p.completeFeeds,
		RunE: func(cmd *cobra.Command, ids []string) error {
			if limit < 0 {
				return usageError("", "--limit: %d is negative; 0 means all", limit)
			}
			if json := p.out.format == "json" || p.out.format == "ndjson"; json && !cmd.Flags().Changed("limit") {
				limit = 0
			}
			return p.report(cmd.Context(), ids, limit)
		},
	}
	p.cfg.Bind(cmd.Flags(), config.EngineFlags()...)
	cmd.Flags().IntVar(&limit, "limit", limit, "how many overlaps of each feed to show; 0 = all, as JSON and NDJSON have without it")
	return cmd
}

func (p *program) report(ctx context.Context, ids []string, limit int) error {
	x, err := p.openParts(ctx, false)
	if err != nil {
		return err
	}
	if x.folder == nil && x.cluster != nil { // the index alone: what lies in the object store is not known
		from, err := p.openEngine(ctx)
		if err != nil {
			return err
		}
		x.feeds.Engine = follow.Remote{Index: x.cluster.engine, Feeds: from.feeds}
		p.talk.say("There is no data folder %s here, so runs are not known, and each feed counts as its definition says.", p.cfg.Data)
	}
	all, err := x.feeds.Report(ctx, ids...)
	if err != nil {
		return unknownFeed(err)
	}
	if p.out.format == "table" && len(ids) == 0 {
		slices.SortStableFunc(all, func(a, b feed.Report) int { return a.Unique - b.Unique })
	}
	for i := range all {
		all[i].Cut(limit)
	}
	err = printList(p.out, all, reportColumns())
	if err == nil && p.out.format == "table" && len(all) == 1 && len(all[0].Overlap) > 0 {
		p.out.w.WriteByte('\n')
		err = printList(p.out, all[0].Overlap, pairColumns())
	}
	err = errors.Join(err, p.out.flush())
	for _, note := range reportNotes(all) {
		p.talk.say("%s", note)
	}
	return err
}

// reportNotes say what the figures do not.
func reportNotes(all []feed.Report) (notes []string) {
	if len(all) == 0 {
		return []string{"No feed holds data."}
	}
	var aside []string
	for i := range all {
		if r := &all[i]; r.Role != feed.RoleThreat || !r.Enabled {
			aside = append(aside, r.ID)
		}
	}
	if slices.ContainsFunc(all, func(r feed.Report) bool { return r.Snapshot != "" }) {
		notes = append(notes, "Some of it is starter data that came with the program, which says nothing of who was first: `elasticintel ingest --all` pulls the feeds.")
	}
	if len(aside) > 0 {
		notes = append(notes, fmt.Sprintf("Not pulled, or not of role threat, so that others are no less unique: %s.", strings.Join(aside, ", ")))
	}
	return notes
}

// num makes a column of numbers.
func num[T any](name string, n func(*T) int) column[T] {
	return column[T]{name: name, right: true, text: func(v *T) string { return fmt.Sprint(n(v)) }, cell: func(v *T) string { return thousands(n(v)) }}
}

// part makes a column of shares, shown where there is something they are of.
func part[T any](name string, share func(*T) float64, of func(*T) bool) column[T] {
	return column[T]{name: name, right: true, text: func(v *T) string { return fmt.Sprint(share(v)) }, cell: func(v *T) string {
		if !of(v) {
			return ""
		}
		return percent(share(v))
	}}
}

// percent writes a share so that little is not nothing, nor nearly all all.
func percent(x float64) string {
	switch {
	case x > 0 && x < 0.01:
		return "<1%"
	case x > 0.99 && x < 1:
		return ">99%"
	}
	return fmt.Sprintf("%.0f%%", x*100)
}

// hours makes a column of hours.
func hours(name string, n func(*feed.Report) int) column[feed.Report] {
	return column[feed.Report]{name: name, right: true, text: func(r *feed.Report) string { return fmt.Sprint(n(r)) }, cell: func(r *feed.Report) string {
		switch h := n(r); {
		case h == 0:
			return ""
		case h < 48:
			return fmt.Sprintf("%dh", h)
		default:
			return fmt.Sprintf("%dd", h/24)
		}
	}}
}

func reportColumns() []column[feed.Report] {
	type r = feed.Report
	csv := func(c column[r]) column[r] { c.in = csvOnly; return c }
	listed := func(v *r) bool { return v.Listings > 0 }
	read := func(share func(*feed.ReportRead) float64) func(*r) float64 {
		return func(v *r) float64 {
			if v.LastRead == nil {
				return 0
			}
			return share(v.LastRead)
		}
	}
	hasRead := func(v *r) bool { return v.LastRead != nil }
	return []column[r]{
		{name: "id", text: func(v *r) string { return v.ID }},
		{name: "role", text: func(v *r) string { return v.Role }, cell: func(v *r) string { return roleText(v.Role, v.Enabled) }},
		csv(column[r]{name: "enabled", text: func(v *r) string { return fmt.Sprint(v.Enabled) }}),
		csv(column[r]{name: "kinds", text: kindsText}),
		csv(column[r]{name: "since", text: func(v *r) string { return stamp(v.Since) }}),
		csv(column[r]{name: "snapshot", text: func(v *r) string { return v.Snapshot }}),
		num("listings", func(v *r) int { return v.Listings }),
		num("unique", func(v *r) int { return v.Unique }),
		part("unique_share", func(v *r) float64 { return v.UniqueShare }, listed),
		csv(num("compared", func(v *r) int { return v.Early.Compared })),
		csv(num("first", func(v *r) int { return v.Early.First })),
		csv(num("tied", func(v *r) int { return v.Early.Tied })),
		csv(num("later", func(v *r) int { return v.Early.Later })),
		{name: "first", in: tableOnly, right: true, text: func(v *r) string {
			if v.Early.Compared == 0 {
				return ""
			}
			return fmt.Sprintf("%s of %s", thousands(v.Early.First), thousands(v.Early.Compared))
		}},
		named(hours("lead", func(v *r) int { return v.Early.MedianLead }), "median_lead_hours"),
		csv(hours("p90_lead_hours", func(v *r) int { return v.Early.P90Lead })),
		named(hours("lag", func(v *r) int { return v.Early.MedianLag }), "median_lag_hours"),
		csv(hours("p90_lag_hours", func(v *r) int { return v.Early.P90Lag })),
		named(num("added", func(v *r) int { return v.Runs.Added }), "added_per_day"),
		named(num("removed", func(v *r) int { return v.Runs.Removed }), "removed_per_day"),
		csv(part("suppressed_share", read(func(l *feed.ReportRead) float64 { return l.SuppressedShare }), hasRead)),
		named(part("rejected", read(func(l *feed.ReportRead) float64 { return l.RejectedShare }), hasRead), "rejected_share"),
		num("runs", func(v *r) int { return v.Runs.Runs }),
		num("failed", func(v *r) int { return v.Runs.Failed }),
		named(num("held", func(v *r) int { return v.Runs.Quarantined }), "quarantined"),
		{name: "overlap", text: overlapCSV, cell: overlapText},
	}
}

// named gives a column another name in CSV.
func named[T any](c column[T], csv string) column[T] {
	c.csv = csv
	return c
}

// roleText is a feed's role, and that it is off.
func roleText(role string, on bool) string {
	if !on {
		return strings.TrimSpace(role + " (off)")
	}
	return role
}

func kindsText(r *feed.Report) string {
	var out []string
	for k, n := range r.Kinds {
		out = append(out, fmt.Sprintf("%s=%d", k, n))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func overlapCSV(r *feed.Report) string {
	var out []string
	for _, o := range r.Overlap {
		out = append(out, fmt.Sprintf("%s=%d", o.Feed, o.Shared))
	}
	return strings.Join(out, " ")
}

// overlapText shows those that share something now.
func overlapText(r *feed.Report) string {
	var out []string
	for _, o := range r.Overlap {
		if o.Shared > 0 {
			out = append(out, fmt.Sprintf("%s %s", o.Feed, percent(o.Share)))
		}
	}
	return strings.Join(out, ", ")
}

func pairColumns() []column[feed.ReportPair] {
	type o = feed.ReportPair
	some := func(v *o) bool { return v.Shared > 0 }
	return []column[o]{
		{name: "with", text: func(v *o) string { return v.Feed }},
		{name: "role", text: func(v *o) string { return roleText(v.Role, v.Enabled) }},
		num("shared", func(v *o) int { return v.Shared }),
		part("of ours", func(v *o) float64 { return v.Share }, some),
		part("of theirs", func(v *o) float64 { return v.TheirShare }, some),
		num("we first", func(v *o) int { return v.First }),
		num("tied", func(v *o) int { return v.Tied }),
		num("they first", func(v *o) int { return v.Later }),
	}
}
