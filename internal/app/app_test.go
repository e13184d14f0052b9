package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/elasticintel/elasticintel/internal/api"
	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// build puts a server together as the command does, over feeds that a publisher
// of the test's serves, and returns what the runs' ends are told on.
func build(t *testing.T, pub *feedserver.Server, ids []string, change func(*app.Config)) (*app.App, string, <-chan intel.Run) {
	t.Helper()
	ctx := context.Background()
	dir, defs := t.TempDir(), t.TempDir()
	for _, id := range ids {
		def := fmt.Sprintf(`{"feeds":[{"id":%q,"feed_name":%q,"feed_type":"txt","indicator_type":"domain","feed_url":%q,
			"field_mapping":{"source":[],"destination":[]},"allow_networks":["127.0.0.0/8"]}]}`, id, id, pub.URL("/"+id))
		if err := os.WriteFile(filepath.Join(defs, id+".json"), []byte(def), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	catalogue, err := local.OpenCatalogue(defs, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := local.Create(ctx, dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	runner := ingest.New(ingest.Config{Store: f.Store, Corpus: f.Corpus, Fetch: fetch.New(fetch.Options{TempDir: filepath.Join(dir, ".tmp"), Retries: -1})})
	keys := auth.New(f.Store, time.Now)
	ln, err := app.Listen(ctx, ":0", keys.Any)
	if err != nil {
		t.Fatal(err)
	}
	runs := make(chan intel.Run, 100)
	cfg := app.Config{
		Listener: ln, Keys: keys, Parallel: 2, Version: "test", Log: slog.New(slog.DiscardHandler),
		Feeds: app.FeedsConfig{Catalogue: catalogue.Current, Store: f.Store, Runner: runner, Ledger: runner, Engine: f.Engine(),
			Secret: func(string) (string, bool) { return "", false }, Now: time.Now},
		Reload:    catalogue.Reload,
		Housekeep: func(ctx context.Context, _ bool) error { return runner.Repair(ctx) },
		Say:       t.Logf,
		OnRun:     func(r intel.Run, _ time.Time) { runs <- r },
	}
	if change != nil {
		change(&cfg)
	}
	return app.New(cfg), "http://" + ln.Addr().String(), runs
}

func next(t *testing.T, runs <-chan intel.Run) intel.Run {
	t.Helper()
	select {
	case r := <-runs:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("no run ended")
		return intel.Run{}
	}
}

func fetchText(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestApp_RunsAnswersAndLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	pub := feedserver.New()
	if err := pub.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	pub.SetString("/good", "one.good.example\n")
	pub.Fail("/bad", feedserver.NotFound, 0)
	a, url, runs := build(t, pub, []string{"good", "bad"}, nil)
	a.Start()
	ended := map[string]intel.RunStatus{}
	for range 2 {
		r := next(t, runs)
		ended[r.Feed] = r.Status
	}
	if ended["good"] != intel.RunOK || ended["bad"] != intel.RunFailed {
		t.Errorf("runs ended %v", ended)
	}
	if err := a.Ready(); err != nil {
		t.Errorf("ready: %v", err)
	}
	if body := fetchText(t, url+"/api/v1/indicators/one.good.example"); !strings.Contains(body, `"found":true`) {
		t.Errorf("answer %s", body)
	}
	metrics := fetchText(t, url+"/metrics")
	for _, want := range []string{`ei_feed_listings{feed="good"} 1`, `ei_feed_failures{feed="bad"} 1`, `ei_feed_last_good_timestamp_seconds{feed="good"} `, `ei_feed_enabled{feed="bad"} 1`,
		`ei_feed_health{feed="bad",class="failing"} 1`, `ei_feed_health{feed="bad",class="healthy"} 0`, `ei_feed_health{feed="good",class="healthy"} 1`, `ei_feed_health_since_timestamp_seconds{feed="bad"} `} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(metrics, `ei_feed_last_good_timestamp_seconds{feed="bad"}`) {
		t.Error("a feed that was never good has a last good time")
	}
	if err := a.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if a.Ready() == nil {
		t.Error("a stopped server is ready")
	}
}

func TestApp_StarterDataGivesWayToTheFirstPull(t *testing.T) {
	pub := feedserver.Start(t)
	pub.SetString("/a", "fresh.a.example\n")
	block := make(chan struct{})
	a, url, runs := build(t, pub, []string{"a", "b"}, func(c *app.Config) {
		snapshot := func(id, text string) app.Snapshot {
			return app.Snapshot{Feed: id, Date: "2026-08-01", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
		}
		c.Starter = []app.Snapshot{snapshot("a", "old.a.example\n"), snapshot("b", "old.b.example\n"), snapshot("gone", "x.example\n")}
		say := c.Say
		c.Say = func(format string, v ...any) {
			say(format, v...)
			if strings.HasPrefix(format, "Starter data") {
				<-block // the starter data is loaded, and no feed is pulled yet
			}
		}
	})
	a.Start()
	client := func(value string) string { return fetchText(t, url+"/api/v1/indicators/"+value) }
	var body string
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(body, `"snapshot":"2026-08-01"`) && time.Now().Before(deadline); {
		body = client("old.a.example")
	}
	if !strings.Contains(body, `"found":true`) || !strings.Contains(body, `"snapshot":"2026-08-01"`) {
		t.Errorf("answer from starter data: %s", body)
	}
	close(block)
	for range 2 {
		if r := next(t, runs); r.Feed == "a" && r.Status != intel.RunOK {
			t.Errorf("run of a: %s %s", r.Status, r.Reason)
		}
	}
	if body := client("old.a.example"); strings.Contains(body, `"found":true`) {
		t.Errorf("the first pull leaves starter data: %s", body)
	}
	if body := client("fresh.a.example"); !strings.Contains(body, `"found":true`) || strings.Contains(body, "snapshot") {
		t.Errorf("answer from the first pull: %s", body)
	}
	if body := client("old.b.example"); !strings.Contains(body, `"snapshot":"2026-08-01"`) {
		t.Errorf("a feed that fails loses its starter data: %s", body)
	}
	if err := a.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestApp_OfflinePullsNothing(t *testing.T) {
	pub := feedserver.Start(t)
	pub.SetString("/a", "fresh.a.example\n")
	a, _, _ := build(t, pub, []string{"a"}, func(c *app.Config) { c.Offline = true })
	a.Start()
	run, err := a.Feeds().Run(context.Background(), "a", "test") // by hand it still may
	if err != nil || run.Status != intel.RunOK || run.Who != "test" {
		t.Errorf("run %+v, %v", run, err)
	}
	if pub.Hits("/a") != 1 {
		t.Errorf("%d requests", pub.Hits("/a"))
	}
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
}

func TestFeeds_UnknownAndRunning(t *testing.T) {
	pub := feedserver.Start(t)
	pub.Fail("/slow", feedserver.Blackhole, 0)
	a, _, _ := build(t, pub, []string{"slow"}, nil)
	ctx := context.Background()
	var unknown *app.UnknownError
	if _, err := a.Feeds().Get(ctx, "slwo"); !errors.As(err, &unknown) || unknown.Nearest != "slow" || !errors.Is(err, feed.ErrUnknown) {
		t.Errorf("unknown feed: %v", err)
	}
	for name, call := range map[string]func() error{
		"run":     func() error { _, err := a.Feeds().Run(ctx, "none", "x"); return err },
		"runs":    func() error { _, err := a.Feeds().Runs(ctx, "none", 1); return err },
		"enable":  func() error { _, err := a.Feeds().Enable(ctx, "none", "x"); return err },
		"approve": func() error { _, err := a.Feeds().Approve(ctx, "none", "", "x", ""); return err },
		"reject":  func() error { _, err := a.Feeds().Reject(ctx, "none", "", "x", ""); return err },
	} {
		if err := call(); !errors.Is(err, feed.ErrUnknown) {
			t.Errorf("%s of an unknown feed: %v", name, err)
		}
	}
	a.Start()
	if err := pub.Wait(ctx, "/slow", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Feeds().Run(ctx, "slow", "x"); !errors.Is(err, api.ErrRunning) {
		t.Errorf("a second run at a time: %v", err)
	}
	pub.Close()
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
}

func TestListen_OthersNeedAKey(t *testing.T) {
	no := func(context.Context) bool { return false }
	yes := func(context.Context) bool { return true }
	ctx := context.Background()
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "does-not-exist.invalid:0"} {
		if _, err := app.Listen(ctx, addr, no); !errors.Is(err, app.ErrNeedsKey) {
			t.Errorf("Listen(%s) without a key: %v", addr, err)
		}
	}
	for addr, anyKey := range map[string]func(context.Context) bool{":0": no, "127.0.0.1:0": no, "127.8.8.8:0": no, "localhost:0": no, "0.0.0.0:0": yes} {
		ln, err := app.Listen(ctx, addr, anyKey)
		if err != nil {
			t.Errorf("Listen(%s): %v", addr, err)
			continue
		}
		if addr == ":0" && !ln.Addr().(*net.TCPAddr).IP.IsLoopback() {
			t.Errorf("Listen(%s) listens on %v", addr, ln.Addr())
		}
		if addr == "0.0.0.0:0" && !strings.HasPrefix(ln.Addr().String(), "0.0.0.0:") {
			t.Errorf("Listen(%s) listens on %v, which is more than IPv4", addr, ln.Addr())
		}
		ln.Close()
	}
	for _, addr := range []string{"", "7331", "127.0.0.1", "a:b:c"} {
		if _, err := app.Listen(ctx, addr, yes); err == nil {
			t.Errorf("Listen(%q) succeeded", addr)
		}
	}
}
