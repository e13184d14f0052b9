package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	elasticintel "github.com/elasticintel/elasticintel"
	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/enrich/facts"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// parts is what every function works on.
type parts struct {
	*settings
	store     blob.Store
	catalogue *awslambda.Catalogue
	secret    func(name string) (string, bool)
	unfilled  atomic.Pointer[string] // why segments could not be made whole, as last said
}

// keysKept is for how long the API keys that were read last serve while the store
// cannot be read. A key that is revoked meanwhile is refused that much later.
const keysKept = 15 * time.Minute

// build opens the parts of the function that this process is, and no others: the
// scheduler reads states and no listing.
func (s *settings) build(ctx context.Context) (h awslambda.Handlers, err error) {
	p := &parts{settings: s}
	if p.store, err = s.openStore(ctx); err != nil {
		return h, err
	}
	if p.secret, err = s.openSecrets(ctx); err != nil {
		return h, err
	}
	if p.catalogue, err = awslambda.OpenCatalogue(ctx, p.store, elasticintel.FeedsFS(), s.cache); err != nil {
		return h, err
	}
	switch s.function {
	case awslambda.FunctionScheduler:
		h.Scheduler, err = p.scheduler(ctx)
	case awslambda.FunctionIngest:
		h.Ingest, err = p.ingest(ctx)
	case awslambda.FunctionAPI:
		h.API, err = p.api(ctx)
	case awslambda.FunctionHealth:
		h.Health, err = p.health(ctx)
	}
	return h, err
}

// feeds puts a Feeds together; engine nil is for who asks nothing of listings.
func (p *parts) feeds(runner *ingest.Runner, engine app.Engine) *app.Feeds {
	return app.NewFeeds(app.FeedsConfig{Catalogue: p.catalogue.Current, Store: p.store, Runner: runner, Ledger: runner, Engine: engine, Secret: p.secret, Now: p.now})
}

// runner is one on a corpus, which may be nil for who only reads the ledger.
func (p *parts) runner(store blob.Store, c *corpus.Corpus) *ingest.Runner {
	// A job has one line in the log, with all that the runner would say of a run.
	return ingest.New(ingest.Config{Store: store, Corpus: c, Fetch: p.fetcher(), Secret: p.secret, Now: p.now, Log: p.warnings,
		KeepRaw: time.Duration(p.KeepRaw), KeepHistory: time.Duration(p.KeepHist), TempDir: p.cache,
		KeepHistoryOf: func(id string) time.Duration {
			if d := p.catalogue.Current().Get(id); d != nil {
				return time.Duration(d.KeepHistory)
			}
			return 0
		}})
}

// reloaded is a handler that reads the feed definitions again before each event.
// What is wrong in them is logged, and the others are used.
func (p *parts) reloaded(h awslambda.Handler) awslambda.Handler {
	return func(ctx context.Context, e awslambda.Event) (awslambda.Reply, error) {
		if _, err := p.catalogue.Reload(ctx); err != nil {
			p.log.WarnContext(ctx, "feed definitions", "error", err)
		}
		return h(ctx, e)
	}
}

func (p *parts) scheduler(ctx context.Context) (awslambda.Handler, error) {
	topic, err := p.openTopic(ctx)
	if err != nil {
		return nil, err
	}
	s := &awslambda.Scheduler{Feeds: p.feeds(p.runner(p.store, nil), nil), Publish: topic, Now: p.now, Log: p.log, Sleep: awslambda.Pause}
	return p.reloaded(s.Handle), nil
}

func (p *parts) ingest(ctx context.Context) (awslambda.Handler, error) {
	if err := corpus.Init(ctx, p.store); err != nil {
		return nil, err
	}
	r := &feedRunner{Runner: p.runner(p.store, nil), parts: p}
	feeds := p.feeds(r.Runner, nil)
	g := &awslambda.Ingest{Definition: feeds.Definition, Runner: r, After: r.tidy, Now: p.now, Log: p.log}
	if p.topic != "" {
		var err error
		if g.Publish, err = p.openTopic(ctx); err != nil {
			return nil, err
		}
	}
	if p.standard() {
		h, err := p.followed(ctx, g.Handle)
		return p.reloaded(h), err
	}
	return p.reloaded(g.Handle), nil
}

// feedRunner runs each job on a corpus that holds its feed alone: a function that
// starts for one feed must not fetch the listings of all others.
type feedRunner struct {
	*ingest.Runner // reads the ledger
	parts          *parts
	swept          time.Time
}

