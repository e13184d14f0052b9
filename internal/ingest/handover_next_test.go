package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
)

// What the next request needs goes through the parts: the validators, and from where
// on to ask.
func TestHandOver_WhatTheNextRequestNeeds(t *testing.T) {
	l := memLab(t)
	d := l.def("a", nil)
	l.serve("a", names("n", 150)...)
	if run := wantRun(t, l.parts(partOf(d, "j0"), 4, true), intel.RunOK, ""); run.Parts < 3 {
		t.Errorf("%+v", run)
	}
	l.advance(time.Hour)
	if run := l.want(d, intel.RunUnchanged, ""); run.HTTPStatus != 304 || run.Accepted != 150 {
		t.Errorf("%+v", run)
	}

	b := &book{l: l, id: "new", names: names("n", 150)}
	l.srv.Handle("/new", b.ServeHTTP)
	d = l.def("new", paged(map[string]any{"by": "offset", "param": "offset", "step": 3}, map[string]any{"presence": "append", "since": map[string]any{"param": "since", "first": "30d", "overlap": "1h"}}))
	first := l.now()
	if run := wantRun(t, l.parts(partOf(d, "j1"), 4, false), intel.RunOK, ""); run.Parts < 2 {
		t.Errorf("%+v", run)
	}
	l.advance(time.Hour)
	b.names = nil
	l.want(d, intel.RunUnchanged, "")
	if got, want := l.asked("/new", "since"), first.Add(-time.Hour).Format(time.RFC3339); got != want {
		t.Errorf("asked since %s, want %s", got, want)
	}
	l.verify()
}

// A secret that the publisher repeats is in nothing that is kept between parts.
func TestHandOver_Secret(t *testing.T) {
	const secret = "s3cret-of-the-feed"
	l := memLab(t)
	l.secrets["k"] = secret
	d := l.def("a", map[string]any{"auth": map[string]any{"secret": "k", "in": "query", "name": "key"}})
	l.serve("a", append(names("n", 150), "# for "+secret, secret+".example")...)
	j := partOf(d, "j")
	if _, err := l.part(j, "segments/", 3); !errors.Is(err, ingest.ErrHandedOver) {
		t.Fatal(err)
	}
	for _, key := range l.keys("") {
		if data, _, err := blob.Read(t.Context(), l.store, key); err != nil || strings.Contains(string(data), secret) {
			t.Errorf("%s holds the secret, or cannot be read: %v", key, err)
		}
	}
	run, err := l.process(l.store).Run(t.Context(), j)
	if err != nil || run.Status != intel.RunOK || !strings.Contains(run.Reason, "was blackened") || strings.Count(run.Reason, "blackened") != 1 {
		t.Errorf("%+v, %v", run, err)
	}
	l.verify()
}

// A feed that is tidied while the last part runs is merged anew as a whole.
func TestHandOver_TidiedMeanwhile(t *testing.T) {
	l, d, j := begun(t, nil)
	run, err := l.process(&watched{Store: l.store, prefix: "segments/", hook: func(n int, err error) error {
		if n == 2 {
			head, etag, herr := l.corpus.Head(t.Context(), "a")
			if herr == nil {
				head.Version++
				_, herr = l.corpus.Commit(t.Context(), head, etag)
			}
			return errors.Join(err, herr)
		}
		return err
	}}).Run(t.Context(), j)
	if err != nil || run.Status != intel.RunOK {
		t.Fatalf("%+v, %v", run, err)
	}
	if h := l.head("a"); h.Version != 3 {
		t.Errorf("version %d", h.Version)
	}
	for _, s := range l.head("a").Segments {
		if strings.HasPrefix(s.Name, "00000002-") {
			t.Errorf("segment %s was merged with the head of before", s.Name)
		}
	}
	l.done(d, j, 2)
}

