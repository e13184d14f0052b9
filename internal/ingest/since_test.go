package ingest_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// asked is what the last request for path said in param.
func (l *lab) asked(path, param string) string {
	l.t.Helper()
	log := l.srv.Log(path)
	return log[len(log)-1].Query.Get(param)
}

// From where on to ask moves with accepted runs and with nothing else.
func TestSince(t *testing.T) {
	l := newLab(t)
	b := &book{l: l, id: "new", names: names("n", 2)}
	l.srv.Handle("/new", b.ServeHTTP)
	more := paged(nil, map[string]any{"presence": "append", "since": map[string]any{"param": "since", "first": "30d", "overlap": "1h"}})
	d := l.def("new", more)
	want := func(at time.Time) {
		t.Helper()
		if got := l.asked("/new", "since"); got != at.Format(time.RFC3339) {
			t.Errorf("asked since %s, want %s", got, at.Format(time.RFC3339))
		}
	}
	first := l.now()
	l.want(d, intel.RunOK, "")
	want(first.Add(-30 * 24 * time.Hour))

	l.advance(time.Hour) // nothing new: normal, and asked on from here
	b.names = nil
	empty := l.now()
	if run := l.want(d, intel.RunUnchanged, ""); run.Read != 0 || !strings.Contains(run.Reason, "nothing is new") {
		t.Errorf("%+v", run)
	}
	want(first.Add(-time.Hour))
	l.wantListed(d, l.now(), names("n", 2), names("n", 2))

	l.advance(time.Hour) // a failure
	l.srv.Fail("/new", feedserver.Unavailable, 0)
	l.want(d, intel.RunFailed, "rate_limited")
	want(empty.Add(-time.Hour))
	l.srv.Heal("/new")

	l.advance(time.Hour) // what is held back
	b.names = []string{"no domain", "neither"}
	held := l.want(d, intel.RunQuarantined, "content")
	want(empty.Add(-time.Hour))

	l.advance(time.Hour) // a small one is no shrinking
	b.names = []string{"new.example"}
	good := l.now()
	l.want(d, intel.RunOK, "")
	want(empty.Add(-time.Hour))
	l.wantListed(d, l.now(), append(names("n", 2), "new.example"), append(names("n", 2), "new.example"))

	// A file leaves it where it is; so does what a person decides.
	if run := l.job(feed.Job{Def: d, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(`{"data": [{"d": "file.example"}]}`)), nil
	}}); run.Status != intel.RunOK {
		t.Errorf("%+v", run)
	}
	if _, err := l.runner.Decide(t.Context(), d, held.ID, false, "me", ""); err == nil {
		t.Error("a run that was overtaken can be decided about")
	}
	l.advance(time.Hour)
	l.open() // another process knows it, too
	l.want(d, intel.RunOK, "")
	want(good.Add(-time.Hour))

	// Another way of reading, or another question, begins anew.
	more["confidence"] = 10
	l.advance(time.Hour)
	l.run(l.def("new", more))
	want(l.now().Add(-30 * 24 * time.Hour))
	more["since"] = map[string]any{"param": "since", "first": "7d"}
	l.advance(time.Hour)
	l.run(l.def("new", more))
	want(l.now().Add(-7 * 24 * time.Hour))
	l.verify()
}

// The first answer may be empty, too.
func TestSinceEmptyFirst(t *testing.T) {
	l := newLab(t)
	b := &book{l: l, id: "new"}
	l.srv.Handle("/new", b.ServeHTTP)
	d := l.def("new", paged(nil, map[string]any{"presence": "rolling", "ttl": "7d", "since": map[string]any{"param": "s", "format": "hours"}}))
	l.want(d, intel.RunOK, "")
	if l.srv.Log("/new")[0].Query.Has("s") {
		t.Error("asked since a time that nobody said")
	}
	b.names = names("n", 3)
	l.advance(90 * time.Minute)
	l.want(d, intel.RunOK, "")
	if got := l.asked("/new", "s"); got != "2" {
		t.Errorf("asked for the last %s hours, want 2", got)
	}
	l.verify()
}

// A provider that goes back a week is asked for no more, also after a longer pause.
func TestSinceMost(t *testing.T) {
	l := newLab(t)
	b := &book{l: l, id: "new", names: names("n", 1)}
	l.srv.Handle("/new", b.ServeHTTP)
	d := l.def("new", paged(nil, map[string]any{"presence": "append", "since": map[string]any{"param": "s", "format": "days", "first": "30d", "most": "7d", "overlap": "1h"}}))
	for i, step := range []struct {
		after time.Duration
		want  string
	}{{0, "7"}, {time.Hour, "1"}, {9 * 24 * time.Hour, "7"}} {
		l.advance(step.after)
		b.names = names("n", i+1)
		run := l.want(d, intel.RunOK, "")
		if got := l.asked("/new", "s"); got != step.want || strings.Contains(run.Reason, "is missing") != (i == 2) {
			t.Errorf("step %d: %s days, want %s: %s", i, got, step.want, run.Reason)
		}
	}
}

