package faults

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/intel"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// Kinds of servers: how a publisher sends its list.
const (
	plainServer    = "etag"             // with ETag and Last-Modified
	bareServer     = "no validators"    // so that nothing is ever 304
	gzipFile       = "gzip file"        // the list is a .gz
	zipFile        = "zip file"         // the list is in an archive
	redirectServer = "redirect"         // from an address that is kept
	keyedServer    = "key in a header"  // whoever has none gets 401
	encodedServer  = "Content-Encoding" // packed on the way only
)

var serverKinds = []string{plainServer, gzipFile, bareServer, redirectServer, keyedServer, zipFile, encodedServer}

// publisher is one feed.
type publisher struct {
	*format
	id, server string
	path       string
	values     []string
	walk       *walk // nil where one request is enough
}

// listings is how long the lists are.
const listings = 41

func publishers(n int) []*publisher {
	var list []*publisher
	all := formats()
	for i := range n {
		f := all[i%len(all)]
		p := &publisher{format: &f, server: serverKinds[(i+i/len(all))%len(serverKinds)]}
		p.id = fmt.Sprintf("%s-%d", f.kind, i)
		p.path = "/" + p.id
		for j := range listings {
			p.values = append(p.values, f.value(j))
		}
		list = append(list, p)
	}
	return list
}

// world is a server, its publishers and what lies between them.
type world struct {
	t     *testing.T
	pubs  []*publisher
	srv   *feedserver.Server
	net   *network
	app   *app.App
	dir   string
	api   *feedserver.PipeListener
	ahead atomic.Int64 // by which the server's clock is ahead, in nanoseconds
	runs  map[string]intel.Run
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// secret is the value of every key.
const secret = "KEY-of-the-publishers"

// newWorld makes a server in an empty folder; it is not started yet. Call it in a bubble.
func newWorld(t *testing.T, pubs []*publisher, dir, defs string, change func(*app.Config)) *world {
	t.Helper()
	w := &world{t: t, pubs: pubs, srv: feedserver.New(), net: &network{lines: map[feedserver.Cert]*feedserver.PipeListener{}}, dir: dir, api: feedserver.NewPipeListener()}
	ca, err := feedserver.NewAuthority()
	must(t, err)
	var hosts []string
	for _, p := range pubs {
		hosts = append(hosts, p.id+".test")
		must(t, os.WriteFile(filepath.Join(defs, p.id+".json"), p.definition(), 0o600))
		w.serveGood(p)
	}
	for _, kind := range []feedserver.Cert{feedserver.CertGood, feedserver.CertExpired, feedserver.CertWrongHost, feedserver.CertSelfSigned, feedserver.CertNone} {
		l := feedserver.NewPipeListener()
		wrapped, err := ca.Listener(buffers{l}, kind, hosts...)
		must(t, err)
		w.net.lines[kind] = l
		w.srv.Serve(wrapped)
	}
	client := fetch.New(fetch.Options{TempDir: w.temp(), RootCAs: ca.Pool, Resolver: w.net, Dial: w.net.dial, MaxBytes: 1 << 20, Now: w.now})
	w.app = build(t, dir, defs, client, w.now, loopback{w.api}, change)
	return w
}

// build puts a server together as the command does.
func build(t *testing.T, dir, defs string, client *fetch.Client, now func() time.Time, ln net.Listener, change func(*app.Config)) *app.App {
	t.Helper()
	catalogue, err := local.OpenCatalogue(defs, nil)
	must(t, err)
	f, err := local.Create(t.Context(), dir, now)
	must(t, err)
	key := func(name string) (string, bool) { return secret, strings.HasPrefix(name, "KEY_OF_") }
	runner := ingest.New(ingest.Config{Store: f.Store, Corpus: f.Corpus, Fetch: client, Now: now, Secret: key, TempDir: filepath.Join(dir, ".tmp")})
	cfg := app.Config{
		Listener: ln, Keys: auth.New(f.Store, now), Parallel: 4, Version: "test", Log: slog.New(slog.DiscardHandler),
		Offline:   true, // the tests say when a feed is pulled
		Feeds:     app.FeedsConfig{Catalogue: catalogue.Current, Store: f.Store, Runner: runner, Engine: f.Engine(), Secret: key, Now: now},
		Reload:    catalogue.Reload,
		Housekeep: func(ctx context.Context, _ bool) error { return runner.Repair(ctx) },
		Say:       func(string, ...any) {}, OnRun: func(intel.Run, time.Time) {},
	}
	if change != nil {
		change(&cfg)
	}
	return app.New(cfg)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// definition is the feed's file as a user writes it.
func (p *publisher) definition() []byte {
	if p.walk != nil {
		return fmt.Appendf(nil, `{"feeds":[{"id":%q,"feed_name":%q,"interval":"5m",%s}]}`, p.id, p.id, p.walk.keys)
	}
	path, more := p.path, ""
	switch p.server {
	case redirectServer:
		path = "/kept" + p.path
	case keyedServer:
		// each has its own: those that share one take turns
		name := "KEY_OF_" + strings.ToUpper(strings.ReplaceAll(p.id, "-", "_"))
		more = fmt.Sprintf(`,"auth":{"secret":%q,"in":"header","name":"X-Key"}`, name)
	}
	if p.keys != "" {
		more += "," + p.keys
	}
	return fmt.Appendf(nil, `{"feeds":[{"id":%q,"feed_name":%q,"feed_type":%q,"feed_url":"https://%s.test%s","interval":"5m","guards":{"max_replace":0.9}%s}]}`, p.id, p.id, p.kind, p.id, path, more)
}

// serveGood puts all of a publisher's values where they belong.
func (w *world) serveGood(p *publisher) {
	if p.walk != nil {
		w.serveWalk(p)
		return
	}
	w.serve(p, p.list(p.values))
}

// serve puts a list at the publisher, in the way that this one sends it.
func (w *world) serve(p *publisher, list string) {
	body, header := []byte(list), http.Header{}
	switch p.server {
	case gzipFile:
		body = gzipOf(body)
	case zipFile:
		body = zipOf(w.t, body)
	case encodedServer:
		body, header["Content-Encoding"] = gzipOf(body), []string{"gzip"}
	case bareServer:
		header["ETag"], header["Last-Modified"] = []string{""}, []string{""}
	case redirectServer:
		w.srv.Redirect("/kept"+p.path, http.StatusFound, p.path)
	}
	w.srv.SetWith(p.path, body, header)
}

func gzipOf(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data) // to memory
	_ = z.Close()
	return b.Bytes()
}

func zipOf(t *testing.T, data []byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	e, err := z.Create("list")
	must(t, err)
	_, err = e.Write(data)
	must(t, err)
	must(t, z.Close())
	return b.Bytes()
}

// pull runs every feed at the same time, as somebody asks who cannot wait.
// meanwhile is called while all of them wait for their publishers.
func (w *world) pull(meanwhile func()) {
	w.t.Helper()
	w.runs = map[string]intel.Run{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, p := range w.pubs {
		all.Go(func() {
			run, err := w.app.Feeds().Run(w.t.Context(), p.id, "test")
			if err != nil {
				w.t.Errorf("%s: %v", p.id, err)
			}
			mu.Lock()
			defer mu.Unlock()
			w.runs[p.id] = run
		})
	}
	if meanwhile != nil {
		synctest.Wait()
		meanwhile()
	}
	all.Wait()
}

// get asks the server's API.
func (w *world) get(path string, into any) {
	w.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.api.Dial(ctx) }}}
	res, err := client.Get("http://127.0.0.1" + path)
	if err != nil {
		w.t.Errorf("%s: %v", path, err)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Errorf("%s: %d %.200s %v", path, res.StatusCode, body, err)
		return
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			w.t.Errorf("%s: %v", path, err)
		}
	}
}