// Two processes that get every message of a chain at once take the data up once.
func TestHandOver_TwoChains(t *testing.T) {
	for range 5 {
		l, d, j := begun(t, nil)
		good := func() (n int) {
			for _, r := range l.runs("a") {
				if r.Job == j.ID && r.Status == intel.RunOK {
					n++
				}
			}
			return n
		}
		done := make(chan error)
		for segments := range 2 {
			go func() {
				for range 50 {
					if good() > 0 { // as the queue's function looks first
						break
					}
					if _, err := l.part(j, "segments/", 2+segments); err != nil && !errors.Is(err, ingest.ErrHandedOver) && !errors.Is(err, ingest.ErrElsewhere) {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
		if n := good(); n != 1 {
			t.Errorf("%d runs took the data up: %+v", n, l.runs("a"))
		}
		candidates := append(names("n", 150), names("m", 80)...)
		l.wantListed(d, time.Time{}, candidates, append(names("n", 120), names("m", 80)...))
		l.verify()
	}
}

// Segments that go while the last part runs, as where somebody sweeps them, are made
// anew before the head names them.
func TestHandOver_SegmentsSweptMeanwhile(t *testing.T) {
	l, d, j := begun(t, nil)
	var first string
	for _, key := range l.keys("segments/") {
		if strings.HasPrefix(key, "segments/a/00000002-") {
			first = key
		}
	}
	run, err := l.process(&watched{Store: l.store, prefix: "segments/", hook: func(n int, err error) error {
		if n == 2 {
			err = errors.Join(err, l.store.Delete(t.Context(), first))
		}
		return err
	}}).Run(t.Context(), j)
	if err != nil || run.Status != intel.RunOK || first == "" {
		t.Fatalf("%+v, %v, %q", run, err, first)
	}
	l.done(d, j, 2)
}

// Nobody goes on with a run whose segments may be swept soon.
func TestHandOver_TooOld(t *testing.T) {
	l, d, j := begun(t, nil)
	hits := l.srv.Hits("/a")
	l.advance(5 * time.Hour) // and the minute of before
	if run := l.end(d, j, 2); run.Parts != 0 || l.srv.Hits("/a") != hits+1 {
		t.Errorf("%+v, %d downloads", run, l.srv.Hits("/a")-hits)
	}
}

// Time that is up while the head is written: nobody knows whether it stands, so the
// ledger does not say that the run failed.
func TestTimeLimit_InTheCommit(t *testing.T) {
	for _, handOver := range []bool{false, true} {
		for _, stands := range []bool{false, true} {
			l := memLab(t)
			d := l.def("a", nil)
			l.serve("a", names("n", 150)...)
			j := partOf(d, "j")
			j.HandOver = handOver
			ctx, cancel := context.WithCancelCause(t.Context())
			store := &crashtest.Faulty{Store: l.store, Mode: crashtest.Before}
			if stands {
				store.Mode = crashtest.After
			}
			run, err := l.process(&watched{Store: store, prefix: "segments/", hook: func(n int, err error) error {
				if n == 16 { // the head is next
					store.At = store.Count() + 1
				}
				return err
			}}).Run(&ending{Context: ctx, when: func() bool { return store.Hit() != "" }, cancel: cancel}, j)
			if err == nil || errors.Is(err, ingest.ErrHandedOver) != handOver || !strings.HasPrefix(store.Hit(), "put heads/") {
				t.Errorf("hand over %v, stands %v: %+v, %v, failed %q", handOver, stands, run, err, store.Hit())
			}
			cancel(nil)
			if rows := l.runs("a"); len(rows) > 0 {
				t.Errorf("hand over %v, stands %v: %+v", handOver, stands, rows)
			}
			if _, err := l.process(l.store).Run(t.Context(), j); err != nil {
				t.Error(err)
			}
			good := 0
			for _, r := range l.runs("a") {
				if r.Status == intel.RunOK {
					good++
				}
			}
			if h := l.head("a"); good != 1 || h == nil || h.Open() != 150 {
				t.Errorf("hand over %v, stands %v: %s", handOver, stands, fmt.Sprint(l.runs("a")))
			}
			l.verify()
		}
	}
}

// ending is a context whose time is up from when on.
type ending struct {
	context.Context
	when   func() bool
	cancel context.CancelCauseFunc
}

// Err implements context.Context.
func (e *ending) Err() error {
	if e.when() {
		e.cancel(ingest.ErrTimeLimit)
	}
	return e.Context.Err()
}