func TestSinceFormats(t *testing.T) {
	for format, want := range map[string]string{
		"rfc3339": "2026-02-27T12:00:00Z", "unix": "1772193600", "unix_ms": "1772193600000", "date": "2026-02-27", "hours": "48", "days": "2",
	} {
		l := newLab(t)
		b := &book{l: l, id: "new", names: names("n", 1)}
		l.srv.Handle("/new", b.ServeHTTP)
		l.want(l.def("new", paged(nil, map[string]any{"presence": "append", "since": map[string]any{"param": "s", "format": format, "first": "48h"}})), intel.RunOK, "")
		if got := l.asked("/new", "s"); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
		l.run(l.def("new", paged(nil, map[string]any{"presence": "append", "method": "POST", "body": `{"query": "get"}`,
			"since": map[string]any{"param": "s", "format": format, "first": "48h", "in": "body"}})))
		log := l.srv.Log("/new")
		if body := log[len(log)-1].Body; format == "days" && body != `{"query":"get","s":2}` || format == "date" && body != `{"query":"get","s":"2026-02-27"}` {
			t.Errorf("%s: body %s", format, body)
		}
	}
}

// What an answer says of where to go on is sent back as it is, from the page
// that was fetched last; a pull that stopped early goes on there.
func TestSinceFrom(t *testing.T) {
	l := newLab(t)
	b := &book{l: l, id: "new", names: names("n", 9), last: "token-1"}
	l.srv.Handle("/new", b.ServeHTTP)
	d := l.def("new", paged(map[string]any{"by": "cursor", "path": "next", "param": "cursor", "max": 2},
		map[string]any{"presence": "append", "since": map[string]any{"param": "s", "from": "last", "first": "1d"}}))
	l.want(d, intel.RunOK, "")
	b.names, b.last = names("m", 2), "" // says nothing more
	for range 2 {
		l.advance(time.Hour)
		l.run(d)
		if got := l.asked("/new", "s"); got != "token-1" {
			t.Errorf("asked %q", got)
		}
	}
	l.verify()
}

// A pull that stopped early must not skip what it did not get.
func TestSinceStopped(t *testing.T) {
	l := newLab(t)
	b := &book{l: l, id: "new", names: names("n", 9)}
	l.srv.Handle("/new", b.ServeHTTP)
	d := l.def("new", paged(map[string]any{"by": "cursor", "path": "next", "param": "cursor", "max": 2},
		map[string]any{"presence": "append", "since": map[string]any{"param": "s", "first": "30d"}}))
	l.want(d, intel.RunOK, "")
	l.advance(time.Hour)
	b.names = names("n", 5)
	l.run(d)
	if got, want := l.srv.Log("/new")[2].Query.Get("s"), l.now().Add(-30*24*time.Hour).Format(time.RFC3339); got != want {
		t.Errorf("asked since %s, want %s", got, want)
	}
}

// A run that is killed in the middle has asked, and nothing else.
func TestKilledPull(t *testing.T) {
	l := newLab(t)
	all := names("n", 6)
	b := &book{l: l, id: "book", names: all}
	l.srv.Handle("/book", b.ServeHTTP)
	d := l.def("book", paged(map[string]any{"by": "cursor", "path": "next", "param": "cursor"},
		map[string]any{"presence": "append", "since": map[string]any{"param": "s", "first": "30d"}}))
	l.want(d, intel.RunOK, "")
	before := l.head("book")
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	l.srv.Handle("/book", func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 2 {
			cancel()
			<-r.Context().Done()
			return
		}
		b.ServeHTTP(w, r)
	})
	l.advance(time.Hour)
	if run, err := l.runner.Run(ctx, feed.Job{Def: d}); !errors.Is(err, context.Canceled) {
		t.Fatalf("%+v, %v", run, err)
	}
	if after := l.head("book"); after.Version != before.Version || !maps.Equal(after.Since, before.Since) {
		t.Errorf("the head changed: %+v", after)
	}
	l.srv.Handle("/book", b.ServeHTTP)
	l.run(d)
	if got, want := l.srv.Log("/book")[len(l.srv.Log("/book"))-2].Query.Get("s"), day0.Format(time.RFC3339); got != want {
		t.Errorf("asked since %s, want %s", got, want)
	}
	l.wantListed(d, l.now(), all, all)
	l.verify()
}
