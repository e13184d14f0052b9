package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/parse"
)

// pull is the whole of a run but its record: a.run says how it ended.
func (a *attempt) pull(ctx context.Context) error {
	a.progress("fetch", 0, 0)
	in, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	a.run.Bytes, a.run.SHA256 = in.bytes, in.sha256
	a.progress("fetch", in.bytes, in.bytes)
	switch {
	case in.notModified:
		return a.same(ctx, in, "the publisher says that nothing has changed (304)")
	case a.sameContent(in):
		return a.same(ctx, in, "the same bytes as in the last good run")
	case a.st.Quarantined == "" && a.st.QuarantinedSHA == in.sha256:
		return a.ignored(ctx)
	}
	if err := a.archive(ctx, in); err != nil {
		return err
	}
	a.mark(in)
	return a.take(ctx, in)
}

// take parses archived bytes, judges them and makes them current.
func (a *attempt) take(ctx context.Context, in *input) error {
	res, perr := a.parse(ctx, in.file)
	if err := a.hardError(ctx, perr); err != nil {
		return err
	}
	code, reason := Judge(a.def, a.before(), res, perr)
	switch {
	case code != "":
		a.quarantine(in, code, reason)
		return nil
	case a.def.Delta() && res.Read == 0 && a.comparable():
		return a.same(ctx, in, "nothing is new since the last good run")
	case len(res.Bad) > 0:
		a.run.Reason = join(a.run.Reason, a.redact(fmt.Sprintf("%d of %d answers could not be read: %s", len(res.Bad), res.Parts, clip(res.Bad[0], 200))))
	}
	return a.commit(ctx, in, res.Result)
}

// same is a run that brought nothing new.
func (a *attempt) same(ctx context.Context, in *input, why string) error {
	return a.untilCommitted(func() error { return a.unchanged(ctx, in, why) })
}

// current is the head whose content a run is compared with: starter data does
// not count, because the first real pull replaces it whatever it holds.
func (a *attempt) current() *corpus.Head {
	if a.head == nil || a.head.Info.Snapshot != "" {
		return nil
	}
	return a.head
}

// comparable says whether the head was made from its bytes in the way that this
// run would do it, so that the same bytes give the same listings. Of data that
// cannot be read nobody knows what it lists.
func (a *attempt) comparable() bool {
	h := a.current()
	return h != nil && h.SHA256 != "" && !a.lapsed() && h.ParseHash == a.def.ParseHash() && a.cfg.Corpus.Broken(a.def.ID) == nil
}

// lapsed says whether something of the current content has ended by itself, so
// that the same bytes are read again and list less. Where what a pull lacks stays
// listed this would end nothing.
func (a *attempt) lapsed() bool {
	at := a.current().Expires
	return a.def.Presence != intel.Append && !at.IsZero() && !a.run.Started.Before(at)
}

func (a *attempt) sameContent(in *input) bool {
	return a.comparable() && a.head.SHA256 == in.sha256
}

// unchanged moves the feed's last good time and from where on to ask, and writes
// nothing else. The counts of the same bytes are those of their last parse.
func (a *attempt) unchanged(ctx context.Context, in *input, why string) error {
	prev := a.head.Run
	a.run.Status, a.run.Reason = intel.RunUnchanged, join(a.run.Reason, why)
	if in.notModified || in.sha256 == a.head.SHA256 {
		a.run.Counts, a.run.SHA256, a.run.Raw = prev.Counts, a.head.SHA256, prev.Raw
	}
	a.run.Change = intel.Change{Open: a.head.Open()}
	if t := a.head.Table; t != nil {
		a.run.Change.Open = t.Rows
	}
	next := *a.head
	if a.run.Started.After(next.LastGood) { // else the clock was set back
		next.LastGood = a.run.Started
	}
	a.overtakes()
	return a.swap(ctx, in, &next)
}

// ignored is the run of a feed whose content a person has rejected. The last
// good data stays, and its last good time too.
func (a *attempt) ignored(ctx context.Context) error {
	a.run.Status, a.run.Code = intel.RunUnchanged, CodeRejectedBefore
	a.run.Reason = "the same bytes as in a run that was rejected; they are ignored until they change"
	if no, ok, err := a.newest(ctx, a.def.ID, func(r intel.Run) bool { return r.Status == intel.RunRejected }); err != nil {
		return storeFailure(err)
	} else if ok {
		a.run.Raw, a.run.Of = no.Raw, no.Of
		a.run.Reason += fmt.Sprintf("; `elasticintel feeds approve %s --run %s` takes them after all", a.def.ID, no.Of)
	}
	if h := a.current(); h != nil {
		a.run.Change.Open = h.Open()
	}
	return nil
}

// CodeRejectedBefore is the Code of an unchanged run whose content was rejected by a person.
const CodeRejectedBefore = "rejected-before"

