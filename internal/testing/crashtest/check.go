package crashtest

import (
	"context"
	"fmt"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// Acks is what one feed's process was told: the steps that it got as done, and
// the ids of their runs.
type Acks struct {
	Step int // the last one; -1 for none
	Runs map[string]intel.RunStatus
}

// Check opens the store as a new process would and returns everything that is
// not as it must be after a crash: the store opens, every object is whole, each
// feed lists exactly what it did after its last acknowledged step or after the
// one that was under way, nothing of its history is lost, and every acknowledged
// run stands in the ledger.
func Check(ctx context.Context, store blob.Store, scripts []Script, acks map[string]*Acks) []string {
	var wrong []string
	report := func(p corpus.Problem) { wrong = append(wrong, "verify: "+p.Key+": "+p.Detail) }
	if err := corpus.Verify(ctx, store, report); err != nil {
		wrong = append(wrong, "verify: "+err.Error())
	}
	if err := ingest.VerifyLedger(ctx, store, report); err != nil {
		wrong = append(wrong, "verify the ledger: "+err.Error())
	}
	c, err := corpus.Open(ctx, store, corpus.Options{})
	if err != nil {
		return append(wrong, "open: "+err.Error())
	}
	if err := c.Err(); err != nil {
		wrong = append(wrong, "open: "+err.Error())
	}
	r := ingest.New(ingest.Config{Store: store, Corpus: c})
	for _, s := range scripts {
		a := acks[s.Feed]
		if err := s.matches(c.View(), a.Step); err != nil {
			if next := s.matches(c.View(), a.Step+1); next != nil {
				wrong = append(wrong, fmt.Sprintf("lost: %v; and %v", err, next))
			}
		}
		wrong = append(wrong, s.history(c.View(), a.Step)...)
		wrong = append(wrong, s.ledger(ctx, r, a)...)
	}
	return wrong
}

// matches says how what is listed differs from what step leaves behind.
func (s Script) matches(v *corpus.View, step int) error {
	listed := func(name string) bool {
		x := s.find(v, name)
		return len(x) > 0 && x[0].Listed
	}
	h := v.Feed(s.Feed)
	if step < 0 {
		if h != nil {
			return fmt.Errorf("feed %s has data before its first step", s.Feed)
		}
		return nil
	}
	first, end, marker := s.Window(step)
	if h == nil {
		return fmt.Errorf("feed %s has no data, step %d has", s.Feed, step)
	}
	if n := h.Open(); n != end-first+1 {
		return fmt.Errorf("feed %s has %d listings, step %d leaves %d", s.Feed, n, step, end-first+1)
	}
	if !listed(s.Marker(marker)) {
		return fmt.Errorf("feed %s does not list the marker of step %d", s.Feed, marker)
	}
	for i := first; i < end; i++ {
		if !listed(s.Member(i)) {
			return fmt.Errorf("feed %s does not list %s after step %d", s.Feed, s.Member(i), step)
		}
	}
	return nil
}

func (s Script) find(v *corpus.View, name string) []intel.Listing {
	return v.Exact(intel.Indicator{Kind: intel.Domain, Value: name}, time.Time{}, nil)
}

// history looks for what earlier steps listed and later ones dropped.
func (s Script) history(v *corpus.View, step int) (wrong []string) {
	if step < 0 {
		return nil
	}
	_, _, current := s.Window(step)
	for past := 0; past < current; past++ {
		if !Accepted(past) {
			continue
		}
		x := s.find(v, s.Marker(past))
		switch {
		case len(x) != 1:
			wrong = append(wrong, fmt.Sprintf("history: feed %s has %d listings of the marker of step %d", s.Feed, len(x), past))
		case x[0].Listed || len(x[0].Intervals) != 1 || x[0].Intervals[0].To == nil || x[0].LastSeen.Before(x[0].FirstSeen):
			wrong = append(wrong, fmt.Sprintf("history: feed %s step %d: %+v", s.Feed, past, x[0]))
		}
	}
	return wrong
}

// ledger looks for every acknowledged run.
func (s Script) ledger(ctx context.Context, r *ingest.Runner, a *Acks) (wrong []string) {
	rows, err := r.Runs(ctx, s.Feed, 0)
	if err != nil {
		return []string{"ledger: " + err.Error()}
	}
	have := map[string]intel.RunStatus{}
	for _, row := range rows {
		have[row.ID] = row.Status
	}
	for id, status := range a.Runs {
		if have[id] != status {
			wrong = append(wrong, fmt.Sprintf("lost: run %s of feed %s was acknowledged as %s and is %q in the ledger", id, s.Feed, status, have[id]))
		}
	}
	return wrong
}
