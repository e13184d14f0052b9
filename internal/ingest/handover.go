package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/source"
)

// A run that may be handed over (feed.Job.HandOver) and that ErrTimeLimit ends is
// no failure as long as it gets on: what it has done is kept (corpus.Unfinished),
// and a run of the same job goes on with it, in this process or another. It parses
// the archived bytes again, merges the shards that are left, and the last part
// commits the head. Until then nobody sees anything of it, and it has no ledger row.

// ErrHandedOver says that a run ended for want of time and is to be gone on with:
// run the same job again.
var ErrHandedOver = errors.New("the run is not done yet and was handed over")

// ErrElsewhere says that another process has the run, or another run of the feed
// that is handed over: there is nothing to do for this one.
var ErrElsewhere = errors.New("another process is at it")

const (
	// MaxParts is in how many parts a run is done at most. Lambda ends a chain of a
	// function that calls itself by way of a queue after about 16.
	MaxParts = 12
	// resumable is how long after it was handed over a run is gone on with: more than a
	// message takes to come again twice, because its process was killed.
	resumable = 5 * time.Hour
	// abandoned is from when on another job may take its place: no part takes so long
	// that it is at work then.
	abandoned = resumable + time.Hour
)

// note is what is kept beside the merged shards.
type note struct {
	Run     intel.Run `json:"run"`      // as it was when its bytes were archived
	Parts   int       `json:"parts"`    // done
	HeadRun string    `json:"head_run"` // run of the head that it is compared with, "" = none
	Def     string    `json:"def"`      // definitionSum

	// What validators needs.
	ETag         string            `json:"etag,omitempty"`
	LastModified string            `json:"last_modified,omitempty"`
	URL          string            `json:"url,omitempty"`
	Several      bool              `json:"several,omitempty"` // pulled by several requests
	Since        map[string]string `json:"since,omitempty"`
	SinceOf      string            `json:"since_of,omitempty"`
}

// relay is what an attempt knows of being handed over.
type relay struct {
	part  int               // this one, from 1
	note  *note             // what is to be kept; nil before the bytes are archived
	state corpus.MergeState // of the merge
	tag   string            // ETag of what is kept of the feed, "" = nothing
	void  bool              // what was handed over is of no use any more
}

// definitionSum changes whenever the same bytes could be listed in another way.
func definitionSum(d *feed.Definition) string {
	info, err := json.Marshal(d.Info())
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(append(info, d.ParseHash()...))
	return hex.EncodeToString(sum[:8])
}

func headRun(h *corpus.Head) string {
	if h == nil {
		return ""
	}
	return h.Run.ID
}

// takeUp looks for what an earlier part of this job's run left. known says that the
// run is in the ledger, and a.run is its row.
func (a *attempt) takeUp(ctx context.Context) (known bool, err error) {
	a.relay.part = 1
	u, tag, err := a.cfg.Corpus.Unfinished(ctx, a.def.ID)
	if a.relay.tag = tag; tag == "" {
		if err != nil {
			err = storeFailure(err)
		}
		return false, err
	}
	var n note
	if err == nil {
		err = json.Unmarshal(u.Note, &n)
	}
	if err != nil {
		a.cfg.Log.WarnContext(ctx, "what a run handed over cannot be read; it begins anew", "feed", a.def.ID, "error", err)
		return false, nil
	}
	row, done, err := a.ended(ctx, n.Run)
	if err != nil {
		return false, storeFailure(err)
	}
	age, same := a.run.Started.Sub(u.Written), n.Run.Job == a.job.ID
	switch {
	case done && same:
		a.run = row
		a.drop(ctx)
		return true, nil
	case done: // its process was killed before it could forget it
	case !same && age < abandoned:
		return false, fmt.Errorf("%w: run %s of job %s was handed over at %s", ErrElsewhere, n.Run.ID, n.Run.Job, u.Written.Format(time.RFC3339))
	case !same, age > resumable, n.Def != definitionSum(a.def):
		a.cfg.Log.WarnContext(ctx, "a run that was handed over is given up, and the feed pulled anew", "feed", a.def.ID, "run", n.Run.ID,
			"handed_over", u.Written, "other_job", !same, "other_definition", n.Def != definitionSum(a.def))
	default:
		a.resume(u, &n)
	}
	return false, nil
}

// ended finds the ledger row of a run, or of another one of its job.
func (a *attempt) ended(ctx context.Context, run intel.Run) (row intel.Run, ok bool, err error) {
	const skew = time.Hour // between the clocks of those who did parts of the job
	rows, err := a.RunsSince(ctx, a.def.ID, run.Started.Add(-skew))
	for _, r := range rows {
		if r.ID == run.ID || run.Job != "" && r.Job == run.Job {
			return r, true, err
		}
	}
	return row, false, err
}

// resume makes the attempt the next part of the run that u is of.
func (a *attempt) resume(u *corpus.Unfinished, n *note) {
	a.run = n.Run
	a.relay.part, a.relay.note = n.Parts+1, n
	a.run.Parts = a.relay.part
	switch {
	case u.Head == a.etag:
		a.relay.state = u.Merge
	case n.HeadRun != headRun(a.head):
		a.relay.void = true
	} // else it was only tidied: the shards have to be merged anew
}

