package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	elasticintel "github.com/elasticintel/elasticintel"
	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/enrich/facts"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/local"
)

// finding is one line of `doctor`.
type finding struct {
	Check  string `json:"check"`
	Level  string `json:"level"` // ok, warn or fail
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

// Levels of a finding.
const (
	levelOK   = "ok"
	levelWarn = "warn"
	levelFail = "fail"
)

func (p *program) doctorCmd() *cobra.Command {
	test := false
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check everything that usually goes wrong, and say how to mend it",
		Long: `Checks the data folder, the disk, the clock, the stored data, what is known of networks and domains, the cluster where one is used, the catalogue, the feeds, the secrets, the keys, the
address and the webhooks of alerts. It changes nothing, and sends nothing without --send-test-alert. Exit code 5 where something is broken; warnings alone are 0.`,
		Example: "  elasticintel doctor\n  elasticintel doctor --json | jq '.[] | select(.level != \"ok\")'",
		Args:    args(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := p.examine(cmd.Context(), test)
			if cmd.Context().Err() != nil {
				return context.Canceled
			}
			if err := printList(p.out, found, findingColumns()); err != nil {
				return err
			}
			for _, f := range found {
				if f.Level == levelFail {
					return exit(exitPartial)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&test, "send-test-alert", false, "send a message of type test to each webhook")
	p.cfg.Bind(cmd.Flags(), append(append(alertFlags(), config.EngineFlags()...), "listen")...)
	return cmd
}

func findingColumns() []column[finding] {
	color := func(f *finding) string {
		return map[string]string{levelOK: "32", levelWarn: "33", levelFail: "1;31"}[f.Level]
	}
	return []column[finding]{
		{name: "level", text: func(f *finding) string { return f.Level }, paint: color},
		{name: "check", text: func(f *finding) string { return f.Check }},
		{name: "detail", in: csvOnly, text: func(f *finding) string { return f.Detail }},
		{name: "fix", in: csvOnly, text: func(f *finding) string { return f.Fix }},
		{name: "finding", in: tableOnly, text: func(f *finding) string {
			if f.Fix == "" {
				return f.Detail
			}
			return f.Detail + " → " + f.Fix
		}},
	}
}

// examine makes all checks. Each stands alone, so that one failure hides no other.
func (p *program) examine(ctx context.Context, testAlert bool) []finding {
	var found []finding
	add := func(check, level, fix, format string, a ...any) {
		found = append(found, finding{check, level, fmt.Sprintf(format, a...), fix})
	}
	p.checkFolder(add)
	p.checkClock(add)
	f := p.checkStore(ctx, add)
	p.checkKnown(ctx, f, add)
	p.checkCluster(ctx, f, add)
	p.checkFeeds(ctx, f, add)
	p.checkSecrets(add)
	p.checkServer(ctx, f, add)
	p.checkAlerts(ctx, testAlert, add)
	return found
}

// checkKnown looks at what enrichment knows.
func (p *program) checkKnown(ctx context.Context, f *local.Folder, add addFinding) {
	if f == nil {
		return
	}
	b, err := facts.Open(ctx, f.Store, facts.Tables(f.Store))
	if err != nil {
		add("enrichment", levelFail, "restore it from a backup; answers go on without", "what registries said cannot be read: %v", err)
		return
	}
	c := b.Snapshot().Counts()
	if c == (facts.Counts{}) {
		add("enrichment", levelOK, "", "nothing is known of networks and domains yet; `elasticintel serve` or `elasticintel enrich` asks")
		return
	}
	add("enrichment", levelOK, "", "registries answered about %s and %s; offline tables have %s", plural(c.Networks, "network"), plural(c.Domains, "domain"), plural(c.Rows, "row"))
}

type addFinding func(check, level, fix, format string, a ...any)

// Free space below which a run may not fit any more.
const (
	lowSpace  = 1 << 30
	leastFree = 64 << 20
)

func (p *program) checkFolder(add addFinding) {
	root := p.cfg.Data
	st, err := os.Stat(root)
	switch {
	case errors.Is(err, os.ErrNotExist) && p.cfg.Engine == config.EngineOpenSearch:
		add("data folder", levelOK, "", "%s does not exist; the cluster answers without", root)
		return
	case errors.Is(err, os.ErrNotExist):
		add("data folder", levelWarn, "`elasticintel serve` makes it, or name the right one with --data", "%s does not exist", root)
		root = existingParent(root)
	case err != nil:
		add("data folder", levelFail, "check the path and its permissions", "%v", err)
		return
	case !st.IsDir():
		add("data folder", levelFail, "name a folder with --data", "%s is a file", root)
		return
	default:
		if f, err := os.CreateTemp(root, ".doctor-*"); err != nil {
			add("data folder", levelFail, "give this user write permission; look-ups work without", "%s cannot be written to: %v", root, err)
		} else {
			f.Close()
			os.Remove(f.Name())
			add("data folder", levelOK, "", "%s can be written to", root)
		}
	}
	free, err := local.FreeSpace(root)
	level, fix := levelOK, ""
	switch {
	case err != nil:
		add("disk space", levelWarn, "", "cannot be told: %v", err)
		return
	case free < leastFree:
		level, fix = levelFail, "free some space, or lower --keep-raw"
	case free < lowSpace:
		level, fix = levelWarn, "free some space, or lower --keep-raw"
	}
	add("disk space", level, fix, "%s free", bytesText(int64(free)))
}

func existingParent(path string) string {
	for {
		if _, err := os.Stat(path); err == nil {
			return path
		}
		up := filepath.Dir(path)
		if up == path {
			return "."
		}
		path = up
	}
}

func (p *program) checkClock(add addFinding) {
	released := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) // no clock that is right is before
	now := p.now()
	if now.Before(released) {
		add("clock", levelFail, "set the clock; first and last seen are written with it", "it says %s, before this program was made", now.Format(time.RFC3339))
		return
	}
	add("clock", levelOK, "", "%s", now.Format(time.RFC3339))
}

// checkStore opens what is stored and checks it quickly: heads, and the sizes
// of segments. `verify` reads everything.
func (p *program) checkStore(ctx context.Context, add addFinding) *local.Folder {
	f, err := local.Open(ctx, p.cfg.Data, p.now)
	switch {
	case errors.Is(err, local.ErrNoData) && p.cfg.Engine == config.EngineOpenSearch:
		return nil // the cluster's is another check
	case errors.Is(err, local.ErrNoData):
		add("stored data", levelWarn, "`elasticintel serve` or `elasticintel ingest --all` loads some", "none yet")
		return nil
	case errors.Is(err, corpus.ErrNewer):
		add("stored data", levelFail, "use the newer elasticintel that wrote it", "%v", err)
		return nil
	case err != nil:
		add("stored data", levelFail, "`elasticintel verify` says more", "%v", err)
		return nil
	case f.Corpus.Err() != nil:
		add("stored data", levelFail, "`elasticintel verify` says more; restore a backup, or let `elasticintel ingest FEED` start the feed anew and approve it", "%v", f.Corpus.Err())
		return f
	}
	st := f.Corpus.View().Stats()
	level, fix := levelOK, ""
	if st.Feeds == 0 {
		level, fix = levelWarn, "`elasticintel ingest --all` loads the feeds"
	}
	add("stored data", level, fix, "%s from %s, %s", plural(st.Listings, "listing"), plural(st.Feeds, "feed"), bytesText(st.Bytes))
	for _, h := range f.Corpus.View().Feeds() {
		if h.LastGood.After(p.now().Add(time.Hour)) {
			add("clock", levelFail, "set the clock", "feed %s was last good at %s, in the future", h.Feed, h.LastGood.Format(time.RFC3339))
			break
		}
	}
	return f
}

func (p *program) checkFeeds(ctx context.Context, f *local.Folder, add addFinding) {
	c, err := local.OpenCatalogue(p.cfg.Feeds, elasticintel.FeedsFS())
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			add("catalogue", levelFail, "mend the file; the other feeds are used", "%s", line)
		}
	}
	if c == nil {
		return
	}
	add("catalogue", levelOK, "", "%s", plural(len(c.Current().All()), "feed"))
	secrets := local.NewSecrets(p.cfg.Data, p.cfg.Secrets)
	fc := app.FeedsConfig{Catalogue: c.Current, Secret: secrets.Get, Now: p.now}
	if f != nil {
		runner := p.newRunner(f, secrets)
		fc.Store, fc.Engine, fc.Runner, fc.Ledger = f.Store, f.Engine(), runner, runner
	}
	views, err := app.NewFeeds(fc).List(ctx)
	if err != nil {
		add("feeds", levelFail, "`elasticintel verify` says more", "%v", err)
		return
	}
	p.checkViews(views, add)
}

