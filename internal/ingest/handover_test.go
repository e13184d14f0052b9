package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
)

// watched is a store that tells when an object under prefix was written. The hook
// says how the write ends.
type watched struct {
	blob.Store
	prefix string
	hook   func(n int, err error) error
	n      int
}

// Put implements blob.Store.
func (h *watched) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	info, err := h.Store.Put(ctx, key, r, c)
	if strings.HasPrefix(key, h.prefix) {
		h.n++
		err = h.hook(h.n, err)
	}
	return info, err
}

// Map implements blob.Mapper.
func (h *watched) Map(ctx context.Context, key string) ([]byte, func(), error) {
	return blob.Open(ctx, h.Store, key)
}

// smallShards cuts feeds as large ones are cut, one shard after the other.
var smallShards = corpus.Options{ShardSize: 16, Small: 4, Workers: 1}

// process is one on a store, as a function is.
func (l *lab) process(store blob.Store) *ingest.Runner {
	l.t.Helper()
	o := smallShards
	o.Now = l.now
	c, err := corpus.Open(l.t.Context(), store, o)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.newRunner(store, c)
}

// memLab is a lab on a store in memory, which does not wait for a disk.
func memLab(t testing.TB) *lab {
	t.Helper()
	l := newLab(t)
	l.store = crashtest.NewMem()
	if err := corpus.Init(t.Context(), l.store); err != nil {
		t.Fatal(err)
	}
	l.open()
	return l
}

func partOf(d *feed.Definition, id string) feed.Job {
	return feed.Job{Def: d, Trigger: "schedule", ID: id, HandOver: true}
}

// part does a part of a job in a process of its own, whose time is up after so many
// objects under prefix were written (0: never).
func (l *lab) part(j feed.Job, prefix string, after int) (intel.Run, error) {
	l.t.Helper()
	ctx, cancel := context.WithCancelCause(l.t.Context())
	defer cancel(nil)
	return l.process(&watched{Store: l.store, prefix: prefix, hook: func(n int, err error) error {
		if n == after {
			cancel(ingest.ErrTimeLimit)
		}
		return err
	}}).Run(ctx, j)
}

// parts does a job in parts that each have time for so many segments, the first one
// for none where it is cut off after archiving.
func (l *lab) parts(j feed.Job, segments int, afterRaw bool) intel.Run {
	l.t.Helper()
	prefix, after := "segments/", segments
	if afterRaw {
		prefix, after = "raw/", 1
	}
	for n := 1; ; n++ {
		run, err := l.part(j, prefix, after)
		if err == nil {
			if n > 1 && run.Parts != n {
				l.t.Errorf("the row says %d parts, it took %d", run.Parts, n)
			}
			return run
		}
		if !errors.Is(err, ingest.ErrHandedOver) {
			l.t.Fatalf("part %d: %v", n, err)
		}
		l.advance(time.Minute)
		prefix, after = "segments/", segments
	}
}

