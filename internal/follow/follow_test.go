package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/opensearch"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
)

// script is an Index whose Syncs end as they are told, one after the other; those
// behind the last end well. The real one is held against the same calls by the
// tests of internal/cli, against a node.
type script struct {
	Index // nil: what is not scripted is not called

	mu      sync.Mutex
	ends    []error
	began   []time.Time // of each Sync
	anew    int         // Reindexes
	feeds   [][]opensearch.Feed
	damage  error
	current error
	find    error
}

func (s *script) Sync(_ context.Context, src opensearch.Source) (opensearch.SyncStats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = append(s.began, time.Now())
	s.feeds = append(s.feeds, src.Feeds())
	var st opensearch.SyncStats
	if len(s.ends) == 0 {
		return st, nil
	}
	err := s.ends[0]
	s.ends = s.ends[1:]
	var bulk *opensearch.BulkError
	if errors.As(err, &bulk) {
		st.Rejected = len(bulk.Rejected)
	}
	return st, err
}

// Tidy has nothing to do.
func (s *script) Tidy(context.Context) (opensearch.TidyStats, error) {
	return opensearch.TidyStats{}, nil
}

func (s *script) Current(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		return "", s.current
	}
	return "elasticintel-v1-000001", nil
}

func (s *script) Reindex(_ context.Context, _ opensearch.Source, o opensearch.ReindexOptions) (opensearch.SyncStats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anew++
	s.current = nil
	for range 5 {
		time.Sleep(4 * time.Second) // of the bubble's clock
		o.Progress(opensearch.Progress{Listings: 3, AllListings: 7, Feeds: 1, AllFeeds: 2})
	}
	return opensearch.SyncStats{BulkStats: opensearch.BulkStats{Written: 7}}, nil
}

func (s *script) Feeds(context.Context) ([]opensearch.Feed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damage = nil // as it is read anew
	return nil, nil
}

func (s *script) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damage
}

func (s *script) Find(_ context.Context, _ intel.Question, _ time.Time, dst []intel.Listing) ([]intel.Listing, error) {
	return dst, s.find
}

// syncs is how many there were.
func (s *script) syncs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.began)
}

// bed is an engine over a script and a corpus in memory.
type bed struct {
	*Engine
	t      *testing.T
	script *script
	said   []string
	down   error
}

func newBed(t *testing.T, s *script) *bed {
	store := crashtest.NewMem()
	if err := corpus.Init(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(t.Context(), store, corpus.Options{Workers: 1, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, script: s}
	b.Engine = New(Config{
		Index: s, Corpus: c, Now: time.Now, Down: func() error { return b.down }, Log: slog.New(slog.DiscardHandler),
		Say: func(format string, a ...any) { b.said = append(b.said, fmt.Sprintf(format, a...)) },
	})
	return b
}

// load has a run of a feed, which the corpus does not take up yet.
func (b *bed) load(feed string) {
	b.t.Helper()
	ctx, c := b.t.Context(), b.cfg.Corpus
	prev, etag, err := c.Head(ctx, feed)
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := c.Merge(ctx, prev, []intel.Entry{{Indicator: intel.Indicator{Kind: intel.IPv4, Value: "192.0.2.1"}, Original: "192.0.2.1"}},
		corpus.MergeOptions{Feed: feed, Info: intel.FeedInfo{ID: feed, Presence: intel.Snapshot}, Now: time.Now()})
	if err == nil {
		_, err = c.Commit(ctx, m.Next, etag)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) refresh() {
	b.t.Helper()
	if _, err := b.Refresh(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// run lets Run go until the test ends.
func (b *bed) run() {
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan struct{})
	go func() { b.Run(ctx); close(ended) }()
	b.t.Cleanup(func() { cancel(); <-ended })
	synctest.Wait()
}

func (b *bed) wait(d time.Duration) {
	time.Sleep(d) // of the bubble's clock
	synctest.Wait()
}

func unreachable(after time.Duration) error {
	return &opensearch.UnavailableError{RetryAfter: after, Err: errors.New("connection refused")}
}

// TestRun: it syncs at once, after each change, and now and then where nothing
// changed; what is behind is known until it has been sent.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, &script{})
		if err := b.Ready(); err == nil || !strings.Contains(err.Error(), "being brought up to date") {
			t.Errorf("before the first sync: %v", err)
		}
		b.run()
		if n := b.script.syncs(); n != 1 {
			t.Fatalf("%d syncs at the start", n)
		}
		if err := b.Ready(); err != nil {
			t.Errorf("after the first sync: %v", err)
		}
		b.load("a")
		b.refresh()
		synctest.Wait()
		if n := b.script.syncs(); n != 2 || len(b.script.feeds[1]) != 1 || b.script.feeds[1][0].Info.ID != "a" {
			t.Errorf("%d syncs, of %v", n, b.script.feeds)
		}
		if st := b.Status(); !st.Behind.IsZero() || st.Syncs != 2 || st.Failures != 0 {
			t.Errorf("%+v", st)
		}
		b.refresh()
		synctest.Wait()
		if n := b.script.syncs(); n != 2 {
			t.Errorf("%d syncs where nothing changed", n)
		}
		b.wait(lookEvery)
		if n := b.script.syncs(); n != 3 {
			t.Errorf("%d syncs after a while", n)
		}
		if held := b.Held(); held["a"].Listings != 1 || b.Broken("a") != nil {
			t.Errorf("%+v", held)
		}
	})
}

// TestRunAfterFailures: pauses grow, more news do not shorten them, the first
// failure and the end of them are said, and what is behind stays known.
func TestRunAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forbidden := &opensearch.StatusError{Status: http.StatusForbidden, Reason: "no permissions"}
		b := newBed(t, &script{ends: []error{nil, forbidden, forbidden, forbidden, forbidden}})
		b.run()
		b.wait(time.Second)
		b.load("a")
		b.refresh()
		synctest.Wait()
		for range 20 { // 20 s
			b.load("b")
			b.refresh()
			b.wait(time.Second)
		}
		var gaps []time.Duration
		for i := 2; i < len(b.script.began); i++ {
			gaps = append(gaps, b.script.began[i].Sub(b.script.began[i-1]))
		}
		if want := []time.Duration{1, 2, 4, 8}; len(gaps) < 4 || !slices.EqualFunc(gaps[:4], want, func(a, b time.Duration) bool { return a == b*time.Second }) {
			t.Errorf("pauses %v, want %v s", gaps, want)
		}
		if len(b.said) != 2 || !strings.Contains(b.said[0], "the cluster refuses the user") || b.said[1] != "The index follows again, after 15s." {
			t.Errorf("said %q", b.said)
		}
	})
}

