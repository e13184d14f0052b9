package awslambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Runner runs feeds and keeps their ledger. *ingest.Runner is one.
type Runner interface {
	Run(ctx context.Context, job feed.Job) (intel.Run, error)
	// RunsSince lists a feed's ledger from an instant on.
	RunsSince(ctx context.Context, feedID string, since time.Time) ([]intel.Run, error)
}

// Ingest answers messages of the queue: a run for each job.
type Ingest struct {
	// Definition finds a feed, or says that there is none with this id.
	Definition func(id string) (*feed.Definition, error)
	Runner     Runner
	// Publish takes the further job of a run that was handed over; nil: a run has to
	// end within one event.
	Publish Publisher
	// After does what a run leaves to be done, until ctx ends; nil: nothing.
	After func(ctx context.Context, run intel.Run) error
	Now   func() time.Time
	Log   *slog.Logger
}

const (
	// writeDown is the time that is kept for recording a run that was cut off.
	writeDown = 10 * time.Second
	// leastShare of an event's time must be left for a further job to be begun.
	leastShare = 3
	// skew is how far the clocks of those who make jobs and who run them may differ.
	skew = time.Minute
)

// sqsEvent is what a queue hands over.
type sqsEvent struct {
	Records []struct {
		MessageID  string            `json:"messageId"`
		Body       string            `json:"body"`
		Attributes map[string]string `json:"attributes"`
	} `json:"Records"`
}

// sqsReply says which messages come again. The list is never null, which a queue
// could take for anything.
type sqsReply struct {
	Failures []sqsFailure `json:"batchItemFailures"`
}

type sqsFailure struct {
	ID string `json:"itemIdentifier"`
}

// Handle runs the jobs of a batch, one after the other. A message that is no job,
// or whose run could not be recorded, fails alone and comes again until the queue
// puts it aside; a run that failed and is in the ledger is done: the schedule
// repeats it. When too little time is left the rest is handed back untouched.
func (g *Ingest) Handle(ctx context.Context, e Event) (Reply, error) {
	var ev sqsEvent
	if err := json.Unmarshal(e.Body, &ev); err != nil {
		return Reply{}, fmt.Errorf("the batch cannot be read: %w", err)
	}
	reply := sqsReply{Failures: []sqsFailure{}}
	start, total := g.Now(), g.left(ctx)
	for i, m := range ev.Records {
		l := line{start: g.Now(), receives: m.Attributes["ApproximateReceiveCount"], message: m.MessageID}
		switch {
		case i > 0 && g.left(ctx) < total/leastShare:
			l.outcome, l.err = "handed back", errors.New("too little of the function's time is left")
		default:
			g.one(ctx, &l, m.Body, i == 0)
		}
		if l.err != nil {
			reply.Failures = append(reply.Failures, sqsFailure{m.MessageID})
		}
		g.say(ctx, e.ID, &l)
	}
	g.Log.LogAttrs(ctx, slog.LevelDebug, "batch", slog.String("request", e.ID), slog.Int("messages", len(ev.Records)), slog.Int("failures", len(reply.Failures)), slog.Duration("took", g.Now().Sub(start)))
	body, err := json.Marshal(reply)
	return Reply{JSON: body}, err
}

// left is how much time there is until the function is ended.
func (g *Ingest) left(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return time.Hour
	}
	return end.Sub(g.Now())
}

// line is what the log says of one message.
type line struct {
	message, receives string
	job               Job
	run               intel.Run
	outcome           string // done, known, overtaken, handed back, failed
	note              string // what else is to be known of it
	err               error  // why the message comes again
	start             time.Time
}

func (g *Ingest) say(ctx context.Context, request string, l *line) {
	level, attrs := slog.LevelInfo, []slog.Attr{slog.String("request", request), slog.String("message", l.message), slog.String("job", l.job.ID), slog.String("feed", l.job.Feed),
		slog.String("outcome", l.outcome), slog.Duration("took", g.Now().Sub(l.start))}
	if l.receives != "" && l.receives != "1" {
		attrs = append(attrs, slog.String("receives", l.receives))
	}
	if r := &l.run; r.ID != "" {
		attrs = append(attrs, slog.String("run", r.ID), slog.String("status", string(r.Status)), slog.String("code", r.Code), slog.String("reason", r.Reason),
			slog.Int64("bytes", r.Bytes), slog.Int("read", r.Read), slog.Int("accepted", r.Accepted), slog.Int("rejected", r.Rejected), slog.Int("listed", r.Open))
	}
	if l.run.Parts > 0 {
		attrs = append(attrs, slog.Int("parts", l.run.Parts))
	}
	if l.note != "" {
		attrs = append(attrs, slog.String("note", l.note))
	}
	if l.err != nil {
		level, attrs = slog.LevelError, append(attrs, slog.String("error", l.err.Error()))
	}
	g.Log.LogAttrs(ctx, level, "job", attrs...)
}

