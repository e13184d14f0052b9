package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/notify"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
)

// ward is a number of feeds whose health a test sets, on a real store.
type ward struct {
	t      *testing.T
	now    time.Time
	store  *brokenStore
	feeds  *app.Feeds
	states map[string]feed.State
	said   []string
	key    bool // the secret of feeds called key… exists
}

func (w *ward) Run(context.Context, feed.Job) (intel.Run, error) { return intel.Run{}, nil }
func (w *ward) Decide(context.Context, *feed.Definition, string, bool, string, string) (intel.Run, error) {
	return intel.Run{}, nil
}
func (w *ward) Runs(context.Context, string, int) ([]intel.Run, error) { return nil, nil }
func (w *ward) States(context.Context) (map[string]feed.State, error)  { return w.states, nil }

// nothing is an engine that holds nothing.
type nothing struct{ app.Engine }

func (nothing) Held() map[string]app.Held { return nil }
func (nothing) Broken(string) error       { return nil }

// brokenStore is a store of which writes of alerts fail once there were good many
// more; negative: never.
type brokenStore struct {
	blob.Store
	mu   sync.Mutex
	good int
}

func (s *brokenStore) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	if key == app.AlertsKey {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.good == 0 {
			return blob.Info{}, errors.New("killed")
		}
		s.good--
	}
	return s.Store.Put(ctx, key, r, c)
}

func newWard(t *testing.T, ids ...string) *ward {
	t.Helper()
	w := &ward{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), store: &brokenStore{Store: crashtest.NewMem(), good: -1}, states: map[string]feed.State{}}
	w.feeds = app.NewFeeds(app.FeedsConfig{Store: w.store, Runner: w, Engine: nothing{}, Now: func() time.Time { return w.now },
		Secret: func(string) (string, bool) { return "x", w.key }})
	w.list(ids...)
	return w
}

// list makes these the feeds of the catalogue.
func (w *ward) list(ids ...string) {
	w.t.Helper()
	files := fstest.MapFS{}
	for _, id := range ids {
		auth := ""
		if strings.HasPrefix(id, "key") {
			auth = `,"auth":{"secret":"K","in":"bearer"}`
		}
		files[id+".json"] = &fstest.MapFile{Data: fmt.Appendf(nil, `{"feeds":[{"id":%q,"feed_name":"The %s","provider":"P","feed_type":"txt","indicator_type":"domain","feed_url":"https://lists.example/x","field_mapping":{}%s}]}`, id, id, auth)}
	}
	c, err := feed.Load(files)
	if err != nil {
		w.t.Fatal(err)
	}
	w.feeds.Catalogue = func() *feed.Catalogue { return c }
}

// is puts a feed into a class, by a run that ends now.
func (w *ward) is(id string, c feed.Class) {
	st := w.states[id]
	st.Feed, st.LastAttempt, st.Class, st.Since = id, w.now, c, w.now
	switch c {
	case feed.ClassHealthy:
		st.LastGood, st.Changed, st.Failures, st.Quarantined = w.now, w.now, 0, ""
	case feed.ClassFailing:
		st.Failures, st.LastRun.Reason = 1, "404"
	case feed.ClassQuarantined:
		st.Quarantined = "r1"
	}
	w.states[id] = st
}

func (w *ward) alerts(c app.AlertsConfig, r ...app.Receiver) *app.Alerts {
	c.Receivers = r
	c.Say = func(format string, v ...any) { w.said = append(w.said, fmt.Sprintf(format, v...)) }
	return app.NewAlerts(c, w.feeds)
}

// ear is a receiver.
type ear struct {
	id   string
	fail error
	lose bool                  // takes messages, and the answer does not arrive
	hook func(context.Context) // called while a message is under way
	mu   sync.Mutex
	got  []notify.Message
}

func (e *ear) ID() string { return e.id }
func (e *ear) Send(ctx context.Context, m notify.Message) error {
	if e.hook != nil {
		e.hook(ctx)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return e.fail
	}
	e.got = append(e.got, m)
	if e.lose {
		return errors.New("the answer is lost")
	}
	return nil
}

