package ingest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/crashtest"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

func (l *lab) path(key string) string { return filepath.Join(l.dir, filepath.FromSlash(key)) }

// damage changes an object behind the store's back and returns how to undo it.
func (l *lab) damage(key string, change func([]byte) []byte) (undo func()) {
	l.t.Helper()
	good, err := os.ReadFile(l.path(key))
	if err != nil {
		l.t.Fatal(err)
	}
	put := func(data []byte) {
		if err := os.WriteFile(l.path(key)+"~", data, 0o600); err != nil {
			l.t.Fatal(err)
		}
		if err := os.Rename(l.path(key)+"~", l.path(key)); err != nil { // a new file: maps of the old one stay good
			l.t.Fatal(err)
		}
	}
	put(change(bytes.Clone(good)))
	return func() { put(good) }
}

// damages are what disks, copies and people do to files.
func damages() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"half":      func(b []byte) []byte { return b[:len(b)/2] },
		"last byte": func(b []byte) []byte { return b[:len(b)-2] },
		"flip":      func(b []byte) []byte { b[len(b)/3] ^= 0x10; return b },
		"zeros":     func(b []byte) []byte { return make([]byte, len(b)) },
		"other":     func([]byte) []byte { return []byte(`{"format": 1, "feed": "somebody-else"}`) },
	}
}

// A damaged head or segment: the run says so by name and changes nothing, other
// feeds go on, and when the object is restored all is as it was.
func TestDamagedData(t *testing.T) {
	for _, what := range []string{"head", "segment"} {
		for name, change := range damages() {
			t.Run(what+" "+name, func(t *testing.T) { damagedCase(t, what, name, change) })
		}
	}
}

// hurt returns a lab with a feed whose head or segment is damaged and another
// feed, as a new process finds them.
func hurt(t *testing.T, what string, change func([]byte) []byte) (l *lab, d, other *feed.Definition, key string, undo func()) {
	t.Helper()
	l = newLab(t)
	d, other = l.def("hurt", nil), l.def("well", nil)
	for _, f := range []*feed.Definition{d, other} {
		l.job(feed.Job{Def: f, Open: content(names("a", 50))})
	}
	l.advance(time.Hour)
	key = "heads/hurt.json"
	if what == "segment" {
		key = l.keys("segments/hurt/")[0]
	}
	undo = l.damage(key, change)
	l.open()
	return l, d, other, key, undo
}

func damagedCase(t *testing.T, what, name string, change func([]byte) []byte) {
	l, d, other, key, undo := hurt(t, what, change)
	head, damaged := readFile(t, l.path("heads/hurt.json")), readFile(t, l.path(key))
	status, code := intel.RunFailed, "store"
	if what == "segment" {
		status, code = intel.RunQuarantined, "damage"
	}
	lists := [][]string{names("a", 50), names("a", 51)} // also what would be unchanged
	if what == "segment" && name == "flip" {
		lists = lists[1:] // one bit in a record shows when the record is read
	}
	for _, lines := range lists {
		run := l.job(feed.Job{Def: d, Open: content(lines)})
		wantRun(t, run, status, code)
		if !strings.Contains(run.Reason, "hurt") || !strings.Contains(run.Reason, "backup") {
			t.Errorf("reason %q", run.Reason)
		}
	}
	if !bytes.Equal(readFile(t, l.path(key)), damaged) || !bytes.Equal(readFile(t, l.path("heads/hurt.json")), head) {
		t.Error("the run wrote over what is damaged")
	}
	if len(problems(t, l.store)) == 0 {
		t.Error("verify finds nothing")
	}
	if r := l.job(feed.Job{Def: other, Open: content(names("a", 51))}); r.Status != intel.RunOK {
		t.Errorf("the other feed: %+v", r)
	}
	undo()
	l.open()
	l.wantListed(d, time.Time{}, names("a", 51), names("a", 50))
	if r := l.job(feed.Job{Def: d, Open: content(names("a", 51))}); r.Status != intel.RunOK || r.New != 1 {
		t.Errorf("after the repair: %+v", r)
	}
	l.verify()
}

