package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticintel/elasticintel/internal/api"
	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/enrich/work"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/schedule"
)

// Config is what a server is made of.
type Config struct {
	Listener net.Listener // from Listen; Stop closes it
	Feeds    FeedsConfig  // Store, Runner and Engine must be set
	Keys     *auth.Keys
	Starter  []Snapshot // starter data, for feeds that have none
	Parallel int        // feed runs at a time
	// Receivers are told when a feed has been in another class of health for AlertAfter.
	Receivers  []Receiver
	AlertAfter time.Duration
	Offline    bool // pull nothing
	Version    string
	Log        *slog.Logger

	// Reload reads the catalogue again where it changed.
	Reload func() (changed bool, err error)
	// Housekeep repairs at the start what a killed process left, and deletes
	// what is not needed any more; called once before the first run and then
	// every hour.
	Housekeep func(ctx context.Context, first bool) error
	// Tidy does what can wait until after the runs of feeds, in the background;
	// nil where there is nothing to be done.
	Tidy func(ctx context.Context, feeds ...string) error
	// ReadAhead brings the data into memory once the server is ready; nil where
	// that is of no use.
	ReadAhead func(ctx context.Context) error
	// Follow keeps the engine up to date until ctx ends; nil where Refresh does all of it.
	Follow func(ctx context.Context)
	// Enrich asks registries in one turn of work, every EnrichEvery; nil: nobody is asked.
	Enrich func(ctx context.Context) (work.Report, error)
	// Say tells people what happens; OnRun tells the end of each run and when
	// the feed is due next (zero: not at all).
	Say   func(format string, a ...any)
	OnRun func(run intel.Run, next time.Time)
}

// Times of the loops. A new head is seen within refreshEvery, well below the
// two seconds that are promised.
const (
	refreshEvery   = 500 * time.Millisecond
	housekeepEvery = time.Hour
	// EnrichEvery is from one turn of asking registries to the next.
	EnrichEvery = 3 * time.Minute
)

// StopWithin is how long requests and runs under way may go on after Stop, at
// most: the process ends in time even where one of them cannot be ended.
const StopWithin = 9500 * time.Millisecond

// App is a running server.
type App struct {
	cfg    Config
	feeds  *Feeds
	sched  *schedule.Scheduler
	server *http.Server
	face   atomic.Pointer[face] // of the engine that answers

	ctx    context.Context // of all loops; ends when Stop begins
	cancel context.CancelFunc
	loops  sync.WaitGroup
	failed chan error   // the HTTP server's end, if it was not asked for
	ready  atomic.Value // error or nil inside a readiness
	untidy untidy
	alerts *Alerts
	ran    chan struct{} // wakes attend
	turns  turns
	news   chan struct{} // a run ended, for enrich
}

// New puts the parts together and starts nothing.
func New(cfg Config) *App {
	a := &App{cfg: cfg, feeds: NewFeeds(cfg.Feeds), failed: make(chan error, 1), untidy: newUntidy(), ran: make(chan struct{}, 1), news: make(chan struct{}, 1)}
	a.alerts = NewAlerts(AlertsConfig{Receivers: cfg.Receivers, After: cfg.AlertAfter, Started: cfg.Feeds.Now(), Say: cfg.Say}, a.feeds)
	a.setReady(errors.New("starting"))
	a.sched = schedule.New(schedule.Config{
		Source: a.feeds, Runner: cfg.Feeds.Runner, Parallel: cfg.Parallel, Now: cfg.Feeds.Now, Log: cfg.Log, OnRun: a.onRun,
	})
	a.feeds.Trigger = a.trigger
	a.Use(cfg.Feeds.Engine)
	a.server = api.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.face.Load().ServeHTTP(w, r) }))
	a.server.ErrorLog = slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug)
	return a
}

// face is the HTTP API over one engine.
type face struct{ http.Handler }

// Use lets e answer from now on. Requests under way are answered to their end by
// the engine that they began with, so that each answer is of one.
func (a *App) Use(e Engine) {
	a.feeds.use(e)
	a.face.Store(&face{Handler(HandlerConfig{Feeds: a.feeds, Keys: a.cfg.Keys, Version: a.cfg.Version, Ready: a.Ready, Log: a.cfg.Log, Metrics: a.turns.writeMetrics})})
}

// Feeds returns the server's feeds.
func (a *App) Feeds() *Feeds { return a.feeds }

// Start begins to serve and to work; it returns at once. The server answers
// from what the engine holds while the starter data is still being loaded.
func (a *App) Start() {
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.server.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(a.ctx) }
	go func() {
		if err := a.server.Serve(a.cfg.Listener); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("http server: %w", err)
		}
	}()
	a.feeds.settingsMoved(a.ctx) // what the first runs go by
	a.loops.Go(a.work)
	a.loops.Go(a.watch)
	a.loops.Go(a.tidy)
	a.loops.Go(a.attend)
	a.loops.Go(a.enrich)
}

// Failed gives the error that ended the HTTP server unasked.
func (a *App) Failed() <-chan error { return a.failed }