// hears takes what was told since the last call: "feed from to".
func (e *ear) hears() string {
	var out []string
	for _, m := range e.got {
		out = append(out, m.Feed+" "+m.From+" "+m.To)
	}
	e.got = nil
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (w *ward) round(a *app.Alerts, e *ear, want string) {
	w.t.Helper()
	if err := a.Round(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if got := e.hears(); got != want {
		w.t.Errorf("at %s told %q, want %q", w.now.Format(time.TimeOnly), got, want)
	}
}

func TestAlerts_TellChangesThatLast(t *testing.T) {
	w := newWard(t, "a", "b", "c")
	e := &ear{id: "e"}
	a := w.alerts(app.AlertsConfig{After: 10 * time.Minute}, e)
	w.is("a", feed.ClassHealthy)
	w.is("b", feed.ClassFailing)
	w.round(a, e, "") // a is well from the start, c is new, b has not failed for long
	w.now = w.now.Add(10 * time.Minute)
	w.round(a, e, "b new failing")
	w.round(a, e, "")
	w.is("c", feed.ClassHealthy)
	w.now = w.now.Add(time.Hour)
	w.round(a, e, "") // the first good run of a new feed is no news

	w.is("a", feed.ClassFailing)
	w.now = w.now.Add(5 * time.Minute)
	w.round(a, e, "")
	w.is("a", feed.ClassHealthy) // it passed by itself
	w.now = w.now.Add(time.Hour)
	w.round(a, e, "")

	w.is("a", feed.ClassQuarantined)
	w.is("b", feed.ClassHealthy)
	w.now = w.now.Add(10 * time.Minute)
	if err := a.Round(t.Context()); err != nil || len(e.got) != 2 {
		t.Fatalf("%v %+v", err, e.got)
	}
	i := slices.IndexFunc(e.got, func(m notify.Message) bool { return m.Feed == "a" })
	m := e.got[i]
	if m.Type != "feed.health" || m.Name != "The a" || m.Provider != "P" || !strings.Contains(m.Reason, "run r1 is held back") || !strings.Contains(m.Advice, "feeds approve a") ||
		!m.Since.Equal(w.now.Add(-10*time.Minute)) || !m.At.Equal(w.now) || m.ID == e.got[1-i].ID {
		t.Errorf("message %+v", m)
	}
	if got, want := e.hears(), "a healthy quarantined, b failing healthy"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if _, err := w.feeds.Disable(t.Context(), "a", "somebody"); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(10 * time.Minute)
	w.round(a, e, "a quarantined disabled")
}

func TestAlerts_SurviveRestarts(t *testing.T) {
	w := newWard(t, "a", "b")
	e := &ear{id: "e"}
	config := app.AlertsConfig{}
	w.is("a", feed.ClassHealthy)
	w.is("b", feed.ClassHealthy)
	w.round(w.alerts(config, e), e, "")
	w.is("a", feed.ClassFailing)
	w.round(w.alerts(config, e), e, "a healthy failing")
	w.round(w.alerts(config, e), e, "") // told once

	w.is("a", feed.ClassHealthy) // while nobody looks
	w.is("b", feed.ClassFailing)
	w.now = w.now.Add(time.Hour)
	w.round(w.alerts(config, e), e, "a failing healthy, b healthy failing")

	// Killed after the message and before it was written down: told again, with the
	// same ID.
	w.is("a", feed.ClassFailing)
	w.store.good = 1
	if err := w.alerts(config, e).Round(t.Context()); err == nil || len(e.got) != 1 {
		t.Fatalf("%v, %d messages", err, len(e.got))
	}
	first := e.got[0].ID
	e.hears()
	w.store.good = -1
	w.now = w.now.Add(time.Minute)
	if err := w.alerts(config, e).Round(t.Context()); err != nil || len(e.got) != 1 || e.got[0].ID != first {
		t.Fatalf("%v, %+v, want the ID %s", err, e.got, first)
	}
	e.hears()
	w.is("a", feed.ClassHealthy)
	w.round(w.alerts(config, e), e, "a failing healthy")
	w.is("a", feed.ClassFailing)
	if err := w.alerts(config, e).Round(t.Context()); err != nil || len(e.got) != 1 || e.got[0].ID == first {
		t.Errorf("%v: another change has the ID of an old one: %+v", err, e.got)
	}
}

func TestAlerts_ReceiverThatFailsIsTriedAgainAndHoldsUpNoOther(t *testing.T) {
	w := newWard(t, "a", "b")
	bad, good := &ear{id: "bad", fail: errors.New("no answer")}, &ear{id: "good"}
	a := w.alerts(app.AlertsConfig{}, bad, good)
	w.is("a", feed.ClassFailing)
	w.is("b", feed.ClassFailing)
	if err := a.Round(t.Context()); err == nil {
		t.Error("no error")
	}
	if got := good.hears(); got != "a new failing, b new failing" {
		t.Errorf("the other was told %q", got)
	}
	if len(w.said) != 1 || !strings.Contains(w.said[0], "no answer; 2 changes of feeds wait") {
		t.Errorf("said %q", w.said)
	}
	tries := 0
	bad.fail = nil
	for tries = 0; len(bad.got) == 0 && tries < 100; tries++ {
		w.now = w.now.Add(time.Second)
		if err := a.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if tries != 30 || bad.hears() != "a new failing, b new failing" {
		t.Errorf("tried again after %d s", tries)
	}
	if len(w.said) != 2 || !strings.Contains(w.said[1], "bad answers again") {
		t.Errorf("said %q", w.said)
	}

	// It is left alone for longer and longer, and tells only what is still so.
	bad.fail = errors.New("no answer")
	w.is("a", feed.ClassHealthy)
	w.is("b", feed.ClassHealthy)
	failures := 0
	for range 4 * 60 {
		w.now = w.now.Add(time.Minute)
		if a.Round(t.Context()) != nil {
			failures++
		}
	}
	if failures < 8 || failures > 16 {
		t.Errorf("tried %d times in four hours", failures)
	}
	w.is("b", feed.ClassFailing)
	bad.fail = nil
	w.now = w.now.Add(time.Hour)
	w.round(a, bad, "a failing healthy")
}

// A receiver that may have a message also learns that it is over, whatever happened
// to the process in between.
func TestAlerts_KilledWhileAFeedHeals(t *testing.T) {
	for good := range 2 { // killed before the message, and before its end was written down
		w := newWard(t, "a")
		e := &ear{id: "e"}
		w.is("a", feed.ClassHealthy)
		w.round(w.alerts(app.AlertsConfig{}, e), e, "")
		w.is("a", feed.ClassFailing)
		w.store.good = good
		if err := w.alerts(app.AlertsConfig{}, e).Round(t.Context()); err == nil || len(e.got) != good {
			t.Fatalf("%v, %d messages", err, len(e.got))
		}
		e.hears()
		w.store.good = -1
		w.is("a", feed.ClassHealthy)
		w.round(w.alerts(app.AlertsConfig{}, e), e, []string{"", "a failing healthy"}[good])
		w.round(w.alerts(app.AlertsConfig{}, e), e, "")
	}
}

// Whatever fails and whenever the process is killed: what a receiver has, each
// message once, is a chain of changes that ends with what is.
func TestAlerts_AlwaysEndWithTheTruth(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		w := newWard(t, "a", "b")
		e := &ear{id: "e"}
		a := w.alerts(app.AlertsConfig{}, e)
		classes := []feed.Class{feed.ClassHealthy, feed.ClassFailing, feed.ClassQuarantined}
		for range 60 {
			w.now = w.now.Add(time.Duration(rnd.IntN(3600)) * time.Second)
			for _, id := range []string{"a", "b"} {
				if rnd.IntN(3) == 0 {
					w.is(id, feed.ClassHealthy)
					w.is(id, classes[rnd.IntN(3)])
				}
			}
			w.store.good, e.fail, e.lose = -1, nil, rnd.IntN(4) == 0
			switch rnd.IntN(4) {
			case 0:
				w.store.good = rnd.IntN(4)
			case 1:
				e.fail = errors.New("no answer")
			}
			_ = a.Round(t.Context())
			if rnd.IntN(3) == 0 {
				a = w.alerts(app.AlertsConfig{}, e)
			}
		}
		w.store.good, e.fail, e.lose = -1, nil, false
		w.now = w.now.Add(time.Hour)
		if err := w.alerts(app.AlertsConfig{}, e).Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkChains(t, seed, w, e)
	}
}

func checkChains(t *testing.T, seed uint64, w *ward, e *ear) {
	t.Helper()
	seen := map[string]notify.Message{}
	knows := map[string]string{"a": "healthy", "b": "healthy"} // unless told otherwise
	for _, m := range e.got {
		if first, again := seen[m.ID]; again {
			if first.Feed != m.Feed || first.To != m.To || first.From != m.From || !first.At.Equal(m.At) {
				t.Fatalf("seed %d: two messages with one ID: %+v and %+v", seed, first, m)
			}
			continue
		}
		seen[m.ID] = m
		if m.From == m.To {
			t.Fatalf("seed %d: no change: %+v", seed, m)
		}
		knows[m.Feed] = m.To
	}
	views, err := w.feeds.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		if is := string(v.State.Status); knows[v.ID] != is && is != "new" {
			t.Fatalf("seed %d: the receiver believes that %s is %s, and it is %s", seed, v.ID, knows[v.ID], is)
		}
	}
}

// A message under way at the end is finished and remembered, the next not begun;
// one that does not end is cut off.
func TestAlerts_EndFinishesTheMessageUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, "a", "b")
		e := &ear{id: "e"}
		a := w.alerts(app.AlertsConfig{}, e)
		w.is("a", feed.ClassFailing)
		w.is("b", feed.ClassFailing)
		ctx, cancel := context.WithCancel(t.Context())
		e.hook = func(ctx context.Context) {
			cancel()
			time.Sleep(4 * time.Second)
			if ctx.Err() != nil {
				t.Error("cut off")
			}
		}
		if err := a.Round(ctx); !errors.Is(err, context.Canceled) || e.hears() != "a new failing" {
			t.Errorf("error %v", err)
		}
		e.hook = nil
		w.round(a, e, "b new failing")

		w.is("a", feed.ClassHealthy)
		ctx, cancel = context.WithCancel(t.Context())
		began := time.Now()
		e.hook = func(ctx context.Context) { cancel(); <-ctx.Done() }
		e.fail = context.Canceled
		if err := a.Round(ctx); err == nil || time.Since(began) > 6*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		e.hook, e.fail = nil, nil
		w.round(a, e, "a failing healthy")
	})
}

