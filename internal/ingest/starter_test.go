package ingest_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
)

func TestStarterData(t *testing.T) {
	l := newLab(t)
	d := l.def("starter", nil)
	old := names("old", 100)
	open := func() (io.ReadCloser, error) {
		var b bytes.Buffer
		z, _ := zstd.NewWriter(&b)
		io.WriteString(z, strings.Join(old, "\n"))
		z.Close()
		return io.NopCloser(&b), nil
	}
	job := feed.Job{Def: d, Open: open, Snapshot: "2026-02-20"}
	run := wantRun(t, l.job(job), intel.RunOK, "")
	if run.Trigger != "starter" {
		t.Errorf("trigger %q", run.Trigger)
	}
	x := l.listing(d, old[0])
	if x.Snapshot != "2026-02-20" || !x.FirstSeen.Equal(time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC)) || x.LastSeen.After(x.FirstSeen) {
		t.Errorf("listing %+v", x)
	}
	if st := l.state("starter"); !st.LastAttempt.IsZero() {
		t.Errorf("starter data counts as a pull: %+v", st)
	}
	if again := l.job(job); again.Status != intel.RunUnchanged || len(l.runs("starter")) != 1 {
		t.Errorf("loaded twice: %+v", again)
	}

	l.srv.SetString("/starter", "<html>")
	l.want(d, intel.RunQuarantined, "html")
	l.wantListed(d, time.Time{}, old[:1], old[:1])

	l.serve("starter", "new.example") // a hundredth of what there was: starter data is no measure
	first := l.want(d, intel.RunOK, "")
	if first.New != 1 || first.Open != 1 {
		t.Errorf("first real pull: %+v", first.Change)
	}
	if x := l.listing(d, "new.example"); x.Snapshot != "" || !x.FirstSeen.Equal(l.now()) {
		t.Errorf("listing %+v", x)
	}
	l.wantListed(d, time.Time{}, old, nil)
	if again := l.job(job); again.Status != intel.RunUnchanged {
		t.Errorf("starter data over real data: %+v", again)
	}
	l.wantListed(d, time.Time{}, []string{"new.example"}, []string{"new.example"})
	l.verify()
}

// The first real pull may bring the very bytes of the starter data.
func TestStarterDataIsReplacedByTheSameBytes(t *testing.T) {
	l := newLab(t)
	d := l.def("starter", nil)
	body := strings.Join(names("a", 5), "\n") + "\n"
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	l.job(feed.Job{Def: d, Open: open, Snapshot: "2026-02-20"})
	l.srv.SetString("/starter", body)
	l.want(d, intel.RunOK, "")
	if x := l.listing(d, "a000.example"); x.Snapshot != "" || !x.LastSeen.Equal(l.now()) {
		t.Errorf("listing %+v", x)
	}
	l.want(d, intel.RunUnchanged, "")
	l.verify()
}
