package awslambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// brief is a runner, and the store it works on, whose time is up after so many
// segments.
type brief struct {
	blob.Store
	awslambda.Runner
	segments, n int
	cancel      context.CancelCauseFunc
}

// Run implements awslambda.Runner.
func (b *brief) Run(ctx context.Context, j feed.Job) (intel.Run, error) {
	ctx, b.cancel = context.WithCancelCause(ctx)
	defer b.cancel(nil)
	return b.Runner.Run(ctx, j)
}

// Put implements blob.Store.
func (b *brief) Put(ctx context.Context, key string, r io.Reader, c blob.Cond) (blob.Info, error) {
	info, err := b.Store.Put(ctx, key, r, c)
	if strings.HasPrefix(key, "segments/") {
		if b.n++; b.n == b.segments {
			b.cancel(ingest.ErrTimeLimit)
		}
	}
	return info, err
}

// Map implements blob.Mapper.
func (b *brief) Map(ctx context.Context, key string) ([]byte, func(), error) {
	return blob.Open(ctx, b.Store, key)
}

// line is a topic with a queue behind it.
type line struct {
	queue []string
	fails int // how many of the next are not taken
}

// Publish implements awslambda.Publisher.
func (l *line) Publish(_ context.Context, jobs []awslambda.Job) ([]error, error) {
	if l.fails > 0 {
		l.fails--
		return nil, errors.New("503 from the topic")
	}
	for _, j := range jobs {
		b, err := json.Marshal(j)
		if err != nil {
			return nil, err
		}
		l.queue = append(l.queue, string(b))
	}
	return make([]error, len(jobs)), nil
}

// chain is a bench whose feed a is too large for one event.
func chain(t *testing.T) (*bench, *line) {
	t.Helper()
	b := newBench(t)
	b.cut = corpus.Options{ShardSize: 8, Small: 1, Workers: 1}
	var list strings.Builder
	for i := range 60 {
		fmt.Fprintf(&list, "n%d.example\n", i)
	}
	b.pub.SetString("/a", list.String())
	return b, &line{}
}

// event hands one message to a new process on store, which has time for so many segments.
func (b *bench) event(store blob.Store, l *line, segments int, message string, opened ...func()) (again bool) {
	b.t.Helper()
	s := &brief{Store: store, segments: segments}
	b.open(s)
	for _, f := range opened {
		f()
	}
	s.Runner, b.g.Publish = b.run, l
	b.g.Runner = s
	return len(b.batch(minute, message)) > 0
}

// whole checks that the feed is there as a whole, by one good run.
func (b *bench) whole(what string) (good intel.Run) {
	b.t.Helper()
	c, err := corpus.Open(b.t.Context(), b.store, corpus.Options{})
	if err != nil || c.Err() != nil {
		b.t.Fatalf("%s: %v, %v", what, err, c.Err())
	}
	if st, err := c.Stats(b.t.Context()); err != nil || st.Listings != 60 {
		b.t.Errorf("%s: %d listings, %v", what, st.Listings, err)
	}
	rows := slices.DeleteFunc(b.rows("a"), func(r intel.Run) bool { return r.Status != intel.RunOK })
	if len(rows) != 1 {
		b.t.Fatalf("%s: %d runs took the data up", what, len(rows))
	}
	if left, err := b.store.List(b.t.Context(), "unfinished/"); err != nil || len(left) > 0 {
		b.t.Errorf("%s: left: %v, %v", what, left, err)
	}
	return rows[0]
}

// A feed that takes several events is there after the last one, with one row, and the
// job is known from then on.
func TestIngest_HandsOver(t *testing.T) {
	b, l := chain(t)
	m := body("a", 0)
	l.queue = []string{m}
	for i := 0; i < len(l.queue); i++ {
		if b.event(b.store, l, 3, l.queue[i]) {
			t.Errorf("message %d comes again", i+1)
		}
	}
	if got := b.outcomes(); got != "handed over, handed over, done ok" {
		t.Errorf("%q", got)
	}
	if run := b.whole("chain"); run.Parts != 3 || run.Job == "" || b.pub.Hits("/a") != 1 {
		t.Errorf("%+v, %d downloads", run, b.pub.Hits("/a"))
	}
	if !strings.Contains(l.queue[2], `"part":3`) {
		t.Errorf("%v", l.queue)
	}
	for _, copied := range slices.Clone(l.queue) {
		b.event(b.store, l, 3, copied)
	}
	if got := b.outcomes(); got != "known, known, known" {
		t.Errorf("%q", got)
	}
}

