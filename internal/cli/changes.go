package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

func (p *program) changesCmd() *cobra.Command {
	var since, file string
	limit := 20
	cmd := &cobra.Command{
		Use: "changes", Short: "Tell what changed since a cursor: listed, updated, de-listed, aged-out",
		Long: `Tells the last change of every listing that changed since a cursor, oldest first; without a cursor from the beginning.
Whoever adds what is listed or updated and removes what is de-listed or aged-out has the open listings: nothing is ever
skipped, and what is told twice does no harm. Starter data is not told.

The cursor to go on from is told on stderr; -o json has it as next, and -o ndjson in a last line {"next":…,"more":…}.
--cursor-file reads it from a file (none yet: from the beginning) and replaces that once everything was printed, at one
stroke, so that a run that is cut off is repeated: what a cron job wants. docs/history.md has a worked example.

Exit code: 0, also where nothing changed; 4 where the cursor cannot be followed: then begin anew with an empty list.`,
		Example: `  elasticintel changes
  elasticintel changes --limit 0 -o ndjson --cursor-file firewall.cursor > changes.ndjson
  elasticintel changes --since "$CURSOR" --limit 1000 --json`,
		Args: args(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case limit < 0:
				return usageError("", "--limit: %d is negative; 0 means all", limit)
			case cmd.Flags().Changed("since") && strings.TrimSpace(since) == "":
				return usageError("Leave --since out to begin, with an empty list.", "--since is empty")
			}
			return p.changes(cmd.Context(), strings.TrimSpace(since), file, limit)
		},
	}
	g := cmd.Flags()
	g.StringVar(&since, "since", "", "cursor of the time before")
	g.StringVar(&file, "cursor-file", "", "file that holds the cursor; it is replaced when everything was printed")
	g.IntVar(&limit, "limit", limit, "how many changes to tell; 0 = all, as they are read")
	p.cfg.Bind(g, config.EngineFlags()...)
	cmd.MarkFlagsMutuallyExclusive("since", "cursor-file")
	return cmd
}

func (p *program) changes(ctx context.Context, since, file string, limit int) error {
	if file != "" {
		var err error
		if since, err = readCursor(file); err != nil {
			return err
		}
	}
	svc, _, _, err := p.openLookup(ctx, "")
	if err != nil {
		return err
	}
	list := &changeList{out: p.out, rows: newLister(p.out, changeColumns())}
	next, more, err := svc.Changes(ctx, since, limit, list.add)
	if errors.Is(err, lookup.ErrCursor) {
		hint := "Run it without --since."
		if file != "" {
			hint = "Remove " + file + " and run it again."
		}
		return &failure{exitUnreachable, err, hint}
	}
	if err != nil {
		return err
	}
	if err := errors.Join(list.close(next, more), p.out.flush()); err != nil {
		return err
	}
	if file != "" {
		if err := replaceFile(file, next+"\n"); err != nil {
			return fmt.Errorf("cursor file: %w", err)
		}
	}
	p.sayChanges(list.n, next, more, file)
	return nil
}

func (p *program) sayChanges(n int, next string, more bool, file string) {
	text := plural(n, "change")
	if n == 0 {
		text = "Nothing changed"
	}
	if more {
		text += ", more follow"
	}
	p.talk.say("%s.", text)
	if file == "" {
		p.talk.say("Next: elasticintel changes --since %s", next)
	}
}

// readCursor reads a cursor file; there may be none yet.
func readCursor(file string) (string, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", pathError("--cursor-file", err)
	}
	since := strings.TrimSpace(string(b))
	if since == "" {
		return "", usageError("Remove it to begin anew, with an empty list.", "--cursor-file: %s is empty", file)
	}
	return since, nil
}

// replaceFile writes a file aside and puts it in place when it is whole.
func replaceFile(name, text string) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".cursor-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// changeColumns are a change in a table, defanged, and in CSV, as it is.
func changeColumns() []column[intel.Event] {
	value := func(e *intel.Event) string { return strings.Clone(e.Listing.Canonical) } // cells outlive the event
	return []column[intel.Event]{
		{name: "at", text: func(e *intel.Event) string { return stamp(&e.At) }},
		{name: "event", text: func(e *intel.Event) string { return string(e.Type) }},
		{name: "feed", text: func(e *intel.Event) string { return e.Listing.Feed }},
		{name: "kind", text: func(e *intel.Event) string { return e.Listing.Kind.String() }},
		{name: "value", text: value, cell: func(e *intel.Event) string { return intel.Defang(value(e)) }},
		{name: "listed", in: csvOnly, text: func(e *intel.Event) string { return strconv.FormatBool(e.Listing.Listed) }},
	}
}

// changeList prints changes as they are told, in any format.
type changeList struct {
	out  *printer
	rows *lister[intel.Event]
	n    int
	buf  []byte
}

func (l *changeList) add(e *intel.Event) error {
	l.n++
	switch l.out.format {
	case "json":
		l.buf = append(l.buf[:0], map[bool]string{true: `{"changes":[`, false: ","}[l.n == 1]...)
		if l.out.tty {
			l.buf = append(l.buf, '\n')
		}
		l.buf = e.AppendJSON(l.buf)
	case "ndjson":
		l.buf = append(e.AppendJSON(l.buf[:0]), '\n')
	default:
		return l.rows.add(e)
	}
	_, err := l.out.w.Write(l.buf)
	return err
}

// close prints what comes behind the last change.
func (l *changeList) close(next string, more bool) error {
	position := fmt.Sprintf("\"next\":%q,\"more\":%v}\n", next, more)
	switch {
	case l.out.format == "ndjson":
		position = "{" + position
	case l.out.format != "json":
		return l.rows.close()
	case l.n == 0:
		position = `{"changes":[],` + position
	default:
		position = "]," + position
	}
	_, err := l.out.w.WriteString(position)
	return err
}
