package awslambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
)

// Job is the message that asks for one run of a feed. The ID decides whether it
// was done: two messages with one ID ask for one run.
type Job struct {
	ID      string    `json:"id"`   // FEED@DUE for a job of the schedule
	Feed    string    `json:"feed"` // id in the catalogue
	Due     time.Time `json:"due"`
	Trigger string    `json:"trigger,omitempty"` // "" = schedule
	Who     string    `json:"who,omitempty"`     // who asked for it
	Part    int       `json:"part,omitempty"`    // to be done, from 2, of a run that was handed over
}

// NewJob is the job of the schedule for a feed that was due at a time.
func NewJob(feed string, due time.Time) Job {
	due = due.UTC().Truncate(time.Second)
	return Job{ID: feed + "@" + due.Format(time.RFC3339), Feed: feed, Due: due}
}

// decodeJob reads the body of a message of the queue: the job itself (raw delivery)
// or what SNS wraps around it. Unknown members are refused: they may mean something.
func decodeJob(body string) (Job, error) {
	var wrapped struct {
		Type    string  `json:"Type"`
		Message *string `json:"Message"`
	}
	if err := json.Unmarshal([]byte(body), &wrapped); err == nil && wrapped.Type == "Notification" && wrapped.Message != nil {
		body = *wrapped.Message
	}
	var j Job
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return j, fmt.Errorf("the message is no job: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return j, errors.New("the message is no job: something follows it")
	}
	switch err := blob.CheckKey(j.Feed); {
	case j.ID == "" || len(j.ID) > 500:
		return j, errors.New("the message is no job: its id is empty or longer than 500 bytes")
	case err != nil:
		return j, fmt.Errorf("the message is no job: feed: %w", err)
	case j.Due.IsZero():
		return j, errors.New("the message is no job: it does not say when it was due")
	case j.Part < 0:
		return j, fmt.Errorf("the message is no job: part %d", j.Part)
	}
	return j, nil
}

// MostBatch is how many jobs a Publisher is given at once.
const MostBatch = 10

// Publisher hands jobs to the topic that the queue of ingest listens to.
type Publisher interface {
	// Publish sends at most MostBatch jobs. It returns an error for each, nil for those
	// that the topic took; the second error says that none was. A job may arrive twice.
	Publish(ctx context.Context, jobs []Job) (each []error, err error)
}
