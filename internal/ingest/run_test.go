package ingest_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
)

func TestLifeOfAFeed(t *testing.T) {
	l := newLab(t)
	d := l.def("life", nil)
	all := []string{"a.example", "b.example", "c.example", "d.example"}

	l.serve("life", "a.example", "b.example", "c.example")
	first := l.want(d, intel.RunOK, "")
	if first.New != 3 || first.Open != 3 || first.Accepted != 3 || first.Read != 3 || first.HTTPStatus != 200 {
		t.Errorf("first run: %+v", first)
	}
	l.advance(time.Hour)
	l.serve("life", "b.example", "c.example", "d.example")
	second := l.want(d, intel.RunOK, "")
	if second.New != 1 || second.Removed != 1 || second.Open != 3 {
		t.Errorf("second run: %+v", second.Change)
	}
	l.advance(time.Hour)
	l.serve("life", "a.example", "b.example", "c.example", "d.example")
	third := l.want(d, intel.RunOK, "")
	if third.Relisted != 1 || third.Open != 4 {
		t.Errorf("third run: %+v", third.Change)
	}
	l.wantListed(d, time.Time{}, all, all)
	l.wantListed(d, day0.Add(30*time.Minute), all, all[:3])
	l.wantListed(d, day0.Add(90*time.Minute), all, all[1:])
	l.wantListed(d, day0.Add(-time.Minute), all, nil)

	runs := l.runs("life")
	if len(runs) != 3 || runs[0].ID != third.ID || runs[2].ID != first.ID {
		t.Errorf("ledger: %d rows, newest %s; want 3, the newest first", len(runs), runs[0].ID)
	}
	if st := l.state("life"); st.LastRun.ID != third.ID || !st.LastGood.Equal(l.now()) || !st.LastAttempt.Equal(l.now()) {
		t.Errorf("state: %+v", st)
	}
	l.verify()
	l.open() // a restart
	l.wantListed(d, time.Time{}, all, all)
}

// The promise of the design: what does not change costs nothing but its head.
func TestUnchangedWritesNoSegmentAndNoRaw(t *testing.T) {
	l := newLab(t)
	d := l.def("same", nil)
	l.serve("same", names("a", 10)...)
	first := l.want(d, intel.RunOK, "")
	before := append(l.keys("segments/"), l.keys("raw/")...)
	etag := l.head("same").ETag
	if etag == "" {
		t.Fatal("no ETag kept")
	}

	l.advance(time.Hour)
	r304 := l.want(d, intel.RunUnchanged, "")
	if r304.HTTPStatus != http.StatusNotModified || r304.Bytes != 0 || r304.Counts != first.Counts || r304.Open != 10 || r304.Raw != first.Raw {
		t.Errorf("304 run: %+v", r304)
	}
	if got := l.listing(d, "a000.example").LastSeen; !got.Equal(l.now()) {
		t.Errorf("last seen %s, want %s", got, l.now())
	}

	l.advance(time.Hour) // the same bytes from a file do not make us forget the publisher's validators
	open := func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(strings.Join(names("a", 10), "\n") + "\n")), nil
	}
	l.want2(feed.Job{Def: d, Open: open}, intel.RunUnchanged)
	if got := l.head("same").ETag; got != etag {
		t.Errorf("ETag %q after a file of the same bytes, want %q", got, etag)
	}

	l.advance(time.Hour) // a publisher that knows no conditional requests
	l.srv.SetWith("/same", []byte(strings.Join(names("a", 10), "\n")+"\n"), http.Header{"Etag": {""}, "Last-Modified": {""}})
	r200 := l.want(d, intel.RunUnchanged, "")
	if r200.HTTPStatus != http.StatusOK || r200.SHA256 != first.SHA256 || r200.Counts != first.Counts {
		t.Errorf("200 run: %+v", r200)
	}
	if after := append(l.keys("segments/"), l.keys("raw/")...); !slices.Equal(before, after) {
		t.Errorf("objects before %v, after %v", before, after)
	}
	if h := l.head("same"); h.Version != 4 || h.Run.ID != r200.ID || !h.LastGood.Equal(l.now()) {
		t.Errorf("head version %d of run %s, last good %s", h.Version, h.Run.ID, h.LastGood)
	}

	l.advance(time.Hour) // other bytes, the same listings
	l.srv.SetString("/same", "# generated at noon\n"+strings.Join(names("a", 10), "\n"))
	segments := l.keys("segments/")
	run := l.want(d, intel.RunUnchanged, "")
	if run.Raw == first.Raw || run.Accepted != 10 {
		t.Errorf("run of other bytes: %+v", run)
	}
	if after := l.keys("segments/"); !slices.Equal(segments, after) {
		t.Errorf("segments before %v, after %v", segments, after)
	}
	l.advance(time.Hour)
	if run := l.want(d, intel.RunUnchanged, ""); run.HTTPStatus != http.StatusNotModified || run.Accepted != 10 {
		t.Errorf("the new validators are not used: %+v", run)
	}
	l.verify()
}