// health is what the API says of a feed.
func (w *world) health(p *publisher) feed.ViewState {
	w.t.Helper()
	var v feed.View
	w.get("/api/v1/feeds/"+p.id, &v)
	return v.State
}

// alive: the server answers, and all of the last good data is listed without a
// break since the beginning.
func (w *world) alive(when string) {
	w.t.Helper()
	w.get("/healthz", nil)
	for _, p := range w.pubs {
		for _, i := range []int{0, listings / 2, listings - 1} {
			w.listed(p, p.values[i], when)
		}
	}
}

func (w *world) listed(p *publisher, value, when string) {
	w.t.Helper()
	var a struct {
		Found    bool
		Listings []struct {
			Feed      string
			Listed    bool
			Canonical string
			Intervals []struct{ From, To *time.Time }
		}
	}
	w.get("/api/v1/indicators/"+strings.ReplaceAll(value, "/", "%2F"), &a)
	for _, l := range a.Listings {
		if l.Feed == p.id && l.Canonical == value && a.Found && l.Listed && len(l.Intervals) == 1 && l.Intervals[0].To == nil {
			return
		}
	}
	w.t.Errorf("%s: %s: %s is not listed without a break: %+v", when, p.id, value, a)
}

func (w *world) temp() string { return filepath.Join(w.dir, ".tmp") }

// tidy: nothing lies in the folder for downloads.
func (w *world) tidy(when string) {
	w.t.Helper()
	left, err := os.ReadDir(w.temp())
	if err != nil && !os.IsNotExist(err) || len(left) > 0 {
		w.t.Errorf("%s: left in the folder for downloads: %v %v", when, left, err)
	}
}

// stop ends the server and its publishers; the bubble sees to it that nothing of
// either goes on.
func (w *world) stop() {
	w.t.Helper()
	must(w.t, w.app.Stop())
	w.srv.Close()
	time.Sleep(10 * time.Second) // of the bubble: for the good-byes of TLS that nobody reads
}
