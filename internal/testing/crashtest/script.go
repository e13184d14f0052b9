package crashtest

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// A Script is what happens to one feed, step by step, without end: changes,
// pulls of the same, pages instead of lists that a person rejects, lists that
// shrink so much that a person must approve them.
type Script struct {
	Feed string
	Size int // listings of a full list
}

// period is how many steps there are until everything has happened.
const period = 10

// The kinds of steps, by their number modulo period.
const (
	stepSame    = 2
	stepPage    = 5
	stepReject  = 6
	stepShrink  = 7
	stepApprove = 8
)

// MustDef is the feed's definition.
func (s Script) MustDef() *feed.Definition {
	defs, err := feed.Decode("script.json", fmt.Appendf(nil, `{"feeds": [{"id": %q, "feed_name": %q, "feed_type": "txt",
		"indicator_type": "domain", "feed_url": "https://feeds.example/%s", "field_mapping": {"source": [], "destination": []}}]}`, s.Feed, s.Feed, s.Feed))
	if err != nil {
		panic(err) // the text above is a constant but for the id
	}
	return defs[0]
}

// Marker is listed from the step that lists it, and by no other.
func (s Script) Marker(step int) string { return fmt.Sprintf("step%d.%s.example", step, s.Feed) }

// Member is one of the feed's sliding window of names.
func (s Script) Member(i int) string { return fmt.Sprintf("n%d.%s.example", i, s.Feed) }

// source is the step whose list is current after step: the last one that was accepted.
func source(step int) int {
	switch step % period {
	case stepSame:
		return step - 1
	case stepPage, stepReject, stepShrink:
		return source(step - (step%period - stepPage + 1))
	case stepApprove:
		return step - 1
	}
	return step
}

// Window is which members are listed after step, from first to before end, and
// the step whose marker is.
func (s Script) Window(step int) (first, end, marker int) {
	from := source(step)
	first, end = 3*from, 3*from+s.Size
	if from%period == stepShrink {
		end = first + s.Size/4
	}
	return first, end, from
}

// Accepted says whether step brings a list of its own that is listed some day.
func Accepted(step int) bool {
	k := step % period
	return k != stepSame && k != stepPage && k != stepReject && k != stepApprove
}

// list is the content of a step that brings one.
func (s Script) list(step int) string {
	n := s.Size
	if step%period == stepShrink {
		n /= 4
	}
	var b strings.Builder
	b.WriteString(s.Marker(step) + "\n")
	for i := range n {
		b.WriteString(s.Member(3*step+i) + "\n")
	}
	return b.String()
}

// Do does one step. A step that was done before, though nobody was told, may be
// done again. Its error is also for an outcome that the step cannot have.
func (s Script) Do(ctx context.Context, r *ingest.Runner, step int) (intel.Run, error) {
	def := s.MustDef()
	switch step % period {
	case stepReject, stepApprove:
		run, err := r.Decide(ctx, def, "", step%period == stepApprove, "tester", "the script says so")
		if err == nil && run.Status != intel.RunRejected && run.Status != intel.RunOK {
			err = s.odd(step, run)
		}
		return run, err
	}
	body := s.list(source(step))
	want := []intel.RunStatus{intel.RunOK, intel.RunUnchanged}
	switch step % period {
	case stepPage:
		body, want = fmt.Sprintf("<html><title>%d</title></html>", step), []intel.RunStatus{intel.RunQuarantined}
	case stepShrink:
		body, want = s.list(step), []intel.RunStatus{intel.RunQuarantined}
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	run, err := r.Run(ctx, feed.Job{Def: def, Trigger: "schedule", Open: open})
	if err != nil {
		return run, err
	}
	for _, w := range want {
		if run.Status == w {
			return run, nil
		}
	}
	return run, s.odd(step, run)
}

// OddError says that a step ended in a way that it should not have. Its run is
// recorded all the same.
type OddError struct {
	Step int
	Run  intel.Run
}

// Error names feed, step and outcome.
func (e *OddError) Error() string {
	return fmt.Sprintf("feed %s step %d: %s %s: %s", e.Run.Feed, e.Step, e.Run.Status, e.Run.Code, e.Run.Reason)
}

func (s Script) odd(step int, run intel.Run) error { return &OddError{step, run} }
