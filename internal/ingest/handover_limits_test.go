package ingest_test

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// A part that gets no further, and more parts than there may be, are failures that
// say what to do.
func TestHandOver_NoProgress(t *testing.T) {
	l, d, j := begun(t, nil)
	run, err := l.timeOut(j)
	if err != nil {
		t.Fatal(err)
	}
	wantRun(t, run, intel.RunFailed, ingest.CodeTimeLimit)
	if !regexp.MustCompile(`part 2 got no further than [34] of 16 shards`).MatchString(run.Reason) || !strings.Contains(run.Reason, "ingest_timeout") || run.Parts != 2 {
		t.Errorf("%+v", run)
	}
	if left := l.keys("unfinished/"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	l.end(d, partOf(d, "j2"), 3) // the schedule's next job, with time enough

	l = memLab(t)
	l.serve("a", append(names("n", 120), names("m", 80)...)...)
	d = l.def("a", nil)
	if _, err = l.part(partOf(d, "j"), "raw/", 1); !errors.Is(err, ingest.ErrHandedOver) {
		t.Fatal(err)
	}
	if run, err = l.timeOut(partOf(d, "j")); err != nil || run.Code != ingest.CodeTimeLimit || !strings.Contains(run.Reason, "part 2 had not parsed the list again") {
		t.Errorf("%+v, %v", run, err)
	}
}

// timeOut does a part whose time is up when it begins to read the raw bytes.
func (l *lab) timeOut(j feed.Job) (intel.Run, error) {
	ctx, cancel := context.WithCancelCause(l.t.Context())
	defer cancel(nil)
	return l.process(&getting{Store: l.store, hook: func() { cancel(ingest.ErrTimeLimit) }}).Run(ctx, j)
}

// getting calls hook when raw bytes are opened.
type getting struct {
	blob.Store
	hook func()
}

// Get implements blob.Store.
func (g *getting) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	if strings.HasPrefix(key, "raw/") {
		g.hook()
	}
	return g.Store.Get(ctx, key)
}

// Map implements blob.Mapper.
func (g *getting) Map(ctx context.Context, key string) ([]byte, func(), error) {
	return blob.Open(ctx, g.Store, key)
}

func TestHandOver_MostParts(t *testing.T) {
	l := memLab(t)
	d := l.def("a", nil)
	l.serve("a", names("n", 250)...) // 16 shards, one a part
	run := wantRun(t, l.parts(partOf(d, "j"), 1, false), intel.RunFailed, ingest.CodeTimeLimit)
	if run.Parts != ingest.MaxParts || !strings.Contains(run.Reason, "12 of 16 shards were done in 12 parts, the most there may be") {
		t.Errorf("%+v", run)
	}
	if h := l.head("a"); h != nil {
		t.Errorf("a head: %+v", h)
	}
}

// A run that a guard holds back after its last part is held back as a whole.
func TestHandOver_Guards(t *testing.T) {
	for guards, want := range map[string]string{"max_replace": "replaced", "max_shrink": "shrink"} {
		l := memLab(t)
		d := l.def("a", map[string]any{"guards": map[string]any{guards: 0.1}})
		l.serve("a", names("n", 150)...)
		l.parts(partOf(d, "j0"), 4, false)
		before := l.all(d, names("n", 150))
		l.advance(time.Hour)
		l.serve("a", append(names("n", 100), names("m", map[string]int{"replaced": 40, "shrink": 0}[want])...)...)
		run := wantRun(t, l.parts(partOf(d, "j1"), 4, true), intel.RunQuarantined, want)
		if run.Parts < 2 || l.all(d, names("n", 150)) != before {
			t.Errorf("%s: %+v", guards, run)
		}
		approved, err := l.runner.Decide(t.Context(), d, run.ID, true, "me", "known")
		if err != nil || approved.Status != intel.RunOK {
			t.Errorf("%+v, %v", approved, err)
		}
		l.verify()
	}
}

