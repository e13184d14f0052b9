package ingest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/testing/pytools"
)

const (
	taxiiHigh  = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
	taxiiLow   = "52892447-4d7e-4f70-b94d-d7f22742ff63"
	taxiiWrite = "472c94ae-3113-4e3e-a4dd-a9f4ac7471d4"
	taxiiMedia = "application/taxii+json;version=2.1"
)

// stixObject is object n of a collection: a domain of one family of malware.
func stixObject(n int) map[string]any {
	at := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC).Format("2006-01-02T15:04:05.000Z")
	return map[string]any{"type": "indicator", "spec_version": "2.1", "id": fmt.Sprintf("indicator--10000000-0000-4000-8000-%012d", n),
		"created": at, "modified": at, "name": "bad", "pattern": fmt.Sprintf("[domain-name:value = 't%03d.example']", n), "pattern_type": "stix", "valid_from": at}
}

// medallion starts OASIS's own TAXII 2.1 server with a readable collection of n
// indicators, an empty one and one that may only be written. The last objects
// say that the first indicator indicates a malware.
func medallion(t *testing.T, n int) (base string) {
	t.Helper()
	port := pytools.Port(t)
	base = fmt.Sprintf("http://127.0.0.1:%d", port)
	var objects, manifest []map[string]any
	add := func(o map[string]any) {
		objects = append(objects, o)
		manifest = append(manifest, map[string]any{"id": o["id"], "version": o["modified"], "media_type": "application/stix+json;version=2.1",
			"date_added": time.Date(2026, 1, 2, 0, 0, len(objects), 0, time.UTC).Format("2006-01-02T15:04:05.000000Z")})
	}
	for i := range n {
		add(stixObject(i))
	}
	at := "2026-01-01T00:00:00.000Z"
	add(map[string]any{"type": "malware", "spec_version": "2.1", "id": "malware--20000000-0000-4000-8000-000000000001", "created": at, "modified": at, "name": "Emotet", "is_family": true})
	add(map[string]any{"type": "relationship", "spec_version": "2.1", "id": "relationship--30000000-0000-4000-8000-000000000001", "created": at, "modified": at,
		"relationship_type": "indicates", "source_ref": objects[0]["id"], "target_ref": "malware--20000000-0000-4000-8000-000000000001"})
	collection := func(id, title string, read bool, objects, manifest []map[string]any) map[string]any {
		return map[string]any{"id": id, "title": title, "can_read": read, "can_write": true, "media_types": []string{"application/stix+json;version=2.1"}, "objects": objects, "manifest": manifest}
	}
	data := map[string]any{
		"/discovery": map[string]any{"title": "Test", "default": base + "/root/", "api_roots": []string{base + "/root/", "https://elsewhere.example/root/"}},
		"root": map[string]any{"information": map[string]any{"title": "Root", "versions": []string{taxiiMedia}, "max_content_length": 9765625}, "status": []any{},
			"collections": []any{collection(taxiiHigh, "High confidence", true, objects, manifest), collection(taxiiLow, "Low confidence", true, []map[string]any{}, []map[string]any{}),
				collection(taxiiWrite, "Drop box", false, []map[string]any{}, []map[string]any{})}},
	}
	dir := t.TempDir()
	write := func(name string, v any) string {
		raw, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	config := write("config.json", map[string]any{
		"backend": map[string]any{"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend", "filename": write("data.json", data)},
		"users":   map[string]any{"anna": "s3cr3t-password"}, "taxii": map[string]any{"max_page_size": 20},
	})
	pytools.Serve(t, "Running on", filepath.Join(filepath.Dir(pytools.Python(t)), "medallion"), "--host", "127.0.0.1", "--port", fmt.Sprint(port), config)
	return base
}

// post adds objects to a collection of medallion's.
func post(t *testing.T, url string, objects ...map[string]any) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"objects": objects})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("anna", "s3cr3t-password")
	req.Header.Set("Content-Type", taxiiMedia)
	req.Header.Set("Accept", taxiiMedia)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("post: %s", resp.Status)
	}
}

func (l *lab) taxiiFeed(id, url string, more map[string]any) *feed.Definition {
	d := map[string]any{"feed_type": "taxii", "indicator_type": "auto", "feed_url": url, "field_mapping": map[string]any{}, "auth": map[string]any{"secret": "login", "in": "basic"}}
	maps.Copy(d, more)
	return l.def(id, d)
}

