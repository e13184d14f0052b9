package ingest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Triggers that this package gives to runs itself.
const (
	TriggerManual  = "manual"
	TriggerFile    = "file"
	TriggerStarter = "starter"
	TriggerApprove = "approve"
	TriggerReject  = "reject"
)

// CodeTimeLimit is the Code of a run that ErrTimeLimit ended.
const CodeTimeLimit = "time-limit"

// recordTime is how long writing down the end of a run may take after the
// caller has given up: what was committed must reach the ledger.
const recordTime = 30 * time.Second

// ErrNothingQuarantined says that there is no run to approve or reject.
var ErrNothingQuarantined = errors.New("no quarantined run")

// ErrDecided says that a run was decided about in the other way.
var ErrDecided = errors.New("was decided already")

// ErrTimeLimit as the cause of a context's end says that the run took longer than
// it may where it runs: then it is no abandoned run but a failed one, which the
// ledger has.
var ErrTimeLimit = errors.New("the run took longer than it may here")

// Fetcher downloads. *fetch.Client is one; its errors are *fetch.Error.
type Fetcher interface {
	Do(ctx context.Context, req fetch.Request) (*fetch.Result, error)
}

// Config says what a Runner works with. Store and Corpus are required, Fetch
// for jobs without a file.
type Config struct {
	Store   blob.Store
	Corpus  *corpus.Corpus
	Fetch   Fetcher
	Secret  func(name string) (string, bool) // nil: there are none
	Now     func() time.Time                 // default time.Now
	Log     *slog.Logger                     // default: discard
	KeepRaw time.Duration                    // raw bytes older than this are deleted; 0 keeps them for ever
	// KeepHistory is how long closed listings are kept after their last change; 0 keeps them for ever.
	KeepHistory time.Duration
	// KeepHistoryOf is how long one feed's are kept instead; 0: KeepHistory holds. nil: no feed has a time of its own.
	KeepHistoryOf func(feed string) time.Duration
	TempDir       string    // for spooled input; default os.TempDir()
	Rand          io.Reader // for run ids; default crypto/rand
	// Sleep waits between the requests of one pull, where a provider wants that; default a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Runner runs feeds and keeps their ledger. It is safe for concurrent use, and
// several processes may run feeds on one store.
type Runner struct{ cfg Config }

// New makes a Runner. It touches nothing.
func New(cfg Config) *Runner {
	if cfg.Secret == nil {
		cfg.Secret = func(string) (string, bool) { return "", false }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &Runner{cfg: cfg}
}

// Run does one run of a feed. A feed that cannot be fetched, read or accepted is
// no error but a Run whose Status, Code and Reason say so. An error means that
// the run could not be recorded (disk full, read-only folder, …) or that ctx
// ended; then nothing that is served has changed, or Repair completes it.
//
// A run of a job with HandOver that ErrTimeLimit ends may return ErrHandedOver; then
// the same job goes on with it, and until that ends there is no row. ErrElsewhere
// says that there is nothing to do. With either, nothing is recorded.
//
// Starter data (job.Snapshot) is only for a feed that has no data yet; for
// another one Run does and records nothing and returns RunUnchanged.
func (r *Runner) Run(ctx context.Context, job feed.Job) (intel.Run, error) {
	a, err := r.begin(ctx, job.Def, triggerOf(job))
	a.job, a.run.Who, a.run.Job = job, job.Who, job.ID
	if err == nil && job.Snapshot != "" && a.head != nil {
		a.run.Status, a.run.Code = intel.RunUnchanged, "has-data"
		a.run.Reason = "starter data is only for a feed that has none"
		return a.run, nil
	}
	if err == nil && job.HandOver {
		known := false
		if known, err = a.takeUp(ctx); known || errors.Is(err, ErrElsewhere) {
			return a.run, err
		}
	}
	switch {
	case err != nil:
	case a.relay.note != nil:
		err = a.goOn(ctx)
	default:
		err = a.pull(ctx)
	}
	if a.mayHandOver(ctx, err) {
		return a.handOver(ctx)
	}
	return a.finish(ctx, err)
}

func triggerOf(job feed.Job) string {
	switch {
	case job.Snapshot != "":
		return TriggerStarter
	case job.Trigger != "":
		return job.Trigger
	case job.File != "" || job.Open != nil:
		return TriggerFile
	}
	return TriggerManual
}

// attempt is one run, or one decision, in progress.
type attempt struct {
	*Runner
	def  *feed.Definition
	job  feed.Job
	run  intel.Run
	head *corpus.Head // what is current, nil where there is nothing
	etag string       // of head
	st   feed.State

	secrets   []string      // never to be written anywhere
	wait      time.Duration // the publisher's Retry-After
	archived  bool          // new raw bytes are stored
	tidied    int           // so often the head was tidied meanwhile
	committed bool          // the head is written: the run must reach the ledger
	doubt     bool          // the head may be written
	relay     relay
}

// begin reads what is known of the feed. It writes the ledger row of an earlier
// run that was killed before it could, because the next head will forget it.
func (r *Runner) begin(ctx context.Context, d *feed.Definition, trigger string) (*attempt, error) {
	a := &attempt{Runner: r, def: d}
	a.run = intel.Run{Feed: d.ID, Trigger: trigger, Started: r.now(), Status: intel.RunFailed}
	if err := blob.CheckKey(d.ID); err != nil {
		return a, fmt.Errorf("feed %q cannot be stored: %w", d.ID, err)
	}
	var tail [4]byte
	if _, err := io.ReadFull(r.cfg.Rand, tail[:]); err != nil {
		return a, fmt.Errorf("make a run id: %w", err)
	}
	a.run.ID = a.run.Started.Format(idTime) + "-" + hex.EncodeToString(tail[:])
	var err error
	if a.st, err = r.state(ctx, d.ID); err != nil {
		return a, storeFailure(err)
	}
	if a.head, a.etag, err = r.cfg.Corpus.Head(ctx, d.ID); err != nil {
		f := storeFailure(err) // a new head instead of the broken one would lose the history
		f.reason += "; the feed's listings stay as they are: run `elasticintel verify`, then restore heads/" + d.ID + ".json from a backup, or remove it to begin anew without its history"
		return a, f
	}
	if a.head != nil && a.st.LastRun.ID != a.head.Run.ID {
		if a.st, err = r.repairFeed(ctx, a.head, a.st, d); err != nil {
			return a, storeFailure(err)
		}
	}
	return a, nil
}

// idTime is how run ids start; their first 8 digits name the ledger's day file.
const idTime = "20060102T150405.000Z"

// finish records how the run ended and returns it.
func (a *attempt) finish(ctx context.Context, err error) (intel.Run, error) {
	if err != nil && !a.committed && !a.doubt && errors.Is(context.Cause(ctx), ErrTimeLimit) {
		err = a.tooLong()
	}
	var f *failure
	if failed := errors.As(err, &f); failed {
		a.run.Status, a.run.Code, a.run.Reason = intel.RunFailed, f.code, a.redact(f.reason)
		a.run.HTTPStatus, a.wait = max(a.run.HTTPStatus, f.http), f.wait
	} else if err != nil {
		a.run.Status, a.run.Reason = intel.RunFailed, a.redact(err.Error())
		return a.run, err
	}
	if !a.committed {
		if ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrTimeLimit) {
			return a.run, ctx.Err()
		}
		a.run.Finished = a.clock()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	before := a.st.LastAttempt
	if err := a.record(ctx, a.run, a.wait); err != nil {
		if f != nil {
			err = fmt.Errorf("%s (and that could not be recorded: %w)", a.run.Reason, err)
		}
		return a.run, err
	}
	a.drop(ctx)
	if a.archived || before.YearDay() != a.run.Started.YearDay() { // enough to keep the retention, and lists seldom
		a.prune(ctx)
	}
	a.cfg.Log.InfoContext(ctx, "run", "feed", a.run.Feed, "run", a.run.ID, "status", a.run.Status, "code", a.run.Code, "reason", a.run.Reason)
	return a.run, nil
}

// tooLong is the failure of a run that was cut off by a time limit.
func (a *attempt) tooLong() *failure {
	what := "nothing of it had been read"
	switch st := &a.relay.state; {
	case a.relay.part >= MaxParts:
		what = fmt.Sprintf("%d of %d shards were done in %d parts, the most there may be", len(st.Done), st.Shards, a.relay.part)
	case a.relay.part > 1 && st.Shards == 0:
		what = fmt.Sprintf("part %d had not parsed the list again", a.relay.part)
	case a.relay.part > 1:
		what = fmt.Sprintf("part %d got no further than %d of %d shards", a.relay.part, len(st.Done), st.Shards)
	case a.run.Bytes > 0:
		what = fmt.Sprintf("%d bytes had been fetched", a.run.Bytes)
	}
	return &failure{code: CodeTimeLimit, err: ErrTimeLimit, reason: fmt.Sprintf("the run took longer than it may here (%s, %s); the last good data stays. "+
		"Give the function more time or memory (ingest_timeout, memory), or run the feed on a machine: elasticintel ingest %s", a.clock().Sub(a.run.Started).Round(time.Second), what, a.def.ID)}
}

// now is the time in UTC, to the millisecond, as everything is stored.
func (r *Runner) now() time.Time { return r.cfg.Now().UTC().Truncate(time.Millisecond) }

// clock is now, but never before the run's start: the clock may be set back.
func (a *attempt) clock() time.Time {
	if now := a.now(); now.After(a.run.Started) {
		return now
	}
	return a.run.Started
}

func (a *attempt) redact(s string) string { return fetch.Redact(s, a.secrets) }

// failure is why a run failed, as its ledger row says it.
type failure struct {
	code, reason string
	http         int
	wait         time.Duration
	err          error
}

func (f *failure) Error() string { return f.reason }
func (f *failure) Unwrap() error { return f.err }

// storeFailure says that the data folder or bucket failed the run.
func storeFailure(err error) *failure {
	code := "store"
	if errors.Is(err, blob.ErrFull) {
		code = "disk"
	}
	return &failure{code: code, reason: err.Error(), err: err}
}
