// Package schedule starts runs when they are due: a few at a time, one of each
// feed, and none twice because it waits.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// ErrRunning says that the feed is just being run.
var ErrRunning = errors.New("this feed is running already")

// ErrStopped says that the scheduler starts nothing any more.
var ErrStopped = errors.New("the scheduler is stopping")

// Runner runs feeds. Run must return soon after its context ended. An error
// means that the run is recorded nowhere.
type Runner interface {
	Run(ctx context.Context, job feed.Job) (intel.Run, error)
}

// Source knows what is due. It is asked at every tick; a job stays due until
// its run is recorded.
type Source interface {
	Due(ctx context.Context, now time.Time) ([]feed.Job, error)
}

const (
	// grace is how long a stop waits for running jobs before it cancels them,
	// abandon how long it then waits for them to notice: ten seconds in all.
	grace   = 8 * time.Second
	abandon = 2 * time.Second

	// patience is how long a run keeps others waiting. One that takes longer,
	// as those of publishers that hang do, goes on beside them.
	patience = 5 * time.Second
	// crowd is how many runs there may be at once for each one of Parallel, so
	// counting those that go on beside.
	crowd = 16

	// pause is how long a feed rests after a run that could not be recorded,
	// so that a full disk does not make us download without end.
	pause = 5 * time.Minute
)

// Config is what a Scheduler works with. Source and Runner are required.
type Config struct {
	Source   Source
	Runner   Runner
	Parallel int              // runs at a time; default 4
	Every    time.Duration    // between two looks at what is due; default 1 minute
	Jitter   time.Duration    // most that is added to Every, at random; default a tenth of it; negative: none
	Now      func() time.Time // default time.Now
	Log      *slog.Logger     // default: discard
	OnRun    func(intel.Run)  // called after each recorded run, from its goroutine; may be nil
}

// Scheduler starts runs. It is safe for concurrent use.
type Scheduler struct {
	cfg Config

	jobs   context.Context // of every run; ends when a stop loses patience
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	stopped bool                 // a stop began
	waiting []*entry             // in the order in which they came
	active  map[string]*entry    // what waits or runs, by feed
	turns   map[string]int       // runs under way, by feed.Definition.Turn
	slots   int                  // runs that keep others waiting, at most Parallel
	places  int                  // runs from the queue, at most crowd × Parallel
	resting map[string]time.Time // feeds whose last run could not be recorded, until when
}

// entry is a feed that runs or waits for its turn.
type entry struct {
	job     feed.Job
	running bool
}

// New makes a Scheduler. It starts nothing until Run, Tick or Trigger.
func New(cfg Config) *Scheduler {
	if cfg.Parallel <= 0 {
		cfg.Parallel = 4
	}
	if cfg.Every <= 0 {
		cfg.Every = time.Minute
	}
	if cfg.Jitter == 0 {
		cfg.Jitter = cfg.Every / 10
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.OnRun == nil {
		cfg.OnRun = func(intel.Run) {}
	}
	s := &Scheduler{cfg: cfg, active: map[string]*entry{}, turns: map[string]int{}, resting: map[string]time.Time{}}
	s.jobs, s.cancel = context.WithCancel(context.Background())
	return s
}

// Run looks at what is due, at once and then every so often, until ctx ends.
// Then nothing more is started, runs that are under way get eight seconds to
// finish and are cancelled after that. Its error names runs that did not end
// even so; otherwise it is nil. A Scheduler runs once.
func (s *Scheduler) Run(ctx context.Context) error {
	for {
		s.Tick(ctx, s.cfg.Now())
		t := time.NewTimer(s.cfg.Every + s.jitter())
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return s.stop()
		}
	}
}

func (s *Scheduler) jitter() time.Duration {
	if s.cfg.Jitter <= 0 {
		return 0
	}
	return rand.N(s.cfg.Jitter)
}

// Tick starts what is due at now and not under way. It does not wait for it:
// what finds no free slot waits for its turn, in the order of Due.
func (s *Scheduler) Tick(ctx context.Context, now time.Time) {
	jobs, err := s.cfg.Source.Due(ctx, now)
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "what is due could not be found out", "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, job := range jobs {
		id := job.Def.ID
		if s.active[id] == nil && !now.Before(s.resting[id]) {
			e := &entry{job: job}
			s.active[id] = e
			s.waiting = append(s.waiting, e)
		}
	}
	s.pump()
}

