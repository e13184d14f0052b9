package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

func (p *program) lookupCmd() *cobra.Command {
	var asOf string
	var related bool
	cmd := &cobra.Command{
		Use: "lookup VALUE…|-", Short: "Say of values whether they are listed, by whom, since when, and how sure that is",
		Long: `Looks values up: IPs, networks, ip:ports, domains, URLs, emails, MD5/SHA-1/SHA-256/SHA-512 hashes, defanged or not.
With "-" values are read from stdin, one a line. Works with and without a running server. As JSON one value gives its answer
and several an object of results and summary; -o ndjson gives an answer a line.

Exit code: 1 where something is listed, 2 where a value could not be used (the others are answered all the same),
5 where nothing is listed but damaged data leaves a value unknown, 4 where there is no data to answer from, else 0.`,
		Example: `  elasticintel lookup 'hxxps://bad[.]example/a.exe' 192.0.2.1 d41d8cd98f00b204e9800998ecf8427e
  elasticintel lookup --as-of 2026-03-01 192.0.2.0/24
  cut -d' ' -f1 access.log | sort -u | elasticintel lookup -o ndjson - | jq -r 'select(.found).canonical'`,
		Args: args(1, -1, "values, or - to read them from stdin"),
		RunE: func(cmd *cobra.Command, values []string) error { return p.lookup(cmd.Context(), values, asOf, related) },
	}
	cmd.Flags().StringVar(&asOf, "as-of", "", "answer as of this instant: RFC 3339, or a date (its end, UTC)")
	p.cfg.Bind(cmd.Flags(), config.EngineFlags()...)
	cmd.Flags().BoolVar(&related, "related", false, "find related indicators too: neighbours, names of the same domain, URLs of the host, …")
	return cmd
}

func (p *program) lookup(ctx context.Context, values []string, asOf string, related bool) error {
	svc, from, o, err := p.openLookup(ctx, asOf)
	if err != nil {
		return err
	}
	o.Related = related
	src := newValueSource(values, p.env.In)
	var t tally
	list := newAnswerList(p, len(values) == 1 && values[0] != "-", related)
	err = svc.Answers(ctx, src.next, o, func(a *intel.Answer) error {
		t.count(a)
		if err := list.add(a); err != nil {
			return err
		}
		if src.idle(t.asked) { // whoever types, or feeds us slowly, waits for this one
			return p.out.flush()
		}
		return nil
	})
	if err = errors.Join(err, list.close(&t), p.out.flush()); err != nil {
		return err
	}
	for _, s := range enrichmentLines(&list.known, p.now()) {
		p.talk.say("%s", s)
	}
	p.talk.say("%s", t.text())
	if t.snapshot != "" {
		p.talk.say("Some answers rest on starter data of %s that came with the program: `elasticintel ingest --all` pulls the feeds.", t.snapshot)
	}
	p.warnStale(from, o.AsOf)
	return exit(t.code())
}

// openLookup opens the data for look-ups.
func (p *program) openLookup(ctx context.Context, asOf string) (*lookup.Service, *asked, lookup.Options, error) {
	var o lookup.Options
	if asOf != "" {
		at, err := lookup.ParseAsOf(asOf, p.now())
		if err != nil {
			return nil, nil, o, usageError("Give a date such as 2026-03-01 or an instant such as 2026-03-01T12:00:00Z.", "--as-of: %w", err)
		}
		o.AsOf = at
	}
	a, err := p.openEngine(ctx)
	if err != nil {
		return nil, nil, o, err
	}
	svc := lookup.New(a.engine, p.now)
	if a.folder != nil {
		b := p.openFacts(ctx, a.folder)
		svc = svc.Knowing(func() lookup.Known { return b.Snapshot() })
	}
	return svc, a, o, nil
}

// staleAfter is the age from which answers may miss what matters.
const staleAfter = 7 * 24 * time.Hour

// warnStale says so when even the newest data is old.
func (p *program) warnStale(a *asked, asOf time.Time) {
	newest := a.newest()
	if asOf.IsZero() && !newest.IsZero() && p.now().Sub(newest) > staleAfter {
		p.talk.say("The newest data is %s old: `elasticintel ingest --all` brings it up to date.", span(p.now().Sub(newest)))
	}
}

