package awslambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
)

// Due knows which feeds are to be run. *app.Feeds is one.
type Due interface {
	DueWithin(ctx context.Context, now time.Time, ahead time.Duration) ([]feed.Job, error)
}

const (
	// ahead is how much earlier than its interval says a feed may be pulled: a run
	// begins some moments after the tick that asked for it, so that at the tick an
	// interval later it is not quite due, and would be pulled every second time only.
	ahead = 4 * time.Minute
	// publishTries is how often a job is offered to the topic.
	publishTries = 3
)

// Scheduler answers a tick: a job for each feed that is due.
type Scheduler struct {
	Feeds   Due
	Publish Publisher
	Now     func() time.Time
	Log     *slog.Logger
	Sleep   func(ctx context.Context, d time.Duration) error // between tries
}

// Handle publishes what is due. What the topic did not take is an error that names
// the feeds; the tick may be repeated, since the same tick makes the same jobs, and
// what is lost for good is due at the next one.
func (s *Scheduler) Handle(ctx context.Context, e Event) (Reply, error) {
	at := tickTime(e.Body, s.Now())
	due, err := s.Feeds.DueWithin(ctx, s.Now(), ahead)
	if err != nil {
		return Reply{}, fmt.Errorf("what is due could not be found out: %w", err)
	}
	jobs := make([]Job, len(due))
	for i, d := range due {
		jobs[i] = NewJob(d.Def.ID, at)
	}
	var lost []string
	for batch := range slices.Chunk(jobs, MostBatch) {
		ids, why := s.send(ctx, batch)
		lost, err = append(lost, ids...), errors.Join(err, why)
	}
	s.Log.LogAttrs(ctx, slog.LevelInfo, "schedule", slog.String("request", e.ID), slog.Time("at", at), slog.Int("due", len(jobs)),
		slog.Int("published", len(jobs)-len(lost)), slog.Any("lost", lost))
	if len(lost) > 0 {
		return Reply{}, fmt.Errorf("%d of %d jobs were not taken by the topic (%s): %w", len(lost), len(jobs), strings.Join(lost, ", "), err)
	}
	body, err := json.Marshal(map[string]any{"at": at, "due": len(jobs), "published": len(jobs)})
	return Reply{JSON: body}, err
}

// send publishes a batch, again what was not taken, and returns what never was.
func (s *Scheduler) send(ctx context.Context, batch []Job) (lost []string, why error) {
	for try := 1; ; try++ {
		each, err := s.Publish.Publish(ctx, batch)
		var left []Job
		why = err
		for i, job := range batch {
			if err != nil || i >= len(each) || each[i] != nil {
				left = append(left, job)
			}
			if err == nil && i < len(each) && each[i] != nil {
				why = each[i]
			}
		}
		batch = left
		if len(batch) == 0 {
			return nil, nil
		}
		if try == publishTries || s.Sleep(ctx, time.Duration(try)*200*time.Millisecond) != nil {
			break
		}
	}
	for _, job := range batch {
		lost = append(lost, job.Feed)
	}
	return lost, why
}

// tickTime is the time that a tick was meant for: what EventBridge put into the
// event, or the clock to the minute where that was not filled in (an emulator) or
// is not of today.
func tickTime(event []byte, now time.Time) time.Time {
	var e struct {
		At   string `json:"at"`
		Time string `json:"time"`
	}
	_ = json.Unmarshal(event, &e) // the route has read it
	for _, text := range []string{e.At, e.Time} {
		if t, err := time.Parse(time.RFC3339, text); err == nil && !t.After(now.Add(time.Minute)) && now.Sub(t) < 24*time.Hour {
			return t.UTC()
		}
	}
	return now.UTC().Truncate(time.Minute)
}