// pump starts what waits while there are slots. What has to take turns with a
// feed that is being pulled waits on, and others overtake it. The caller holds mu.
func (s *Scheduler) pump() {
	for i := 0; i < len(s.waiting) && !s.stopped && s.slots < s.cfg.Parallel && s.places < crowd*s.cfg.Parallel; {
		e := s.waiting[i]
		current := s.active[e.job.Def.ID] == e // else a manual trigger took it over
		if turn := e.job.Def.Turn(); current && turn != "" && s.turns[turn] > 0 {
			i++
			continue
		}
		s.waiting = slices.Delete(s.waiting, i, i+1)
		if !current {
			continue
		}
		e.running = true
		s.turns[e.job.Def.Turn()]++
		s.slots++
		s.places++
		s.wg.Add(1)
		go s.inTurn(e)
	}
}

// inTurn runs a job from the queue. It gives its slot back when it is done or
// when patience is over.
func (s *Scheduler) inTurn(e *entry) {
	defer s.wg.Done()
	free := sync.OnceFunc(func() { s.release(&s.slots) })
	slow := time.AfterFunc(patience, free)
	_, _ = s.do(e)
	slow.Stop()
	free()
	s.release(&s.places)
}

func (s *Scheduler) release(count *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*count--
	s.pump()
}

// do runs the job. A panic over what a stranger's feed holds must not take the
// server down: it is a run that could not be recorded.
func (s *Scheduler) do(e *entry) (run intel.Run, err error) {
	id := e.job.Def.ID
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("feed %s: the run panicked: %v", id, p)
			s.cfg.Log.Error("panic", "feed", id, "stack", string(debug.Stack()))
		}
		s.leave(e, err)
		switch {
		case err == nil:
			s.cfg.OnRun(run)
		case s.jobs.Err() != nil:
			s.cfg.Log.Info("run abandoned at the stop", "feed", id)
		default:
			s.cfg.Log.Error("run not recorded", "feed", id, "error", err)
		}
	}()
	return s.cfg.Runner.Run(s.jobs, e.job)
}

// leave notes that the feed's run has ended, and that it must rest where the
// run could not be recorded. Who waited for its turn may come.
func (s *Scheduler) leave(e *entry, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.pump()
	id, turn := e.job.Def.ID, e.job.Def.Turn()
	if s.turns[turn]--; s.turns[turn] == 0 {
		delete(s.turns, turn)
	}
	delete(s.active, id)
	delete(s.resting, id)
	if err != nil {
		s.resting[id] = s.cfg.Now().Add(pause)
	}
}

// Trigger runs a feed now, whatever its schedule says and however many run
// already, and returns its run. ErrRunning where it is being run; one that waits
// for its turn is run here instead. The run belongs to the scheduler: where ctx
// ends first, Trigger returns its error and the run goes on.
func (s *Scheduler) Trigger(ctx context.Context, job feed.Job) (intel.Run, error) {
	e := &entry{job: job, running: true}
	s.mu.Lock()
	have := s.active[job.Def.ID]
	switch {
	case s.stopped:
		s.mu.Unlock()
		return intel.Run{}, ErrStopped
	case have != nil && have.running:
		s.mu.Unlock()
		return intel.Run{}, fmt.Errorf("feed %s: %w", job.Def.ID, ErrRunning)
	}
	s.active[job.Def.ID] = e
	s.turns[job.Def.Turn()]++
	s.wg.Add(1)
	s.mu.Unlock()
	type result struct {
		run intel.Run
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer s.wg.Done()
		run, err := s.do(e)
		done <- result{run, err}
	}()
	select {
	case r := <-done:
		return r.run, r.err
	case <-ctx.Done():
		return intel.Run{}, ctx.Err()
	}
}

// Running lists the feeds that are being run, by id. Those that wait for their
// turn are not in it.
func (s *Scheduler) Running() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id, e := range s.active {
		if e.running {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// stop ends everything within ten seconds.
func (s *Scheduler) stop() error {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	if within(done, grace) {
		s.cancel()
		return nil
	}
	s.cancel()
	if within(done, abandon) {
		return nil
	}
	return fmt.Errorf("these runs did not end when they were told to: %v", s.Running())
}

func within(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}
