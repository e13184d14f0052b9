package awslambda

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
)

// Lister knows how feeds are doing. *app.Feeds is one.
type Lister interface {
	List(ctx context.Context) ([]feed.View, error)
}

// Health answers a tick: the feeds' health as metrics, and alerts.
type Health struct {
	Feeds Lister
	// Alerts tells receivers what changed; nil: there are none.
	Alerts func(ctx context.Context) error
	// Behind names the feeds of which the index has not what the store has; nil: there
	// is no index.
	Behind func(ctx context.Context) ([]string, error)
	// Namespace is that of the metrics in CloudWatch.
	Namespace string
	Now       func() time.Time
	Log       *slog.Logger // JSON lines on stdout, which CloudWatch reads metrics from
}

// metric is one metric with its value.
type metric struct {
	name, unit string
	value      float64
}

// Handle writes one line in CloudWatch's embedded metric format. Each metric is
// paid for, so they are few and have no dimensions; the count of every class of
// health stands beside them in the line, where a query of the log finds it.
func (h *Health) Handle(ctx context.Context, e Event) (Reply, error) {
	views, err := h.Feeds.List(ctx)
	if err != nil {
		return Reply{}, fmt.Errorf("the state of the feeds cannot be read: %w", err)
	}
	classes, metrics := tally(views, h.Now())
	attrs := []slog.Attr{slog.String("request", e.ID), slog.Any("classes", classes), slog.Any("sick", sickOnes(views))}
	if h.Behind != nil {
		more, said := h.index(ctx)
		metrics, attrs = append(metrics, more...), append(attrs, said)
	}
	names := make([]map[string]string, len(metrics))
	for i, m := range metrics {
		names[i] = map[string]string{"Name": m.name, "Unit": m.unit}
		attrs = append(attrs, slog.Float64(m.name, m.value))
	}
	attrs = append(attrs, slog.Any("_aws", map[string]any{"Timestamp": h.Now().UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{"Namespace": h.Namespace, "Dimensions": [][]string{{}}, "Metrics": names}}}))
	h.Log.LogAttrs(ctx, slog.LevelInfo, "health", attrs...)
	if h.Alerts != nil {
		if err := h.Alerts(ctx); err != nil {
			return Reply{}, fmt.Errorf("alerts: %w", err)
		}
	}
	body, err := json.Marshal(map[string]any{"feeds": len(views), "classes": classes})
	return Reply{JSON: body}, err
}

// index says how the index stands to the store. Where that cannot be found out it
// says so, and counts nothing.
func (h *Health) index(ctx context.Context) ([]metric, slog.Attr) {
	behind, err := h.Behind(ctx)
	if err != nil {
		return []metric{{"IndexFailing", "Count", 1}}, slog.String("index_error", err.Error())
	}
	if behind == nil {
		behind = []string{}
	}
	return []metric{{"IndexFailing", "Count", 0}, {"IndexBehind", "Count", float64(len(behind))}}, slog.Any("index_behind", behind)
}

// tally counts the feeds by class and makes the metrics.
func tally(views []feed.View, now time.Time) (map[feed.Class]int, []metric) {
	classes := map[feed.Class]int{}
	for _, c := range feed.Classes() {
		classes[c] = 0
	}
	var sick, listings int
	var newest time.Time
	for i := range views {
		s := &views[i].State
		classes[s.Status]++
		listings += s.Listings
		if s.Status.Sick() {
			sick++
		}
		if s.LastGood != nil && s.LastGood.After(newest) {
			newest = *s.LastGood
		}
	}
	all := []metric{
		{"FeedsHealthy", "Count", float64(classes[feed.ClassHealthy])},
		{"FeedsSick", "Count", float64(sick)},
		{"FeedsFailing", "Count", float64(classes[feed.ClassFailing])},
		{"FeedsQuarantined", "Count", float64(classes[feed.ClassQuarantined])},
		{"FeedsStale", "Count", float64(classes[feed.ClassStale])},
		{"Listings", "Count", float64(listings)},
	}
	if !newest.IsZero() { // else there is no data that could be old
		all = append(all, metric{"NewestDataAge", "Seconds", max(0, now.Sub(newest).Seconds())})
	}
	return classes, all
}

// sickOnes names the feeds that are not well.
func sickOnes(views []feed.View) []string {
	ids := []string{}
	for i := range views {
		if views[i].State.Status.Sick() {
			ids = append(ids, views[i].ID)
		}
	}
	return ids
}
