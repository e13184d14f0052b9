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
