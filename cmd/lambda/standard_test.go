package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// front stands between a function and a real cluster, notes what is asked, and
// fails where it is told to.
type front struct {
	*httptest.Server
	mu      sync.Mutex
	proxy   *httputil.ReverseProxy
	methods map[string]bool
	meddle  func(w http.ResponseWriter, r *http.Request, pass func()) // nil: everything passes
}

func newFront(t testing.TB, c *opensearchtest.Cluster) *front {
	t.Helper()
	target, err := url.Parse(c.URLs[0])
	if err != nil {
		t.Fatal(err)
	}
	f := &front{proxy: httputil.NewSingleHostReverseProxy(target), methods: map[string]bool{}}
	f.proxy.ErrorLog = log.New(io.Discard, "", 0) // of requests that were given up
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.methods[r.Method] = true
		meddle := f.meddle
		f.mu.Unlock()
		pass := func() { f.proxy.ServeHTTP(w, r) }
		if meddle == nil {
			pass()
			return
		}
		meddle(w, r, pass)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *front) set(meddle func(w http.ResponseWriter, r *http.Request, pass func())) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.meddle = meddle
}

// gone breaks each connection, as a machine does that is no more.
func gone(w http.ResponseWriter, _ *http.Request, _ func()) { panic(http.ErrAbortHandler) }

func throttled(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = io.WriteString(w, `{"error":{"type":"es_rejected_execution_exception","reason":"rejected execution of coordinating operation"},"status":429}`)
}

// profiles is one store under both: what ingest takes up is answered by the store
// itself (lite) and by an index in a real cluster (standard).
type profiles struct {
	t              *testing.T
	bin            string
	pub            *feedserver.Server
	store          blob.Store
	env            []string // of functions in lite
	key            string
	fronts         map[string]*front // by function
	index          string
	lite, standard *process // of the API
	jobs           int
}

func newProfiles(t *testing.T) *profiles {
	t.Helper()
	cluster := opensearchtest.Shared(t, opensearchtest.V2)
	p := &profiles{t: t, bin: bootstrap(t), pub: feedserver.Start(t), fronts: map[string]*front{}}
	dir := t.TempDir()
	var err error
	if p.store, err = blob.NewDir(dir); err != nil {
		t.Fatal(err)
	}
	p.index = fmt.Sprintf("lambda-%x", time.Now().UnixNano())
	p.env = []string{"EI_DATA=" + dir}
	for _, f := range []string{"ingest", "api", "health"} {
		p.fronts[f] = newFront(t, cluster)
	}
	t.Cleanup(func() {
		req, err := http.NewRequest(http.MethodDelete, cluster.URLs[0]+"/"+p.index+"-v*", nil)
		if err == nil {
			if res, err := http.DefaultClient.Do(req); err == nil {
				_ = res.Body.Close()
			}
		}
	})
	if p.key, _, err = auth.New(p.store, time.Now).Create(t.Context(), "test", auth.Admin); err != nil {
		t.Fatal(err)
	}
	return p
}

// feed uploads the definition of a feed of this kind, of what stands at /ID.
func (p *profiles) feed(id, kind string) {
	p.t.Helper()
	def := fmt.Sprintf(`{"feeds":[{"id":%q,"feed_name":%q,"feed_type":"txt","indicator_type":%q,"feed_url":%q,"field_mapping":{"source":[],"destination":[]},"allow_networks":["127.0.0.0/8"]}]}`, id, strings.ToUpper(id), kind, p.pub.URL("/"+id))
	if _, err := blob.Write(p.t.Context(), p.store, "feeds.d/"+id+".json", []byte(def), blob.Cond{}); err != nil {
		p.t.Fatal(err)
	}
}

// function starts a function in lite or in standard.
func (p *profiles) function(name string, standard bool) *process {
	p.t.Helper()
	env := append(slices.Clone(p.env), "EI_CACHE="+p.t.TempDir())
	if standard {
		env = append(env, "EI_ENGINE=opensearch", "EI_OPENSEARCH_AUTH=none", "EI_OPENSEARCH_INDEX="+p.index, "EI_OPENSEARCH_URL="+p.fronts[name].URL)
	}
	return launch(p.t, p.bin, name, env...)
}

// job is the message of a new job for each feed.
func (p *profiles) job(feeds ...string) string {
	var jobs []awslambda.Job
	for _, id := range feeds {
		p.jobs++
		j := awslambda.NewJob(id, time.Now().Add(2*time.Second)) // behind the start of a run a moment ago, which else overtakes it
		j.ID = fmt.Sprintf("%s-%d", j.ID, p.jobs)
		jobs = append(jobs, j)
	}
	return queue(p.t, jobs...)
}

func (p *profiles) ingest(in *process, batch string) {
	p.t.Helper()
	if r := in.Invoke(batch, limit); string(r.Body) != `{"batchItemFailures":[]}` {
		p.t.Fatalf("ingest: %s %s\n%s", r.Body, r.Error, in.out)
	}
}

// call is a request of the API.
type call struct{ method, path, query, body string }