// Without a backup a person may go on: with what can be read, and what is listed now.
func TestApproveOverDamage(t *testing.T) {
	l, d, _, _, _ := hurt(t, "segment", func(b []byte) []byte { return b[:len(b)/2] })
	wantRun(t, l.job(feed.Job{Def: d, Open: content(names("a", 50))}), intel.RunQuarantined, "damage")
	run := l.decide(d, "", true)
	if run.Status != intel.RunOK || run.Open != 50 || !strings.Contains(run.Reason, "lost") {
		t.Errorf("%+v", run)
	}
	l.wantListed(d, time.Time{}, names("a", 51), names("a", 50))
	l.want2(feed.Job{Def: d, Open: content(names("a", 50))}, intel.RunUnchanged)
	l.open()
	if err := l.corpus.Err(); err != nil {
		t.Error(err)
	}
	l.verify()
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A damaged state is put together from the ledger: what waits still waits, what
// was rejected stays ignored.
func TestDamagedState(t *testing.T) {
	for name, change := range damages() {
		l, d, waits := held(t)
		before := l.state("held")
		l.damage("state/held.json", change)
		if name != "flip" { // that may leave a readable state
			if st := l.state("held"); st.Quarantined != waits.ID || st.QuarantinedSHA != waits.SHA256 || !st.LastGood.Equal(before.LastGood) || st.LastRun.ID != waits.ID {
				t.Errorf("%s: state %+v, want %+v", name, st, before)
			}
			if again := l.want(d, intel.RunQuarantined, "shrink"); again.Of != waits.ID {
				t.Errorf("%s: %+v", name, again)
			}
			l.decide(d, "", false)
			l.damage("state/held.json", change)
			l.want(d, intel.RunUnchanged, ingest.CodeRejectedBefore)
			l.verify()
		}
	}
}

func TestLostState(t *testing.T) {
	l, d, waits := held(t)
	if err := l.store.Delete(t.Context(), "state/held.json"); err != nil {
		t.Fatal(err)
	}
	if err := l.runner.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := l.state("held"); st.LastRun.ID != waits.ID || st.Quarantined != waits.ID {
		t.Errorf("state %+v", st)
	}
	l.decide(d, "", true)
	l.verify()
}

// A state that is lost comes back as it was, health and all: before the next run
// by Repair, and by the run itself.
func TestLostStateComesBackWhole(t *testing.T) {
	l := newLab(t)
	d := l.def("held", nil)
	for i, content := range [][]string{names("a", 10), names("a", 11), names("a", 11), names("a", 2), nil} {
		l.serve("held", content...)
		if content == nil {
			l.srv.Fail("/held", feedserver.NotFound, 0)
		}
		l.run(d)
		before := l.state("held")
		if err := l.store.Delete(t.Context(), "state/held.json"); err != nil {
			t.Fatal(err)
		}
		if err := l.runner.Repair(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, l.state("held")); diff != "" {
			t.Fatalf("run %d, repaired:\n%s", i, diff)
		}
		l.advance(24 * time.Hour)
	}
	before := l.state("held")
	if err := l.store.Delete(t.Context(), "state/held.json"); err != nil {
		t.Fatal(err)
	}
	l.run(d)
	if st := l.state("held"); st.Failures != before.Failures+1 || st.Class != feed.ClassQuarantined || !st.Since.Equal(before.Since) || st.Quarantined != before.Quarantined {
		t.Errorf("state %+v, want it to go on from %+v", st, before)
	}
}

// A damaged ledger is reported and goes on: rows that can be read are shown, new
// ones are added, and what is damaged is kept for whoever looks into it.
func TestDamagedLedger(t *testing.T) {
	l := newLab(t)
	d := l.def("ledger", nil)
	var ids []string
	for i := range 3 {
		ids = append(ids, l.job(feed.Job{Def: d, Open: content(names("a", 10+i))}).ID)
	}
	l.damage("runs/ledger/2026-03-01.ndjson", func(b []byte) []byte {
		lines := bytes.SplitAfter(b, []byte("\n"))
		lines[1] = append(lines[1][:20], '\n')
		b = bytes.Join(lines, nil)
		return b[:len(b)-1] // and no line end at the last
	})
	found := problems(t, l.store)
	if len(found) != 1 || !strings.Contains(found[0].Detail, "line 2") {
		t.Errorf("problems %+v", found)
	}
	ids = append(ids, l.job(feed.Job{Def: d, Open: content(names("a", 14))}).ID)
	var got []string
	for _, r := range l.runs("ledger") {
		got = append(got, r.ID)
	}
	if want := []string{ids[3], ids[2], ids[0]}; !slices.Equal(got, want) {
		t.Errorf("runs %v, want %v", got, want)
	}
}

func TestVerifyLedgerFinds(t *testing.T) {
	type change func(t *testing.T, l *lab, rows [][]byte) [][]byte
	for name, c := range map[string]struct {
		change change
		want   string
	}{
		"counts that do not add up": {func(_ *testing.T, _ *lab, rows [][]byte) [][]byte {
			rows[1] = bytes.Replace(rows[1], []byte(`"read":11`), []byte(`"read":12`), 1)
			return rows
		}, "12 records were read"},
		"a row twice": {func(_ *testing.T, _ *lab, rows [][]byte) [][]byte { return append(rows, rows[0]) }, "stands twice"},
		"a row of another": {func(_ *testing.T, _ *lab, rows [][]byte) [][]byte {
			rows[0] = bytes.Replace(rows[0], []byte(`"feed":"v"`), []byte(`"feed":"w"`), 1)
			return rows
		}, `is of feed "w"`},
		"a row of another day": {func(_ *testing.T, _ *lab, rows [][]byte) [][]byte {
			rows[0] = bytes.Replace(rows[0], []byte(`"id":"20260301`), []byte(`"id":"20260302`), 1)
			return rows
		}, "another day"},
		"a lost row": {func(_ *testing.T, _ *lab, rows [][]byte) [][]byte { return append(rows[:2:2], rows[3]) }, "missing in the ledger between others"},
		"lost raw bytes": {func(t *testing.T, l *lab, rows [][]byte) [][]byte {
			if err := l.store.Delete(t.Context(), l.keys("raw/v/")[0]); err != nil {
				t.Fatal(err)
			}
			return rows
		}, "raw bytes"},
	} {
		l := newLab(t)
		d := l.def("v", nil)
		for i := range 3 {
			l.job(feed.Job{Def: d, Open: content(names("a", 10+i))})
			l.advance(time.Minute)
		}
		l.job(feed.Job{Def: d, File: "no/such/file"})
		l.verify()
		l.damage("runs/v/2026-03-01.ndjson", func(b []byte) []byte {
			return bytes.Join(c.change(t, l, bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))), []byte("\n"))
		})
		found := problems(t, l.store)
		if len(found) == 0 || !strings.Contains(found[0].Detail, c.want) {
			t.Errorf("%s: found %+v", name, found)
		}
	}
}

