package ingest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// paste is an item of a list.
type paste struct {
	Key  string `json:"key"`
	Date string `json:"date,omitempty"`
	Text string `json:"-"`
}

// pastes serves a list and its items.
func (l *lab) pastes(list ...paste) {
	l.t.Helper()
	data, err := json.Marshal(map[string]any{"pastes": list})
	if err != nil {
		l.t.Fatal(err)
	}
	l.srv.Set("/list", data)
	for _, p := range list {
		l.srv.SetString("/raw/"+p.Key, p.Text)
	}
}

func (l *lab) pasteFeed(more map[string]any) map[string]any {
	d := map[string]any{"feed_url": l.srv.URL("/list"), "guards": map[string]any{"max_shrink": 1, "max_growth": 100, "max_reject": 1},
		"items": map[string]any{"records": "pastes[]", "url": "/raw/{key}", "stamp": "date", "reference": "https://paste.example/{key}"}}
	maps.Copy(d, more)
	return d
}

func TestItems(t *testing.T) {
	l := newLab(t)
	l.pastes(paste{"k1", "1", "a1[.]example"}, paste{"k2", "1", "# nothing here"}, paste{"k3", "1", "a3.example\na1.example"})
	d := l.def("items", l.pasteFeed(nil))
	run := l.want(d, intel.RunOK, "")
	if run.Accepted != 2 || run.Duplicate != 1 || len(l.srv.Log("")) != 4 {
		t.Errorf("%+v after %d requests", run.Counts, len(l.srv.Log("")))
	}
	if got := l.listing(d, "a1.example"); !strings.Contains(got.Reference+fmt.Sprint(got.Context), "https://paste.example/k1") || !strings.Contains(got.Reference+fmt.Sprint(got.Context), "https://paste.example/k3") {
		t.Errorf("references %q, %v", got.Reference, got.Context)
	}
	// Nothing changed: one request.
	l.advance(time.Hour)
	if run := l.want(d, intel.RunUnchanged, ""); !strings.Contains(run.Reason, "3 of 3 items had not changed") || len(l.srv.Log("")) != 5 {
		t.Errorf("%d requests: %s", len(l.srv.Log("")), run.Reason)
	}
	// One changed, one is new, one is off the list: two items are fetched.
	l.pastes(paste{"k1", "2", "a1b.example"}, paste{"k3", "1", "z.example"}, paste{"k4", "1", "a4.example"})
	l.advance(time.Hour)
	l.want(d, intel.RunOK, "")
	if n := len(l.srv.Log("")); n != 8 {
		t.Errorf("%d requests, want 8", n)
	}
	all := []string{"a1.example", "a1b.example", "a4.example", "z.example"}
	l.wantListed(d, l.now(), all, []string{"a1.example", "a1b.example", "a4.example"})
	l.verify()

	// Without the raw bytes of the last good run all are fetched again.
	if err := os.RemoveAll(filepath.Join(l.dir, "raw", "items")); err != nil {
		t.Fatal(err)
	}
	l.advance(time.Hour)
	l.run(d)
	if n := len(l.srv.Log("")); n != 12 {
		t.Errorf("%d requests, want 12", n)
	}
}

// Without a stamp nobody knows whether an item has changed.
func TestItemsWithoutStamp(t *testing.T) {
	l := newLab(t)
	l.pastes(paste{Key: "k1", Text: "a1.example"}, paste{Key: "k2", Text: "a2.example"})
	d := l.def("items", l.pasteFeed(map[string]any{"items": map[string]any{"records": "pastes[]", "url": "/raw/{key}"}}))
	l.want(d, intel.RunOK, "")
	l.srv.SetString("/raw/k1", "a3.example")
	l.advance(time.Hour)
	l.want(d, intel.RunOK, "")
	l.wantListed(d, l.now(), []string{"a1.example", "a2.example", "a3.example"}, []string{"a2.example", "a3.example"})
}

// An item that is gone is counted; any other failure fails the run, and the
// next one begins anew.
func TestItemFails(t *testing.T) {
	for fault, want := range map[feedserver.Fault]intel.RunStatus{
		feedserver.NotFound: intel.RunOK, feedserver.Gone: intel.RunOK, feedserver.Unavailable: intel.RunFailed,
		feedserver.Forbidden: intel.RunFailed, feedserver.Reset: intel.RunFailed, feedserver.RateLimited: intel.RunFailed,
	} {
		l := newLab(t)
		l.pastes(paste{"k1", "1", "a1.example"}, paste{"k2", "1", "a2.example"})
		d := l.def("items", l.pasteFeed(nil))
		l.want(d, intel.RunOK, "")
		l.pastes(paste{"k1", "1", "a1.example"}, paste{"k2", "2", "a2.example"}, paste{"k3", "1", "a3.example"})
		l.srv.Fail("/raw/k2", fault, 0)
		l.advance(time.Hour)
		run := l.run(d)
		all := []string{"a1.example", "a2.example", "a3.example"}
		switch {
		case run.Status != want:
			t.Errorf("%s: %s: %s", fault, run.Status, run.Reason)
		case want == intel.RunOK:
			if !strings.Contains(run.Reason, "1 of 3 items are gone") {
				t.Errorf("%s: %s", fault, run.Reason)
			}
			l.wantListed(d, l.now(), all, []string{"a1.example", "a3.example"})
		default:
			if !strings.Contains(run.Reason, "item 2 of 3") {
				t.Errorf("%s: %s", fault, run.Reason)
			}
			l.wantListed(d, l.now(), all, all[:2])
		}
		l.srv.Heal("/raw/k2")
		l.advance(time.Hour)
		l.want(d, intel.RunOK, "")
		l.wantListed(d, l.now(), all, all)
		l.verify()
	}
}