// TestBehind: what was not sent counts from when it was committed.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, &script{ends: []error{nil, unreachable(3 * time.Second)}})
		b.run()
		b.wait(time.Second)
		b.load("a")
		b.refresh()
		at := time.Now()
		b.wait(2 * time.Second)
		var out strings.Builder
		b.WriteMetrics(t.Context(), &out)
		if st := b.Status(); !st.Behind.Equal(at) || st.Failed != 1 || !strings.Contains(out.String(), "ei_index_behind_seconds 2\n") || !strings.Contains(out.String(), "ei_index_sync_failures_total 1\n") {
			t.Errorf("behind since %v, want %v; %+v\n%s", st.Behind, at, st, out.String())
		}
		if err := b.Ready(); err == nil || err.(*UnreadyError).Why() != "the cluster cannot be reached" || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%v", err)
		}
		b.wait(time.Second) // as long as the cluster asked for
		if st := b.Status(); !st.Behind.IsZero() || st.Failed != 0 || b.Ready() != nil {
			t.Errorf("%+v", st)
		}
	})
}

// TestReady: what only cannot be written can still be asked.
func TestReady(t *testing.T) {
	status := func(code int) error { return &opensearch.StatusError{Status: code} }
	for name, c := range map[string]struct {
		end  error
		why  string // "" = ready
		down error
	}{
		"unreachable":   {end: unreachable(time.Second), why: "the cluster cannot be reached"},
		"no answer":     {end: &opensearch.NodeError{Err: errors.New("reset")}, why: "the cluster cannot be reached"},
		"refused":       {end: status(401), why: "the cluster refuses the user"},
		"gone":          {end: status(404), why: "the index cannot be brought up to date"},
		"writes failed": {end: &opensearch.BulkError{OpenAll: 1, Open: []opensearch.Op{{}}, Err: status(403)}},
		"another store": {end: errors.New("of another store")},
		"breaker":       {down: unreachable(time.Second), why: "the cluster cannot be reached"},
	} {
		b := newBed(t, &script{ends: []error{nil, c.end}})
		b.down = c.down
		for range 2 {
			_, _ = b.Sync(t.Context())
		}
		err := b.Ready()
		var unready *UnreadyError
		if c.why == "" && err != nil || c.why != "" && (!errors.As(err, &unready) || unready.Why() != c.why) {
			t.Errorf("%s: %v, want %q", name, err, c.why)
		}
	}
	b := newBed(t, &script{ends: []error{errors.New("of another store")}})
	if _, err := b.Sync(t.Context()); err == nil || b.Ready() == nil {
		t.Errorf("%v: it is ready although it was never synced", err)
	}
}