func (c call) event(key string) string {
	e, _ := json.Marshal(map[string]any{"version": "2.0", "rawPath": c.path, "rawQueryString": c.query, "body": c.body,
		"headers":        map[string]string{"host": "x", "authorization": "Bearer " + key, "content-type": "application/json"},
		"requestContext": map[string]any{"stage": "$default", "http": map[string]string{"method": c.method, "sourceIp": "198.51.100.7"}}})
	return string(e)
}

// reply is what a function of the API answers.
type reply struct {
	StatusCode int
	Headers    map[string]string
	Body       string
}

func (p *profiles) ask(f *process, c call) (a reply) {
	p.t.Helper()
	for start := time.Now(); time.Since(start) < limit; {
		r := f.Invoke(c.event(p.key), limit)
		a = reply{}
		if err := json.Unmarshal(r.Body, &a); err != nil {
			p.t.Fatalf("%s %s?%s: %s %s", c.method, c.path, c.query, r.Body, r.Error)
		}
		if !strings.Contains(a.Body, `"partial":true`) { // what is related is looked for as long as its time lasts, which a busy machine uses up
			break
		}
	}
	return a
}

// varies is what no two answers share, and where the next page is: each engine's own way to say it.
var varies = regexp.MustCompile(`urn:elasticintel:request:[^"]*|"took_ms":[0-9.]+|"next":"([^"]*)"`)

// opened is what stats say of opened segments.
var opened = regexp.MustCompile(`,"bytes":.*`)

// requests is what both profiles must answer alike.
func requests() []call {
	const v1 = "/api/v1"
	out := []call{
		{"GET", v1 + "/indicators/one.a.example", "related=1&timeline=1", ""},
		{"GET", v1 + "/indicators/gone.a.example", "timeline=1", ""},
		{"GET", v1 + "/indicators/deep.sub.one.a.example", "", ""},
		{"GET", v1 + "/indicators/192.0.2.7", "related=1", ""},
		{"GET", v1 + "/indicators/192.0.2.0%2F24", "", ""},
		{"GET", v1 + "/indicators/198.51.100.0%2F28", "related=1", ""},
		{"GET", v1 + "/indicators/absent.example", "", ""},
		{"GET", v1 + "/indicators/no%20indicator", "", ""},
		{"GET", v1 + "/indicators/one.a.example", "as_of=2026-01-01T00:00:00Z", ""},
		{"POST", v1 + "/lookup", "", `{"values":["one.a.example","hxxp://one[.]a[.]example/x","192.0.2.7","absent.example","no indicator"]}`},
		{"GET", v1 + "/search", "q=example&limit=3", ""},
		{"GET", v1 + "/search", "q=feed:a+OR+feed:nets&sort=value", ""},
		{"GET", v1 + "/search", "q=feed:a+AND+(", ""},
		{"GET", v1 + "/search", "q=value:192.0.2.0/24", ""},
		{"GET", v1 + "/facets", "q=example&by=feed", ""},
		{"GET", v1 + "/facets", "q=*&by=kind", ""},
		{"GET", v1 + "/changes", "", ""},
		{"GET", v1 + "/changes", "limit=2", ""},
		{"GET", v1 + "/feeds", "", ""},
		{"GET", v1 + "/feeds/a", "", ""},
		{"GET", v1 + "/feeds/a/runs", "", ""},
		{"GET", v1 + "/feeds/report", "", ""},
		{"GET", v1 + "/feeds/a/report", "", ""},
		{"GET", v1 + "/stats", "", ""},
		{"GET", "/iocs/search/domain/one.a.example", "", ""},
		{"GET", "/iocs/search/string/example", "", ""},
		{"GET", "/iocs/search/string/example/summary", "", ""},
		{"GET", "/healthz", "", ""},
		{"GET", "/readyz", "", ""},
	}
	return out
}

// same wants both profiles to answer all requests alike, and returns how many of
// the answers were good.
func (p *profiles) same(when string) (good int) {
	p.t.Helper()
	if p.lite == nil {
		p.lite, p.standard = p.function("api", false), p.function("api", true)
	}
	for _, c := range requests() {
		want, got := p.ask(p.lite, c), p.ask(p.standard, c)
		p.pages(c, want, got)
		for _, a := range []*reply{&want, &got} {
			for _, name := range []string{"x-request-id", "date", "content-length"} {
				delete(a.Headers, name)
			}
			a.Body = varies.ReplaceAllString(a.Body, "~")
			if strings.HasSuffix(c.path, "/stats") { // how many bytes of the store are opened, which is of the engine
				a.Body = opened.ReplaceAllString(a.Body, "")
				delete(a.Headers, "etag")
			}
		}
		if want.StatusCode == http.StatusOK {
			good++
		}
		if d := cmp.Diff(want, got); d != "" {
			p.t.Errorf("%s: %s %s?%s (-lite +standard):\n%s", when, c.method, c.path, c.query, d)
		}
	}
	return good
}

