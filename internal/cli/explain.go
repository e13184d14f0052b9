package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

func (p *program) explainCmd() *cobra.Command {
	var asOf string
	cmd := &cobra.Command{
		Use: "explain VALUE", Short: "Show how an answer comes about: normalisation, what is looked for, each source, the arithmetic, its history, what is near",
		Example: "  elasticintel explain 'hxxp://bad[.]example/x'\n  elasticintel explain 192.0.2.1 --as-of 2026-03-01 --json",
		Args:    args(1, 1, "one value"),
		RunE:    func(cmd *cobra.Command, a []string) error { return p.explain(cmd.Context(), a[0], asOf) },
	}
	p.cfg.Bind(cmd.Flags(), config.EngineFlags()...)
	cmd.Flags().StringVar(&asOf, "as-of", "", "answer as of this instant: RFC 3339, or a date (its end, UTC)")
	return cmd
}

func (p *program) explain(ctx context.Context, value, asOf string) error {
	svc, from, o, err := p.openLookup(ctx, asOf)
	if err != nil {
		return err
	}
	o.Related, o.Timeline = true, true
	e, err := svc.Explain(ctx, value, o)
	if err != nil {
		return err
	}
	switch p.out.format {
	case "table":
		err = p.explainText(&e)
	case "csv":
		err = printList(p.out, e.Sources, sourceColumns())
	default:
		err = printOne(p.out, &e, nil)
	}
	if err = errors.Join(err, p.out.flush()); err != nil {
		return err
	}
	p.warnStale(from, o.AsOf)
	if e.Answer.Error != nil {
		return exit(exitUsage)
	}
	return nil
}

// explainText writes an explanation for people: values defanged, the arithmetic
// as a sum.
func (p *program) explainText(e *lookup.Explanation) error {
	line := func(format string, a ...any) {
		p.out.w.WriteString(printable(fmt.Sprintf(format, a...), false) + "\n")
	}
	line("How it is read")
	for _, s := range e.Steps {
		line("  %-11s %s", s.Name, joinNonEmpty(": ", s.Text, intel.Defang(s.Result)))
	}
	a := &e.Answer
	if a.Error != nil {
		line("  %-11s %s", a.Error.Code, a.Error.Detail)
		return nil
	}
	line("")
	line("What is looked for")
	for _, k := range e.Question.Keys {
		line("  %-11s %s %s", k.Relation, k.Kind, intel.Defang(k.Canonical))
	}
	if e.Question.Covers != "" {
		line("  %-11s listed networks that cover %s", intel.RelNetwork, intel.Defang(e.Question.Covers))
	}
	if e.Question.Members != "" {
		line("  %-11s what is listed inside %s", intel.RelMember, intel.Defang(e.Question.Members))
	}
	line("")
	line("Who says so")
	if len(e.Sources) == 0 {
		line("  nobody")
	}
	if err := printList(p.out, e.Sources, sourceColumns()); err != nil {
		return err
	}
	line("")
	line("Arithmetic")
	for _, r := range a.Reasons {
		line("  %+4d  %s", r.Points, r.Text)
	}
	line("  %4d  %s: %s", a.Score, a.Verdict, e.Formula)
	explainKnown(line, &a.Enrichment, p.now())
	explainTimeline(line, a)
	explainRelated(line, a.Related)
	return nil
}

// explainKnown tells what enrichment knows.
func explainKnown(line func(string, ...any), e *intel.Enrichment, now time.Time) {
	list := enrichmentLines(e, now)
	if len(list) == 0 {
		return
	}
	line("")
	line("What registries know")
	for _, s := range list {
		line("  %s", s)
	}
}

