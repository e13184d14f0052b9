// Package e2e runs the whole pipeline in one process on real feeds: a publisher
// on loopback, definitions as users write them, the scheduler, ingest, the
// corpus and look-ups, over the life of a hundred feeds.
package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/lookup"
	"github.com/elasticintel/elasticintel/internal/parse"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// entries parses a sample on its own, to know what must be found.
func entries(t *testing.T, s *sample) []intel.Entry {
	t.Helper()
	res, err := parse.Collect(t.Context(), bytes.NewReader(s.Plain()), s.def.Spec(), parse.Options{})
	if err != nil {
		t.Fatalf("%s: %v", s.File, err)
	}
	return res.Entries
}

// asked is what a person asks for to find an entry: what the feed wrote, where
// that is a value by itself ("*.bad.example" is not).
func asked(e intel.Entry) string {
	if ind, err := intel.Detect(e.Original); err == nil && ind == e.Indicator && !strings.ContainsAny(e.Original, "\r\n") {
		return e.Original
	}
	return e.Indicator.Value
}

// some picks n entries from all over the list.
func some(list []intel.Entry, n int) []intel.Entry {
	if len(list) <= n {
		return list
	}
	var out []intel.Entry
	for i := range n {
		out = append(out, list[i*len(list)/n])
	}
	return out
}

// change is what a test takes away from a sample's list and brings back.
type change struct {
	s       *sample
	gone    []intel.Entry // de-listed in the third hour
	stays   []intel.Entry
	without []byte
}

// plan finds entries that stand on one line each that holds nothing else.
func plan(s *sample, list []intel.Entry) *change {
	if !s.lines() || len(list) < 8 {
		return nil
	}
	c := &change{s: s}
	lines := bytes.SplitAfter(s.Plain(), []byte("\n"))
	perLine := map[int]int{}
	for _, e := range list {
		perLine[e.Line]++
	}
	for _, e := range some(list, 12) {
		sole := perLine[e.Line] == 1 && e.Line >= 1 && e.Line <= len(lines) && bytes.Contains(lines[e.Line-1], []byte(e.Original)) &&
			bytes.Count(s.Plain(), []byte(e.Original)) == 1 && len(lines[e.Line-1]) > 1
		if sole && len(c.gone) < 3 {
			lines[e.Line-1] = nil
			c.gone = append(c.gone, e)
		} else {
			c.stays = append(c.stays, e)
		}
	}
	if len(c.gone) == 0 || len(c.stays) == 0 {
		return nil
	}
	c.without = bytes.Join(lines, nil)
	return c
}