// Run implements awslambda.Runner.
func (r *feedRunner) Run(ctx context.Context, job feed.Job) (run intel.Run, err error) {
	store, c, err := r.open(ctx, job.Def.ID)
	if err != nil {
		return run, err
	}
	return r.parts.runner(store, c).Run(ctx, job)
}

func (r *feedRunner) open(ctx context.Context, id string) (blob.Store, *corpus.Corpus, error) {
	store := awslambda.OneFeed(r.parts.store, id)
	c, err := corpus.Open(ctx, store, corpus.Options{Now: r.parts.now, ShardSize: r.parts.shard})
	if err != nil {
		return nil, nil, fmt.Errorf("feed %s: %w", id, err)
	}
	return store, c, nil
}

// sweepEvery is how often a process looks for segments that were replaced.
const sweepEvery = time.Hour

// tidy folds what the run left behind, and deletes replaced segments now and then.
func (r *feedRunner) tidy(ctx context.Context, run intel.Run) error {
	if run.Status != intel.RunOK {
		return nil
	}
	_, c, err := r.open(ctx, run.Feed)
	if err != nil {
		return err
	}
	_, err = c.Fold(ctx, run.Feed, corpus.FoldOptions{Now: r.parts.now()})
	if now := r.parts.now(); err == nil && now.Sub(r.swept) > sweepEvery {
		r.swept = now
		err = c.Sweep(ctx, now, time.Duration(r.parts.Grace))
	}
	return err
}

func (p *parts) api(ctx context.Context) (awslambda.Handler, error) {
	e, c, err := p.answering(ctx)
	if err != nil {
		return nil, err
	}
	runner := p.runner(p.store, c)
	feeds := p.feeds(runner, e)
	if p.topic != "" {
		topic, err := p.openTopic(ctx)
		if err != nil {
			return nil, err
		}
		t := &awslambda.Trigger{Publish: topic, Runs: runner, Now: p.now, Sleep: awslambda.Pause, ID: rand.Text}
		feeds.Trigger = t.Run
	}
	p.fill(ctx)
	if feeds.Facts, err = facts.Open(ctx, p.store, facts.Tables(p.store)); err != nil {
		p.log.Error("enrichment cannot be read", "error", err) // answers are right without it
	}
	refresh := func(ctx context.Context) (bool, error) {
		defer p.fill(ctx)
		if _, err := feeds.Facts.Refresh(ctx); err != nil {
			p.log.Error("enrichment cannot be read; the last one is answered from", "error", err)
		}
		return e.Refresh(ctx)
	}
	fresh := &awslambda.Fresh{Refresh: refresh, Reload: p.catalogue.Reload, Now: p.now, Log: p.log}
	if !p.standard() { // of a cluster nothing is known yet
		fresh.Opened()
	}
	keys := auth.New(&awslambda.Kept{Store: p.store, Keys: []string{auth.Object}, For: keysKept, Now: p.now}, p.now)
	a := &awslambda.API{Fresh: fresh.Look, Stream: p.stream, Now: p.now, Log: p.log,
		Handler: app.Handler(app.HandlerConfig{Feeds: feeds, Keys: keys, Version: version, Ready: fresh.Ready, Log: p.log, TempDir: p.cache})}
	return a.Handle, nil
}

func (p *parts) health(ctx context.Context) (awslambda.Handler, error) {
	e := &heads{}
	feeds := p.feeds(p.runner(p.store, nil), e)
	h := &awslambda.Health{Feeds: feeds, Namespace: p.metrics, Now: p.now, Log: p.log}
	if p.standard() {
		x, err := p.openIndex(ctx, askTime)
		if err != nil {
			return nil, err
		}
		h.Behind = x.catchUp().Behind
	}
	hooks, err := p.receivers()
	if err != nil {
		return nil, err
	}
	if len(hooks) > 0 {
		say := func(format string, a ...any) { p.log.Warn(fmt.Sprintf(format, a...)) }
		h.Alerts = app.NewAlerts(app.AlertsConfig{Receivers: hooks, After: time.Duration(p.AlertAfter), Say: say}, feeds).Round
	}
	return p.reloaded(func(ctx context.Context, ev awslambda.Event) (awslambda.Reply, error) {
		if err := e.read(ctx, p.store); err != nil {
			return awslambda.Reply{}, err
		}
		return h.Handle(ctx, ev)
	}), nil
}

// openStore opens EI_DATA: a bucket (s3://NAME), or a folder.
func (s *settings) openStore(ctx context.Context) (blob.Store, error) {
	if aws.IsURL(s.Data) {
		return s.openBucket(ctx)
	}
	return blob.NewDir(s.Data)
}