func TestConditionalOnlyWhereTheSameBytesMeanTheSame(t *testing.T) {
	l := newLab(t)
	l.serve("cond", names("a", 4)...)
	l.want(l.def("cond", nil), intel.RunOK, "")
	conditional := func() bool {
		log := l.srv.Log("/cond")
		return log[len(log)-1].Header.Get("If-None-Match") != ""
	}
	if conditional() {
		t.Error("the first request had validators")
	}
	l.want(l.def("cond", nil), intel.RunUnchanged, "")
	if !conditional() {
		t.Error("the second request had none")
	}
	changed := l.def("cond", map[string]any{"confidence": 90})
	l.want(changed, intel.RunUnchanged, "") // the same listings, of which the feed now says more
	if conditional() {
		t.Error("a changed definition asked for changes only, and would never have been parsed by the new one")
	}
	if got := l.head("cond").Info.Confidence; got != 90 {
		t.Errorf("confidence %d, want 90", got)
	}
	l.want(changed, intel.RunUnchanged, "")
	if !conditional() {
		t.Error("the request after that had no validators")
	}
	moved := l.def("cond", map[string]any{"confidence": 90, "feed_url": l.srv.URL("/elsewhere")})
	l.srv.SetString("/elsewhere", "z.example\na000.example\na001.example\n")
	l.want(moved, intel.RunOK, "")
	if log := l.srv.Log("/elsewhere"); log[0].Header.Get("If-None-Match") != "" {
		t.Error("another URL was asked with the old one's validators")
	}
	file := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(file, []byte("f.example\na000.example\na001.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if run := l.job(feed.Job{Def: moved, File: file}); run.Status != intel.RunOK || run.Source != "list.txt" || run.Trigger != "file" {
		t.Errorf("file run: %+v", run)
	}
	if h := l.head("cond"); h.ETag != "" {
		t.Error("a file's content has the validators of a download")
	}
	l.want(moved, intel.RunOK, "") // back to what the publisher says
	l.verify()
}

func TestQuarantine(t *testing.T) {
	l := newLab(t)
	good := names("a", 10)
	for _, c := range []struct{ id, body, code string }{
		{"q-empty", "", "empty"},
		{"q-comment", "# nothing today\n", "empty"},
		{"q-html", "<html><body>Just a moment...</body></html>", "html"},
		{"q-json", `{"error":"unauthorized"}`, "error"},
		{"q-binary", "%PDF-1.4\n%\xd0\xd4\n", "binary"},
		{"q-zeros", strings.Repeat("\x00", 5000), "binary"},
		{"q-other", "Too many requests\nPlease slow down\n", "content"},
		{"q-shrink", strings.Join(good[:4], "\n"), "shrink"},
		{"q-growth", strings.Join(names("a", 51), "\n"), "growth"},
		{"q-replaced", strings.Join(append(names("b", 10), good[3]), "\n"), "replaced"},
		{"q-reject", strings.Join(good, "\n") + "\nnot one\nnot two\nnot three\n", "rejects"},
	} {
		d := l.def(c.id, map[string]any{"guards": map[string]any{"max_replace": 0.8}})
		l.serve(c.id, good...)
		l.want(d, intel.RunOK, "")
		l.advance(time.Minute)
		l.srv.SetString("/"+c.id, c.body)
		run := l.want(d, intel.RunQuarantined, c.code)
		l.wantListed(d, time.Time{}, good, good)
		if run.Raw == "" || !strings.Contains(run.Reason, "last good data stays") {
			t.Errorf("%s: raw %q, reason %q", c.id, run.Raw, run.Reason)
		}
		if st := l.state(c.id); st.Quarantined != run.ID || st.QuarantinedSHA != run.SHA256 || st.Failures != 0 {
			t.Errorf("%s: state %+v", c.id, st)
		}
		if got := l.listing(d, good[0]).LastSeen; !got.Equal(day0) && got.After(l.now().Add(-time.Minute)) {
			t.Errorf("%s: last seen moved to %s by a run that was held back", c.id, got)
		}

		l.advance(time.Minute) // the same again: still the one run to decide about
		raws := l.keys("raw/" + c.id)
		again := l.want(d, intel.RunQuarantined, c.code)
		if again.Of != run.ID || again.Raw != run.Raw {
			t.Errorf("%s: the same content again is a new run to decide about: %+v", c.id, again)
		}
		if st := l.state(c.id); st.Quarantined != run.ID {
			t.Errorf("%s: state %+v after the same again", c.id, st)
		}
		if after := l.keys("raw/" + c.id); !slices.Equal(raws, after) {
			t.Errorf("%s: archived twice: %v", c.id, after)
		}

		l.advance(time.Minute) // healthy again
		l.serve(c.id, append(good, "new.example")...)
		next := l.want(d, intel.RunOK, "")
		if st := l.state(c.id); st.Quarantined != "" || !strings.Contains(next.Reason, run.ID) {
			t.Errorf("%s: after a good run: state %+v, reason %q", c.id, st, next.Reason)
		}
	}
	l.verify()
}

func TestFirstRunIsGuardedToo(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct {
		id, body, code string
		more           map[string]any
	}{
		{"f-html", "<html>", "html", nil},
		{"f-empty", "", "empty", nil},
		{"f-reject", "a.example\nnot one\n", "rejects", nil},
		{"f-small", "a.example\n", "small", map[string]any{"expect_min": 2}},
		{"f-large", "a.example\nb.example\nc.example\n", "large", map[string]any{"expect_max": 2}},
		{"f-json", `{"data": [{"ioc": "a.example"}`, "format", map[string]any{"feed_type": "json", "records": "data[]",
			"field_mapping": map[string]any{"source": []string{"ioc"}, "destination": []string{"indicator"}}}},
	} {
		d := l.def(c.id, c.more)
		l.srv.SetString("/"+c.id, c.body)
		run := l.want(d, intel.RunQuarantined, c.code)
		if l.head(c.id) != nil {
			t.Errorf("%s: has a head", c.id)
		}
		if strings.Contains(run.Reason, "last good") {
			t.Errorf("%s: speaks of good data that there never was: %s", c.id, run.Reason)
		}
	}
	ok := l.def("f-ok", nil)
	l.serve("f-ok", "one.example")
	l.want(ok, intel.RunOK, "")
	empty := l.def("f-may-be-empty", map[string]any{"guards": map[string]any{"allow_empty": true}})
	l.srv.SetString("/f-may-be-empty", "# none today\n")
	l.want(empty, intel.RunOK, "")
	l.want(empty, intel.RunUnchanged, "")
	l.verify()
}

// TestExpired checks that what a feed says has ended is judged by the run's time.
func TestExpired(t *testing.T) {
	l := newLab(t)
	d := l.def("ends", map[string]any{"feed_type": "stix", "indicator_type": "auto"})
	list := func(n int) string {
		return fmt.Sprintf(`{"more": false, "page": %d, "objects": [
			{"type": "indicator", "id": "indicator--1", "pattern": "[domain-name:value = 'ends.example']", "valid_until": %q},
			{"type": "indicator", "id": "indicator--2", "pattern": "[domain-name:value = 'stays.example']"}]}`, n, l.now().Add(time.Duration(2-n)*time.Hour).Format(time.RFC3339))
	}
	l.srv.SetString("/ends", list(1))
	if run := l.want(d, intel.RunOK, ""); run.Accepted != 2 || run.Suppressed != 0 {
		t.Errorf("before: %+v", run.Counts)
	}
	l.srv.SetString("/ends", list(2))
	if run := l.want(d, intel.RunOK, ""); run.Accepted != 1 || run.Suppressed != 1 {
		t.Errorf("after: %+v", run.Counts)
	}
	l.verify()
}

func TestCountsAndRejects(t *testing.T) {
	l := newLab(t)
	d := l.def("counts", map[string]any{"indicator_type": "ipaddress", "guards": map[string]any{"max_reject": 0.95}})
	var b strings.Builder
	b.WriteString("# comment\n\n198.51.100.1\n198.51.100.1\n10.0.0.1\n")
	for i := range 30 {
		fmt.Fprintf(&b, "bad value %d\n", i)
	}
	l.srv.SetString("/counts", b.String())
	run := l.want(d, intel.RunOK, "")
	if want := (intel.Counts{Read: 33, Accepted: 1, Duplicate: 1, Suppressed: 1, Rejected: 30}); run.Counts != want {
		t.Errorf("counts %+v, want %+v", run.Counts, want)
	}
	if len(run.Rejects) != 20 || run.Rejects[0].Line != 6 || run.Rejects[0].Reason == "" {
		t.Errorf("%d rejects, first %+v", len(run.Rejects), run.Rejects)
	}
	if got := l.runs("counts")[0]; len(got.Rejects) != 20 || got.Counts != run.Counts {
		t.Errorf("ledger row %+v", got)
	}
	l.verify()
}

func TestProgress(t *testing.T) {
	l := newLab(t)
	d := l.def("progress", nil)
	l.serve("progress", names("a", 200)...)
	var phases []string
	run := l.job(feed.Job{Def: d, Trigger: "manual", Who: "alice", Progress: func(p feed.Progress) {
		if p.Feed != "progress" || p.Done < 0 || p.Total > 0 && p.Done > p.Total {
			t.Errorf("progress %+v", p)
		}
		if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
			phases = append(phases, p.Phase)
		}
	}})
	if !slices.Equal(phases, []string{"fetch", "parse", "store"}) {
		t.Errorf("phases %v", phases)
	}
	if run.Who != "alice" || run.Trigger != "manual" {
		t.Errorf("run %+v", run)
	}
}