// pages wants the pages behind these to be the same, to the last one.
func (p *profiles) pages(c call, lite, standard reply) {
	p.t.Helper()
	query, changes := c.query, strings.HasSuffix(c.path, "/changes")
	for range 20 {
		var want, got struct {
			Next string
			More bool
		}
		if json.Unmarshal([]byte(lite.Body), &want) != nil || json.Unmarshal([]byte(standard.Body), &got) != nil || want.Next == "" || changes && !want.More {
			return
		}
		since := map[bool]string{true: "since=", false: "cursor="}[changes]
		c.query = query + "&" + since + url.QueryEscape(want.Next)
		lite = p.ask(p.lite, c)
		c.query = query + "&" + since + url.QueryEscape(got.Next)
		standard = p.ask(p.standard, c)
		if d := cmp.Diff(varies.ReplaceAllString(lite.Body, "~"), varies.ReplaceAllString(standard.Body, "~")); d != "" || lite.StatusCode != http.StatusOK {
			p.t.Errorf("%s?%s: a further page, %d (-lite +standard):\n%s", c.path, query, lite.StatusCode, d)
			return
		}
	}
	p.t.Errorf("%s?%s has no last page", c.path, query)
}

// documents counts what the index holds of listings.
func (p *profiles) documents() (n int) {
	p.t.Helper()
	res, err := http.Post(p.fronts["api"].URL+"/"+p.index+"/_count", "application/json", strings.NewReader(`{"query":{"exists":{"field":"ei.feed"}}}`))
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	var got struct{ Count int }
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		p.t.Fatal(err)
	}
	return got.Count
}

// Both profiles answer alike after the same events: what comes, goes, comes again,
// and runs that the index heard of only by the next.
func TestProfiles(t *testing.T) {
	t.Parallel()
	p := newProfiles(t)
	p.feed("a", "domain")
	p.feed("b", "domain")
	p.feed("nets", "cidr")
	p.pub.SetString("/a", "one.a.example\ngone.a.example\ntwo.a.example\n")
	p.pub.SetString("/b", "one.a.example\nsub.one.a.example\n")
	p.pub.SetString("/nets", "192.0.2.0/24\n198.51.100.0/30\n")
	standard := p.function("api", true)
	if a := p.ask(standard, call{"GET", "/readyz", "", ""}); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an api without any data: %+v", a)
	}
	in := p.function("ingest", true)
	p.ingest(in, p.job("a", "b"))
	p.ingest(p.function("ingest", false), p.job("nets")) // which tells no index
	p.pub.SetString("/a", "one.a.example\nthree.a.example\n")
	health := p.function("health", true)
	if r := health.Invoke(`{"at":"<aws.scheduler.scheduled-time>"}`, limit); r.Error != "" {
		t.Errorf("health: %s", r.Error)
	}
	p.ingest(in, p.job("a"))
	if good := p.same("first"); good < 22 {
		t.Errorf("only %d requests were answered well", good)
	}
	if n := p.documents(); n != 8 {
		t.Errorf("%d documents, want those of 8 listings", n)
	}
	p.pub.SetString("/a", "one.a.example\nthree.a.example\ngone.a.example\n")
	p.ingest(in, p.job("a", "nets", "b")) // two of them unchanged
	waitFresh()
	p.same("second")
	health.Invoke(`{"at":"<aws.scheduler.scheduled-time>"}`, limit)
	health.kill()
	for _, want := range []string{`"IndexBehind":1`, `"index_behind":["nets"]`, `"IndexBehind":0`, `"IndexFailing":0`} {
		if !strings.Contains(health.out.String(), want) {
			t.Errorf("health does not say %s: %s", want, health.out)
		}
	}
	in.kill()
	p.allowed()
}

// waitFresh lets the functions of the API be due for a look at what is new.
func waitFresh() { <-time.After(freshLook) }

const freshLook = 5100 * time.Millisecond

// allowed compares what the functions asked of the cluster with what their policies
// let them.
func (p *profiles) allowed() {
	p.t.Helper()
	text, err := os.ReadFile("../../deploy/terraform/policies.tf")
	if err != nil {
		p.t.Fatal(err)
	}
	_, list, _ := bytes.Cut(text, []byte("search_actions = {"))
	list, _, _ = bytes.Cut(list, []byte("\n  }"))
	for name, f := range p.fronts {
		line := regexp.MustCompile(`(?m)^\s*` + name + `\s*=\s*\[(.*?)\]`).FindSubmatch(list)
		if line == nil {
			p.t.Fatalf("policies.tf has no search_actions of %s", name)
		}
		var may []string
		for _, m := range regexp.MustCompile(`"es:ESHttp(\w+)"`).FindAllSubmatch(line[1], -1) {
			may = append(may, strings.ToUpper(string(m[1])))
		}
		var did []string
		f.mu.Lock()
		for m := range f.methods {
			did = append(did, m)
		}
		f.mu.Unlock()
		slices.Sort(may)
		slices.Sort(did)
		if d := cmp.Diff(may, did); d != "" {
			p.t.Errorf("%s (-may +does):\n%s", name, d)
		}
	}
}

// lookup is a look-up of a name.
func lookup(name string) call { return call{"GET", "/api/v1/indicators/" + name, "", ""} }