// Items elsewhere are fetched only where the definition names the host, and
// never with the secret.
func TestItemsElsewhere(t *testing.T) {
	other, third := feedserver.Start(t), feedserver.Start(t)
	l := newLab(t)
	l.secrets["k"] = canary
	other.SetString("/x", "b1.example")
	third.SetString("/x", "evil.example")
	l.srv.SetString("/own", "b2.example")
	list := strings.Join([]string{"# a list of URLs", other.URL("/x"), third.URL("/x"), "/own", "http://user:pw@" + other.Addr() + "/x", "gopher://x", "%zz"}, "\n")
	l.srv.SetString("/list", list)
	more := auths()["header"]
	more["headers"] = map[string]string{"Accept": "text/plain", "X-Session": "mine"}
	more["items"] = map[string]any{"records": "lines", "url": "{.}", "hosts": []string{other.Addr()}}
	d := l.def("items", l.pasteFeed(more))
	run := l.want(d, intel.RunOK, "")
	for _, want := range []string{"2 items lie on other hosts", "2 items of the list say nothing"} {
		if !strings.Contains(run.Reason, want) {
			t.Errorf("the reason lacks %q: %s", want, run.Reason)
		}
	}
	l.wantListed(d, l.now(), []string{"b1.example", "b2.example", "evil.example"}, []string{"b1.example", "b2.example"})
	if len(third.Log("")) != 0 || len(other.Log("/x")) != 1 {
		t.Errorf("the third was asked %d times, the other %d", len(third.Log("")), len(other.Log("/x")))
	}
	h := other.Log("/x")[0].Header
	if h.Get("Auth-Key") != "" || h.Get("X-Session") != "" || h.Get("Accept") != "text/plain" {
		t.Errorf("the other host got %v", h)
	}
	if l.srv.Log("/own")[0].Header.Get("Auth-Key") != canary {
		t.Error("the feed's own item was asked for without the key")
	}
}

// A host that the definition names is reached through the guard of every connection.
func TestItemsInside(t *testing.T) {
	l := newLab(t)
	l.srv.SetString("/list", "http://169.254.169.254/latest/meta-data/\n")
	run := l.run(l.def("items", l.pasteFeed(map[string]any{"items": map[string]any{"records": "lines", "url": "{.}", "hosts": []string{"169.254.169.254"}}})))
	if run.Status != intel.RunFailed || run.Code != "blocked" || !strings.Contains(run.Reason, "link-local") {
		t.Errorf("%s %s: %s", run.Status, run.Code, run.Reason)
	}
}

// A list that is none, or is empty, is no list that has become empty.
func TestItemsList(t *testing.T) {
	for body, want := range map[string]string{
		"<html>busy</html>":     "page",
		`{"pastes": []}`:        "page",
		`{"error": "no"}`:       "page",
		`{"pastes": [{"key": `:  "page",
		`{"pastes": [1, null]}`: "empty",
	} {
		l := newLab(t)
		l.srv.SetString("/list", body)
		run := l.run(l.def("items", l.pasteFeed(nil)))
		if run.Code != want || run.Status == intel.RunOK {
			t.Errorf("%s: %s %s: %s", body, run.Status, run.Code, run.Reason)
		}
	}
	l := newLab(t)
	l.srv.SetString("/list", `{"pastes": []}`)
	l.want(l.def("items", l.pasteFeed(map[string]any{"guards": map[string]any{"allow_empty": true}})), intel.RunOK, "")
	// More items than may be fetched.
	l.pastes(paste{Key: "k1", Text: "a1.example"}, paste{Key: "k2", Text: "a2.example"}, paste{Key: "k3", Text: "a3.example"})
	items := map[string]any{"records": "pastes[]", "url": "/raw/{key}", "max": 2}
	l.want(l.def("snap", l.pasteFeed(map[string]any{"items": items})), intel.RunFailed, "partial")
	if run := l.want(l.def("roll", l.pasteFeed(map[string]any{"items": items, "presence": "append"})), intel.RunOK, ""); run.Accepted != 2 {
		t.Errorf("%+v", run)
	}
}

