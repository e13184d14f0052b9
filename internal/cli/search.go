package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/query"
)

// searchFlags are the flags of `search`.
type searchFlags struct {
	limit, facetLimit  int
	cursor, sort, asOf string
	facets             []string
	count              bool
}

func (p *program) searchCmd() *cobra.Command {
	f := searchFlags{limit: 20, facetLimit: 10}
	cmd := &cobra.Command{
		Use: "search QUERY", Short: "Find listings by words, tags, feeds, networks, dates and everything else they say",
		Long: `Finds the listings that a query asks for, newest change first: words, "phrases", prefix*, AND OR NOT, parentheses, and fields
(kind: tag: malware: feed: provider: domain: net: country: asn: port: confidence: first_seen: last_seen: listed: context.NAME: …).
docs/query.md has the whole language. Put the query into quotes, so that the shell leaves it alone. Works with and without a
running server. As JSON the answer is the object of GET /api/v1/search; -o ndjson gives a listing a line.

To ask what is known of an indicator, covering networks and parent domains included, use lookup.

Exit code: 0, also where nothing is found; 2 where the query is broken, 5 where damaged data makes the answer incomplete,
4 where there is no data to search.`,
		Example: `  elasticintel search 'phishing kit last_seen:<7d'
  elasticintel search --facets feed,kind 'malware:emotet -tag:test'
  elasticintel search --limit 0 -o ndjson 'net:192.0.2.0/24 listed:true' | jq -r .value
  elasticintel search --sort confidence --as-of 2026-03-01 'domain:*.example.com'`,
		Args:              args(1, -1, "a query, as in 'phishing kind:url'; * is everything"),
		ValidArgsFunction: p.completeQuery,
		RunE: func(cmd *cobra.Command, words []string) error {
			return p.search(cmd.Context(), strings.Join(words, " "), f, cmd.Flags())
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var e *failure
		if errors.As(flagError(cmd, err), &e) && e.hint == "" {
			e.hint = "Put the query into quotes; one that begins with - needs -- in front of it, or NOT in place of the -."
		}
		return e
	})
	g := cmd.Flags()
	g.IntVar(&f.limit, "limit", f.limit, "how many listings to show; 0 = all, as they are found")
	g.StringVar(&f.cursor, "cursor", "", "show the page behind this cursor, which the page before names")
	g.StringVar(&f.sort, "sort", "", "order: "+strings.Join(query.SortNames(), ", ")+"; with - in front the other way round (default newest change first)")
	g.StringSliceVar(&f.facets, "facets", nil, "count the values of these fields over all that matches")
	g.IntVar(&f.facetLimit, "facet-limit", f.facetLimit, "how many values of a field to show")
	g.BoolVar(&f.count, "count", false, "show the total and the facets, no listings")
	g.StringVar(&f.asOf, "as-of", "", "search what was known at this instant: RFC 3339, or a date (its end, UTC)")
	p.cfg.Bind(g, config.EngineFlags()...)
	_ = cmd.RegisterFlagCompletionFunc("sort", completeSort)
	_ = cmd.RegisterFlagCompletionFunc("facets", completeFacets)
	return cmd
}

func (p *program) search(ctx context.Context, text string, f searchFlags, flags flagSet) error {
	o := lookup.SearchOptions{AsOf: f.asOf, Sort: f.sort, Cursor: f.cursor, Limit: f.limit, Facets: f.facets, FacetLimit: f.facetLimit}
	switch {
	case f.limit < 0:
		return usageError("", "--limit: %d is negative; 0 means all", f.limit)
	case f.facetLimit < 1:
		return usageError("", "--facet-limit: %d, expected 1 to %d", f.facetLimit, lookup.MaxFacetLimit)
	case f.count:
		o.Limit = -1
	}
	if _, err := query.Parse(text, p.now()); err != nil { // also where there is no data
		return brokenQuery(text, err)
	}
	svc, from, _, err := p.openLookup(ctx, "")
	if err != nil {
		return err
	}
	found, err := p.showSearch(ctx, svc, text, o, flags)
	if err != nil {
		return err
	}
	if found.AsOf == nil {
		p.warnStale(from, time.Time{})
	}
	if found.Partial {
		return exit(exitPartial)
	}
	return nil
}

// showSearch prints what is found and tells about it.
func (p *program) showSearch(ctx context.Context, svc *lookup.Service, text string, o lookup.SearchOptions, flags flagSet) (lookup.Found, error) {
	list := newResultList(p.out, o.Limit < 0)
	found, err := svc.Search(ctx, text, o, list.add)
	if err != nil {
		return found, brokenQuery(text, err)
	}
	if err := errors.Join(list.close(&found), p.out.flush()); err != nil {
		return found, err
	}
	p.sayFound(&found, o, list.n, nextPage(text, found.Next, flags))
	if list.snapshot != "" {
		p.talk.say("Some listings are starter data of %s that came with the program: `elasticintel ingest --all` pulls the feeds.", list.snapshot)
	}
	return found, nil
}

