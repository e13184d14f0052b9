package app

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
)

// attendEvery is the time between two looks at the feeds' health; each run's end
// is another one.
const attendEvery = 30 * time.Second

// attend follows the feeds' health until the end: it says what no run's end says,
// and tells the receivers of alerts. Runs never wait for it.
func (a *App) attend() {
	tick := time.NewTicker(attendEvery)
	defer tick.Stop()
	said := map[string]feed.Class{}
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-a.ran:
		case <-tick.C:
		}
		if a.Ready() != nil {
			continue
		}
		a.sayHealth(said)
		if a.cfg.Offline {
			continue // its feeds are late because it pulls none
		}
		if err := a.alerts.Round(a.ctx); err != nil && a.ctx.Err() == nil {
			level := slog.LevelError
			if errors.Is(err, errNotTaken) {
				level = slog.LevelInfo // Alerts says it, once
			}
			a.cfg.Log.Log(a.ctx, level, "alerts", "error", err)
		}
	}
}

// ended makes attend look, without waiting for it.
func (a *App) ended() {
	select {
	case a.ran <- struct{}{}:
	default: // it will look anyway
	}
}

// sayHealth says how many feeds are in which class, and from then on which feed
// falls sick in a way that no run's end tells. said is what it said before.
func (a *App) sayHealth(said map[string]feed.Class) {
	views, err := a.feeds.List(a.ctx)
	if err != nil {
		return // Round says it
	}
	if len(said) == 0 {
		a.cfg.Say("Feeds: %s.%s", feed.Tally(views), sickOnes(views))
	}
	for i := range views {
		v := &views[i]
		was, is := said[v.ID], v.State.Status
		said[v.ID] = is
		if was != "" && was != is && is.Sick() && is != feed.ClassFailing && is != feed.ClassQuarantined {
			a.cfg.Say("%-28s %s: %s → %s", v.ID, is, v.State.Reason, v.State.Advice)
		}
	}
}

// mostNamed is how many sick feeds are named in one line.
const mostNamed = 12

func sickOnes(views []feed.View) string {
	var ids []string
	for i := range views {
		if views[i].State.Status.Sick() {
			ids = append(ids, views[i].ID)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	slices.Sort(ids)
	more := ""
	if len(ids) > mostNamed {
		ids, more = ids[:mostNamed], ", …"
	}
	return " `elasticintel feeds status` says more of " + strings.Join(ids, ", ") + more + "."
}
