package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// counting counts how often everything is compared.
type counting struct {
	local.Engine
	n    int
	fail error
}

func (c *counting) Compare(ctx context.Context, aside func(string) bool) (*intel.Comparison, error) {
	if c.n++; c.fail != nil {
		return nil, c.fail
	}
	return c.Engine.Compare(ctx, aside)
}

// lab is feeds over a data folder, with runs of what a test says.
type lab struct {
	t      *testing.T
	now    time.Time
	feeds  *app.Feeds
	runner *ingest.Runner
	engine *counting
	defs   *feed.Catalogue
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return l.now }
	f, err := local.Create(t.Context(), t.TempDir(), clock)
	if err != nil {
		t.Fatal(err)
	}
	l.runner, l.engine = ingest.New(ingest.Config{Store: f.Store, Corpus: f.Corpus, Now: clock}), &counting{Engine: f.Engine()}
	l.catalogue("threat")
	l.feeds = app.NewFeeds(app.FeedsConfig{Catalogue: func() *feed.Catalogue { return l.defs }, Store: f.Store, Runner: l.runner, Ledger: l.runner, Engine: l.engine,
		Secret: func(string) (string, bool) { return "", false }, Now: clock})
	return l
}

// catalogue has the feeds a, b, c and "none", which is never pulled; c has the role.
func (l *lab) catalogue(role string) {
	l.t.Helper()
	dir := l.t.TempDir()
	var defs []string
	for _, id := range []string{"a", "b", "c", "none"} {
		r := "threat"
		if id == "c" {
			r = role
		}
		defs = append(defs, fmt.Sprintf(`{"id":%q,"feed_name":"The %s","feed_type":"txt","indicator_type":"domain","feed_url":"https://%s.example/","role":%q,"guards":{"max_shrink":1}}`, id, id, id, r))
	}
	writeFile(l.t, dir+"/feeds.json", `{"feeds":[`+strings.Join(defs, ",")+`]}`)
	c, err := local.OpenCatalogue(dir, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	l.defs = c.Current()
}

func (l *lab) pull(id string, names ...string) {
	l.t.Helper()
	l.now = l.now.Add(time.Minute)
	run, err := l.runner.Run(l.t.Context(), feed.Job{Def: l.defs.Get(id), Trigger: "schedule", Open: content(strings.Join(names, "\n"))})
	if err != nil || run.Status != intel.RunOK && run.Status != intel.RunUnchanged {
		l.t.Fatalf("%+v %v", run, err)
	}
	if _, err := l.engine.Refresh(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) report(ids ...string) map[string]feed.Report {
	l.t.Helper()
	all, err := l.feeds.Report(l.t.Context(), ids...)
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[string]feed.Report{}
	for _, r := range all {
		out[r.ID] = r
	}
	return out
}

// wantCompared checks how often everything was compared so far.
func (l *lab) wantCompared(n int) {
	l.t.Helper()
	if l.engine.n != n {
		l.t.Errorf("compared %d times, want %d", l.engine.n, n)
	}
}

func TestFeeds_Report(t *testing.T) {
	l := newLab(t)
	if got := l.report(); len(got) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
	l.pull("a", "one.example", "two.example")
	l.pull("b", "one.example")
	l.pull("c", "two.example")
	l.engine.n = 0
	got := l.report()
	if a := got["a"]; len(got) != 3 || a.Name != "The a" || a.Listings != 2 || a.Unique != 0 || a.Overlaps != 2 || a.Runs.Runs != 1 || a.LastRead == nil {
		t.Errorf("%+v", got)
	}
	if got := l.report("b", "none"); len(got) != 2 || got["b"].Listings != 1 || got["none"].Listings != 0 || got["none"].Since != nil {
		t.Errorf("%+v", got)
	}
	l.wantCompared(1)

	// A day later a is first with new.example, after a run, whatever it ended with.
	l.now = l.now.Add(24 * time.Hour)
	l.pull("a", "one.example", "two.example", "new.example")
	l.now = l.now.Add(5 * time.Hour)
	l.pull("b", "one.example", "new.example")
	got = l.report()
	l.wantCompared(2)
	if a, b := got["a"].Early, got["b"].Early; a.First != 1 || a.MedianLead != 5 || b.Later != 1 || b.MedianLag != 5 || got["a"].Runs.Runs != 2 || got["a"].Runs.Days != 2 {
		t.Errorf("%+v", got)
	}
	l.pull("b", "one.example", "new.example")
	if got := l.report(); got["b"].Runs.Runs != 3 {
		t.Errorf("%+v", got["b"])
	}
	l.wantCompared(3)

	// Another role takes no uniqueness away; and time passes.
	l.catalogue("allow")
	if got := l.report(); got["a"].Unique != 1 || got["c"].Role != "allow" {
		t.Errorf("%+v", got)
	}
	l.wantCompared(4)
	l.now = l.now.Add(9 * time.Minute)
	l.report()
	l.wantCompared(4)
	l.now = l.now.Add(time.Minute)
	l.report()
	l.wantCompared(5)

	// One that is pulled no more takes no uniqueness away either.
	if got := l.report(); got["b"].Unique != 0 || !got["b"].Enabled {
		t.Errorf("%+v", got["b"])
	}
	if _, err := l.feeds.Disable(t.Context(), "a", "test"); err != nil {
		t.Fatal(err)
	}
	if got := l.report("b"); got["b"].Unique != 2 || got["b"].Overlap[0].Enabled {
		t.Errorf("%+v", got["b"])
	}
	if _, err := l.feeds.Enable(t.Context(), "a", "test"); err != nil {
		t.Fatal(err)
	}

	var unknown *app.UnknownError
	if _, err := l.feeds.Report(t.Context(), "nope"); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
	l.engine.fail = errors.New("disk")
	l.pull("c", "two.example", "three.example")
	if _, err := l.feeds.Report(t.Context()); !errors.Is(err, lookup.ErrEngine) {
		t.Errorf("got %v", err)
	}
	l.engine.fail = nil
	if got := l.report(); got["c"].Listings != 2 {
		t.Errorf("after a failure: %+v", got["c"])
	}
}

func content(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