// After days without power every feed is late until it was pulled: no news.
func TestAlerts_StartDoesNotTellWhatCatchesUp(t *testing.T) {
	w := newWard(t, "a", "b")
	e := &ear{id: "e"}
	w.is("a", feed.ClassHealthy)
	w.is("b", feed.ClassHealthy)
	w.round(w.alerts(app.AlertsConfig{}, e), e, "")
	w.now = w.now.AddDate(0, 0, 20)
	a := w.alerts(app.AlertsConfig{Started: w.now}, e)
	w.round(a, e, "")
	w.now = w.now.Add(29 * time.Minute)
	w.is("a", feed.ClassHealthy)
	w.round(a, e, "")
	w.now = w.now.Add(time.Minute)
	w.round(a, e, "b healthy stale")
	if got := len(e.got); got != 0 {
		t.Errorf("%d messages more", got)
	}
	w.is("b", feed.ClassHealthy)
	w.round(a, e, "b stale healthy")
	w.now = w.now.Add(48*time.Hour + time.Second) // the same without a start in between
	w.round(a, e, "a healthy delayed, b healthy delayed")
}

// That a key was never given is no news; that one was taken away is.
func TestAlerts_Keys(t *testing.T) {
	w := newWard(t, "keyed")
	e := &ear{id: "e"}
	a := w.alerts(app.AlertsConfig{}, e)
	w.round(a, e, "")
	w.key = true
	w.round(a, e, "")
	w.is("keyed", feed.ClassHealthy)
	w.round(a, e, "")
	w.key = false
	w.round(a, e, "keyed healthy needs-key")
	w.key = true
	w.round(a, e, "keyed needs-key healthy")
}

func TestAlerts_FollowTheCatalogue(t *testing.T) {
	w := newWard(t, "a", "b")
	e := &ear{id: "e"}
	a := w.alerts(app.AlertsConfig{}, e)
	w.is("a", feed.ClassFailing)
	w.is("b", feed.ClassFailing)
	w.round(a, e, "a new failing, b new failing")
	w.list("a", "c")
	w.is("c", feed.ClassHealthy)
	w.round(a, e, "")
	data, _, err := blob.Read(t.Context(), w.store, app.AlertsKey)
	if err != nil || strings.Contains(string(data), `"b"`) || !strings.Contains(string(data), `"c"`) {
		t.Errorf("%v %s", err, data)
	}
	if _, err := blob.Write(t.Context(), w.store, app.AlertsKey, []byte("{"), blob.Cond{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Round(t.Context()); err == nil || !strings.Contains(err.Error(), "settings/alerts.json") {
		t.Errorf("damaged: %v", err)
	}
	if err := w.store.Delete(t.Context(), app.AlertsKey); err != nil {
		t.Fatal(err)
	}
	w.round(a, e, "a new failing")
}
