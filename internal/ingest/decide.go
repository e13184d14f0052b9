package ingest

import (
	"context"
	"fmt"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Decide approves or rejects a quarantined run: the newest one where runID is
// empty. Approving parses its archived bytes again, without guards, by the
// definition as it is now, and makes them current. Rejecting drops them: the
// same bytes are ignored from then on. The decision is a ledger row with who and
// why. Deciding again in the same way returns the first decision's row.
//
// ErrNothingQuarantined says that there is no such run, or that a newer run was
// accepted since.
func (r *Runner) Decide(ctx context.Context, d *feed.Definition, runID string, approve bool, who, why string) (intel.Run, error) {
	const tries = 3
	for try := 1; ; try++ {
		run, err := r.decide(ctx, d, runID, approve, who, why)
		if err != nil || run.Status != intel.RunSuperseded {
			return run, err
		}
		if try == tries {
			return run, fmt.Errorf("feed %s: other runs were faster %d times; decide again", d.ID, tries)
		}
	}
}

func (r *Runner) decide(ctx context.Context, d *feed.Definition, runID string, approve bool, who, why string) (intel.Run, error) {
	trigger := TriggerReject
	if approve {
		trigger = TriggerApprove
	}
	a, err := r.begin(ctx, d, trigger)
	if err != nil {
		return a.run, err
	}
	target, done, err := a.target(ctx, runID)
	if err != nil {
		return a.run, err
	}
	if done.Trigger == trigger {
		_, err := a.saveState(ctx, done, 0, a.def)
		return done, err
	}
	if done.ID != "" && (done.Trigger == TriggerApprove || runID == "") {
		return done, fmt.Errorf("feed %s: run %s %w: %s by %q; name the run with --run to approve one that was rejected", d.ID, target.ID, ErrDecided, done.Trigger, done.Who)
	}
	a.run.Of, a.run.Who, a.run.Why = target.ID, who, why
	a.run.SHA256, a.run.Raw, a.run.Source, a.run.Bytes = target.SHA256, target.Raw, target.Source, target.Bytes
	if approve {
		return a.approve(ctx, target)
	}
	return a.reject(ctx, target)
}

// target finds the run to decide about, and the decision where there is one.
func (a *attempt) target(ctx context.Context, runID string) (target, done intel.Run, err error) {
	id := runID
	if id == "" {
		id = a.st.Quarantined
	}
	var found bool
	if id != "" {
		if target, found, err = a.row(ctx, a.def.ID, id); err == nil && found && target.Of != "" && target.Status == intel.RunQuarantined {
			target, found, err = a.row(ctx, a.def.ID, target.Of) // it repeated that one
		}
	} else {
		target, found, err = a.newest(ctx, a.def.ID, func(r intel.Run) bool { return r.Status == intel.RunQuarantined && r.Of == "" })
	}
	switch {
	case err != nil:
		return target, done, err
	case !found || target.Status != intel.RunQuarantined:
		return target, done, fmt.Errorf("feed %s: %w%s to decide about", a.def.ID, ErrNothingQuarantined, named(runID))
	}
	var newer intel.Run
	err = a.each(ctx, a.def.ID, func(r intel.Run) bool {
		switch {
		case r.ID == target.ID:
			return false
		case r.Of == target.ID && decided(r) && done.ID == "":
			done = r
		case newer.ID == "" && r.Trigger != TriggerStarter && accepted(r):
			newer = r
		}
		return true
	})
	if err == nil && newer.ID != "" && done.ID == "" {
		err = fmt.Errorf("feed %s: %w: run %s is out of date, run %s was accepted since", a.def.ID, ErrNothingQuarantined, target.ID, newer.ID)
	}
	return target, done, err
}

func named(runID string) string {
	if runID == "" {
		return ""
	}
	return " " + runID
}

// decided says whether a row is a decision that took effect.
func decided(r intel.Run) bool {
	return r.Trigger == TriggerReject && r.Status == intel.RunRejected || r.Trigger == TriggerApprove && accepted(r)
}

// accepted says whether the run's content was taken, or is what was held already.
func accepted(r intel.Run) bool {
	return r.Status == intel.RunOK || r.Status == intel.RunUnchanged && r.Code != CodeRejectedBefore
}

// approve takes the content of a quarantined run.
func (a *attempt) approve(ctx context.Context, target intel.Run) (intel.Run, error) {
	in, err := a.unarchive(ctx, target.Raw, target.SHA256)
	if err != nil {
		return a.run, fmt.Errorf("feed %s: the raw bytes of run %s cannot be read: %w", a.def.ID, target.ID, err)
	}
	defer in.Close()
	res, err := a.parse(ctx, in.file)
	if err != nil {
		return a.run, fmt.Errorf("feed %s: run %s cannot be approved, because its content cannot be read: %w", a.def.ID, target.ID, err)
	}
	a.run.Reason = fmt.Sprintf("run %s, held back by the guard %q, was approved", target.ID, target.Code)
	if err := a.commit(ctx, in, res.Result); err != nil || a.run.Status == intel.RunSuperseded {
		return a.run, err
	}
	return a.finish(ctx, nil)
}

// reject drops a quarantined run.
func (a *attempt) reject(ctx context.Context, target intel.Run) (intel.Run, error) {
	a.run.Status, a.run.Code, a.run.Finished = intel.RunRejected, target.Code, a.clock()
	a.run.Reason = fmt.Sprintf("run %s, held back by the guard %q, was rejected; the same bytes are ignored from now on", target.ID, target.Code)
	if h := a.current(); h != nil {
		a.run.Change.Open = h.Open()
	}
	stands, err := a.appendRow(ctx, a.run, func(have intel.Run) bool {
		return have.ID == a.run.ID || have.Of == target.ID && have.Trigger == TriggerReject
	})
	if err != nil {
		return a.run, err
	}
	_, err = a.saveState(ctx, stands, 0, a.def)
	return stands, err
}
