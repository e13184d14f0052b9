package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/near"
	"github.com/elasticintel/elasticintel/internal/source"
)

// sampleRows is how many listings people see; machines get all.
const sampleRows = 20

func (p *program) feedsTestCmd() *cobra.Command {
	var id, input string
	var rejects bool
	cmd := &cobra.Command{
		Use: "test DEF.json", Short: "Try a feed definition: show what it would list, and store nothing",
		Long: `Reads a definition, fetches the feed (or reads --input instead) and prints each listing that it would give; in a table the
first 20. The last line on stderr accounts for every record. Needs no data folder and writes nothing.

Exit code: 3 where the definition is wrong, 4 where the feed cannot be reached, 5 where a run would be held back.`,
		Example: `  elasticintel feeds test my-feed.json --input sample.txt --rejects
  elasticintel feeds test feeds.d/abusech.json --feed feodotracker -o ndjson`,
		Args: args(1, 1, "a file with a feed definition"),
		RunE: func(cmd *cobra.Command, a []string) error {
			d, err := readDefinition(a[0], id)
			if err != nil {
				return err
			}
			return p.testFeed(cmd.Context(), d, input, rejects)
		},
	}
	cmd.Flags().StringVar(&id, "feed", "", "the feed to try, where the file has several")
	cmd.Flags().StringVar(&input, "input", "", "read this file instead of downloading; - is stdin")
	cmd.Flags().BoolVar(&rejects, "rejects", false, "show every record that was rejected, with line and reason")
	return cmd
}

// readDefinition reads one feed of a file of definitions.
func readDefinition(name, id string) (*feed.Definition, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, pathError("definition", err)
	}
	defs, err := feed.Decode(name, data)
	if err != nil {
		return nil, configError(err, "docs/feeds.md explains every key.")
	}
	var ids []string
	for _, d := range defs {
		if d.ID == id || id == "" && len(defs) == 1 {
			return d, nil
		}
		ids = append(ids, d.ID)
	}
	switch {
	case len(ids) == 0:
		return nil, configError(fmt.Errorf("%s: no feed in it", name), "docs/feeds.md explains every key.")
	case id == "":
		return nil, usageError("Its feeds: "+strings.Join(ids, ", ")+".", "%s has %d feeds: say which with --feed ID", name, len(ids))
	}
	hint := "Its feeds: " + strings.Join(ids, ", ") + "."
	if n := near.Name(id, ids); n != "" {
		hint = fmt.Sprintf("Did you mean %q?", n)
	}
	return nil, usageError(hint, "%s: no feed %q in it", name, id)
}

func (p *program) testFeed(ctx context.Context, d *feed.Definition, input string, rejects bool) error {
	f, done, err := p.feedBytes(ctx, d, input)
	if err != nil {
		return err
	}
	defer done()
	res, perr := p.parseFeed(ctx, d, f, rejects)
	if ctx.Err() != nil {
		return context.Canceled
	}
	if err := p.printEntries(res.Entries); err != nil {
		return err
	}
	code, reason := ingest.Judge(d, 0, res, perr)
	for _, why := range slices.Sorted(maps.Keys(res.SuppressedFor)) {
		p.talk.say("suppressed %d: %s", res.SuppressedFor[why], why)
	}
	if code != "" {
		p.talk.problem("A run would be held back (%s): %s", code, reason)
	}
	p.talk.problem("read %d accepted %d duplicate %d suppressed %d rejected %d", res.Read, res.Accepted, res.Duplicate, res.Suppressed, res.Rejected)
	if code != "" {
		return exit(exitPartial)
	}
	return nil
}

// feedBytes opens the feed's content as received.
func (p *program) feedBytes(ctx context.Context, d *feed.Definition, input string) (f *os.File, done func(), err error) {
	switch input {
	case "-":
		return spool(p.env.In)
	case "":
		return p.download(ctx, d)
	}
	f, err = os.Open(input)
	if err == nil {
		var st os.FileInfo
		if st, err = f.Stat(); err == nil && !st.Mode().IsRegular() {
			defer f.Close()
			if st.IsDir() {
				return nil, nil, usageError("", "--input: %s is a folder", input)
			}
			return spool(f) // a pipe: it must be read from its start more than once
		}
	}
	if err != nil {
		return nil, nil, pathError("--input", err)
	}
	return f, func() { f.Close() }, nil
}

// spool copies what can be read only once into a temporary file.
func spool(r io.Reader) (*os.File, func(), error) {
	f, err := os.CreateTemp("", "elasticintel-*")
	if err != nil {
		return nil, nil, err
	}
	done := func() { f.Close(); os.Remove(f.Name()) }
	if _, err := io.Copy(f, r); err != nil {
		done()
		return nil, nil, fmt.Errorf("read input: %w", err)
	}
	return f, done, nil
}

