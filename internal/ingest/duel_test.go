package ingest_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// duelist is what one process has: its own view of the folder.
func duelist(t *testing.T, l *lab) *ingest.Runner {
	t.Helper()
	store, err := blob.NewDir(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(t.Context(), store, corpus.Options{Now: l.now})
	if err != nil {
		t.Fatal(err)
	}
	return l.newRunner(store, c)
}

func content(lines []string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(strings.Join(lines, "\n"))), nil }
}

// round is what the feed lists in a round of the duel.
func round(i int) []string {
	return append(names("stays", 3), fmt.Sprintf("round%d.example", i), fmt.Sprintf("half%d.example", i/2))
}

// A server and an ingest beside it run the same feed at the same time, again and
// again: of each round exactly one run takes effect, and what is listed, with
// its history, is what a single process would have.
func TestDuel(t *testing.T) {
	rounds := 100
	if soak() {
		rounds = 1000
	}
	both, alone := newLab(t), newLab(t)
	d := both.def("duel", nil)
	a, b, single := duelist(t, both), duelist(t, both), duelist(t, alone)
	lost := 0
	for i := range rounds {
		both.advance(time.Minute)
		alone.setClock(both.now())
		job := feed.Job{Def: d, Trigger: "file", Open: content(round(i))}
		var runs [2]intel.Run
		var errs [2]error
		var wg sync.WaitGroup
		for j, r := range []*ingest.Runner{a, b} {
			wg.Go(func() { runs[j], errs[j] = r.Run(t.Context(), job) })
		}
		wg.Wait()
		effective := 0
		for j, run := range runs {
			if errs[j] != nil {
				t.Fatalf("round %d: %v", i, errs[j])
			}
			switch run.Status {
			case intel.RunOK:
				effective++
			case intel.RunSuperseded:
				lost++
			case intel.RunUnchanged: // it came when the other had finished
			default:
				t.Fatalf("round %d: %s %s", i, run.Status, run.Reason)
			}
		}
		if effective != 1 {
			t.Fatalf("round %d: %d effective runs: %s and %s", i, effective, runs[0].Status, runs[1].Status)
		}
		if run, err := single.Run(t.Context(), job); err != nil || run.Status != intel.RunOK {
			t.Fatalf("round %d alone: %+v, %v", i, run, err)
		}
	}
	t.Logf("%d rounds, in %d of them both were so close that one lost the swap", rounds, lost)
	if lost == 0 {
		t.Error("the two never met: this duel shows nothing")
	}
	if got := len(both.runs("duel")); got != 2*rounds {
		t.Errorf("%d ledger rows, want %d", got, 2*rounds)
	}
	var candidates []string
	for i := range rounds {
		candidates = append(candidates, round(i)...)
	}
	for _, l := range []*lab{both, alone} {
		l.verify()
		if _, err := l.corpus.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range candidates {
		ind := intel.Indicator{Kind: intel.Domain, Value: name}
		x, y := both.corpus.View().Exact(ind, time.Time{}, nil), alone.corpus.View().Exact(ind, time.Time{}, nil)
		if len(x) != 1 || len(y) != 1 || string(x[0].AppendJSON(nil)) != string(y[0].AppendJSON(nil)) {
			t.Fatalf("%s: with two %s, alone %s", name, fmt.Sprintf("%+v", x), fmt.Sprintf("%+v", y))
		}
	}
	if x, y := both.head("duel"), alone.head("duel"); x.SHA256 != y.SHA256 || x.Open() != y.Open() {
		t.Errorf("heads differ: %d and %d open", x.Open(), y.Open())
	}
}

// The loser of the swap says so and has changed nothing.
func TestSuperseded(t *testing.T) {
	l := newLab(t)
	d := l.def("lost", nil)
	l.job(feed.Job{Def: d, Open: content(names("a", 4))})
	l.advance(time.Minute)
	other := duelist(t, l)
	run := l.job(feed.Job{Def: d, Open: content(names("b", 4)), Progress: func(p feed.Progress) {
		if p.Phase == "store" && p.Done == 0 { // between reading the head and writing it
			if r, err := other.Run(t.Context(), feed.Job{Def: d, Open: content(names("c", 4))}); err != nil || r.Status != intel.RunOK {
				t.Errorf("the other's run: %+v, %v", r, err)
			}
		}
	}})
	wantRun(t, run, intel.RunSuperseded, "superseded")
	if run.Change != (intel.Change{}) {
		t.Errorf("it claims changes: %+v", run.Change)
	}
	l.wantListed(d, time.Time{}, append(names("b", 4), names("c", 4)...), names("c", 4))
	if st := l.state("lost"); st.LastRun.Status != intel.RunOK {
		t.Errorf("state %+v", st)
	}
	if rows := l.runs("lost"); len(rows) != 3 || rows[0].ID != run.ID {
		t.Errorf("ledger %+v", rows)
	}
	l.want2(feed.Job{Def: d, Open: content(names("b", 4))}, intel.RunOK)
	l.verify()
}

func (l *lab) want2(j feed.Job, status intel.RunStatus) {
	l.t.Helper()
	if run := l.job(j); run.Status != status {
		l.t.Errorf("%s (%s), want %s", run.Status, run.Reason, status)
	}
}
