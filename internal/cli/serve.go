package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	elasticintel "github.com/elasticintel/elasticintel"
	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/local"
)

func (p *program) serveCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Pull feeds on their schedules and answer look-ups over HTTP",
		Long: `Serves the HTTP API and pulls feeds on their schedules, until Ctrl-C or SIGTERM. The first line on stdout is the address.
A new data folder starts with the small dated snapshot that the program carries, so that it answers at once; with --feeds it
starts empty. One server per data folder; look-ups and ingest work beside it.

It asks registries who has the networks and domains that feeds list, a few questions every three minutes, and never about what is
looked up. --enrich off asks nobody.

It listens on this machine only. For other machines make a key first (elasticintel keys create NAME) and give the address:
--listen 0.0.0.0:7331.`,
		Example: `  elasticintel serve
  elasticintel serve --data /var/lib/elasticintel --listen 0.0.0.0:7331
  elasticintel serve --feeds ./my-feeds --listen :0`,
		Args: args(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context()) },
	}
	p.cfg.Bind(cmd.Flags(), append(append(alertFlags(), config.EngineFlags()...), "listen", "parallel", "keep-raw", "keep-history", "grace", "offline", "enrich", "enrich-budget")...)
	p.cfg.Bind(cmd.Flags(), config.EnrichFlags()...)
	return cmd
}

func (p *program) serve(ctx context.Context) error {
	p.serving = true
	x, err := p.openParts(ctx, true)
	if err != nil {
		return err
	}
	hooks, err := p.receivers(x.secrets, p.tempDir(x.folder))
	if err != nil {
		return err
	}
	x.folder.Corpus.ReadersFirst()
	unlock, err := local.LockServe(p.cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	keys := auth.New(x.folder.Store, p.now)
	ln, err := p.listen(ctx, keys)
	if err != nil {
		return err
	}
	c := p.appConfig(x, keys, ln)
	c.Receivers, c.AlertAfter = asReceivers(hooks), time.Duration(p.cfg.AlertAfter)
	if p.cfg.Enrich == config.EnrichOn && !p.cfg.Offline {
		turn, done, err := p.enrichTurn(x.folder, x.secrets, x.feeds.Facts, p.cfg.EnrichBudget, nil)
		if err != nil {
			return err
		}
		defer done()
		c.Enrich = turn
	}
	var a *app.App
	if p.cfg.Engine == "" {
		c.Follow = func(ctx context.Context) { p.followChoice(ctx, x, func(e app.Engine) { a.Use(e) }) }
	}
	a = app.New(c)
	a.Start()
	fmt.Fprintf(p.out.w, "http://%s\n", ln.Addr())
	if err := p.out.flush(); err != nil {
		return errors.Join(err, a.Stop())
	}
	p.talk.say("ElasticIntel %s serves %s on http://%s with %s. Ctrl-C stops it.", versionText(), p.cfg.Data, ln.Addr(), plural(len(x.catalogue.Current().All()), "feed"))
	if x.cluster != nil {
		p.talk.say("Look-ups are answered by the %s, which follows the data folder.", x.cluster.where)
	}
	select {
	case <-ctx.Done():
		p.talk.say("Stopping; runs under way may finish for %s.", span(app.StopWithin))
	case err = <-a.Failed():
	}
	if err = errors.Join(err, a.Stop()); err != nil {
		return err
	}
	p.talk.say("Stopped.")
	if errors.Is(context.Cause(ctx), errTerminated) {
		return nil // how service managers end a service
	}
	return exit(exitInterrupted)
}

func (p *program) listen(ctx context.Context, keys *auth.Keys) (net.Listener, error) {
	ln, err := app.Listen(ctx, p.cfg.Listen, keys.Any)
	var op *net.OpError
	switch {
	case errors.Is(err, app.ErrNeedsKey):
		return nil, configError(err, "Make one with `elasticintel keys create NAME`, or serve this machine only: --listen 127.0.0.1:7331.")
	case errors.As(err, &op):
		return nil, &failure{exitUnreachable, fmt.Errorf("cannot listen on %s: %w", p.cfg.Listen, op.Err), "Is it in use? --listen :0 picks a free port."}
	case err != nil:
		return nil, configError(err, "")
	}
	return ln, nil
}

func (p *program) appConfig(x *parts, keys *auth.Keys, ln net.Listener) app.Config {
	f := x.feeds.FeedsConfig
	f.Progress = func(g feed.Progress) { p.talk.progress(g, p.now()) }
	c := app.Config{
		Listener: ln, Feeds: f, Keys: keys, Parallel: p.cfg.Parallel, Offline: p.cfg.Offline, Version: versionText(), Log: p.log,
		Reload: x.catalogue.Reload, Say: p.talk.say,
		Tidy:      x.runner.Tidy,
		ReadAhead: func(ctx context.Context) error { return x.folder.Corpus.View().ReadAhead(ctx) },
		Housekeep: func(ctx context.Context, first bool) error { return p.housekeep(ctx, x, first) },
	}
	if x.follow != nil { // the folder's own engine is not asked
		c.Follow, c.ReadAhead = x.follow.Run, nil
	}
	if p.cfg.Feeds == "" {
		c.Starter = starter()
	}
	c.OnRun = func(r intel.Run, next time.Time) { p.sayRun(&r, next) }
	return c
}

// sayRun tells of a finished run; of a failure also when it is tried again.
func (p *program) sayRun(r *intel.Run, next time.Time) {
	p.talk.finished(r.Feed)
	text := runText(r)
	if r.Status == intel.RunFailed && !next.IsZero() {
		text += fmt.Sprintf("; next try at %s (in %s)", next.Format("15:04:05Z"), span(max(0, next.Sub(p.now()))))
	}
	if r.Status == intel.RunQuarantined {
		text += fmt.Sprintf("; `elasticintel feeds approve %s` takes it up, `feeds reject %s` drops it", r.Feed, r.Feed)
	}
	p.talk.say("%s", text)
}

// housekeep mends what a killed process left and deletes what nothing needs.
func (p *program) housekeep(ctx context.Context, x *parts, first bool) error {
	now := p.now()
	x.folder.CleanTemp(24*time.Hour, now)
	var repaired error
	if first {
		repaired = x.runner.Repair(ctx)
	}
	return errors.Join(repaired, x.folder.Corpus.Sweep(ctx, now, time.Duration(p.cfg.Grace)))
}

// starter is the data that the program carries.
func starter() []app.Snapshot {
	files, err := elasticintel.Starter()
	if err != nil {
		return nil // a test of the root package reads it: it cannot be wrong here
	}
	fsys := elasticintel.StarterFS()
	var list []app.Snapshot
	for _, s := range files {
		list = append(list, app.Snapshot{Feed: s.Feed, Date: s.Date, Open: func() (io.ReadCloser, error) { return fsys.Open(s.File) }})
	}
	return list
}
