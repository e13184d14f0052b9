package awslambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/feed"
)

var noon = time.Date(2026, 11, 30, 12, 0, 7, 0, time.UTC)

// due is a number of feeds that are due.
type due int

func (n due) DueWithin(_ context.Context, now time.Time, ahead time.Duration) (jobs []feed.Job, err error) {
	if n < 0 {
		return nil, errors.New("503")
	}
	if !now.Equal(noon) || ahead <= 0 {
		return nil, fmt.Errorf("asked what is due at %v within %v", now, ahead)
	}
	for i := range n {
		jobs = append(jobs, feed.Job{Def: &feed.Definition{ID: fmt.Sprintf("f%02d", i)}})
	}
	return jobs, nil
}

// board takes jobs, unless fail says that it does not at this try.
type board struct {
	fail  func(try int, feed string) bool
	down  int // so many calls fail as a whole
	calls []int
	got   []awslambda.Job
	tries map[string]int
}

func (b *board) Publish(_ context.Context, jobs []awslambda.Job) ([]error, error) {
	b.calls = append(b.calls, len(jobs))
	if b.down > 0 {
		b.down--
		return nil, errors.New("throttled")
	}
	if b.tries == nil {
		b.tries = map[string]int{}
	}
	each := make([]error, len(jobs))
	for i, j := range jobs {
		b.tries[j.Feed]++
		if b.fail != nil && b.fail(b.tries[j.Feed], j.Feed) {
			each[i] = errors.New("InternalError")
		} else {
			b.got = append(b.got, j)
		}
	}
	return each, nil
}

func TestScheduler(t *testing.T) {
	const tick = `{"at":"2026-11-30T12:00:00Z"}`
	for name, c := range map[string]struct {
		due   due
		event string
		board board
		calls []int
		err   string
		id    string // of the first job
	}{
		"nothing is due":  {due: 0, event: tick},
		"batches of ten":  {due: 23, event: tick, calls: []int{10, 10, 3}, id: "f00@2026-11-30T12:00:00Z"},
		"not substituted": {due: 1, event: `{"at":"<aws.scheduler.scheduled-time>"}`, calls: []int{1}, id: "f00@2026-11-30T12:00:00Z"},
		"of a rule":       {due: 1, event: `{"detail-type":"Scheduled Event","time":"2026-11-30T11:00:00Z"}`, calls: []int{1}, id: "f00@2026-11-30T11:00:00Z"},
		"of the future":   {due: 1, event: `{"at":"2036-11-30T11:00:00Z"}`, calls: []int{1}, id: "f00@2026-11-30T12:00:00Z"},
		"one twice": {due: 12, event: tick, calls: []int{10, 1, 2}, board: board{fail: func(try int, f string) bool { return f == "f03" && try == 1 }},
			id: "f00@2026-11-30T12:00:00Z"},
		"one never": {due: 12, event: tick, calls: []int{10, 1, 1, 2}, board: board{fail: func(_ int, f string) bool { return f == "f03" }},
			err: "1 of 12 jobs were not taken by the topic (f03): InternalError", id: "f00@2026-11-30T12:00:00Z"},
		"throttled once": {due: 2, event: tick, calls: []int{2, 2}, board: board{down: 1}, id: "f00@2026-11-30T12:00:00Z"},
		"down":           {due: 2, event: tick, calls: []int{2, 2, 2}, board: board{down: 99}, err: "2 of 2 jobs were not taken by the topic (f00, f01): throttled"},
		"store down":     {due: -1, event: tick, err: "what is due could not be found out: 503"},
	} {
		t.Run(name, func(t *testing.T) {
			s := awslambda.Scheduler{Feeds: c.due, Publish: &c.board, Now: func() time.Time { return noon }, Log: quiet(), Sleep: func(context.Context, time.Duration) error { return nil }}
			r, err := s.Handle(t.Context(), awslambda.Event{Body: []byte(c.event)})
			if fmt.Sprint(err) != c.err && (err != nil || c.err != "") {
				t.Errorf("error %v", err)
			}
			if err == nil && !strings.Contains(string(r.JSON), fmt.Sprintf(`"published":%d`, c.due)) {
				t.Errorf("reply %s", r.JSON)
			}
			if !slices.Equal(c.board.calls, c.calls) {
				t.Errorf("batches %v", c.board.calls)
			}
			if c.id != "" && c.board.got[0].ID != c.id {
				t.Errorf("job %+v", c.board.got[0])
			}
			want := int(max(c.due, 0))
			if strings.Contains(c.err, "f03") {
				want--
			} else if c.err != "" {
				want = 0
			}
			if len(c.board.got) != want {
				t.Errorf("%d jobs arrived", len(c.board.got))
			}
		})
	}
}

func TestJob_IsAsAgreed(t *testing.T) {
	b, err := json.Marshal(awslambda.NewJob("urlhaus", time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)))
	if want := `{"id":"urlhaus@2026-11-30T23:00:00Z","feed":"urlhaus","due":"2026-11-30T23:00:00Z"}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}