// all is what a corpus says of the names, as one text.
func (l *lab) all(d *feed.Definition, candidates []string) string {
	l.t.Helper()
	if _, err := l.corpus.Refresh(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	var out []intel.Listing
	for _, name := range candidates {
		out = append(out, l.corpus.View().Exact(intel.Indicator{Kind: intel.Domain, Value: name}, time.Time{}, nil)...)
	}
	text, err := json.Marshal(out)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// outcome is what a run says of itself that does not depend on how it was done.
func outcome(r intel.Run) string {
	return fmt.Sprint(r.Status, r.Code, r.Counts, r.Change, r.SHA256, r.Reason)
}

// A run in parts of any size leaves what one in one piece leaves: the same answers,
// counts and one row.
func TestHandOver_LikeInOnePiece(t *testing.T) {
	pool := names("n", 150)
	seeds := 2
	if soak() {
		seeds = 50
	}
	for seed := range seeds {
		for segments := 1; segments <= 9; segments++ {
			whole, cut := memLab(t), memLab(t)
			rnd := rand.New(rand.NewPCG(uint64(seed), 1))
			several := 0
			for day := range 4 {
				today := slices.DeleteFunc(slices.Clone(pool), func(string) bool { return rnd.IntN(100) < 30 })
				start := day0.Add(time.Duration(day) * 24 * time.Hour)
				var runs [2]string
				var answers [2]string
				for i, l := range []*lab{whole, cut} {
					l.setClock(start)
					l.serve("a", today...)
					d := l.def("a", map[string]any{"guards": map[string]any{"max_replace": 1}, "presence": []string{"snapshot", "rolling"}[seed%2]})
					hits := l.srv.Hits("/a")
					var run intel.Run
					var err error
					if l == whole {
						run, err = l.process(l.store).Run(t.Context(), partOf(d, fmt.Sprint("j", day)))
					} else {
						run = l.parts(partOf(d, fmt.Sprint("j", day)), segments, rnd.IntN(2) == 0)
						several += max(run.Parts-1, 0)
					}
					if err != nil {
						t.Fatal(err)
					}
					runs[i], answers[i] = outcome(run), l.all(d, pool)
					if n := len(l.runs("a")); n != day+1 || l.srv.Hits("/a") != hits+1 {
						t.Errorf("%d rows after day %d, %d downloads", n, day, l.srv.Hits("/a")-hits)
					}
					if h := l.head("a"); h.Run.ID != run.ID || h.Open() != len(today) && seed%2 == 0 || h.Version != int64(day+1) {
						t.Errorf("the head has %d open of run %s, version %d; run %+v", h.Open(), h.Run.ID, h.Version, run)
					}
					if left := l.keys("unfinished/"); len(left) > 0 {
						t.Errorf("left: %v", left)
					}
				}
				if runs[0] != runs[1] || answers[0] != answers[1] {
					t.Fatalf("seed %d, %d segments a part, day %d:\n%s\n%s\n%s\n%s", seed, segments, day, runs[0], runs[1], answers[0], answers[1])
				}
			}
			cut.verify()
			if segments < 6 && several == 0 {
				t.Errorf("%d segments a part: nothing was handed over", segments)
			}
		}
	}
}

// begun is a lab with a feed that has data and whose next run was handed over once.
func begun(t *testing.T, more map[string]any) (*lab, *feed.Definition, feed.Job) {
	t.Helper()
	l := memLab(t)
	d := l.def("a", more)
	l.serve("a", names("n", 150)...)
	if run, err := l.process(l.store).Run(t.Context(), partOf(d, "j0")); err != nil || run.Status != intel.RunOK {
		t.Fatal(run, err)
	}
	l.advance(24 * time.Hour)
	l.serve("a", append(names("n", 120), names("m", 80)...)...)
	j := partOf(d, "j1")
	before := l.all(d, append(names("n", 150), names("m", 80)...))
	if _, err := l.part(j, "segments/", 3); !errors.Is(err, ingest.ErrHandedOver) || !regexp.MustCompile(`part 1, [34] of 16 shards are done`).MatchString(err.Error()) {
		t.Fatal(err)
	}
	if after := l.all(d, append(names("n", 150), names("m", 80)...)); after != before || len(l.runs("a")) != 1 {
		t.Errorf("a part can be seen: %s\n%s", before, after)
	}
	l.advance(time.Minute)
	return l, d, j
}

// end does the rest of the job and checks that it is done once and for all.
func (l *lab) end(d *feed.Definition, j feed.Job, rows int) intel.Run {
	l.t.Helper()
	run, err := l.process(l.store).Run(l.t.Context(), j)
	if err != nil {
		l.t.Fatal(err)
	}
	l.done(d, j, rows)
	return run
}

func (l *lab) done(d *feed.Definition, j feed.Job, rows int) {
	l.t.Helper()
	candidates := append(names("n", 150), names("m", 80)...)
	l.wantListed(d, time.Time{}, candidates, append(names("n", 120), names("m", 80)...))
	if all := l.runs("a"); len(all) != rows || all[0].Job != j.ID {
		l.t.Errorf("%d rows, want %d: %+v", len(all), rows, all)
	}
	if left := l.keys("unfinished/"); len(left) > 0 {
		l.t.Errorf("left: %v", left)
	}
	l.verify()
}

// What an earlier part merged is not merged again, and nothing is downloaded twice.
func TestHandOver_NothingTwice(t *testing.T) {
	l, d, j := begun(t, nil)
	before, hits := l.keys("segments/"), l.srv.Hits("/a")
	wrote := &watched{Store: l.store, prefix: "", hook: func(_ int, err error) error { return err }}
	if run, err := l.process(wrote).Run(t.Context(), j); err != nil || run.Status != intel.RunOK {
		t.Fatal(run, err)
	}
	named := 0 // by the new head, of what the first part wrote
	for _, s := range l.head("a").Segments {
		if slices.Contains(before, s.Key) {
			named++
		}
	}
	const others = 3 // head, ledger, state
	if fresh := len(l.keys("segments/")) - len(before); wrote.n != fresh+others || named < 3 || l.srv.Hits("/a") != hits {
		t.Errorf("%d objects and %d segments written, %d of the first part's in use, %d downloads", wrote.n, fresh, named, l.srv.Hits("/a")-hits)
	}
	l.done(d, j, 2)
}

// A copy of a message that comes while or after its run is gone on with does no harm.
func TestHandOver_Duplicates(t *testing.T) {
	for at := 1; at <= 9; at++ { // a copy comes and is done when this one has written so many segments
		for _, late := range []bool{false, true} { // this one has no more time then
			l, d, j := begun(t, nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			var other intel.Run
			run, err := l.process(&watched{Store: l.store, prefix: "segments/", hook: func(n int, err error) error {
				if n == at {
					other = l.end(d, j, 2)
					if late {
						cancel(ingest.ErrTimeLimit)
					}
				}
				return err
			}}).Run(ctx, j)
			cancel(nil)
			switch {
			case late && !errors.Is(err, ingest.ErrElsewhere):
				t.Errorf("late after %d: %v", at, err)
			case !late && (err != nil || run.ID != other.ID || run.Status != intel.RunOK):
				t.Errorf("after %d: %+v, %v; the other is %+v", at, run, err, other)
			}
			l.done(d, j, 2)
		}
	}
}

// Of two that hand over the same part one does.
func TestHandOver_OneOfTwoHandsOver(t *testing.T) {
	l, d, j := begun(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	_, err := l.process(&watched{Store: l.store, prefix: "segments/", hook: func(n int, err error) error {
		if n == 2 {
			if _, err := l.part(j, "segments/", 5); !errors.Is(err, ingest.ErrHandedOver) {
				t.Error(err)
			}
			cancel(ingest.ErrTimeLimit)
		}
		return err
	}}).Run(ctx, j)
	if !errors.Is(err, ingest.ErrElsewhere) {
		t.Error(err)
	}
	if run := l.end(d, j, 2); run.Parts != 3 {
		t.Errorf("%+v", run)
	}
}

// What a store took, and answered with a conflict because its first answer was lost,
// was handed over.
func TestHandOver_ConflictWithItself(t *testing.T) {
	l := memLab(t)
	d := l.def("a", nil)
	l.serve("a", append(names("n", 120), names("m", 80)...)...)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	segments := &watched{Store: l.store, prefix: "segments/", hook: func(n int, err error) error {
		if n == 4 {
			cancel(ingest.ErrTimeLimit)
		}
		return err
	}}
	store := &watched{Store: segments, prefix: "unfinished/", hook: func(int, error) error { return fmt.Errorf("412: %w", blob.ErrConflict) }}
	j := partOf(d, "j1")
	if _, err := l.process(store).Run(ctx, j); !errors.Is(err, ingest.ErrHandedOver) || store.n != 1 {
		t.Fatal(err, store.n)
	}
	l.end(d, j, 1)
}

// Another run of the feed that ends between two parts makes them void.
func TestHandOver_FeedChangedBetween(t *testing.T) {
	l, d, j := begun(t, nil)
	l.want(d, intel.RunOK, "") // by hand, on a machine
	run := wantRun(t, l.end(d, j, 3), intel.RunSuperseded, "superseded")
	if !strings.Contains(run.Reason, "what was handed over is void") || run.Parts != 2 {
		t.Errorf("%+v", run)
	}
	l.end(d, j, 4) // a further message asks anew: the queue knows the row and does not
}

// One that was tidied between two parts is merged anew, and not downloaded.
func TestHandOver_TidiedBetween(t *testing.T) {
	l, d, j := begun(t, nil)
	hits := l.srv.Hits("/a")
	head, etag, err := l.corpus.Head(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	head.Version++ // as every tidying does
	if _, err := l.corpus.Commit(t.Context(), head, etag); err != nil {
		t.Fatal(err)
	}
	if run := l.end(d, j, 2); run.Status != intel.RunOK || l.srv.Hits("/a") != hits {
		t.Errorf("%+v, %d downloads", run, l.srv.Hits("/a")-hits)
	}
}

// Segments that went, as where a backup without them was restored, are made anew.
func TestHandOver_SegmentsLost(t *testing.T) {
	l, d, j := begun(t, nil)
	current := map[string]bool{}
	for _, s := range l.head("a").Segments {
		current[s.Key] = true
	}
	for _, key := range l.keys("segments/") {
		if !current[key] {
			if err := l.store.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	l.end(d, j, 2)
}

// Segments of a run that was handed over are spared while it lives, and go when
// nobody goes on with it.
func TestHandOver_Sweep(t *testing.T) {
	l, d, j := begun(t, nil)
	ctx, all := t.Context(), l.keys("segments/")
	if err := l.corpus.Sweep(ctx, time.Now().Add(23*time.Hour), 0); err != nil {
		t.Fatal(err)
	}
	if left := l.keys("segments/"); !slices.Equal(left, all) {
		t.Errorf("swept while the hand-over lives: %d of %d left", len(left), len(all))
	}
	if err := l.corpus.Sweep(ctx, time.Now().Add(25*time.Hour), 0); err != nil {
		t.Fatal(err)
	}
	if left := l.keys("segments/"); len(left) != len(l.head("a").Segments) || len(l.keys("unfinished/")) > 0 {
		t.Errorf("%d segments left of %d, the head names %d", len(left), len(all), len(l.head("a").Segments))
	}
	l.end(d, j, 2)
}

// Where what was handed over cannot be read the run begins anew.
func TestHandOver_Unreadable(t *testing.T) {
	l, d, j := begun(t, nil)
	if _, err := blob.Write(t.Context(), l.store, "unfinished/a.json", []byte("{"), blob.Cond{}); err != nil {
		t.Fatal(err)
	}
	all := l.keys("segments/")
	if err := l.corpus.Sweep(t.Context(), time.Now().Add(time.Hour), 0); err != nil || len(l.keys("segments/")) != len(all) {
		t.Errorf("swept, though nobody knows what is to be kept: %v", err)
	}
	l.end(d, j, 2)
}