// The secret is in the path of each item, and nowhere else.
func TestSecretsOfItems(t *testing.T) {
	l := newLab(t)
	l.secrets["k"] = canary
	l.srv.SetString("/"+canary+"/list", fmt.Sprintf(`{"pastes": [{"key": "k1", "date": %q}, {"key": %q, "date": "1"}]}`, canary, canary))
	l.srv.SetString("/"+canary+"/raw/k1", "a1.example\na2.example\nsee "+canary+"\n")
	l.srv.SetString("/"+canary+"/raw/"+canary, "a3.example")
	d := l.def("items", l.pasteFeed(map[string]any{"feed_url": l.srv.URL("/{secret}/list"), "auth": map[string]any{"secret": "k", "in": "path"},
		"items": map[string]any{"records": "pastes[]", "url": "/{secret}/raw/{key}", "stamp": "date", "reference": "https://paste.example/{key}"}}))
	for range 2 {
		if run := l.run(d); run.Status == intel.RunFailed || run.Accepted != 3 {
			t.Fatalf("%s %+v: %s", run.Status, run.Counts, run.Reason)
		}
		l.advance(time.Hour)
	}
	if got := len(l.srv.Log("")); got != 4 {
		t.Errorf("%d requests, want 4: the list twice, each item once", got)
	}
	l.srv.Fail("/"+canary+"/raw/k1", feedserver.EchoSecrets, 0)
	l.srv.SetString("/"+canary+"/list", `{"pastes": [{"key": "k1", "date": "2"}]}`)
	l.run(d)
	for _, hit := range search(t, l.dir) {
		t.Error(hit)
	}
	for _, form := range canaryForms() {
		if strings.Contains(l.log.String(), form) || strings.Contains(fmt.Sprintf("%+v", l.runs("items")), form) {
			t.Errorf("the log or the ledger holds %q", form)
		}
	}
	l.verify()
}

// A MISP feed is its manifest and its events, by their timestamps.
func TestMISPManifest(t *testing.T) {
	const one, two = "5a3c1c5e-0b1c-4d2e-8f3a-1b2c3d4e5f60", "5a3c1c5e-0b1c-4d2e-8f3a-1b2c3d4e5f61"
	event := func(id string, names ...string) string {
		var list []map[string]any
		for i, n := range names {
			list = append(list, map[string]any{"uuid": fmt.Sprintf("%s%02d", id[:34], i), "type": "domain", "category": "Network activity", "value": n, "to_ids": true})
		}
		data, err := json.Marshal(map[string]any{"Event": map[string]any{"uuid": id, "info": "seen", "date": "2026-03-01", "Attribute": list}})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, url := range []string{"/feed/", "/feed/manifest.json", "/feed/?key=abcdef"} {
		l := newLab(t)
		manifest := func(stamps ...string) {
			l.srv.SetString("/feed/manifest.json", fmt.Sprintf(`{%q: {"info": "seen", "timestamp": %q}, %q: {"info": "seen", "timestamp": %s}}`, one, stamps[0], two, stamps[1]))
		}
		manifest("17", "18")
		l.srv.SetString("/feed/"+one+".json", event(one, "m1.example", "m2.example"))
		l.srv.SetString("/feed/"+two+".json", event(two, "m3.example"))
		d := l.def("misp", map[string]any{"feed_type": "misp", "indicator_type": "auto", "feed_url": l.srv.URL(url), "field_mapping": map[string]any{}})
		if run := l.want(d, intel.RunOK, ""); run.Accepted != 3 || run.Read != 3 {
			t.Errorf("%s: %+v", url, run.Counts)
		}
		l.advance(time.Hour)
		l.want(d, intel.RunUnchanged, "")
		if n := len(l.srv.Log("")); n != 4 {
			t.Errorf("%s: %d requests, want 4", url, n)
		}
		manifest("17", "19")
		l.srv.SetString("/feed/"+two+".json", event(two, "m4.example"))
		l.advance(time.Hour)
		l.want(d, intel.RunOK, "")
		if n := len(l.srv.Log("")); n != 6 {
			t.Errorf("%s: %d requests, want 6", url, n)
		}
		l.wantListed(d, l.now(), []string{"m1.example", "m2.example", "m3.example", "m4.example"}, []string{"m1.example", "m2.example", "m4.example"})
		if strings.Contains(url, "key") && slices.ContainsFunc(l.srv.Log(""), func(r feedserver.Request) bool { return r.Query.Get("key") != "abcdef" }) {
			t.Error("an event was asked for without the parameters of the feed")
		}
		l.verify()
	}
}

// An item that is no document of the feed's type costs itself only.
func TestBadItem(t *testing.T) {
	l := newLab(t)
	l.srv.SetString("/list", `["1", "2", "3"]`)
	for i, body := range []string{`{"data": [{"d": "a.example"}, {"d": "b.example"}]}`, `{"data": `, `{"data": [{"d": "c.example"}, {"d": "d.example"}]}`} {
		l.srv.SetWith(fmt.Sprintf("/raw/%d", i+1), []byte(body), http.Header{"Content-Type": {"application/json"}})
	}
	d := l.def("items", paged(nil, map[string]any{"feed_url": l.srv.URL("/list"), "items": map[string]any{"records": "[]", "url": "/raw/{.}"}}))
	run := l.want(d, intel.RunOK, "")
	if run.Accepted != 4 || run.Rejected != 1 || !strings.Contains(run.Reason, "1 of 3 answers could not be read: 0002-2: ") {
		t.Errorf("%+v: %s", run.Counts, run.Reason)
	}
}
