package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// book is an interface that answers in pages of three, whichever way it is asked.
type book struct {
	l     *lab
	id    string
	names []string
	last  string // what it says of where to ask on from
}

func (b *book) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const size = 3
	get := r.URL.Query().Get
	if r.Method == http.MethodPost {
		body := map[string]any{}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		get = func(name string) string {
			if v, ok := body[name]; ok {
				return fmt.Sprint(v)
			}
			return ""
		}
	}
	from := 0
	if n, err := strconv.Atoi(get("offset")); err == nil {
		from = n
	}
	if n, err := strconv.Atoi(get("page")); err == nil {
		from = (n - 1) * size
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(get("cursor"), "at-")); err == nil {
		from = n
	}
	from = min(from, len(b.names))
	end := min(from+size, len(b.names))
	answer := map[string]any{"data": []any{}, "more": end < len(b.names), "last": b.last}
	var data []any
	for _, n := range b.names[from:end] {
		data = append(data, map[string]string{"d": n})
	}
	if data != nil {
		answer["data"] = data
	}
	if end < len(b.names) {
		next := fmt.Sprintf("%s?cursor=at-%d&x=1", b.id, end)
		answer["next"], answer["url"] = fmt.Sprintf("at-%d", end), "/"+next
		w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="first", <%s>; rel="next"`, b.l.srv.URL("/"+b.id), b.l.srv.URL("/"+next)))
		w.Header().Set("X-Next", fmt.Sprintf("at-%d", end))
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		b.l.t.Error(err)
	}
}

// paged is a definition of a feed of pages.
func paged(pages map[string]any, more map[string]any) map[string]any {
	d := map[string]any{"feed_type": "json", "records": "data[]", "field_mapping": map[string]any{"source": []string{"d"}, "destination": []string{"indicator"}}}
	if pages != nil {
		d["pages"] = pages
	}
	maps.Copy(d, more)
	return d
}

func pagings() map[string]map[string]any {
	post := func(pages map[string]any) map[string]any {
		return paged(pages, map[string]any{"method": "POST", "body": `{"query": "all"}`})
	}
	return map[string]map[string]any{
		"link":           paged(map[string]any{"by": "link"}, nil),
		"url":            paged(map[string]any{"by": "url", "path": "url"}, nil),
		"cursor":         paged(map[string]any{"by": "cursor", "path": "next", "param": "cursor"}, nil),
		"cursor, header": paged(map[string]any{"by": "cursor", "path": "header:X-Next", "param": "cursor"}, nil),
		"cursor, body":   post(map[string]any{"by": "cursor", "path": "next", "param": "cursor", "in": "body"}),
		"page":           paged(map[string]any{"by": "page", "param": "page"}, nil),
		"page, body":     post(map[string]any{"by": "page", "param": "page", "in": "body"}),
		"page, more":     paged(map[string]any{"by": "page", "param": "page", "more": "more"}, nil),
		"offset":         paged(map[string]any{"by": "offset", "param": "offset", "step": 3}, nil),
	}
}

// Every style of paging gets the whole feed, and sees when nothing has changed.
func TestPages(t *testing.T) {
	for style, more := range pagings() {
		t.Run(style, func(t *testing.T) {
			l := newLab(t)
			all := names("n", 8)
			b := &book{l: l, id: "book", names: all}
			l.srv.Handle("/book", b.ServeHTTP)
			d := l.def("book", more)
			run := l.want(d, intel.RunOK, "")
			if run.Accepted != 8 || run.Read != 8 {
				t.Errorf("%+v", run.Counts)
			}
			l.wantListed(d, l.now(), all, all)
			asked := len(l.srv.Log("/book"))
			if most := map[bool]int{true: 4, false: 3}[style == "page" || style == "page, body" || style == "offset"]; asked != most {
				t.Errorf("%d requests, want %d", asked, most)
			}
			l.advance(time.Hour)
			if run := l.want(d, intel.RunUnchanged, ""); run.Accepted != 8 {
				t.Errorf("%+v", run)
			}
			b.names = all[:7]
			l.advance(time.Hour)
			l.want(d, intel.RunOK, "")
			l.wantListed(d, l.now(), all, all[:7])
			l.verify()
		})
	}
}

// A page that cannot be had fails the run, and nothing is de-listed.
func TestPageFails(t *testing.T) {
	for _, fault := range []feedserver.Fault{feedserver.NotFound, feedserver.Unavailable, feedserver.RateLimited, feedserver.Reset, feedserver.HTML, feedserver.Unauthorized, feedserver.Truncated} {
		t.Run(string(fault), func(t *testing.T) {
			l := newLab(t)
			all := names("n", 6)
			b := &book{l: l, id: "book", names: all}
			l.srv.Handle("/book", b.ServeHTTP)
			second := func(w http.ResponseWriter, r *http.Request) { b.ServeHTTP(w, r) }
			l.srv.Handle("/second", second)
			d := l.def("book", paged(map[string]any{"by": "url", "path": "url"}, nil))
			b.id = "second"
			l.want(d, intel.RunOK, "")
			l.srv.Fail("/second", fault, 0)
			l.advance(time.Hour)
			run := l.run(d)
			if run.Status != intel.RunFailed || !strings.Contains(run.Reason, "page") && fault != feedserver.HTML {
				t.Fatalf("%s %s: %s", run.Status, run.Code, run.Reason)
			}
			if st := l.state(d.ID); fault == feedserver.RateLimited && !st.NotBefore.After(l.now()) {
				t.Error("the Retry-After of a page is forgotten")
			}
			l.wantListed(d, l.now(), all, all)
			l.srv.Heal("/second")
			l.advance(time.Hour)
			l.want(d, intel.RunUnchanged, "")
			l.verify()
		})
	}
}

// Pages that turn in circles end in an error.
func TestPageLoops(t *testing.T) {
	serve := map[string]string{
		"url":    `{"data": [{"d": "a.example"}], "next": "/loop?p=2"}`,
		"self":   `{"data": [{"d": "a.example"}], "next": "/loop"}`,
		"cursor": `{"data": [{"d": "a.example"}], "next": "x"}`,
		"page":   `{"data": [{"d": "a.example"}]}`,
		"offset": `{"data": [{"d": "a.example"}]}`,
	}
	pages := map[string]map[string]any{
		"url": {"by": "url", "path": "next"}, "self": {"by": "url", "path": "next"}, "cursor": {"by": "cursor", "path": "next", "param": "c"},
		"page": {"by": "page", "param": "p"}, "offset": {"by": "offset", "param": "o", "step": 1},
	}
	for name, body := range serve {
		l := newLab(t)
		l.srv.SetString("/loop", body)
		run := l.want(l.def("loop", paged(pages[name], nil)), intel.RunFailed, "loop")
		if n := len(l.srv.Log("/loop")); n > 2 {
			t.Errorf("%s: %d requests: %s", name, n, run.Reason)
		}
	}
}

// A next page elsewhere is not followed: the key would go with it.
func TestPageElsewhere(t *testing.T) {
	other := feedserver.Start(t)
	other.SetString("/x", `{"data": [{"d": "evil.example"}]}`)
	for _, next := range []string{other.URL("/x"), "http://169.254.169.254/latest", "//evil.example/x", "ftp://127.0.0.1/", "http://user@HOST/loop", "file:///etc/passwd"} {
		l := newLab(t)
		next = strings.Replace(next, "HOST", l.srv.Addr(), 1)
		l.secrets["k"] = canary
		l.srv.SetString("/loop", fmt.Sprintf(`{"data": [{"d": "a.example"}], "next": %q}`, next))
		more := auths()["bearer"]
		run := l.want(l.def("loop", paged(map[string]any{"by": "url", "path": "next"}, more)), intel.RunFailed, "blocked")
		if !strings.Contains(run.Reason, "another origin") || l.head("loop") != nil {
			t.Errorf("%s: %s", next, run.Reason)
		}
	}
	if n := len(other.Log("")); n != 0 {
		t.Errorf("the other origin was asked %d times", n)
	}
}

// More pages than may be fetched: a snapshot is not taken, what only adds is.
func TestPageMax(t *testing.T) {
	for presence, want := range map[string]intel.RunStatus{"snapshot": intel.RunFailed, "rolling": intel.RunFailed, "append": intel.RunOK} {
		l := newLab(t)
		b := &book{l: l, id: "book", names: names("n", 9)}
		l.srv.Handle("/book", b.ServeHTTP)
		d := l.def("book", paged(map[string]any{"by": "cursor", "path": "next", "param": "cursor", "max": 2}, map[string]any{"presence": presence}))
		run := l.run(d)
		if run.Status != want || !strings.Contains(run.Reason, "there is more after 2 pages") {
			t.Errorf("%s: %s %s: %s", presence, run.Status, run.Code, run.Reason)
		}
		if want == intel.RunOK && run.Accepted != 6 {
			t.Errorf("%+v", run.Counts)
		}
		b.names = b.names[:6] // exactly as many as allowed
		l.advance(time.Hour)
		if run := l.run(d); run.Status == intel.RunFailed {
			t.Errorf("%s: %s", presence, run.Reason)
		}
	}
}

// A page that is no list counts as one reject with its name. Where absence means
// something it holds the run back.
func TestBadPage(t *testing.T) {
	for presence, want := range map[string]intel.RunStatus{"snapshot": intel.RunQuarantined, "append": intel.RunOK} {
		l := newLab(t)
		l.srv.SetWith("/p", []byte(`{"data": [{"d": "a.example"}, {"d": "b.example"}]}`), http.Header{"Link": {"</q>; rel=next"}})
		l.srv.SetWith("/q", []byte(`<html>busy</html>`), http.Header{"Link": {"</r>; rel=next"}})
		l.srv.SetString("/r", `{"data": [{"d": "c.example"}, {"d": "d.example"}]}`)
		d := l.def("p", paged(map[string]any{"by": "link"}, map[string]any{"presence": presence, "guards": map[string]any{"max_reject": 0.3}}))
		run := l.run(d)
		if run.Status != want || run.Accepted != 4 || run.Rejected != 1 || !strings.Contains(run.Reason, "0002-page: this is a web page") {
			t.Errorf("%s: %s %+v: %s", presence, run.Status, run.Counts, run.Reason)
		}
		if len(run.Rejects) != 1 || run.Rejects[0].Value != "0002-page" {
			t.Errorf("%+v", run.Rejects)
		}
		if want == intel.RunQuarantined {
			if run, err := l.runner.Decide(t.Context(), d, "", true, "me", "fine"); err != nil || run.Accepted != 4 {
				t.Errorf("approve: %+v, %v", run, err)
			}
		}
		l.verify()
	}
}

// since says what the last request asked for.
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

// The requests of one pull keep their distance.
func TestPause(t *testing.T) {
	l := newLab(t)
	b := &book{l: l, id: "book", names: names("n", 9)}
	l.srv.Handle("/book", b.ServeHTTP)
	l.want(l.def("book", paged(map[string]any{"by": "link"}, map[string]any{"pause": "7s"})), intel.RunOK, "")
	if want := []time.Duration{7 * time.Second, 7 * time.Second}; !slices.Equal(l.pauses, want) {
		t.Errorf("paused %v, want %v", l.pauses, want)
	}
}

// A secret stays out of everything that is stored, whatever pages repeat of it.
func TestSecretsOfPages(t *testing.T) {
	for in, auth := range auths() {
		t.Run(in, func(t *testing.T) {
			l := newLab(t)
			l.secrets["k"] = canary
			path := "/book"
			if in == "path" {
				auth["feed_url"] = l.srv.URL("/book/{secret}/list")
				path = "/book/" + canary + "/list"
			}
			pages := 0
			l.srv.Handle(path, func(w http.ResponseWriter, r *http.Request) {
				pages++
				next := *r.URL
				q := next.Query()
				q.Set("p", strconv.Itoa(pages+1))
				next.RawQuery = q.Encode()
				answer := map[string]any{"you": next.String() + " " + r.Header.Get("Authorization") + r.Header.Get("Auth-Key"), "last": "since " + canary,
					"data": []any{map[string]string{"d": fmt.Sprintf("n%d.example", pages), "note": "see " + canary}}}
				if pages%3 != 0 {
					answer["next"] = next.String()
				}
				if err := json.NewEncoder(w).Encode(answer); err != nil {
					t.Error(err)
				}
			})
			auth["since"] = map[string]any{"param": "since", "from": "last"}
			auth["presence"] = "append"
			d := l.def("book", paged(map[string]any{"by": "url", "path": "next"}, auth))
			run := l.want(d, intel.RunOK, "")
			if run.Accepted != 3 || !strings.Contains(run.Reason, "blackened") || pages != 3 {
				t.Errorf("%d pages, %+v", pages, run)
			}
			l.srv.Fail(path, feedserver.EchoSecrets, 1)
			l.run(d)
			l.srv.Fail(path, feedserver.NotFound, 0)
			l.run(d)
			for _, hit := range search(t, l.dir) {
				t.Error(hit)
			}
			for _, form := range canaryForms() {
				if strings.Contains(l.log.String(), form) || strings.Contains(fmt.Sprintf("%+v", l.runs("book")), form) {
					t.Errorf("the log or the ledger holds %q", form)
				}
			}
			l.verify()
		})
	}
}

// A secret in the body of a POST is escaped as its kind needs.
func TestSecretInBody(t *testing.T) {
	for body, want := range map[string]string{
		`{"key": "{secret}"}`: `{"key": "a\"b\u0026c7"}`,
		`key={secret}&x=1`:    `key=a%22b%26c7&x=1`,
	} {
		l := newLab(t)
		l.secrets["k"] = `a"b&c7`
		l.srv.Handle("/post", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "a.example") })
		l.want(l.def("post", map[string]any{"method": "POST", "body": body, "auth": map[string]any{"secret": "k", "in": "body"}}), intel.RunOK, "")
		got := l.srv.Log("/post")[0]
		if kind := got.Header.Get("Content-Type"); got.Body != want || strings.Contains(kind, "json") != strings.HasPrefix(body, "{") {
			t.Errorf("sent %s as %s", got.Body, kind)
		}
	}
}

// The raw bytes of a pull of several requests can stand in for it.
func TestPackAsFile(t *testing.T) {
	l := newLab(t)
	b := &book{l: l, id: "book", names: names("n", 5)}
	l.srv.Handle("/book", b.ServeHTTP)
	d := l.def("book", paged(map[string]any{"by": "link"}, nil))
	run := l.want(d, intel.RunOK, "")
	file := filepath.Join(t.TempDir(), "raw.tar")
	if err := os.WriteFile(file, unzstd(t, filepath.Join(l.dir, run.Raw)), 0o600); err != nil {
		t.Fatal(err)
	}
	other := newLab(t)
	if run := wantRun(t, other.job(feed.Job{Def: other.def("book", paged(map[string]any{"by": "link"}, nil)), File: file}), intel.RunOK, ""); run.Accepted != 5 {
		t.Errorf("%+v", run)
	}
	// A feed of one document has no packs.
	if run := other.job(feed.Job{Def: other.def("one", paged(nil, nil)), File: file}); run.Status == intel.RunOK {
		t.Errorf("%+v", run)
	}
}

// unzstd reads a file that is compressed with zstd.
func unzstd(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	plain, err := z.DecodeAll(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