func (p *program) download(ctx context.Context, d *feed.Definition) (*os.File, func(), error) {
	req := fetch.Request{Method: d.Method, AllowNetworks: d.Allowed()}
	key := ""
	if d.NeedsKey() {
		var ok bool
		if key, ok = p.openSecrets().Get(d.Auth.Secret); !ok {
			return nil, nil, configError(fmt.Errorf("feed %s needs the secret %s", d.ID, d.Auth.Secret), "Set "+local.SecretVar(d.Auth.Secret)+", or try a file with --input.")
		}
		req.Secrets = []string{key}
	}
	if d.Several() {
		return p.pullSeveral(ctx, d, key)
	}
	req.URL, req.Header = d.Endpoint(key)
	req.Body = d.Payload(key)
	res, err := p.newFetcher("").Do(ctx, req)
	if ctx.Err() != nil {
		return nil, nil, context.Canceled
	} else if err != nil {
		return nil, nil, fmt.Errorf("feed %s: %w", d.ID, err)
	}
	p.talk.say("Fetched %s from %s.", bytesText(res.Bytes), res.URL)
	return res.Body, func() { res.Close() }, nil
}

// pullSeveral is download for a feed that takes more than one request, asked as
// on its first pull.
func (p *program) pullSeveral(ctx context.Context, d *feed.Definition, key string) (*os.File, func(), error) {
	var secrets []string
	if key != "" {
		secrets = d.Forms(key)
	}
	out, err := source.Run(ctx, source.Pull{Def: d, Fetch: p.newFetcher(""), Secret: key, Secrets: secrets, Now: p.now(),
		Temp: func() (*os.File, error) { return os.CreateTemp("", "elasticintel-*") }})
	if ctx.Err() != nil {
		return nil, nil, context.Canceled
	} else if err != nil {
		return nil, nil, fmt.Errorf("feed %s: %w", d.ID, err)
	}
	p.talk.say("Fetched %s in %d parts from %s.", bytesText(out.Bytes), out.Parts, out.URL)
	for _, note := range out.Notes {
		p.talk.say("%s.", note)
	}
	return out.File, func() { out.File.Close(); os.Remove(out.File.Name()) }, nil
}

// parseFeed unpacks and parses as a run would. The result is never nil.
func (p *program) parseFeed(ctx context.Context, d *feed.Definition, f *os.File, rejects bool) (source.Parsed, error) {
	o := source.ParseOptions{MaxRejects: 20, Now: p.now(), Refuse: func(head []byte) string { return ingest.NoList(d.Type, head) }}
	if rejects {
		o.OnReject = func(r intel.Reject) {
			p.talk.problem("line %d: rejected %q: %s", r.Line, shorten(r.Value, 200), r.Reason)
		}
	}
	return source.Parse(ctx, f, d, o)
}

// testedEntry is one listing that a definition gives.
type testedEntry struct {
	Kind     intel.Kind   `json:"kind"`
	Value    string       `json:"value"`
	Original string       `json:"original"`
	Context  intel.Fields `json:"context"`
	Line     int          `json:"line"`
}

func (p *program) printEntries(entries []intel.Entry) error {
	more := 0
	if p.out.format == "table" && len(entries) > sampleRows {
		more = len(entries) - sampleRows
		entries = entries[:sampleRows]
	}
	list := newLister(p.out, entryColumns())
	for i := range entries {
		e := &entries[i]
		if err := list.add(&testedEntry{e.Indicator.Kind, e.Indicator.Value, e.Original, e.Fields, e.Line}); err != nil {
			return err
		}
	}
	if err := list.close(); err != nil {
		return err
	}
	if err := p.out.flush(); err != nil {
		return err
	}
	if more > 0 {
		p.talk.say("… and %s more; -o ndjson prints all.", thousands(more))
	}
	return nil
}

func entryColumns() []column[testedEntry] {
	context := func(e *testedEntry) string {
		var parts []string
		for _, f := range e.Context {
			parts = append(parts, f.Name+"="+strings.Join(f.Values, ","))
		}
		return strings.Join(parts, "; ")
	}
	return []column[testedEntry]{
		{name: "line", right: true, text: func(e *testedEntry) string { return strconv.Itoa(e.Line) }},
		{name: "kind", text: func(e *testedEntry) string { return e.Kind.String() }},
		{name: "value", text: func(e *testedEntry) string { return e.Value }, cell: func(e *testedEntry) string { return intel.Defang(e.Value) }},
		{name: "original", in: csvOnly, text: func(e *testedEntry) string { return e.Original }},
		{name: "context", text: context},
	}
}