// Ready says why the server is not ready yet, or nil.
func (a *App) Ready() error { return a.ready.Load().(readiness).err }

type readiness struct{ err error }

func (a *App) setReady(err error) { a.ready.Store(readiness{err}) }

// Stop ends within StopWithin: requests and runs under way may finish until
// then. What a run did not commit by then is as if it had never begun.
func (a *App) Stop() error {
	ctx, done := context.WithTimeout(context.Background(), StopWithin)
	defer done()
	a.setReady(errors.New("stopping"))
	a.cancel()
	ended := make(chan struct{})
	go func() { a.loops.Wait(); close(ended) }()
	err := a.server.Shutdown(ctx)
	if err != nil {
		err = a.server.Close()
	}
	select {
	case <-ended:
	case <-ctx.Done():
		err = errors.Join(err, errors.New("a feed run did not end in time; it is abandoned"))
	}
	return errors.Join(err, a.cfg.Keys.Flush(context.WithoutCancel(ctx)))
}

// work repairs, loads the starter data, and then runs feeds until the end.
func (a *App) work() {
	a.housekeep(true)
	if err := a.loadStarter(a.ctx); err != nil && a.ctx.Err() == nil {
		a.cfg.Say("Starter data: %v", err)
	}
	a.refresh()
	if a.cfg.Follow != nil { // not before: a new index is seen when it is whole, and one made of no data would say that nothing is listed
		a.loops.Go(func() { a.cfg.Follow(a.ctx) })
	}
	a.setReady(nil)
	a.ended()
	a.readAhead()
	a.untidy.add(slices.Collect(maps.Keys(a.feeds.engine().Held()))...)
	if a.cfg.Offline {
		<-a.ctx.Done()
		return
	}
	if err := a.sched.Run(a.ctx); err != nil && a.ctx.Err() == nil {
		a.cfg.Log.Error("scheduler ended", "error", err)
	}
}

// watch takes up new data, changed definitions and changed choices.
func (a *App) watch() {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	keep := time.NewTicker(housekeepEvery)
	defer keep.Stop()
	var said string
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-keep.C:
			a.housekeep(false)
		case <-tick.C:
			a.refresh()
			changed, err := a.cfg.Reload()
			if changed {
				a.cfg.Say("Feed definitions read again: %d feeds", len(a.cfg.Feeds.Catalogue().All()))
			}
			if text := fmt.Sprint(err); err != nil && text != said {
				a.cfg.Say("Feed definitions: %v", err)
				said = text
			} else if changed {
				said = ""
			}
			if moved := a.feeds.settingsMoved(a.ctx); (changed || moved) && !a.cfg.Offline && a.Ready() == nil {
				a.sched.Tick(a.ctx, a.cfg.Feeds.Now())
			}
		}
	}
}

// readAhead warms up in the background what a cold start left on disk.
func (a *App) readAhead() {
	if a.cfg.ReadAhead == nil {
		return
	}
	a.loops.Go(func() {
		if err := a.cfg.ReadAhead(a.ctx); err != nil && a.ctx.Err() == nil {
			a.cfg.Log.Warn("reading ahead ended", "error", err)
		}
	})
}

func (a *App) refresh() {
	if _, err := a.feeds.engine().Refresh(a.ctx); err != nil && a.ctx.Err() == nil {
		a.cfg.Log.Error("data cannot be read", "error", err)
	}
	if b := a.feeds.Facts; b != nil {
		if _, err := b.Refresh(a.ctx); err != nil && a.ctx.Err() == nil {
			a.cfg.Log.Error("enrichment cannot be read; the last one is answered from", "error", err)
		}
	}
}

func (a *App) housekeep(first bool) {
	if err := a.cfg.Housekeep(a.ctx, first); err != nil && a.ctx.Err() == nil {
		a.cfg.Log.Error("housekeeping failed", "error", err)
	}
	if !first {
		a.untidy.add(slices.Collect(maps.Keys(a.feeds.engine().Held()))...)
	}
	if err := a.cfg.Keys.Flush(a.ctx); err != nil && a.ctx.Err() == nil {
		a.cfg.Log.Warn("last use of keys not written", "error", err)
	}
}

// trigger starts a run by hand, unless the feed runs already.
func (a *App) trigger(ctx context.Context, job feed.Job) (intel.Run, error) {
	run, err := a.sched.Trigger(ctx, job)
	if errors.Is(err, schedule.ErrRunning) {
		err = fmt.Errorf("%s: %w", job.Def.ID, api.ErrRunning)
	}
	return run, err
}

func (a *App) onRun(r intel.Run) {
	if r.Status == intel.RunOK {
		a.refresh()
		a.untidy.add(r.Feed)
		select {
		case a.news <- struct{}{}:
		default: // one is as good as two
		}
	}
	next, _ := a.feeds.Next(context.WithoutCancel(a.ctx), r.Feed)
	a.cfg.OnRun(r, next)
	a.ended()
}

var _ api.Feeds = (*Feeds)(nil)