// A process that was killed between head and ledger left no row; the head knows it.
func TestRepair(t *testing.T) {
	l := newLab(t)
	d := l.def("torn", nil)
	l.job(feed.Job{Def: d, Open: content(names("a", 10))})
	l.advance(time.Hour)
	mem := &crashtest.Faulty{Store: l.store, Mode: crashtest.Dead}
	c, err := corpus.Open(t.Context(), mem, corpus.Options{Now: l.now})
	if err != nil {
		t.Fatal(err)
	}
	r := l.newRunner(mem, c)
	_, err = r.Run(t.Context(), feed.Job{Def: d, Open: content(names("a", 11)), Progress: func(p feed.Progress) {
		if p.Phase == "store" && p.Done > 0 { // the segment stands: head read and written, then nothing more
			mem.At = mem.Count() + 3
		}
	}})
	if !errors.Is(err, crashtest.ErrInjected) {
		t.Fatalf("run: %v, hit %s", err, mem.Hit())
	}
	if h := l.head("torn"); h.Version != 2 || len(l.runs("torn")) != 1 {
		t.Fatalf("head version %d, %d rows: the fault came at another place (%s)", h.Version, len(l.runs("torn")), mem.Hit())
	}
	l.verify() // the leftover of a kill is no problem
	for range 3 {
		if err := l.runner.Repair(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rows := l.runs("torn")
	if h := l.head("torn"); len(rows) != 2 || rows[0].ID != h.Run.ID || rows[0].Status != intel.RunOK {
		t.Errorf("rows %+v", rows)
	}
	if st := l.state("torn"); st.LastRun.ID != rows[0].ID || !st.LastGood.Equal(l.now()) {
		t.Errorf("state %+v", st)
	}
	l.verify()
}

// The same, but the next run comes without a Repair: it must not let the row go.
func TestNextRunRepairs(t *testing.T) {
	l := newLab(t)
	d := l.def("torn", nil)
	l.job(feed.Job{Def: d, Open: content(names("a", 10))})
	l.advance(time.Hour)
	second := l.job(feed.Job{Def: d, Open: content(names("a", 11))})
	l.damage("runs/torn/2026-03-01.ndjson", func(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] })
	if err := l.store.Delete(t.Context(), "state/torn.json"); err != nil {
		t.Fatal(err)
	}
	l.advance(time.Hour)
	third := l.job(feed.Job{Def: d, Open: content(names("a", 12))})
	rows := l.runs("torn")
	if len(rows) != 3 || rows[0].ID != third.ID || rows[1].ID != second.ID {
		t.Errorf("rows %+v", rows)
	}
	l.verify()
}

// What a full disk says must reach the user, and the run must say that it failed.
func TestFullStoreIsToldInWords(t *testing.T) {
	l := newLab(t)
	d := l.def("full", nil)
	l.job(feed.Job{Def: d, Open: content(names("a", 10))})
	l.advance(time.Hour)
	full := &crashtest.Faulty{Store: l.store, Mode: crashtest.Before, Err: blob.ErrFull}
	c, err := corpus.Open(t.Context(), full, corpus.Options{Now: l.now})
	if err != nil {
		t.Fatal(err)
	}
	r := l.newRunner(full, c)
	run, err := r.Run(t.Context(), feed.Job{Def: d, Open: content(names("a", 11)), Progress: func(p feed.Progress) {
		if p.Phase == "fetch" && p.Done > 0 { // the next write is that of the raw bytes
			full.At = full.Count() + 1
		}
	}})
	wantRun(t, run, intel.RunFailed, "disk")
	if err != nil || !strings.Contains(run.Reason, "disk is full") || !strings.Contains(full.Hit(), "put raw/") {
		t.Errorf("%q, %v, hit %s", run.Reason, err, full.Hit())
	}
	full.Mode, full.At = crashtest.Dead, 1
	if _, err := r.Run(t.Context(), feed.Job{Def: d, Open: content(names("a", 11))}); !errors.Is(err, blob.ErrFull) || !strings.Contains(err.Error(), "could not be recorded") {
		t.Errorf("run on a full disk: %v", err)
	}
	if r := l.job(feed.Job{Def: d, Open: content(names("a", 11))}); r.Status != intel.RunOK {
		t.Errorf("with space again: %+v", r)
	}
	l.verify()
}