// Another job of the feed leaves a run alone that is handed over, until it counts as
// given up; a definition that changed has the feed pulled anew.
func TestHandOver_OtherJobs(t *testing.T) {
	l, d, j := begun(t, nil)
	next := partOf(d, "j2")
	if _, err := l.process(l.store).Run(t.Context(), next); !errors.Is(err, ingest.ErrElsewhere) || !strings.Contains(err.Error(), "of job j1 was handed over at 2026-03-02T12:00:00Z") {
		t.Error(err)
	}
	l.advance(7 * time.Hour)
	hits := l.srv.Hits("/a")
	l.end(d, next, 2)
	if l.srv.Hits("/a") != hits+1 {
		t.Errorf("%d downloads", l.srv.Hits("/a")-hits)
	}
	l.end(d, j, 3) // late: nothing is left of it, so it pulls anew

	l, _, j = begun(t, nil)
	d = l.def("a", map[string]any{"confidence": 30})
	j.Def = d
	hits = l.srv.Hits("/a")
	if run := l.end(d, j, 2); run.Parts != 0 || l.srv.Hits("/a") != hits+1 {
		t.Errorf("%+v, %d downloads", run, l.srv.Hits("/a")-hits)
	}
}

// TestHandOver_Large measures a feed of 2,000,000 lines in one piece and with so
// little time that it takes at least three parts: EI_SOAK=1, about a minute.
func TestHandOver_Large(t *testing.T) {
	if !soak() {
		t.Skip("EI_SOAK=1 runs it")
	}
	body := bigList(2_000_000, 1, "")
	whole := newLab(t)
	whole.srv.Set("/big", body)
	open := func(l *lab) *ingest.Runner { // 16 shards, of which two are merged at a time
		c, err := corpus.Open(t.Context(), l.store, corpus.Options{Now: l.now, ShardSize: 125_000})
		if err != nil {
			t.Fatal(err)
		}
		return l.newRunner(l.store, c)
	}
	d := whole.def("big", map[string]any{"indicator_type": "auto"})
	phase, began, last := map[string]time.Duration{}, time.Now(), ""
	at := began
	run, err := open(whole).Run(t.Context(), feed.Job{Def: d, Progress: func(p feed.Progress) {
		if p.Phase != last {
			phase[last] += time.Since(at)
			at, last = time.Now(), p.Phase
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	phase[last] += time.Since(at)
	wantRun(t, run, intel.RunOK, "")
	shards := whole.head("big").Shards
	t.Logf("one piece: %v; fetch and archive %v, parse %v, %d shards %v", took, phase["fetch"], phase["parse"], shards, phase["store"])

	cut := newLab(t)
	cut.srv.Set("/big", body)
	d = cut.def("big", map[string]any{"indicator_type": "auto"})
	limit := phase["fetch"] + phase["parse"] + phase["store"]/3
	var sum time.Duration
	for part := 1; ; part++ {
		ctx, cancel := context.WithTimeoutCause(t.Context(), limit, ingest.ErrTimeLimit)
		began := time.Now()
		run, err = open(cut).Run(ctx, partOf(d, "j"))
		cancel()
		sum += time.Since(began)
		t.Logf("part %d of at most %v: %v, %v", part, limit, time.Since(began), err)
		if err == nil {
			break
		} else if !errors.Is(err, ingest.ErrHandedOver) {
			t.Fatal(err)
		}
	}
	wantRun(t, run, intel.RunOK, "")
	if run.Parts < 3 || cut.srv.Hits("/big") != 1 {
		t.Errorf("%d parts, %d downloads", run.Parts, cut.srv.Hits("/big"))
	}
	a, b := whole.head("big"), cut.head("big")
	if a.Open() != b.Open() || a.Shards != b.Shards || a.Run.Change != b.Run.Change || a.Run.Counts != b.Run.Counts {
		t.Errorf("%+v\n%+v", a.Run, b.Run)
	}
	t.Logf("%d parts: %v, %.2f times one piece", run.Parts, sum, sum.Seconds()/took.Seconds())
	cut.verify()
}
