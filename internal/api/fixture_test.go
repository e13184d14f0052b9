package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/lookup/lookuptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// fakeFeeds has the feeds "good" and "busy".
type fakeFeeds struct {
	mu       sync.Mutex
	who      []string // of every run asked for
	noReport bool
	hook     func(context.Context) error // called while a run of good is under way
}

func (f *fakeFeeds) view(id string) feed.View {
	yes := true
	return feed.View{
		ID: id, Name: "The " + id, Provider: "Prov", Kind: "ipv4", Type: "txt", Enabled: true, CommercialUse: &yes, Presence: intel.Snapshot,
		State: feed.ViewState{Status: feed.ClassHealthy, Since: &now, Listings: 3, LastRun: &now, LastGood: &now, Snapshot: "2026-11-01"},
	}
}

func (f *fakeFeeds) List(context.Context) ([]feed.View, error) {
	never := f.view("never")
	never.CommercialUse, never.State = nil, feed.ViewState{Status: feed.ClassNew, Reason: "never pulled yet", Advice: "`elasticintel ingest never` pulls it now"}
	return []feed.View{f.view("busy"), f.view("good"), never}, nil
}

func (f *fakeFeeds) Get(_ context.Context, id string) (feed.View, error) {
	if id != "good" && id != "busy" {
		return feed.View{}, fmt.Errorf("%w %.60q; did you mean good?", feed.ErrUnknown, id)
	}
	return f.view(id), nil
}

func (f *fakeFeeds) Runs(ctx context.Context, id string, limit int) ([]intel.Run, error) {
	if _, err := f.Get(ctx, id); err != nil {
		return nil, err
	}
	if id == "busy" {
		return nil, nil
	}
	var all []intel.Run
	for i := range 30 {
		all = append(all, intel.Run{ID: fmt.Sprintf("r%02d", 30-i), Feed: id, Trigger: "schedule", Status: intel.RunOK, Started: now, Finished: now,
			Counts: intel.Counts{Read: 3, Accepted: 2, Rejected: 1}, Rejects: []intel.Reject{{Line: 2, Value: "<x>", Reason: "no"}}})
	}
	if limit > 0 && limit < len(all) {
		all = all[:limit]
	}
	return all, nil
}

func (f *fakeFeeds) Report(ctx context.Context, ids ...string) ([]feed.Report, error) {
	if f.noReport {
		return nil, lookup.ErrNoCompare
	}
	if len(ids) == 0 {
		ids = []string{"busy", "good"}
	}
	var out []feed.Report
	for _, id := range ids {
		if _, err := f.Get(ctx, id); err != nil {
			return nil, err
		}
		if id == "busy" { // nothing is known of it
			out = append(out, feed.NewReport(feed.ReportFacts{ID: id}, now))
			continue
		}
		c := &intel.Compared{Feed: id, Listings: 4, Kinds: map[intel.Kind]int{intel.IPv4: 4}, Unique: 1, Since: now.AddDate(0, 0, -9),
			Early: intel.Early{First: 2, Later: 1, Lead: intel.Quantiles{Median: 5, P90: 7}, Lag: intel.Quantiles{Median: 1, P90: 1}},
			Pairs: []intel.Pair{{Feed: "busy", Shared: 1}, {Feed: "other", Shared: 3, First: 2, Later: 1}}}
		out = append(out, feed.NewReport(feed.ReportFacts{ID: id, Compared: c, Snapshot: "2026-11-01", Listings: map[string]int{"other": 6},
			Roles: map[string]string{"good": "threat", "other": "allow"}, Runs: []intel.Run{{Trigger: "schedule", Status: intel.RunOK, Started: now, Counts: intel.Counts{Read: 4, Rejected: 1}}}}, now))
	}
	return out, nil
}

func (f *fakeFeeds) Run(ctx context.Context, id, who string) (intel.Run, error) {
	if _, err := f.Get(ctx, id); err != nil {
		return intel.Run{}, err
	}
	f.mu.Lock()
	f.who = append(f.who, who)
	f.mu.Unlock()
	if id == "busy" {
		return intel.Run{}, fmt.Errorf("feed %s: %w", id, ErrRunning)
	}
	if f.hook != nil {
		if err := f.hook(ctx); err != nil {
			return intel.Run{}, err
		}
	}
	return intel.Run{ID: "r31", Feed: id, Trigger: "manual", Status: intel.RunUnchanged, Started: now, Finished: now}, nil
}