// enrichmentLines writes enrichment for people, a line each for the network, the domain
// and the address.
func enrichmentLines(e *intel.Enrichment, now time.Time) []string {
	var out []string
	add := func(name, source string, at time.Time, parts ...string) {
		parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
		out = append(out, fmt.Sprintf("%-8s %s (%s, %s)", name, strings.Join(parts, ", "), source, ago(&at, now)))
	}
	day := func(name string, d intel.Date) string {
		if d == "" {
			return ""
		}
		return name + " " + d.Time().Format(time.DateOnly)
	}
	if n := e.Network; n != nil {
		asn := ""
		if n.ASN != 0 {
			asn = strings.TrimSpace(fmt.Sprintf("AS%d %s", n.ASN, n.ASName))
		}
		add("network", n.Source, n.FetchedAt, intel.Defang(n.CIDR), n.Name, n.Org, n.Country, n.Registry, asn, n.Abuse, day("since", n.Allocated))
	}
	if d := e.Domain; d != nil {
		add("domain", d.Source, d.FetchedAt, intel.Defang(d.Name), d.Registrar, day("created", d.Created), day("updated", d.Updated), day("expires", d.Expires),
			intel.Defang(strings.Join(d.NameServers, " ")), strings.Join(d.Status, " "), strings.Join(d.Tags, " "))
	}
	if a := e.Address; a != nil {
		var reports []string
		for name := range a.Reports {
			reports = append(reports, name)
		}
		slices.Sort(reports)
		add("address", a.Source, a.FetchedAt, intel.Defang(strings.Join(a.Names, " ")), strings.Join(reports, " "))
	}
	return out
}

// explainTimeline tells what happened when, leaving out whose listing it was
// where that is the value itself.
func explainTimeline(line func(string, ...any), a *intel.Answer) {
	if len(a.Timeline) == 0 {
		return
	}
	line("")
	line("What happened")
	for _, m := range a.Timeline {
		whose := ""
		if m.Relation != intel.RelExact {
			whose = fmt.Sprintf(" (%s %s)", m.Relation, intel.Defang(m.Canonical))
		}
		line("  %s  %-9s by %s%s", stamp(&m.At), m.Type, m.Feed, whose)
	}
}

// explainRelated shows the first few of every group.
func explainRelated(line func(string, ...any), r *intel.Related) {
	if r == nil {
		return
	}
	const few = 5
	line("")
	line("What is near")
	n := 0
	for _, g := range r.Groups() {
		for i, item := range g.Items[:min(few, len(g.Items))] {
			name := ""
			if i == 0 {
				name = g.Name + " " + countText(g.RelatedGroup)
			}
			line("  %-15s %s %s (%s; %s)", name, item.Kind, intel.Defang(item.Canonical), item.Why, strings.Join(item.Feeds, ", "))
		}
		n += len(g.Items)
	}
	if n == 0 {
		line("  nothing that is listed")
	}
	if r.Partial {
		line("  There may be more: not all of it could be searched in time.")
	}
}

func joinNonEmpty(sep string, parts ...string) string {
	var some []string
	for _, s := range parts {
		if s != "" {
			some = append(some, s)
		}
	}
	return strings.Join(some, sep)
}

func sourceColumns() []column[lookup.Source] {
	day := func(name string, get func(*lookup.Source) time.Time) column[lookup.Source] {
		return column[lookup.Source]{name: name,
			text: func(s *lookup.Source) string { t := get(s); return stamp(&t) },
			cell: func(s *lookup.Source) string { return get(s).Format(time.DateOnly) }}
	}
	return []column[lookup.Source]{
		{name: "feed", text: func(s *lookup.Source) string { return s.Feed }},
		{name: "relation", text: func(s *lookup.Source) string { return string(s.Relation) }},
		{name: "listing", text: func(s *lookup.Source) string { return s.Canonical }, cell: func(s *lookup.Source) string { return intel.Defang(s.Canonical) }},
		{name: "listed", text: func(s *lookup.Source) string { return strconv.FormatBool(s.Listed) }, cell: func(s *lookup.Source) string { return yesNo(s.Listed) }},
		{name: "role", text: func(s *lookup.Source) string { return cmp.Or(s.Role, intel.RoleThreat) }},
		day("first_seen", func(s *lookup.Source) time.Time { return s.FirstSeen }),
		day("last_seen", func(s *lookup.Source) time.Time { return s.LastSeen }),
		{name: "reliability", text: func(s *lookup.Source) string { return s.Reliability }},
		{name: "confidence", right: true, text: func(s *lookup.Source) string { return strconv.Itoa(s.Confidence) }},
		{name: "meaning", text: func(s *lookup.Source) string { return s.Meaning }},
	}
}
