package ingest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

// held returns a lab whose feed shrank from 10 listings to 2, which waits.
func held(t *testing.T) (*lab, *feed.Definition, intel.Run) {
	t.Helper()
	l := newLab(t)
	d := l.def("held", nil)
	l.serve("held", names("a", 10)...)
	l.want(d, intel.RunOK, "")
	l.advance(time.Hour)
	l.serve("held", names("a", 2)...)
	run := l.want(d, intel.RunQuarantined, "shrink")
	l.advance(time.Hour)
	return l, d, run
}

func (l *lab) decide(d *feed.Definition, runID string, approve bool) intel.Run {
	l.t.Helper()
	run, err := l.runner.Decide(l.t.Context(), d, runID, approve, "alice", "seen on their page")
	if err != nil {
		l.t.Fatal(err)
	}
	return run
}

func TestApprove(t *testing.T) {
	for _, named := range []bool{false, true} {
		l, d, waits := held(t)
		id := ""
		if named {
			id = waits.ID
		}
		run := l.decide(d, id, true)
		if run.Status != intel.RunOK || run.Trigger != "approve" || run.Of != waits.ID || run.Who != "alice" || run.Why != "seen on their page" ||
			run.Raw != waits.Raw || run.SHA256 != waits.SHA256 || run.Removed != 8 || run.Open != 2 || !strings.Contains(run.Reason, waits.ID) {
			t.Errorf("approve: %+v", run)
		}
		l.wantListed(d, time.Time{}, names("a", 10), names("a", 2))
		if st := l.state("held"); st.Quarantined != "" || st.QuarantinedSHA != "" {
			t.Errorf("state %+v", st)
		}
		version := l.head("held").Version
		if again := l.decide(d, id, true); again.ID != run.ID || l.head("held").Version != version {
			t.Errorf("approving again made %+v", again)
		}
		if _, err := l.runner.Decide(t.Context(), d, id, false, "bob", ""); err == nil || !strings.Contains(err.Error(), "alice") {
			t.Errorf("rejecting what was approved: %v", err)
		}
		l.want(d, intel.RunUnchanged, "") // the publisher still sends it
		if got := len(l.runs("held")); got != 4 {
			t.Errorf("%d ledger rows, want 4", got)
		}
		l.verify()
	}
}

func TestReject(t *testing.T) {
	l, d, waits := held(t)
	good := l.head("held")
	run := l.decide(d, "", false)
	if run.Status != intel.RunRejected || run.Trigger != "reject" || run.Of != waits.ID || run.Who != "alice" || run.Why == "" || run.Open != 10 {
		t.Errorf("reject: %+v", run)
	}
	if again := l.decide(d, "", false); again.ID != run.ID {
		t.Errorf("rejecting again made %+v", again)
	}
	if again := l.decide(d, waits.ID, false); again.ID != run.ID {
		t.Errorf("rejecting again by name made %+v", again)
	}
	l.wantListed(d, time.Time{}, names("a", 10), names("a", 10))

	for range 3 { // the same bytes are ignored …
		l.advance(time.Hour)
		r := l.want(d, intel.RunUnchanged, ingest.CodeRejectedBefore)
		if r.Of != waits.ID || !strings.Contains(r.Reason, "--run "+waits.ID) {
			t.Errorf("ignored run: %+v", r)
		}
	}
	if h := l.head("held"); h.Version != good.Version || !h.LastGood.Equal(good.LastGood) {
		t.Errorf("head moved to %d, %s by content that was refused", h.Version, h.LastGood)
	}
	if st := l.state("held"); st.Quarantined != "" || st.Failures != 0 {
		t.Errorf("state %+v", st)
	}
	l.serve("held", names("a", 3)...) // … until they change
	l.want(d, intel.RunQuarantined, "shrink")
	l.serve("held", names("a", 2)...)
	l.want(d, intel.RunQuarantined, "shrink")
	l.serve("held", names("a", 11)...)
	l.want(d, intel.RunOK, "")
	l.verify()
}

func TestApproveAfterReject(t *testing.T) {
	l, d, waits := held(t)
	l.decide(d, "", false)
	if _, err := l.runner.Decide(t.Context(), d, "", true, "bob", ""); err == nil || !strings.Contains(err.Error(), "--run") {
		t.Errorf("approve without a name after a reject: %v", err)
	}
	run := l.decide(d, waits.ID, true)
	if run.Status != intel.RunOK || run.Open != 2 {
		t.Errorf("approve by name: %+v", run)
	}
	l.want(d, intel.RunUnchanged, "")
	l.verify()
}