// brokenQuery makes a refusal of Search a usage error: of a query with a mark
// below the place, of a flag with its name. Other errors stay as they are.
func brokenQuery(text string, err error) error {
	var q *query.Error
	var o *lookup.OptionError
	switch {
	case errors.As(err, &q):
		return usageError(markColumn(text, q.Column), "query, %w", err)
	case errors.As(err, &o):
		return usageError("", "--%s: %w", strings.ReplaceAll(o.Option, "_", "-"), o.Err)
	}
	return err
}

// markColumn shows a text with a caret below a column (1-based, in characters),
// of a long one the part around it.
func markColumn(text string, column int) string {
	const before, after = 60, 40
	r := []rune(printable(strings.ToValidUTF8(text, "\uFFFD"), false))
	at := min(max(column-1, 0), len(r))
	from, to := max(0, at-before), min(len(r), at+after)
	head, tail := "", ""
	if from > 0 {
		head = "…"
	}
	if to < len(r) {
		tail = "…"
	}
	return "  " + head + string(r[from:to]) + tail + "\n  " + strings.Repeat(" ", cellWidth(head+string(r[from:at]))) + "^"
}

// nextPage is the command that shows the page behind the cursor: the one that
// was given, without what the cursor knows or the first page has said.
func nextPage(text, cursor string, flags flagSet) string {
	if cursor == "" {
		return ""
	}
	cmd := "elasticintel search"
	flags.Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "cursor", "sort", "as-of", "facets", "facet-limit", "quiet":
			return
		}
		cmd += " --" + f.Name
		if f.Value.Type() != "bool" {
			cmd += " " + shellWord(f.Value.String())
		}
	})
	cmd += " --cursor " + cursor
	if strings.HasPrefix(text, "-") {
		cmd += " --"
	}
	return cmd + " " + shellWord(text)
}

// shellWord quotes a text for a POSIX shell where it needs it.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:,@%+", r)
	}
	if s != "" && strings.TrimLeftFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// sayFound tells the total, the facets where stdout has no place for them, and
// what to do next.
func (p *program) sayFound(f *lookup.Found, o lookup.SearchOptions, shown int, next string) {
	if p.out.format != "json" {
		p.printFacets(f, o.Facets)
	}
	total := plural(f.Total, "listing")
	switch {
	case f.TotalIs != lookup.TotalExact:
		total = "At least " + total
	case f.Total == 0:
		total = "No listing matches"
	}
	if shown < f.Total && o.Limit >= 0 {
		total += ", " + thousands(shown) + " shown"
	}
	p.talk.say("%s.", total)
	if f.Partial {
		p.talk.problem("This is not all: %s.", f.PartialReason)
	}
	if next != "" {
		p.talk.say("Next page: %s", next)
	}
	if f.Indicator == nil {
		return
	}
	which := "also says"
	if f.Total == 0 {
		which = "also finds listed networks, parent domains and hosts that cover it, and says"
	}
	p.talk.say("`elasticintel lookup %s` %s how bad it is and why.", shellWord(intel.Defang(f.Indicator.Value)), which)
}

// printFacets prints the facets in the order in which they were asked for. They
// were asked for, so not even --quiet keeps them back.
func (p *program) printFacets(f *lookup.Found, names []string) {
	done := map[string]bool{}
	for _, name := range names {
		field, err := query.ParseFacet(name)
		facet, ok := f.Facets[field.String()]
		if err != nil || !ok || done[field.String()] {
			continue
		}
		done[field.String()] = true
		title := field.String()
		if !facet.Exact {
			title += " (at least)"
		}
		lines := []string{title}
		width := len(thousands(facet.Other))
		for _, v := range facet.Values {
			width = max(width, len(thousands(v.Count)))
		}
		for _, v := range facet.Values {
			lines = append(lines, fmt.Sprintf("  %*s  %s", width, thousands(v.Count), facetText(field, v.Value)))
		}
		if facet.Other > 0 {
			lines = append(lines, fmt.Sprintf("  %*s  (all others)", width, thousands(facet.Other)))
		}
		p.talk.problem("%s", strings.Join(lines, "\n"))
	}
}

// facetText is a facet's value for people, where it is an indicator or part of one not to be clicked.
func facetText(f query.Field, v string) string {
	v = printable(v, false)
	if f == query.FieldValue || f == query.FieldDomain {
		return intel.Defang(v)
	}
	return v
}
