package awslambda

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Options are what Serve needs.
type Options struct {
	API      string // HOST:PORT of the Runtime API
	Function string // one of Functions
	// Build opens the parts of the function, once per process.
	Build func(ctx context.Context) (Handlers, error)
	Log   *slog.Logger
}

// Serve answers a function's events until ctx ends. It polls at once, and builds
// the parts meanwhile; the first event waits for them. Where they cannot be built
// that event fails and the next one tries again, so that a store which is down for
// a moment costs no more than that moment. Settings that cannot be (wrong, or the
// name of a function that there is not) are told to Lambda and returned: no event
// could be answered.
func Serve(ctx context.Context, o Options, wrong error) error {
	rt := &Runtime{API: o.API, Log: o.Log}
	if _, err := For(o.Function, Table(Handlers{})); wrong == nil {
		wrong = err
	}
	if err := wrong; err != nil {
		_ = rt.InitError(ctx, err) // err says more
		return err
	}
	l := &lazy{build: func(ctx context.Context) (Handler, error) {
		h, err := o.Build(ctx)
		if err != nil {
			return nil, err
		}
		return For(o.Function, Table(h))
	}}
	go func() { _, _ = l.get(ctx) }() // where it fails, the event that waits for it tries again
	return rt.Run(ctx, func(ctx context.Context, e Event) (Reply, error) {
		h, err := l.get(ctx)
		if err != nil && o.Function == FunctionAPI {
			o.Log.LogAttrs(ctx, slog.LevelError, "not ready", slog.String("request", e.ID), slog.String("error", err.Error()))
			return (&API{}).problem(e, http.StatusServiceUnavailable, "not_ready", "not ready to answer look-ups yet; the function's log says why. Ask again in 5 s")
		} else if err != nil {
			return Reply{}, err
		}
		return h(ctx, e)
	})
}

// lazy builds a handler once.
type lazy struct {
	build func(context.Context) (Handler, error)
	mu    sync.Mutex
	made  Handler
}

func (l *lazy) get(ctx context.Context) (Handler, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made != nil {
		return l.made, nil
	}
	h, err := l.build(ctx)
	if err == nil {
		l.made = h
	}
	return h, err
}

// Pause waits between tries; it is the Sleep of Scheduler and Trigger.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