func ind(t testing.TB, s string) intel.Indicator {
	t.Helper()
	i, err := intel.Detect(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func info(id string) *intel.FeedInfo {
	return &intel.FeedInfo{ID: id, Name: "The " + id, Provider: "Prov", Presence: intel.Snapshot, Reliability: "B", Confidence: 80, TLP: "clear", Tags: []string{"<b>"}, Description: "means " + id, Snapshot: "2026-11-01"}
}

// urlInQuery is a listed URL with everything in it that a path must escape.
const urlInQuery = "http://evil.example/a//b/../c%2Fd?x=1&y=%25#frag"

func world(t testing.TB) *lookuptest.Engine {
	e := &lookuptest.Engine{}
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	e.Add(ind(t, "192.0.2.7"), info("a"), day(-10), time.Time{}, "note", "1", "note", "2", "port", "80")
	e.Add(ind(t, "192.0.2.7"), info("b"), day(-20), day(-5))
	e.Add(ind(t, "192.0.2.0/24"), info("c"), day(-3), time.Time{})
	e.Add(ind(t, urlInQuery), info("u"), day(-3), time.Time{})
	e.Add(ind(t, "evil.example"), info("d"), day(-3), time.Time{})
	e.Add(ind(t, "http://evil.example/summary"), info("u"), day(-3), time.Time{})
	e.Add(ind(t, "http://evil.example/"), info("u"), day(-3), time.Time{})
	return e
}

// fixture is an API over fakes, reachable over loopback, whose every answer is
// held against the OpenAPI document.
type fixture struct {
	t      testing.TB
	api    *api
	engine *lookuptest.Engine
	feeds  *fakeFeeds
	keys   *auth.Keys
	url    string
	client *http.Client
	log    *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newFixture(t testing.TB, change ...func(*Config)) *fixture {
	t.Helper()
	store, err := blob.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, engine: world(t), feeds: &fakeFeeds{}, keys: auth.New(store, clock), log: &syncBuffer{}}
	c := Config{
		Lookup: lookup.New(f.engine, clock), Feeds: f.feeds, Keys: f.keys, Version: "1.2.3", Now: clock,
		Log:     slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: func(w io.Writer) { fmt.Fprintln(w, `ei_feed_listings{feed="good"} 3`) },
		Limits:  Limits{TempDir: t.TempDir()},
	}
	for _, ch := range change {
		ch(&c)
	}
	f.api = newAPI(c)
	srv := httptest.NewUnstartedServer(f.api)
	srv.Config = NewServer(f.api)
	srv.Start()
	t.Cleanup(srv.Close)
	f.url, f.client = srv.URL, srv.Client()
	f.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return f
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request and checks the answer against the document. headers are
// name, value pairs.
func (f *fixture) do(method, path, body string, headers ...string) answer {
	f.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, r)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Add(headers[i], headers[i+1])
		}
	}
	resp, err := f.client.Do(req)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
	a := answer{resp.StatusCode, resp.Header, string(data)}
	if err := checkAnswer(f.api, req, a); err != nil {
		f.t.Errorf("%s %s: %v\n%s", method, path, err, a.body)
	}
	return a
}

func (f *fixture) get(path string, headers ...string) answer {
	f.t.Helper()
	return f.do("GET", path, "", headers...)
}

func (f *fixture) post(path, mediaType, body string, headers ...string) answer {
	f.t.Helper()
	return f.do("POST", path, body, append(headers, "Content-Type", mediaType)...)
}

// want checks status and, of an error, its code.
func (f *fixture) want(a answer, status int, code string) {
	f.t.Helper()
	if a.status != status || code != "" && !strings.Contains(a.body, `"code":"`+code+`"`) {
		f.t.Errorf("got %d %s, want %d with code %q", a.status, a.body, status, code)
	}
}

// key makes a key and returns the header that carries it.
func (f *fixture) key(role auth.Role) (header string, id string) {
	f.t.Helper()
	plain, k, err := f.keys.Create(f.t.Context(), "test", role)
	if err != nil {
		f.t.Fatal(err)
	}
	return "Bearer " + plain, k.ID
}

var errBoom = errors.New("boom: secret inner detail")

// answerOf reads an answer.
func answerOf(t testing.TB, body string) intel.Answer {
	t.Helper()
	var a intel.Answer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return a
}
