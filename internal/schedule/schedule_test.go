package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// world is a Source and a Runner in one: feeds are due until they ran, and a run
// takes as long as its feed says.
type world struct {
	mu      sync.Mutex
	due     []string
	took    map[string]time.Duration // default 1 s; negative: until it is cancelled
	fail    map[string]error
	started []string
	ended   []string
	broken  []string // cancelled
	now     int
	most    int
	asked   []time.Time
	release chan struct{} // lets runs of feed "stuck" end, which heed nothing
}

func newWorld(due ...string) *world {
	return &world{due: due, took: map[string]time.Duration{}, fail: map[string]error{}, release: make(chan struct{})}
}

func job(id string) feed.Job { return feed.Job{Def: &feed.Definition{ID: id}, Trigger: "test"} }

func (w *world) Due(_ context.Context, now time.Time) ([]feed.Job, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, now)
	if err := w.fail["due"]; err != nil {
		return nil, err
	}
	var jobs []feed.Job
	for _, id := range w.due {
		jobs = append(jobs, job(id))
	}
	return jobs, nil
}

func (w *world) Run(ctx context.Context, j feed.Job) (intel.Run, error) {
	id := j.Def.ID
	w.mu.Lock()
	w.started = append(w.started, id)
	w.now++
	w.most = max(w.most, w.now)
	took, ok := w.took[id]
	if !ok {
		took = time.Second
	}
	err := w.fail[id]
	w.mu.Unlock()
	if strings.HasPrefix(id, "panic") {
		panic("a feed that breaks the parser")
	}
	if id == "stuck" {
		<-w.release
	}
	cancelled := false
	if took < 0 {
		<-ctx.Done()
		cancelled = true
	} else {
		select {
		case <-time.After(took):
		case <-ctx.Done():
			cancelled = true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now--
	if cancelled {
		w.broken = append(w.broken, id)
		return intel.Run{}, ctx.Err()
	}
	w.ended = append(w.ended, id)
	if err != nil {
		return intel.Run{}, err
	}
	w.due = slices.DeleteFunc(w.due, func(d string) bool { return d == id })
	return intel.Run{ID: id + "-1", Feed: id, Status: intel.RunOK}, nil
}

func (w *world) counts() (started, ended, broken int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.started), len(w.ended), len(w.broken)
}

func feeds(prefix string, n int) []string {
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s%02d", prefix, i))
	}
	return ids
}

// running starts a scheduler that the returned function stops; it returns what Run returned.
func running(t *testing.T, s *Scheduler) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func TestRunsWhatIsDueOnceAndFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(feeds("f", 20)...)
		var seen []string
		var mu sync.Mutex
		s := New(Config{Source: w, Runner: w, Parallel: 3, Every: time.Second, OnRun: func(r intel.Run) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, r.Feed)
		}})
		stop := running(t, s)
		time.Sleep(time.Minute) // 20 feeds of one second, 3 at a time; ticks every second repeat what is due
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if len(w.started) != 20 || len(w.ended) != 20 || len(seen) != 20 {
			t.Errorf("started %d, ended %d, told of %d; want 20 each", len(w.started), len(w.ended), len(seen))
		}
		if w.most != 3 {
			t.Errorf("%d runs at a time, want 3", w.most)
		}
		slices.Sort(seen)
		if !slices.Equal(seen, feeds("f", 20)) {
			t.Errorf("told of %v", seen)
		}
	})
}

func TestOneRunPerFeedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("slow")
		w.took["slow"] = time.Hour
		s := New(Config{Source: w, Runner: w, Every: time.Second})
		stop := running(t, s)
		time.Sleep(10 * time.Minute)
		if started, _, _ := w.counts(); started != 1 {
			t.Errorf("started %d times beside itself", started)
		}
		if got := s.Running(); !slices.Equal(got, []string{"slow"}) {
			t.Errorf("Running: %v", got)
		}
		if _, err := s.Trigger(t.Context(), job("slow")); !errors.Is(err, ErrRunning) {
			t.Errorf("Trigger: %v, want ErrRunning", err)
		}
		_ = stop()
	})
}

// The reference's test B7: the healthy half of the feeds must not wait for the
// timeouts of the other half.
func TestFeedsThatHangHoldNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 50 {
			hang, good := fmt.Sprintf("hang%02d", i), fmt.Sprintf("good%02d", i)
			w.due = append(w.due, hang, good)
			w.took[hang] = 10 * time.Minute
		}
		s := New(Config{Source: w, Runner: w, Parallel: 4})
		stop := running(t, s)
		time.Sleep(90 * time.Second)
		good := 0
		w.mu.Lock()
		for _, id := range w.ended {
			if strings.HasPrefix(id, "good") {
				good++
			}
		}
		w.mu.Unlock()
		if good != 50 {
			t.Errorf("%d of 50 good feeds ran in 90 s beside 50 that hang", good)
		}
		_ = stop()
	})
}

func TestCrowdIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(feeds("hang", 100)...)
		for _, id := range w.due {
			w.took[id] = time.Hour
		}
		s := New(Config{Source: w, Runner: w, Parallel: 2})
		stop := running(t, s)
		time.Sleep(30 * time.Minute)
		_ = stop()
		if w.most != 2*crowd {
			t.Errorf("%d runs at once, want %d", w.most, 2*crowd)
		}
	})
}

func TestTriggerTakesOverWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("first", "second")
		w.took["first"] = 4 * time.Second
		s := New(Config{Source: w, Runner: w, Parallel: 1, Every: time.Hour})
		stop := running(t, s)
		synctest.Wait()
		began := time.Now()
		run, err := s.Trigger(t.Context(), job("second")) // waits for its turn behind first
		if err != nil || run.Feed != "second" {
			t.Fatalf("Trigger: %+v, %v", run, err)
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("took %s: it waited for others", d)
		}
		time.Sleep(time.Minute)
		_ = stop()
		if !slices.Equal(w.started, []string{"first", "second"}) {
			t.Errorf("started %v", w.started)
		}
	})
}

func TestTriggerGoesOnWhenTheCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := New(Config{Source: w, Runner: w})
		stop := running(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := s.Trigger(ctx, job("f")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Trigger: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, ended, broken := w.counts(); ended != 1 || broken != 0 {
			t.Errorf("ended %d, cancelled %d", ended, broken)
		}
		_ = stop()
		if _, err := s.Trigger(t.Context(), job("f")); !errors.Is(err, ErrStopped) {
			t.Errorf("Trigger after the stop: %v", err)
		}
	})
}

func TestStopLetsRunsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b", "waits")
		w.took["a"], w.took["b"] = 5*time.Second, 7*time.Second
		s := New(Config{Source: w, Runner: w, Parallel: 2, Every: time.Hour})
		stop := running(t, s)
		synctest.Wait()
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d != 7*time.Second {
			t.Errorf("stopped after %s, want the 7 s of the longest run", d)
		}
		slices.Sort(w.ended)
		if !slices.Equal(w.ended, []string{"a", "b"}) || len(w.started) != 2 {
			t.Errorf("started %v, ended %v: what waited must not start", w.started, w.ended)
		}
	})
}

func TestStopCancelsWhatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("long", "short")
		w.took["long"] = -1
		s := New(Config{Source: w, Runner: w})
		stop := running(t, s)
		synctest.Wait()
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d != grace {
			t.Errorf("stopped after %s, want %s", d, grace)
		}
		if !slices.Equal(w.broken, []string{"long"}) || !slices.Equal(w.ended, []string{"short"}) {
			t.Errorf("cancelled %v, ended %v", w.broken, w.ended)
		}
	})
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("stuck")
		s := New(Config{Source: w, Runner: w})
		stop := running(t, s)
		synctest.Wait()
		began := time.Now()
		err := stop()
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("stopped after %s", d)
		}
		if err == nil || !strings.Contains(err.Error(), "stuck") {
			t.Errorf("error %v does not name the run", err)
		}
		close(w.release)
	})
}

func TestRunThatCannotBeRecordedRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("full")
		w.fail["full"] = errors.New("disk full")
		told := 0
		s := New(Config{Source: w, Runner: w, Every: time.Second, OnRun: func(intel.Run) { told++ }})
		stop := running(t, s)
		time.Sleep(pause - time.Second)
		if started, _, _ := w.counts(); started != 1 {
			t.Errorf("started %d times within %s, downloading each time", started, pause)
		}
		if _, err := s.Trigger(t.Context(), job("full")); err == nil { // a person may try at once
			t.Error("Trigger hides the error")
		}
		w.mu.Lock()
		delete(w.fail, "full")
		w.mu.Unlock()
		time.Sleep(2 * pause)
		_ = stop()
		if len(w.started) != 3 || told != 1 {
			t.Errorf("started %d times, told of %d runs; want 3 and 1", len(w.started), told)
		}
	})
}

func TestPanicStaysWithItsFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("panic", "good")
		s := New(Config{Source: w, Runner: w, Every: time.Second})
		stop := running(t, s)
		time.Sleep(10 * time.Second)
		_ = stop()
		if !slices.Contains(w.ended, "good") || len(w.started) != 2 {
			t.Errorf("started %v, ended %v", w.started, w.ended)
		}
		if got := s.Running(); len(got) != 0 {
			t.Errorf("still running: %v", got)
		}
	})
}

func TestTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("f")
		w.fail["due"] = errors.New("the folder cannot be read")
		s := New(Config{Source: w, Runner: w, Every: time.Minute, Jitter: 20 * time.Second})
		stop := running(t, s)
		began := time.Now()
		time.Sleep(time.Hour)
		w.mu.Lock()
		delete(w.fail, "due") // an error of Due ends nothing
		w.mu.Unlock()
		time.Sleep(2 * time.Minute)
		_ = stop()
		if !w.asked[0].Equal(began) {
			t.Errorf("first asked %s after the start", w.asked[0].Sub(began))
		}
		var shortest, longest time.Duration = time.Hour, 0
		for i := 1; i < len(w.asked); i++ {
			d := w.asked[i].Sub(w.asked[i-1])
			shortest, longest = min(shortest, d), max(longest, d)
		}
		if shortest < time.Minute || longest >= 80*time.Second || longest-shortest < time.Second {
			t.Errorf("%d ticks, %s to %s apart; want 60 to 80 s, spread", len(w.asked), shortest, longest)
		}
		if len(w.ended) != 1 {
			t.Errorf("ran %d times after Due had worked again", len(w.ended))
		}
	})
}

// After days without power everything is due at once: no more than usual runs
// at a time, in the order of Due, and each feed once.
func TestCatchUpWithoutStampede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(feeds("f", 180)...)
		s := New(Config{Source: w, Runner: w, Parallel: 1, Every: time.Minute})
		stop := running(t, s)
		time.Sleep(time.Hour)
		_ = stop()
		if len(w.started) != 180 || w.most != 1 {
			t.Errorf("%d runs, %d at a time", len(w.started), w.most)
		}
	})
}
