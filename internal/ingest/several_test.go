package ingest_test

import (
	"encoding/json"
	"fmt"
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