// tally counts the answers of one command.
type tally struct {
	asked, found, errors int
	incomplete           int // not found, but not all data could be read
	verdicts             map[intel.Verdict]int
	snapshot             string // oldest day of starter data that an answer rests on
}

func (t *tally) count(a *intel.Answer) {
	t.asked++
	if a.Error != nil && a.Error.Code == lookup.CodeIncomplete {
		t.incomplete++
		return
	}
	if a.Error != nil {
		t.errors++
		return
	}
	if a.Found {
		t.found++
	}
	if t.verdicts == nil {
		t.verdicts = map[intel.Verdict]int{}
	}
	t.verdicts[a.Verdict]++
	for i := range a.Listings {
		if s := a.Listings[i].Snapshot; s != "" && (t.snapshot == "" || s < t.snapshot) {
			t.snapshot = strings.Clone(s)
		}
	}
}

func (t *tally) code() int {
	switch {
	case t.errors > 0:
		return exitUsage
	case t.found > 0:
		return exitMatched
	case t.incomplete > 0:
		return exitPartial
	}
	return exitOK
}

func (t *tally) text() string {
	parts := []string{}
	for _, v := range []intel.Verdict{intel.Malicious, intel.Suspicious, intel.Listed, intel.Allowed, intel.Unknown} {
		if n := t.verdicts[v]; n > 0 {
			parts = append(parts, thousands(n)+" "+string(v))
		}
	}
	if t.incomplete > 0 {
		parts = append(parts, thousands(t.incomplete)+" not known, since some data cannot be read")
	}
	if t.errors > 0 {
		parts = append(parts, thousands(t.errors)+" unusable")
	}
	if t.asked == 0 {
		return "0 values looked up."
	}
	return plural(t.asked, "value") + " looked up: " + strings.Join(parts, ", ") + "."
}

// answerList prints answers one by one in any format.
type answerList struct {
	p      *program
	rows   *lister[intel.Answer]
	single bool // one value was asked for: JSON is the answer itself
	n      int
	known  intel.Enrichment // of the one value
	buf    []byte
}

func newAnswerList(p *program, single, related bool) *answerList {
	cols := answerColumns()
	if related {
		cols = append(cols, relatedColumn())
	}
	return &answerList{p: p, rows: newLister(p.out, cols), single: single}
}

func (l *answerList) add(a *intel.Answer) error {
	l.n++
	if l.single && a.Error == nil {
		l.known = a.Enrichment
	}
	switch l.p.out.format {
	case "ndjson":
		l.buf = append(a.AppendJSON(l.buf[:0]), '\n')
	case "json":
		l.buf = l.buf[:0]
		if !l.single {
			l.buf = append(l.buf, map[bool]string{true: `{"results":[`, false: ","}[l.n == 1]...)
		}
		if l.p.out.tty {
			l.buf = append(l.buf, '\n')
		}
		l.buf = l.appendIndented(a)
	default:
		return l.rows.add(a)
	}
	_, err := l.p.out.w.Write(l.buf)
	return err
}

func (l *answerList) appendIndented(a *intel.Answer) []byte {
	if !l.p.out.tty {
		return a.AppendJSON(l.buf)
	}
	b := bytes.NewBuffer(bytes.TrimPrefix(l.buf, []byte("\n")))
	if err := json.Indent(b, a.AppendJSON(nil), "", "  "); err != nil {
		return a.AppendJSON(l.buf)
	}
	return b.Bytes()
}

func (l *answerList) close(t *tally) error {
	switch {
	case l.p.out.format == "json" && l.single:
		_, err := l.p.out.w.WriteString("\n")
		return err
	case l.p.out.format == "json":
		if l.n == 0 {
			l.p.out.w.WriteString(`{"results":[`)
		}
		_, err := fmt.Fprintf(l.p.out.w, `],"summary":{"asked":%d,"found":%d,"errors":%d}}`+"\n", t.asked, t.found, t.errors)
		return err
	case l.p.out.format == "ndjson":
		return nil
	}
	return l.rows.close()
}