// one does a job and notes in l what came of it. alone says that it has all of the
// event's time: one that was begun late and does not end is handed back instead of
// being a failure of the feed. A panic over what a stranger's feed holds fails this
// job only.
func (g *Ingest) one(ctx context.Context, l *line, body string, alone bool) {
	defer func() {
		if p := recover(); p != nil {
			l.outcome, l.err = "failed", fmt.Errorf("the run panicked: %v", p)
			g.Log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("job", l.job.ID), slog.String("stack", string(debug.Stack())))
		}
	}()
	var def *feed.Definition
	l.outcome = "failed"
	if l.job, l.err = decodeJob(body); l.err != nil {
		return
	}
	if def, l.err = g.Definition(l.job.Feed); l.err != nil {
		return
	}
	known, err := g.known(ctx, l.job)
	if l.err = err; err != nil {
		return
	} else if known != "" {
		l.outcome = known
		return
	}
	trigger := l.job.Trigger
	if trigger == "" {
		trigger = feed.TriggerSchedule
	}
	cause := ingest.ErrTimeLimit
	if !alone {
		cause = context.DeadlineExceeded
	}
	work, cancel := context.WithTimeoutCause(ctx, g.left(ctx)-min(writeDown, g.left(ctx)/4), cause)
	defer cancel()
	l.run, l.err = g.Runner.Run(work, feed.Job{Def: def, Trigger: trigger, Who: l.job.Who, ID: l.job.ID, HandOver: g.Publish != nil})
	switch {
	case errors.Is(l.err, ingest.ErrHandedOver):
		l.outcome, l.note = "handed over", l.err.Error()
		l.err = g.handOver(ctx, l.job, l.run.Parts+1)
		return
	case errors.Is(l.err, ingest.ErrElsewhere):
		l.outcome, l.note, l.err, l.run = "elsewhere", l.err.Error(), nil, intel.Run{}
		return
	case l.err != nil:
		l.run = intel.Run{} // it is recorded nowhere
		return
	}
	l.outcome = "done"
	if g.After != nil {
		if err := g.After(work, l.run); err != nil { // the run stands; who comes next does it
			g.Log.LogAttrs(ctx, slog.LevelWarn, "what follows a run was not done", slog.String("job", l.job.ID), slog.String("error", err.Error()))
		}
	}
}

// handOver publishes the job of the next part. Where that fails the message of this
// one comes again, and its run goes on as that of the next would.
func (g *Ingest) handOver(ctx context.Context, j Job, part int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeDown) // what was kept must be told of, while there is a process
	defer cancel()
	j.Part = part
	each, err := g.Publish.Publish(ctx, []Job{j})
	if err = errors.Join(append(each, err)...); err != nil {
		return fmt.Errorf("the job of part %d could not be published: %w", part, err)
	}
	return nil
}

// known says whether a job need not be run, and why: "known" where the ledger has
// it, "overtaken" where the feed was pulled after it was due, "" where neither.
func (g *Ingest) known(ctx context.Context, j Job) (string, error) {
	rows, err := g.Runner.RunsSince(ctx, j.Feed, j.Due.Add(-skew))
	if err != nil {
		return "", fmt.Errorf("the ledger of %s cannot be read: %w", j.Feed, err)
	}
	why := ""
	for _, r := range rows {
		switch {
		case r.Job == j.ID:
			return "known", nil
		case j.Part == 0 && pulled(r) && !r.Started.Before(j.Due): // what was handed over ends with a row of its own
			why = "overtaken"
		}
	}
	return why, nil
}

// pulled says whether a row of the ledger is of a pull, and not of a decision, of
// starter data or of a file.
func pulled(r intel.Run) bool {
	switch r.Trigger {
	case ingest.TriggerApprove, ingest.TriggerReject, ingest.TriggerStarter, ingest.TriggerFile:
		return false
	}
	return r.Status != intel.RunSuperseded
}