// TestTaxiiServer reads a real server from discovery to the last page, and then
// only what was added.
func TestTaxiiServer(t *testing.T) {
	const n = 57
	base := medallion(t, n)
	l := newLab(t)
	l.secrets["login"] = "anna:s3cr3t-password"
	d := l.taxiiFeed("taxii", base+"/taxii2/", map[string]any{"taxii": map[string]any{"limit": 10}})
	run := l.want(d, intel.RunOK, "")
	if run.Accepted != n || run.Rejected != 0 {
		t.Errorf("%+v", run.Counts)
	}
	if got := l.listing(d, "t000.example"); got.Malware != "Emotet" {
		t.Errorf("what stands on the last page is not said of the first object: %+v", got)
	}
	head := l.head("taxii")
	if at := head.Since[taxiiHigh]; at != "2026-01-02T00:00:59.000000Z" || len(head.Since) != 1 {
		t.Errorf("asks on from %v", head.Since)
	}
	l.advance(time.Hour)
	if run := l.want(d, intel.RunUnchanged, ""); run.Read != 0 {
		t.Errorf("%+v", run)
	}
	post(t, base+"/root/collections/"+taxiiHigh+"/objects/", stixObject(100))
	post(t, base+"/root/collections/"+taxiiLow+"/objects/", stixObject(101), stixObject(102))
	l.advance(time.Hour)
	if run := l.want(d, intel.RunOK, ""); run.Read != 3 || run.Change.New != 3 {
		t.Errorf("%+v %+v", run.Counts, run.Change)
	}
	l.wantListed(d, l.now(), []string{"t000.example", "t056.example", "t100.example", "t102.example"}, []string{"t000.example", "t056.example", "t100.example", "t102.example"})
	l.verify()

	// All that feed_url may be, and what may be chosen.
	for name, c := range map[string]struct {
		url   string
		taxii map[string]any
		want  int
	}{
		"API root":          {"/root/", nil, n + 3},
		"collections":       {"/root/collections/", nil, n + 3},
		"one":               {"/root/collections/" + taxiiHigh + "/", nil, n + 1},
		"objects":           {"/root/collections/" + taxiiHigh + "/objects/", nil, n + 1},
		"without the slash": {"/root/collections/" + taxiiHigh, nil, n + 1},
		"by title":          {"/taxii2/", map[string]any{"collections": []string{"Low confidence"}}, 2},
		"by id":             {"/root/", map[string]any{"collections": []string{strings.ToUpper(taxiiHigh)}}, n + 1},
		"pages by time":     {"/root/collections/" + taxiiHigh + "/", map[string]any{"limit": 1}, n + 1},
	} {
		run := l.want(l.taxiiFeed("taxii-"+strings.ReplaceAll(strings.ToLower(name), " ", "-"), base+c.url, map[string]any{"taxii": c.taxii}), intel.RunOK, "")
		if run.Accepted != c.want {
			t.Errorf("%s: %d accepted, want %d", name, run.Accepted, c.want)
		}
	}
	for name, c := range map[string]struct {
		url, login, want string
		taxii            map[string]any
	}{
		"wrong password":     {"/taxii2/", "anna:wrong", "wants a user and password", nil},
		"no such path":       {"/nowhere/", "", "no such TAXII discovery", nil},
		"no such collection": {"/root/", "", `no collection "Hihg"; it has "High confidence" (` + taxiiHigh + ")", map[string]any{"collections": []string{"Hihg"}}},
		"may not be read":    {"/root/", "", `"Drop box" may not be read`, map[string]any{"collections": []string{"Drop box"}}},
		"only to be written": {"/root/collections/" + taxiiWrite + "/", "", "wants a user and password or a token", nil},
	} {
		l.secrets["login"] = "anna:s3cr3t-password"
		if c.login != "" {
			l.secrets["login"] = c.login
		}
		run := l.run(l.taxiiFeed("bad", base+c.url, map[string]any{"taxii": c.taxii}))
		if run.Status != intel.RunFailed || !strings.Contains(run.Reason, c.want) {
			t.Errorf("%s: %s %s: %s", name, run.Status, run.Code, run.Reason)
		}
	}
}