// What the topic did not take comes again as the message it came from.
func TestIngest_HandOverNotPublished(t *testing.T) {
	b, l := chain(t)
	l.fails = 1
	m := body("a", 0)
	if !b.event(b.store, l, 3, m) || len(l.queue) != 0 {
		t.Error("the message does not come again")
	}
	if got := b.outcomes(); got != "handed over" {
		t.Errorf("%q", got)
	}
	if b.event(b.store, l, 0, m) {
		t.Error("the message comes again")
	}
	if run := b.whole("again"); run.Parts != 2 {
		t.Errorf("%+v", run)
	}
}

// Another run of the feed between two parts: the continuation says that it is void.
func TestIngest_HandOverSuperseded(t *testing.T) {
	b, l := chain(t)
	b.event(b.store, l, 3, body("a", time.Hour))
	b.g.Publish = nil
	b.want("by hand", b.batch(minute, body("a", 0)), []int{}, "handed over, done ok")
	b.event(b.store, l, 3, l.queue[0])
	if got := b.outcomes(); got != "done superseded superseded" {
		t.Errorf("%q", got)
	}
	b.whole("by hand")
}

// A job that is not the one whose run is handed over leaves it alone.
func TestIngest_HandOverOfAnotherJob(t *testing.T) {
	b, l := chain(t)
	b.event(b.store, l, 3, body("a", time.Hour))
	if b.event(b.store, l, 3, body("a", 0)) {
		t.Error("the message comes again")
	}
	if got := b.outcomes(); got != "handed over, elsewhere" {
		t.Errorf("%q", got)
	}
}

// A feed of which not even the download fits fails as before, and says what to do.
func TestIngest_HandOverNothing(t *testing.T) {
	b, l := chain(t)
	b.pub.Fail("/a", feedserver.Blackhole, 0)
	b.g.Publish = l
	b.want("no time", b.batch(time.Second, body("a", 0)), []int{}, "done failed time-limit")
	if rows := b.rows("a"); len(l.queue) != 0 || len(rows) != 1 || !strings.Contains(rows[0].Reason, "ingest_timeout") {
		t.Errorf("%v, %+v", l.queue, rows)
	}
}

// However often and wherever a process dies in a chain of parts, or its store fails it
// once, the message comes again, and the feed is there once: at the next job at the
// latest, where a failure of the store stands in the ledger.
func TestIngest_KilledAtEveryStepOfAChain(t *testing.T) {
	for _, mode := range []crashtest.Mode{crashtest.Dead, crashtest.Before, crashtest.After} {
		for step := 1; failedChain(t, mode, step); step++ {
		}
	}
}

// failedChain is false where the chain has fewer steps.
func failedChain(t *testing.T, mode crashtest.Mode, step int) bool {
	t.Helper()
	b, l := chain(t)
	l.queue = []string{body("a", 0)}
	count, hit := 0, ""
	for i := 0; i < len(l.queue); i++ {
		if i > 30 {
			t.Fatalf("%v at %s: no end", mode, hit)
		}
		faulty, start := &crashtest.Faulty{Store: b.store, Mode: mode}, 0
		again := b.event(faulty, l, 3, l.queue[i], func() {
			if start = faulty.Count(); hit == "" {
				faulty.At = start + step - count
			}
		})
		count += faulty.Count() - start
		died := faulty.Hit()
		if died != "" {
			hit = died
		} else if again {
			t.Errorf("%v at %s: the message comes again", mode, hit)
		}
		if again || died != "" && mode == crashtest.Dead { // it was not acknowledged
			l.queue = append(l.queue, l.queue[i])
		}
	}
	if b.event(b.store, l, 0, body("a", -5*time.Second)) { // the next job clears away what is left
		t.Errorf("%v at %s: the next job comes again", mode, hit)
	}
	run := b.whole(fmt.Sprintf("%v at %s", mode, hit))
	for _, r := range b.rows("a") {
		if r.Status == intel.RunFailed && (mode == crashtest.Dead || !strings.Contains(r.Reason, "injected fault")) {
			t.Errorf("%v at %s: %+v", mode, hit, r)
		}
	}
	if hit == "" && (step < 30 || run.Parts != 3) {
		t.Errorf("a chain takes %d steps and %d parts only", step, run.Parts)
	}
	return hit != ""
}