// quarantine holds the run back. Where the same bytes wait already, that run
// stays the one to decide about.
func (a *attempt) quarantine(in *input, code, reason string) {
	a.run.Status, a.run.Code = intel.RunQuarantined, code
	a.run.Reason = a.redact(reason) + "; the last good data stays"
	if a.current() == nil {
		a.run.Reason = a.redact(reason) + "; nothing of it was taken"
	} else {
		a.run.Change.Open = a.head.Open()
	}
	if a.st.Quarantined != "" && a.st.QuarantinedSHA == in.sha256 {
		a.run.Of = a.st.Quarantined
		a.run.Reason += "; the same bytes as in run " + a.run.Of + ", which waits for a decision"
	}
}

// overtakes says in the reason what an accepted run means for one that waits.
func (a *attempt) overtakes() {
	if q := a.st.Quarantined; q != "" && q != a.run.Of {
		a.run.Reason = join(a.run.Reason, "run "+q+", which was held back, is out of date with this")
	}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// commit merges what the run lists and makes it current.
func (a *attempt) commit(ctx context.Context, in *input, res *parse.Result) error {
	if a.def.Role == feed.RoleEnrichment {
		return a.untilCommitted(func() error { return a.keepTable(ctx, in, res) })
	}
	return a.untilCommitted(func() error { return a.merge(ctx, in, res) })
}

func (a *attempt) merge(ctx context.Context, in *input, res *parse.Result) error {
	a.progress("store", 0, int64(len(res.Entries)))
	info, now := a.def.Info(), a.run.Started
	if a.job.Snapshot != "" {
		day, err := time.Parse(time.DateOnly, a.job.Snapshot)
		if err != nil {
			return &failure{code: "starter", reason: fmt.Sprintf("the starter data's date %q is not YYYY-MM-DD", a.job.Snapshot), err: err}
		}
		info.Snapshot, now = a.job.Snapshot, day
	}
	m, err := a.cfg.Corpus.Merge(ctx, a.head, res.Entries, corpus.MergeOptions{Feed: a.def.ID, Info: info, Now: now, State: &a.relay.state})
	if err != nil {
		return storeFailure(err)
	}
	if m.Damage != nil {
		if a.run.Trigger != TriggerApprove {
			a.quarantine(in, CodeDamage, fmt.Sprintf("what is stored of the feed is damaged (%v); restore it from a backup, or approve this run to go on without", m.Damage))
			return nil
		}
		a.run.Reason = join(a.run.Reason, a.redact(m.Damage.Error()))
	}
	if h := a.current(); h != nil && a.run.Trigger != TriggerApprove && h.ParseHash == a.def.ParseHash() &&
		a.run.Started.Sub(h.LastGood) < turnedOver {
		if code, reason := CheckReplaced(a.def, h.Open(), m.Change); code != "" {
			a.quarantine(in, code, reason)
			return nil
		}
	}
	a.progress("store", int64(len(res.Entries)), int64(len(res.Entries)))
	a.run.Change, a.run.Status = m.Change, intel.RunOK
	if !m.Changed && a.head != nil {
		a.run.Status, a.run.Reason = intel.RunUnchanged, join(a.run.Reason, "other bytes than in the last good run, but the same listings")
	}
	a.overtakes()
	m.Next.Expires = res.Expires
	return a.swap(ctx, in, m.Next)
}

// swap completes next and makes it the feed's head, if that still is the one
// this run began with. Where it is not, the run is superseded.
func (a *attempt) swap(ctx context.Context, in *input, next *corpus.Head) error {
	next.Format, next.Feed, next.Version = corpus.HeadFormat, a.def.ID, 1
	if a.head != nil {
		next.Version = a.head.Version + 1
	}
	next.SHA256, next.ParseHash = a.run.SHA256, a.def.ParseHash()
	in.validators(next, a.current())
	a.run.Finished = a.clock()
	next.Run = a.run
	_, err := a.cfg.Corpus.Commit(ctx, next, a.etag)
	switch {
	case errors.Is(err, blob.ErrConflict) && a.overtaken(ctx):
		return errTidied
	case errors.Is(err, blob.ErrConflict) && a.twin(ctx):
		return nil
	case errors.Is(err, blob.ErrConflict):
		a.superseded("another process finished a run of this feed first")
		return nil
	case err != nil: // it may stand or not; Repair finds out
		a.doubt = true
		return fmt.Errorf("feed %s: commit run %s: %w", a.def.ID, a.run.ID, err)
	}
	a.head, a.committed = next, true
	return nil
}

// hardError returns why a run fails that could not read its input at all; nil
// where the input itself is at fault, which the guards judge.
func (a *attempt) hardError(ctx context.Context, perr error) error {
	if perr == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if f := fetchFailure(perr); f != nil && !notList(perr) {
		return f
	}
	if _, ok := errors.AsType[*os.PathError](perr); ok {
		return &failure{code: "disk", reason: perr.Error(), err: perr}
	}
	return nil
}

func (a *attempt) progress(phase string, done, total int64) {
	if a.job.Progress != nil {
		a.job.Progress(feed.Progress{Feed: a.def.ID, Phase: phase, Done: done, Total: total})
	}
}