func TestNeedsAWorkingDefinitionID(t *testing.T) {
	l := newLab(t)
	d := *l.def("x", nil)
	d.ID = "../x"
	if _, err := l.runner.Run(t.Context(), feed.Job{Def: &d}); err == nil {
		t.Error("a feed id that leaves its folder was accepted")
	}
	if _, err := l.runner.Runs(t.Context(), "../x", 0); err == nil {
		t.Error("the ledger of such an id was read")
	}
	_ = ingest.TriggerFile
}

// RunsSince reads no further back than it has to.
func TestRunsSince(t *testing.T) {
	l := newLab(t)
	d := l.def("since", nil)
	var ids []string
	for i := range 5 {
		l.serve("since", names("n", 5+i)...)
		ids = append([]string{l.want(d, intel.RunOK, "").ID}, ids...)
		l.advance(24 * time.Hour)
	}
	for n, since := range map[int]time.Time{5: day0, 4: day0.Add(time.Second), 2: day0.AddDate(0, 0, 3), 0: l.now()} {
		runs, err := l.runner.RunsSince(t.Context(), "since", since)
		if err != nil || len(runs) != n {
			t.Fatalf("since %s: %d runs, want %d (%v)", since, len(runs), n, err)
		}
		for i, r := range runs {
			if r.ID != ids[i] {
				t.Errorf("since %s: run %d is %s, want %s", since, i, r.ID, ids[i])
			}
		}
	}
}
