package ingest_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// meddler is a store in which something happens just before a head is written.
type meddler struct {
	blob.Store
	before func()
}

func (m *meddler) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	if f := m.before; f != nil && strings.HasPrefix(key, "heads/") {
		m.before = nil
		f()
	}
	return m.Store.Put(ctx, key, r, c)
}

// A run whose feed is folded or purged meanwhile is done all the same.
func TestRunGoesOnAfterTidying(t *testing.T) {
	l := newLab(t)
	m := &meddler{Store: l.store}
	o := corpus.Options{Now: l.now, Small: 1, Live: time.Hour}
	mine, err := corpus.Open(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	other, err := corpus.Open(t.Context(), l.store, o)
	if err != nil {
		t.Fatal(err)
	}
	l.runner = l.newRunner(m, mine)
	d := l.def("busy", map[string]any{"guards": map[string]any{"max_shrink": 1}})
	lists := [][]string{append(names("stays", 5), names("gone", 5)...), names("stays", 5), append(names("stays", 5), "new.example"), append(names("stays", 5), "new.example")}
	for i, list := range lists {
		l.serve("busy", list...)
		tidied := false
		m.before = func() {
			switch i {
			case 2: // a run that changes something
				tidied, err = other.Fold(t.Context(), d.ID, corpus.FoldOptions{Now: l.now().Add(2 * time.Hour)})
			case 3: // one that is unchanged
				var n int
				n, err = other.Purge(t.Context(), d.ID, l.now())
				tidied = n == 5
			}
		}
		run := l.run(d)
		want := []intel.RunStatus{intel.RunOK, intel.RunOK, intel.RunOK, intel.RunUnchanged}[i]
		if run.Status != want || err != nil || tidied != (i >= 2) {
			t.Errorf("run %d: %s %s %s; tidied %v, %v", i, run.Status, run.Code, run.Reason, tidied, err)
		}
		l.advance(24 * time.Hour)
	}
	h, _, err := other.Head(t.Context(), d.ID)
	if err != nil || h.Open() != 6 || h.Version != 6 || h.Purged.IsZero() || !h.LastGood.Equal(day0.AddDate(0, 0, 3)) {
		t.Errorf("%+v %v", h, err)
	}
	noLedgerProblems(t, l.store)
}

func noLedgerProblems(t *testing.T, s blob.Store) {
	t.Helper()
	report := func(p corpus.Problem) { t.Errorf("verify: %+v", p) }
	if err := corpus.Verify(t.Context(), s, report); err != nil {
		t.Error(err)
	}
	if err := ingest.VerifyLedger(t.Context(), s, report); err != nil {
		t.Error(err)
	}
}

// A feed's own time goes before the time for all, both ways.
func TestTidyKeepsHistoryByFeed(t *testing.T) {
	const week = 7 * 24 * time.Hour
	for _, x := range []struct {
		all, own time.Duration
		deleted  bool
	}{{0, 0, false}, {week, 0, true}, {0, week, true}, {week, 10 * week, false}, {10 * week, week, true}} {
		l := newLab(t)
		d, other := l.def("own", map[string]any{"keep_history": intel.Duration(x.own).String()}), l.def("other", nil)
		if got := time.Duration(d.KeepHistory); got != x.own {
			t.Fatalf("keep_history %v is read as %v", x.own, got)
		}
		r := ingest.New(ingest.Config{Store: l.store, Corpus: l.corpus, Now: l.now, KeepHistory: x.all,
			KeepHistoryOf: func(id string) time.Duration {
				if id == d.ID {
					return time.Duration(d.KeepHistory)
				}
				return 0
			}})
		for _, list := range [][]string{names("a", 5), names("a", 4)} {
			l.serve("own", list...)
			l.serve("other", list...)
			l.want(d, intel.RunOK, "")
			l.want(other, intel.RunOK, "")
			l.advance(time.Hour)
		}
		l.advance(2 * week)
		if err := r.Tidy(t.Context(), d.ID, other.ID); err != nil {
			t.Fatal(err)
		}
		if got := !l.head(d.ID).Purged.IsZero(); got != x.deleted {
			t.Errorf("for all %v, own %v: deleted %v", x.all, x.own, got)
		}
		if got, want := !l.head(other.ID).Purged.IsZero(), x.all == week; got != want {
			t.Errorf("for all %v: deleted %v of the other", x.all, got)
		}
		l.wantListed(d, time.Time{}, names("a", 5), names("a", 4))
		noLedgerProblems(t, l.store)
	}
}

// Tidy keeps history for as long as it is told, and looks once a day.
func TestTidyKeepsHistory(t *testing.T) {
	l := newLab(t)
	r := ingest.New(ingest.Config{Store: l.store, Corpus: l.corpus, Now: l.now, KeepHistory: 10 * 24 * time.Hour})
	d := l.def("daily", nil)
	for i := range 30 {
		l.serve("daily", append(names("stays", 5), fmt.Sprintf("day%d.example", i))...)
		l.want(d, intel.RunOK, "")
		if err := r.Tidy(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		h, _, err := l.corpus.Head(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range h.Segments {
			n += s.Listings - s.Replaces
		}
		// day i-1 was closed today: what was closed 10 days ago or later is kept.
		if want := 6 + min(i, 11); n != want {
			t.Errorf("day %d: %d listings, want %d", i, n, want)
		}
		l.advance(24 * time.Hour)
	}
	noLedgerProblems(t, l.store)
}
