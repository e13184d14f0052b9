// Package schedule starts runs when they are due: a few at a time, one of each
// feed, and none twice because it waits.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	cfg    Config
	slots  chan struct{} // Parallel: given back after patience
	places chan struct{} // crowd × Parallel: held for the whole run

	jobs   context.Context // of every run; ends when a stop loses patience
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	stopped chan struct{} // closed when a stop began
	active  map[string]*entry
	resting map[string]time.Time // feeds whose last run could not be recorded, until when
}

// entry is a feed that runs or waits for its turn.
type entry struct{ running bool }

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
	s := &Scheduler{cfg: cfg, slots: make(chan struct{}, cfg.Parallel), places: make(chan struct{}, crowd*cfg.Parallel),
		stopped: make(chan struct{}), active: map[string]*entry{}, resting: map[string]time.Time{}}
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
// what finds no free slot waits for its turn in the order in which it came.
func (s *Scheduler) Tick(ctx context.Context, now time.Time) {
	jobs, err := s.cfg.Source.Due(ctx, now)
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "what is due could not be found out", "error", err)
	}
	for _, job := range jobs {
		if e := s.enter(job.Def.ID, now); e != nil {
			go func() {
				defer s.wg.Done()
				s.inTurn(job, e)
			}()
		}
	}
}

// enter notes that the feed waits for its turn; nil where it must not. The
// caller owes a wg.Done.
func (s *Scheduler) enter(id string, now time.Time) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isStopped() || s.active[id] != nil || now.Before(s.resting[id]) {
		return nil
	}
	e := &entry{}
	s.active[id] = e
	s.wg.Add(1)
	return e
}

func (s *Scheduler) isStopped() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}

// inTurn waits for a slot and runs the job, unless a stop or a manual trigger
// came in between.
func (s *Scheduler) inTurn(job feed.Job, e *entry) {
	if !s.acquire(s.places) {
		s.leave(job.Def.ID, e)
		return
	}
	defer func() { <-s.places }()
	if !s.acquire(s.slots) {
		s.leave(job.Def.ID, e)
		return
	}
	free := sync.OnceFunc(func() { <-s.slots })
	defer free()
	if !s.begin(job.Def.ID, e) {
		return
	}
	defer s.leave(job.Def.ID, e)
	slow := time.AfterFunc(patience, free)
	defer slow.Stop()
	s.do(job)
}

func (s *Scheduler) acquire(c chan struct{}) bool {
	select {
	case c <- struct{}{}:
		return true
	case <-s.stopped:
		return false
	}
}

// begin turns a waiting entry into a running one, if it is still ours and
// nothing was stopped meanwhile.
func (s *Scheduler) begin(id string, e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[id] != e || s.isStopped() {
		if s.active[id] == e {
			delete(s.active, id)
		}
		return false
	}
	e.running = true
	return true
}

func (s *Scheduler) leave(id string, e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[id] == e {
		delete(s.active, id)
	}
}

// do runs the job. A panic over what a stranger's feed holds must not take the
// server down: it is a run that could not be recorded.
func (s *Scheduler) do(job feed.Job) (run intel.Run, err error) {
	id := job.Def.ID
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("feed %s: the run panicked: %v", id, p)
		}
		s.rest(id, err)
		if err != nil {
			s.cfg.Log.Error("run not recorded", "feed", id, "error", err)
			return
		}
		s.cfg.OnRun(run)
	}()
	return s.cfg.Runner.Run(s.jobs, job)
}

// rest remembers when a feed whose run could not be recorded may run again.
func (s *Scheduler) rest(id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.resting[id] = s.cfg.Now().Add(pause)
	} else {
		delete(s.resting, id)
	}
}

// Trigger runs a feed now, whatever its schedule says and however many run
// already, and returns its run. ErrRunning where it is being run; one that waits
// for its turn is run here instead. The run belongs to the scheduler: where ctx
// ends first, Trigger returns its error and the run goes on.
func (s *Scheduler) Trigger(ctx context.Context, job feed.Job) (intel.Run, error) {
	e := &entry{running: true}
	s.mu.Lock()
	have := s.active[job.Def.ID]
	switch {
	case s.isStopped():
		s.mu.Unlock()
		return intel.Run{}, ErrStopped
	case have != nil && have.running:
		s.mu.Unlock()
		return intel.Run{}, fmt.Errorf("feed %s: %w", job.Def.ID, ErrRunning)
	}
	s.active[job.Def.ID] = e
	s.wg.Add(1)
	s.mu.Unlock()
	type result struct {
		run intel.Run
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer s.wg.Done()
		run, err := s.do(job)
		s.leave(job.Def.ID, e)
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
	close(s.stopped)
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