// goOn does the next part of a run.
func (a *attempt) goOn(ctx context.Context) error {
	if a.relay.void {
		a.superseded("another run of this feed ended between the parts of this one, so what was handed over is void")
		return nil
	}
	a.progress("fetch", 0, a.run.Bytes)
	in, err := a.unarchive(ctx, a.run.Raw, a.run.SHA256)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return storeFailure(fmt.Errorf("the raw bytes that were handed over cannot be read: %w", err))
	}
	defer in.Close()
	n := a.relay.note
	in.bytes, in.sha256 = a.run.Bytes, a.run.SHA256
	in.fetched, in.etag, in.lastModified, in.url = true, n.ETag, n.LastModified, n.URL
	if n.Several {
		in.pulled = &source.Answer{State: source.State{Of: n.SinceOf, Since: n.Since}}
	}
	return a.take(ctx, in)
}

// mark notes what it takes to go on from the archived bytes.
func (a *attempt) mark(in *input) {
	if !a.job.HandOver || a.relay.note != nil {
		return
	}
	n := &note{Run: a.run, HeadRun: headRun(a.head), Def: definitionSum(a.def), ETag: in.etag, LastModified: in.lastModified, URL: in.url}
	if in.pulled != nil {
		n.Several, n.Since, n.SinceOf = true, in.pulled.State.Since, in.pulled.State.Of
	}
	a.relay.note = n
}

// mayHandOver says whether a run that failed with err has to be gone on with: it
// was the time, and this part got the run further. The first one stored its bytes.
func (a *attempt) mayHandOver(ctx context.Context, err error) bool {
	return err != nil && !a.committed && a.relay.note != nil && errors.Is(context.Cause(ctx), ErrTimeLimit) &&
		a.relay.part < MaxParts && (a.relay.part == 1 || a.relay.state.Added > 0)
}

// handOver keeps what is done. Its error is ErrHandedOver, or ErrElsewhere where
// another process was faster; any other one says that nothing was kept.
func (a *attempt) handOver(ctx context.Context) (intel.Run, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	n := *a.relay.note
	n.Parts, n.HeadRun = a.relay.part, headRun(a.head)
	text, err := json.Marshal(&n)
	if err != nil {
		return a.run, err
	}
	u := &corpus.Unfinished{Feed: a.def.ID, Head: a.etag, Written: a.clock(), Merge: a.relay.state, Note: text}
	_, err = a.cfg.Corpus.SaveUnfinished(ctx, u, a.relay.tag)
	if errors.Is(err, blob.ErrConflict) {
		err = a.mine(ctx, &n)
	}
	if err != nil {
		return a.run, fmt.Errorf("feed %s: hand over run %s: %w", a.def.ID, a.run.ID, err)
	}
	a.run.Parts, a.run.Status = a.relay.part, "" // it has not ended
	return a.run, fmt.Errorf("feed %s: %w: run %s, part %d, %d of %d shards are done", a.def.ID, ErrHandedOver, a.run.ID, a.relay.part, len(u.Merge.Done), u.Merge.Shards)
}

// mine says whether what is kept is this part after all: the store may have taken
// it and lost its answer. ErrElsewhere where it is another's.
func (a *attempt) mine(ctx context.Context, n *note) error {
	u, _, err := a.cfg.Corpus.Unfinished(ctx, a.def.ID)
	var have note
	switch {
	case err != nil:
		return err
	case u == nil || json.Unmarshal(u.Note, &have) != nil || have.Run.ID != n.Run.ID || have.Parts != n.Parts:
		return ErrElsewhere
	case !sameShards(&u.Merge, &a.relay.state):
		return ErrElsewhere
	}
	return nil
}

// sameShards says whether two states name the same segments.
func sameShards(x, y *corpus.MergeState) bool {
	a, err := json.Marshal(x)
	b, err2 := json.Marshal(y)
	return err == nil && err2 == nil && string(a) == string(b)
}

// drop forgets what was handed over, now that the run is recorded. What cannot be
// forgotten is found to be done later.
func (a *attempt) drop(ctx context.Context) {
	if a.relay.tag == "" {
		return
	}
	if err := a.cfg.Corpus.DropUnfinished(ctx, a.def.ID, a.relay.tag); err != nil {
		a.cfg.Log.WarnContext(ctx, "what a run handed over could not be deleted; it is of no use any more", "feed", a.def.ID, "error", err)
	}
}

// superseded makes the run one that another was faster than.
func (a *attempt) superseded(why string) {
	a.run.Status, a.run.Code, a.run.Reason = intel.RunSuperseded, "superseded", why
	a.run.Change = intel.Change{}
}

// twin says whether the head that came in between is of this very run, which
// another process has done too: then it is done.
func (a *attempt) twin(ctx context.Context) bool {
	head, etag, err := a.cfg.Corpus.Head(ctx, a.def.ID)
	if err != nil || head == nil || head.Run.ID != a.run.ID {
		return false
	}
	a.head, a.etag, a.run, a.committed = head, etag, head.Run, true
	return true
}
