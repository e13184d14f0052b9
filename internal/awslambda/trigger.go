package awslambda

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
)

// Trigger lets the function of the API have a feed run by the function that runs
// feeds: it publishes a job and waits for its row in the ledger.
type Trigger struct {
	Publish Publisher
	Runs    interface {
		RunsSince(ctx context.Context, feedID string, since time.Time) ([]intel.Run, error)
	}
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
	ID    func() string // what makes one job's id differ from all others'
}

// triggerPoll is the time between two looks into the ledger.
const triggerPoll = 500 * time.Millisecond

// Run is app.Feeds.Trigger. Where ctx ends first, the run goes on all the same.
func (t *Trigger) Run(ctx context.Context, job feed.Job) (intel.Run, error) {
	j := NewJob(job.Def.ID, t.Now())
	j.ID, j.Trigger, j.Who = j.ID+"-"+t.ID(), job.Trigger, job.Who
	if each, err := t.Publish.Publish(ctx, []Job{j}); err != nil || len(each) > 0 && each[0] != nil {
		return intel.Run{}, fmt.Errorf("the job could not be handed over: %w", errors.Join(append(each, err)...))
	}
	for {
		rows, err := t.Runs.RunsSince(ctx, job.Def.ID, j.Due.Add(-skew))
		for _, r := range rows {
			if r.Job == j.ID || pulled(r) && !r.Started.Before(j.Due) {
				return r, nil
			}
		}
		if err == nil {
			err = t.Sleep(ctx, triggerPoll)
		}
		if err != nil {
			return intel.Run{}, fmt.Errorf("%w: job %s was handed over and has not ended yet: %w", lookup.ErrEngine, j.ID, err)
		}
	}
}
