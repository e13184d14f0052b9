package api

import (
	"log/slog"
	"time"

	"net/http"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// defaultRuns is how many runs are listed where the client names no limit.
const defaultRuns = 20

// feeds serves GET /api/v1/feeds.
func (a *api) feeds(c *call) error {
	all, err := a.Feeds.List(c.r.Context())
	if err != nil {
		return err
	}
	if all == nil {
		all = []feed.View{}
	}
	return c.sendJSON(all)
}

// feed serves GET /api/v1/feeds/{id}.
func (a *api) feed(c *call) error {
	v, err := a.Feeds.Get(c.r.Context(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.sendJSON(v)
}

// runs serves GET /api/v1/feeds/{id}/runs.
func (a *api) runs(c *call) error {
	limit, err := c.limit(defaultRuns)
	if err != nil {
		return err
	}
	all, err := a.Feeds.Runs(c.r.Context(), c.r.PathValue("id"), limit)
	if err != nil {
		return err
	}
	if all == nil {
		all = []intel.Run{}
	}
	return c.sendJSON(all)
}

// reports serves GET /api/v1/feeds/report: what each feed that holds data adds to
// the others.
func (a *api) reports(c *call) error {
	all, err := a.reportsOf(c)
	if err != nil {
		return err
	}
	return c.sendJSON(all)
}

// report serves GET /api/v1/feeds/{id}/report.
func (a *api) report(c *call) error {
	one, err := a.reportsOf(c, c.r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.sendJSON(one[0])
}

// reportsOf asks for reports and cuts their overlaps. What takes long is done once
// after each run, for all who ask.
func (a *api) reportsOf(c *call, ids ...string) ([]feed.Report, error) {
	limit, err := c.limit(0)
	if err != nil {
		return nil, err
	}
	all, err := a.Feeds.Report(c.r.Context(), ids...)
	if err != nil {
		return nil, err
	}
	out := append([]feed.Report{}, all...)
	for i := range out {
		out[i].Cut(limit)
	}
	return out, nil
}

// run serves POST /api/v1/feeds/{id}/run: it answers when the run has ended,
// however long that takes. A client that hangs up ends the run, if it may be ended.
func (a *api) run(c *call) error {
	id := c.r.PathValue("id")
	a.Log.LogAttrs(c.r.Context(), slog.LevelInfo, "run asked for", slog.String("feed", id), slog.String("who", c.who), slog.String("request", c.id))
	c.unlimit()
	run, err := a.Feeds.Run(c.r.Context(), id, c.who)
	if err != nil {
		return err
	}
	body, err := appendJSON(nil, run)
	if err != nil {
		return err
	}
	c.limitWrite(time.Now())
	c.send(http.StatusOK, typeJSON, body)
	return nil
}