func TestLifeOfAHundredFeeds(t *testing.T) {
	most := 30_000
	if os.Getenv("EI_SOAK") != "" {
		most = 1 << 30
	}
	srv := feedserver.Start(t)
	w := &world{t: t, dir: t.TempDir(), srv: srv, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	w.samples = samples(t, srv, most)
	if len(w.samples) < 100 {
		t.Fatalf("only %d feeds", len(w.samples))
	}
	for _, s := range w.samples {
		s.serve(srv)
	}
	w.open()
	want := map[*sample][]intel.Entry{}
	total := 0
	for _, s := range w.samples {
		want[s] = entries(t, s)
		total += len(want[s])
	}

	first := w.hour()
	t1 := w.now
	w.firstRuns(first, want)
	w.secondHour()
	changes := w.delist(want)
	t3 := w.now
	w.relist(changes, t1, t3)
	w.restart(changes)
	w.secondProcess(changes)
	w.verify()
	t.Logf("%d feeds, %d listings; %d changed, de-listed and listed again", len(w.samples), total, len(changes))
}

// firstRuns: every feed says what the independent counts say, and is found.
func (w *world) firstRuns(runs map[string]intel.Run, want map[*sample][]intel.Entry) {
	w.t.Helper()
	var held []string
	for _, s := range w.samples {
		run := runs[s.def.ID]
		if run.Counts != s.Counts {
			w.t.Errorf("%s: counts %+v, want %+v", s.File, run.Counts, s.Counts)
		}
		if s.held() {
			held = append(held, s.File)
			if run.Status != intel.RunQuarantined {
				w.t.Errorf("%s: %s (%s), want it held back", s.File, run.Status, run.Reason)
			}
			continue
		}
		if run.Status != intel.RunOK || run.Open != s.Counts.Accepted || run.HTTPStatus != http.StatusOK {
			w.t.Errorf("%s: %s (%s), %d open", s.File, run.Status, run.Reason, run.Open)
		}
		for _, e := range some(want[s], 10) {
			x := w.ask(s.def.ID, asked(e), time.Time{})
			if x == nil || !x.Listed || x.Canonical != e.Indicator.Value || !x.FirstSeen.Equal(w.now) || !x.LastSeen.Equal(w.now) {
				w.t.Errorf("%s: %q: %+v", s.File, e.Original, x)
			}
		}
	}
	w.t.Logf("first hour: %d feeds taken, %d held back: %v", len(w.samples)-len(held), len(held), held)
}

// secondHour: nothing has changed, and nothing is sent or written.
func (w *world) secondHour() {
	w.t.Helper()
	segments := w.files("segments")
	raw := w.files("raw")
	runs := w.hour()
	for _, s := range w.samples {
		run := runs[s.def.ID]
		if s.held() {
			if run.Status != intel.RunQuarantined || run.Of == "" {
				w.t.Errorf("%s: %+v", s.File, run)
			}
			continue
		}
		if run.Status != intel.RunUnchanged || run.HTTPStatus != http.StatusNotModified || w.srv.Count(s.path, http.StatusNotModified) != 1 {
			w.t.Errorf("%s: %s %d (%s), want 304", s.File, run.Status, run.HTTPStatus, run.Reason)
		}
	}
	if a, b := w.files("segments"), w.files("raw"); a != segments || b != raw {
		w.t.Errorf("%d segments and %d raw objects, %d and %d before", a, b, segments, raw)
	}
}

func (w *world) files(prefix string) int {
	n := 0
	err := filepath.WalkDir(filepath.Join(w.dir, prefix), func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	return n
}

// delist: publishers take entries away.
func (w *world) delist(want map[*sample][]intel.Entry) []*change {
	w.t.Helper()
	var changes []*change
	for _, s := range w.samples {
		if s.held() {
			continue
		}
		if c := plan(s, want[s]); c != nil {
			w.srv.Set(s.path, c.without)
			changes = append(changes, c)
		}
	}
	if len(changes) < len(w.samples)/3 {
		w.t.Errorf("only %d of %d feeds can be changed", len(changes), len(w.samples))
	}
	runs := w.hour()
	for _, c := range changes {
		if run := runs[c.s.def.ID]; run.Status != intel.RunOK || run.Removed != len(c.gone) || run.New+run.Relisted != 0 {
			w.t.Errorf("%s: %s (%s) %+v, want %d removed", c.s.File, run.Status, run.Reason, run.Change, len(c.gone))
		}
		for _, e := range c.gone {
			if x := w.ask(c.s.def.ID, asked(e), time.Time{}); x == nil || x.Listed || len(x.Intervals) != 1 || x.Intervals[0].To == nil || !x.Intervals[0].To.Equal(w.now) {
				w.t.Errorf("%s: %q was taken away: %+v", c.s.File, e.Original, x)
			}
			if x := w.ask(c.s.def.ID, asked(e), w.now.Add(-time.Minute)); x == nil || !x.Listed {
				w.t.Errorf("%s: %q a minute before: %+v", c.s.File, e.Original, x)
			}
		}
		for _, e := range c.stays {
			if x := w.ask(c.s.def.ID, asked(e), time.Time{}); x == nil || !x.Listed {
				w.t.Errorf("%s: %q stays: %+v", c.s.File, e.Original, x)
			}
		}
	}
	return changes
}

// relist: they list them again; each instant is remembered as it was.
func (w *world) relist(changes []*change, t1, t3 time.Time) {
	w.t.Helper()
	for _, c := range changes {
		c.s.serve(w.srv)
	}
	runs := w.hour()
	t4 := w.now
	w.now = w.now.Add(time.Minute)
	for _, c := range changes {
		id := c.s.def.ID
		if run := runs[id]; run.Status != intel.RunOK || run.Relisted != len(c.gone) || run.Open != c.s.Counts.Accepted {
			w.t.Errorf("%s: %s (%s) %+v, want %d listed again", c.s.File, run.Status, run.Reason, run.Change, len(c.gone))
		}
		for _, e := range c.gone {
			for _, p := range []struct {
				at     time.Time
				exists bool
				listed bool
			}{{t1.Add(-time.Minute), false, false}, {t1, true, true}, {t3.Add(-time.Minute), true, true}, {t3.Add(time.Minute), true, false},
				{t4.Add(-time.Minute), true, false}, {t4, true, true}, {time.Time{}, true, true}} {
				x := w.ask(id, asked(e), p.at)
				if (x != nil) != p.exists || x != nil && x.Listed != p.listed {
					w.t.Errorf("%s: %q as of %s: %+v, want exists %v, listed %v", c.s.File, e.Original, p.at, x, p.exists, p.listed)
				}
			}
			if x := w.ask(id, asked(e), time.Time{}); x != nil && (len(x.Intervals) != 2 || !x.FirstSeen.Equal(t1) || x.Intervals[1].To != nil) {
				w.t.Errorf("%s: %q has the history %+v", c.s.File, e.Original, x.Intervals)
			}
		}
	}
}

// values is what restart and the second process ask.
func values(changes []*change) []string {
	var out []string
	for _, c := range changes {
		for _, e := range append(append([]intel.Entry{}, c.gone...), c.stays...) {
			out = append(out, asked(e))
		}
	}
	return append(out, "not-listed.example", "no indicator at all")
}

func (w *world) answers(list []string) []string {
	w.t.Helper()
	var out []string
	for _, v := range list {
		a, err := w.lookup.Answer(w.t.Context(), v, lookup.Options{})
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, string(a.AppendJSON(nil)))
	}
	return out
}

// restart: a new process answers the same, byte for byte.
func (w *world) restart(changes []*change) {
	w.t.Helper()
	list := values(changes)
	before := w.answers(list)
	w.open()
	for i, a := range w.answers(list) {
		if a != before[i] {
			w.t.Errorf("%q: before the restart %s, after it %s", list[i], before[i], a)
		}
	}
}
