package app

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
)

// feedGauge is one metric with a value a feed; false = this feed has none.
type feedGauge struct {
	name, help string
	value      func(*feed.View) (float64, bool)
}

func feedGauges() []feedGauge {
	at := func(t *time.Time) (float64, bool) {
		if t == nil {
			return 0, false
		}
		return float64(t.UnixMilli()) / 1000, true
	}
	flag := func(b bool) (float64, bool) {
		if b {
			return 1, true
		}
		return 0, true
	}
	return []feedGauge{
		{"ei_feed_enabled", "Whether the feed is pulled.", func(v *feed.View) (float64, bool) { return flag(v.Enabled) }},
		{"ei_feed_failures", "Failed runs in a row.", func(v *feed.View) (float64, bool) { return float64(v.State.Failures), true }},
		{"ei_feed_health_since_timestamp_seconds", "When the feed went into the class of health that it is in.", func(v *feed.View) (float64, bool) { return at(v.State.Since) }},
		{"ei_feed_last_good_timestamp_seconds", "When the last good run ended.", func(v *feed.View) (float64, bool) { return at(v.State.LastGood) }},
		{"ei_feed_last_run_timestamp_seconds", "When the last run was, good or not.", func(v *feed.View) (float64, bool) { return at(v.State.LastRun) }},
		{"ei_feed_listings", "Listings open now.", func(v *feed.View) (float64, bool) { return float64(v.State.Listings), true }},
		{"ei_feed_next_run_timestamp_seconds", "When the feed is due next.", func(v *feed.View) (float64, bool) { return at(v.State.Next) }},
		{"ei_feed_quarantined", "Whether a run waits for a person's decision.", func(v *feed.View) (float64, bool) { return flag(v.State.Quarantined != "") }},
	}
}

// Measured is an Engine with metrics of its own. It is optional.
type Measured interface {
	// WriteMetrics writes them in the Prometheus text format.
	WriteMetrics(ctx context.Context, w io.Writer)
}

// WriteMetrics writes the feeds' gauges in the Prometheus text format. What
// cannot be read is left out: a scrape must not fail as a whole.
func (f *Feeds) WriteMetrics(ctx context.Context, w io.Writer) {
	views, err := f.List(ctx)
	if err != nil {
		return
	}
	var b strings.Builder
	for _, g := range feedGauges() {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", g.name, g.help, g.name)
		for i := range views {
			if v, ok := g.value(&views[i]); ok {
				fmt.Fprintf(&b, "%s{feed=%q} %g\n", g.name, views[i].ID, v)
			}
		}
	}
	writeHealth(&b, views)
	_, _ = io.WriteString(w, b.String())
}

// writeHealth writes the classes of health as a state set: a series for each
// class, 1 for the feed's own. So a series never ends and begins anew when a feed
// changes its class, and a rule can say for how long it has been in one.
func writeHealth(b *strings.Builder, views []feed.View) {
	const name = "ei_feed_health"
	fmt.Fprintf(b, "# HELP %s How the feed is doing: 1 for the class that it is in, 0 for the others.\n# TYPE %s gauge\n", name, name)
	for i := range views {
		for _, c := range feed.Classes() {
			is := 0
			if views[i].State.Status == c {
				is = 1
			}
			fmt.Fprintf(b, "%s{feed=%q,class=%q} %d\n", name, views[i].ID, c, is)
		}
	}
}