func TestDecideByTheRunThatRepeats(t *testing.T) {
	l, d, waits := held(t)
	again := l.want(d, intel.RunQuarantined, "shrink")
	if run := l.decide(d, again.ID, true); run.Of != waits.ID {
		t.Errorf("decided about %s, want %s", run.Of, waits.ID)
	}
}

func TestNothingToDecide(t *testing.T) {
	l := newLab(t)
	d := l.def("calm", nil)
	decide := func(id string) error {
		_, err := l.runner.Decide(t.Context(), d, id, true, "alice", "")
		return err
	}
	if err := decide(""); !errors.Is(err, ingest.ErrNothingQuarantined) {
		t.Errorf("never ran: %v", err)
	}
	l.serve("calm", "a.example", "b.example", "c.example")
	ok := l.want(d, intel.RunOK, "")
	for _, id := range []string{"", ok.ID, "20260301T120000.000Z-00000000", "nonsense", "../../x"} {
		if err := decide(id); !errors.Is(err, ingest.ErrNothingQuarantined) {
			t.Errorf("run %q: %v", id, err)
		}
	}
	l.advance(time.Hour)
	l.srv.SetString("/calm", "<html>")
	waits := l.want(d, intel.RunQuarantined, "html")
	l.advance(time.Hour)
	l.serve("calm", "a.example", "b.example", "c.example")
	l.want(d, intel.RunUnchanged, "") // it recovered by itself
	for _, id := range []string{"", waits.ID} {
		if err := decide(id); !errors.Is(err, ingest.ErrNothingQuarantined) || !strings.Contains(err.Error(), "out of date") {
			t.Errorf("run %q, overtaken: %v", id, err)
		}
	}
	l.verify()
}

func TestApproveWhatCannotBeRead(t *testing.T) {
	l := newLab(t)
	d := l.def("cut", map[string]any{"feed_type": "json", "records": "data[]",
		"field_mapping": map[string]any{"source": []string{"ioc"}, "destination": []string{"indicator"}}})
	l.srv.SetString("/cut", `{"data": [{"ioc": "a.example"}`)
	run := l.want(d, intel.RunQuarantined, "format")
	if _, err := l.runner.Decide(t.Context(), d, "", true, "alice", ""); err == nil || !strings.Contains(err.Error(), run.ID) {
		t.Errorf("approve: %v", err)
	}
	if st := l.state("cut"); st.Quarantined != run.ID {
		t.Errorf("state %+v", st)
	}
	if err := os.Remove(filepath.Join(l.dir, filepath.FromSlash(run.Raw))); err != nil {
		t.Fatal(err)
	}
	if _, err := l.runner.Decide(t.Context(), d, "", true, "alice", ""); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("approve without the bytes: %v", err)
	}
	l.decide(d, "", false)
}

// Two people, or one person on two consoles: one decision, one row, one head.
func TestDecideTogether(t *testing.T) {
	for _, approve := range []bool{true, false} {
		l, d, waits := held(t)
		version := l.head("held").Version
		var wg sync.WaitGroup
		runs, errs := make([]intel.Run, 8), make([]error, 8)
		for i := range runs {
			r := l.newRunner(l.store, l.corpus)
			wg.Go(func() { runs[i], errs[i] = r.Decide(t.Context(), d, "", approve, "alice", "") })
		}
		wg.Wait()
		for i, run := range runs {
			if errs[i] != nil || run.ID != runs[0].ID || run.Of != waits.ID {
				t.Errorf("approve %v: decision %d: %+v, %v", approve, i, run, errs[i])
			}
		}
		rows := 0
		for _, r := range l.runs("held") {
			if r.Of == waits.ID {
				rows++
			}
		}
		if rows != 1 {
			t.Errorf("approve %v: %d decisions in the ledger", approve, rows)
		}
		want := version
		if approve {
			want++
		}
		if got := l.head("held").Version; got != want {
			t.Errorf("approve %v: head version %d, want %d", approve, got, want)
		}
		l.verify()
	}
}