// Servers differ from medallion: no next, no times, loops, no server at all.
func TestTaxiiServers(t *testing.T) {
	object := func(n int) string {
		raw, err := json.Marshal(stixObject(n))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	page := func(n int, rest string) string { return `{"objects": [` + object(n) + `]` + rest + `}` }
	for name, c := range map[string]struct {
		pages  func(w http.Header, q func(string) string) string
		status intel.RunStatus
		want   string
		read   int
	}{
		"without next": {func(h http.Header, q func(string) string) string {
			if q("added_after") == "" {
				h.Set("X-TAXII-Date-Added-Last", "2026-01-01T00:00:01.000000Z")
				return page(1, `, "more": true`)
			}
			h.Set("X-TAXII-Date-Added-Last", "2026-01-01T00:00:02.000000Z")
			return page(2, `, "more": false`)
		}, intel.RunOK, "", 2},
		"without times":  {func(h http.Header, q func(string) string) string { return page(1, `, "more": true`) }, intel.RunFailed, "neither next nor X-TAXII-Date-Added-Last", 0},
		"next is a loop": {func(h http.Header, q func(string) string) string { return page(1, `, "more": true, "next": "x"`) }, intel.RunFailed, "was fetched already", 0},
		"time is a loop": {func(h http.Header, q func(string) string) string {
			h.Set("X-TAXII-Date-Added-Last", "2026-01-01T00:00:01.000000Z")
			return page(1, `, "more": true`)
		}, intel.RunFailed, "was fetched already", 0},
		"empty":     {func(h http.Header, q func(string) string) string { return `{}` }, intel.RunOK, "", 0},
		"a page":    {func(h http.Header, q func(string) string) string { return `<html>welcome</html>` }, intel.RunFailed, "is no JSON", 0},
		"more text": {func(h http.Header, q func(string) string) string { return page(1, `, "more": "perhaps"`) }, intel.RunOK, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.secrets["login"] = "token-123456"
			l.srv.Handle("/root/collections/c1/objects/", func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept") != taxiiMedia || r.Header.Get("Authorization") != "Bearer token-123456" {
					http.Error(w, "", http.StatusNotAcceptable)
					return
				}
				fmt.Fprint(w, c.pages(w.Header(), r.URL.Query().Get))
			})
			d := l.taxiiFeed("taxii", l.srv.URL("/root/collections/c1/"), map[string]any{"auth": map[string]any{"secret": "login", "in": "bearer"}})
			run := l.run(d)
			if run.Status != c.status || !strings.Contains(run.Reason, c.want) || run.Read != c.read {
				t.Errorf("%s %s, read %d: %s", run.Status, run.Code, run.Read, run.Reason)
			}
			if n := len(l.srv.Log("")); n > 3 {
				t.Errorf("%d requests", n)
			}
			l.verify()
		})
	}
	l := newLab(t)
	l.secrets["login"] = "a:b"
	l.srv.Handle("/old/", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", http.StatusNotAcceptable) })
	l.srv.SetString("/list/", "a.example\n")
	l.srv.SetString("/json/", `{"hello": 1}`)
	l.srv.SetString("/far/", `{"title": "x", "api_roots": ["https://elsewhere.example/root/"]}`)
	for path, want := range map[string]string{"/old/": "does not speak TAXII 2.1", "/list/": "does not answer as a TAXII server", "/json/": "no TAXII discovery, API root or collection", "/far/": "are of other origins"} {
		run := l.run(l.taxiiFeed("x", l.srv.URL(path), nil))
		if run.Status != intel.RunFailed || !strings.Contains(run.Reason, want) {
			t.Errorf("%s: %s %s: %s", path, run.Status, run.Code, run.Reason)
		}
	}
}

// The first pull asks as far back as the definition says.
func TestTaxiiFirst(t *testing.T) {
	l := newLab(t)
	l.secrets["login"] = "a:b"
	l.srv.SetString("/root/collections/c1/objects/", `{}`)
	d := l.taxiiFeed("taxii", l.srv.URL("/root/collections/c1/"), map[string]any{"taxii": map[string]any{"first": "24h"}})
	l.want(d, intel.RunOK, "")
	if got := l.srv.Log("")[0].Query.Get("added_after"); got != "2026-02-28T12:00:00.000000Z" {
		t.Errorf("asked for what was added after %s", got)
	}
}

// TestTaxiiSamples reads the sample server of EI_SAMPLES, whose pages hold
// 56 + 134 + 259 indicators by a count that is not ours.
func TestTaxiiSamples(t *testing.T) {
	root := os.Getenv("EI_SAMPLES")
	if root == "" {
		t.Skip("EI_SAMPLES is not set: no large samples")
	}
	l := newLab(t)
	l.secrets["login"] = "a:b"
	file := func(name string) string {
		raw, err := os.ReadFile(filepath.Join(root, "feeds", "reconstructed", "taxii", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(raw), "https://taxii.example.net", strings.TrimSuffix(l.srv.URL("/"), "/"))
	}
	l.srv.SetString("/taxii2/", file("discovery.json"))
	l.srv.SetString("/api1/", `{"title": "x", "versions": ["`+taxiiMedia+`"], "max_content_length": 1}`)
	l.srv.SetString("/api1/collections/", file("collections.json"))
	l.srv.Handle("/api1/collections/b7dc78af-1d12-5059-898c-3f0e77636204/objects/", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Get("added_after") != "":
			fmt.Fprint(w, file("empty.json"))
		case q.Get("next") == "":
			fmt.Fprint(w, file("objects-0.json"))
		default:
			w.Header().Set("X-TAXII-Date-Added-Last", "2026-08-03T20:58:00.000000Z")
			fmt.Fprint(w, file("objects-"+q.Get("next")+".json"))
		}
	})
	d := l.taxiiFeed("tweets", l.srv.URL("/taxii2/"), nil)
	if run := l.want(d, intel.RunOK, ""); run.Read != 56+134+259 || run.Accepted != run.Read-2 || run.Suppressed != 2 { // two URLs on 10.0.0.0/8
		t.Errorf("%+v: %s", run.Counts, run.Reason)
	}
	l.advance(time.Hour)
	if run := l.want(d, intel.RunUnchanged, ""); !strings.Contains(run.Reason, "nothing is new") {
		t.Errorf("%+v: %s", run.Counts, run.Reason)
	}
}