// checkViews names every sick feed with what to do about it.
func (p *program) checkViews(views []feed.View, add addFinding) {
	good, enabled := 0, 0
	for i := range views {
		v := &views[i]
		if v.Enabled {
			enabled++
		}
		if v.State.Status == feed.ClassHealthy {
			good++
		}
		if v.State.Status.Sick() {
			since := ""
			if v.State.Since != nil {
				since = " since " + stamp(v.State.Since)
			}
			add("feed "+v.ID, levelWarn, v.State.Advice, "%s%s: %s", v.State.Status, since, v.State.Reason)
		}
	}
	level, fix := levelOK, ""
	if good == 0 && enabled > 0 {
		level, fix = levelWarn, "`elasticintel ingest --all` pulls them; is there a way to the Internet?"
	}
	add("feeds", level, fix, "%s; %d of %s healthy", feed.Tally(views), good, plural(enabled, "enabled feed"))
}

func (p *program) checkSecrets(add addFinding) {
	bad, err := local.NewSecrets(p.cfg.Data, p.cfg.Secrets).Exposed()
	if err != nil {
		add("secrets", levelWarn, "check the folder's permissions", "%v", err)
	}
	for _, path := range bad {
		add("secrets", levelFail, "chmod 600 "+path, "%s can be read by others on this machine", path)
	}
}

func (p *program) checkServer(ctx context.Context, f *local.Folder, add addFinding) {
	anyKey := false
	if f != nil {
		anyKey = auth.New(f.Store, p.now).Any(ctx)
	} else if store, err := blob.OpenDir(p.cfg.Data); err == nil {
		anyKey = auth.New(store, p.now).Any(ctx)
	}
	if anyKey {
		add("keys", levelOK, "", "the API wants a key")
	} else {
		add("keys", levelOK, "", "none: the API answers this machine only")
	}
	if pid, running := local.ServerPID(p.cfg.Data); running {
		add("server", levelOK, "", "process %d serves this folder", pid)
		return
	}
	ln, err := app.Listen(ctx, p.cfg.Listen, func(context.Context) bool { return anyKey })
	var op *net.OpError
	switch {
	case errors.Is(err, app.ErrNeedsKey):
		add("server", levelFail, "`elasticintel keys create NAME`", "%v", err)
	case errors.As(err, &op):
		add("server", levelWarn, "--listen :0 picks a free port", "%s cannot be listened on: %v", p.cfg.Listen, op.Err)
	case err != nil:
		add("server", levelFail, "give --listen HOST:PORT", "%v", err)
	default:
		ln.Close()
		add("server", levelOK, "", "not running; %s is free", p.cfg.Listen)
	}
}