// TestMadeAnew: no index, one of another mapping, or a lost state is no reason to
// give up; how far it is is said now and then.
func TestMadeAnew(t *testing.T) {
	mapping := fmt.Errorf("index x %w", opensearch.ErrMapping)
	for name, s := range map[string]*script{
		"none": {current: opensearch.ErrUnsynced}, "another mapping": {current: mapping},
		"found in Sync": {ends: []error{mapping}}, "no state": {ends: []error{opensearch.ErrUnsynced}},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, s)
			st, err := b.Sync(t.Context())
			if err != nil || s.anew != 1 || st.Written != 7 || b.Status().Written != 7 {
				t.Errorf("%s: %+v, %v, %d times", name, st, err, s.anew)
			}
			const far = "Index: 3 of 7 listings, 1 of 2 feeds"
			if n := strings.Count(strings.Join(b.said, "\n"), far); n != 1 {
				t.Errorf("%s: said %q", name, b.said)
			}
		})
	}
}

// TestRefused: documents that the index does not take are counted and said; the
// rest is in the index.
func TestRefused(t *testing.T) {
	bad := &opensearch.BulkError{Rejected: []*opensearch.Rejected{{Op: opensearch.Op{Name: "192.0.2.1 of a"}, Status: 400}}}
	b := newBed(t, &script{ends: []error{bad}})
	if _, err := b.Sync(t.Context()); err != nil || b.script.syncs() != 2 || b.Status().Rejected != 1 || len(b.said) != 1 || !strings.Contains(b.said[0], "192.0.2.1 of a") {
		t.Errorf("%v, %d syncs, %+v, said %q", err, b.script.syncs(), b.Status(), b.said)
	}
	b = newBed(t, &script{ends: []error{bad, bad}})
	if _, err := b.Sync(t.Context()); err == nil || b.Status().Failed != 1 {
		t.Errorf("refused twice: %v", err)
	}
	open := &opensearch.BulkError{Rejected: bad.Rejected, OpenAll: 1, Open: []opensearch.Op{{}}}
	b = newBed(t, &script{ends: []error{open}})
	if _, err := b.Sync(t.Context()); err == nil {
		t.Error("what was not acknowledged is no error")
	}
}

// TestGone: a look-up that finds no index does not leave it at that until the next turn.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, &script{find: &opensearch.StatusError{Status: http.StatusNotFound}})
		b.run()
		if _, err := b.Find(t.Context(), intel.Question{}, time.Time{}, nil); err == nil {
			t.Error("no error")
		}
		synctest.Wait()
		if n := b.script.syncs(); n != 2 {
			t.Errorf("%d syncs", n)
		}
	})
}

// TestErrIsOfThisState: what the engine says of damage is that of the state which
// was just written.
func TestErrIsOfThisState(t *testing.T) {
	b := newBed(t, &script{damage: opensearch.ErrUnsynced})
	if _, err := b.Sync(t.Context()); err != nil || b.Err() != nil {
		t.Errorf("%v, %v", err, b.Err())
	}
}

// TestOneAtATime: a sync waits for whoever has the index, and stopping is no failure.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		b := newBed(t, s)
		turn := make(chan struct{})
		held := 0
		b.cfg.Lock = func(ctx context.Context) (func(), error) {
			select {
			case <-turn:
				held++
				return func() { held-- }, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { b.Run(ctx); close(ended) }()
		b.wait(time.Minute)
		if s.syncs() != 0 {
			t.Error("it did not wait")
		}
		turn <- struct{}{}
		synctest.Wait()
		if s.syncs() != 1 || held != 0 {
			t.Errorf("%d syncs, %d locks held", s.syncs(), held)
		}
		b.wait(lookEvery)
		cancel()
		<-ended
		if st := b.Status(); st.Failures != 0 || st.Err != nil || st.Syncs != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestRemote: an index without its store says what it holds.
func TestRemote(t *testing.T) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	r := Remote{Feeds: []opensearch.Feed{{Info: intel.FeedInfo{ID: "a", Snapshot: "2026-02-01"}, LastGood: at}}}
	if changed, err := r.Refresh(t.Context()); changed || err != nil || r.Broken("a") != nil {
		t.Error(changed, err)
	}
	if got := r.Held()["a"]; got != (app.Held{Version: at.UnixMilli(), Snapshot: "2026-02-01"}) {
		t.Errorf("%+v", got)
	}
}
