package faults

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/feed"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// fault is one way to go wrong, and what must be seen of it.
type fault struct {
	name string
	// break things; heal is always the same
	http feedserver.Fault // at the feed's path
	net  string           // a mode of the network
	list func(w *world, p *publisher) string

	classes []feed.Class      // one of these is shown
	says    string            // in the reason, in lower case; of several one, after |
	but     map[string]string // kind of server → class and what it says, where that differs
}

var (
	failing     = []feed.Class{feed.ClassFailing}
	healthy     = []feed.Class{feed.ClassHealthy}
	quarantined = []feed.Class{feed.ClassQuarantined}
	held        = []feed.Class{feed.ClassQuarantined, feed.ClassEmpty}
)

// faults are all of them: the thirty of the plan first.
func faults() []fault {
	content := func(s string) func(*world, *publisher) string { return func(*world, *publisher) string { return s } }
	list := []fault{
		{name: "connect refused", net: refused, classes: failing, says: "refused"},
		{name: "SYN blackhole", net: blackhole, classes: failing, says: "did not answer in time"},
		{name: "DNS NXDOMAIN", net: noName, classes: failing, says: "does not exist in dns"},
		{name: "DNS timeout", net: slowName, classes: failing, says: "no answer in time"},
		{name: "TLS expired", net: string(feedserver.CertExpired), classes: failing, says: "expired"},
		{name: "TLS wrong host", net: string(feedserver.CertWrongHost), classes: failing, says: "certificate is valid for elsewhere.example"},
		{name: "TLS self-signed", net: string(feedserver.CertSelfSigned), classes: failing, says: "certificate is not trusted"},
		{name: "reset before headers", http: feedserver.Reset, classes: failing, says: "the connection broke"},
		{name: "reset mid-body", http: feedserver.ResetBody, classes: failing, says: "the connection broke|ended before its declared end"},
		{name: "truncated", http: feedserver.Truncated, classes: failing, says: "ended before its declared end"},
		{name: "Content-Length too small", http: feedserver.ShortLength, classes: quarantined, says: "shrank|middle|ends|unexpected eof",
			but: map[string]string{gzipFile: "failing: before its end", zipFile: "failing: damaged or cut short", encodedServer: "failing: declared end|before its end"}},
		{name: "bad chunking", http: feedserver.BadChunks, classes: failing, says: "not valid http"},
		{name: "bad gzip CRC", http: feedserver.BadGzipCRC, classes: failing, says: "gzip data is damaged"},
		{name: "gzip header on plain body", http: feedserver.FakeGzip, classes: healthy},
		{name: "1 byte/s trickle", http: feedserver.Trickle, classes: failing, says: "bytes came in the last"},
		{name: "stalls at 90%", http: feedserver.Stall, classes: failing, says: "bytes came in the last"},
		{name: "endless body", http: feedserver.Endless, classes: failing, says: "larger than the 1048576 bytes allowed"},
		{name: "headers without end", http: feedserver.HugeHeader, classes: failing, says: "header of the answer is larger"},
		{name: "redirect loop", http: feedserver.RedirectLoop, classes: failing, says: "redirect"},
		{name: "redirect https→http", http: feedserver.RedirectHTTP, classes: failing, says: "https to plain http"},
		{name: "401", http: feedserver.Unauthorized, classes: failing, says: "401"},
		{name: "403", http: feedserver.Forbidden, classes: failing, says: "403"},
		{name: "404", http: feedserver.NotFound, classes: failing, says: "404"},
		{name: "410", http: feedserver.Gone, classes: failing, says: "410"},
		{name: "429 with Retry-After 1 d", http: feedserver.RateLimited, classes: failing, says: "wait 24h0m0s"},
		{name: "500/503 flapping", http: feedserver.Flapping, classes: healthy},
		{name: "200 + HTML", list: content("<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>\n"), classes: quarantined, says: "web page"},
		{name: "200 + JSON error", list: content(`{"error":{"code":"no_key","message":"an API key is needed since last week"}}`), classes: quarantined, says: "error message"},
		{name: "200 + empty", list: content(""), classes: []feed.Class{feed.ClassEmpty}, says: "no records|empty"},
		{name: "200 + UTF-16", list: func(_ *world, p *publisher) string { return utf16Of(p.list(p.values)) }, classes: healthy},
		{name: "200 + BOM", list: func(_ *world, p *publisher) string { return "\ufeff" + p.list(p.values) }, classes: healthy},
		{name: "changed columns or names", list: func(_ *world, p *publisher) string { return p.moved(p.list(p.values)) }, classes: held, says: "records|shrank"},
		{name: "304 for ever", http: feedserver.NotModified, classes: healthy, but: map[string]string{bareServer: "failing: 304"}},
	}
	return append(list,
		fault{name: "no route", net: noRoute, classes: failing, says: "no route"},
		fault{name: "reset at connect", net: resets, classes: failing, says: "the connection broke"},
		fault{name: "DNS SERVFAIL", net: servfail, classes: failing, says: "looking up the host name"},
		fault{name: "no TLS", net: string(feedserver.CertNone), classes: failing, says: "does not speak tls"},
		fault{name: "never answers", http: feedserver.Blackhole, classes: failing, says: "did not answer in time"},
		fault{name: "no last chunk", http: feedserver.CutChunks, classes: failing, says: "ended before its declared end"},
		fault{name: "not HTTP", http: feedserver.NotHTTP, classes: failing, says: "not valid http"},
		fault{name: "cut gzip", http: feedserver.CutGzip, classes: failing, says: "before its end"},
		fault{name: "gzip bomb", http: feedserver.GzipBomb, classes: failing, says: "200 times its size|larger than the"},
		fault{name: "redirect inside", http: feedserver.RedirectInside, classes: failing, says: "redirect|refused to connect"},
		fault{name: "redirect to a file", http: feedserver.RedirectFile, classes: failing, says: "redirect"},
		fault{name: "503", http: feedserver.Unavailable, classes: failing, says: "503"},
		fault{name: "200 + binary", list: content(strings.Repeat("\x7fELF\x00\x01\xfe\xff", 400)), classes: quarantined, says: "binary data"},
		fault{name: "another feed's list", list: func(w *world, p *publisher) string {
			other := w.pubs[(slices.Index(w.pubs, p)+1)%len(w.pubs)]
			return other.list(other.values)
		}, classes: held, says: ""},
		fault{name: "one ETag for ever", http: feedserver.FrozenETag, classes: healthy},
		fault{name: "a tenth of the list", list: func(_ *world, p *publisher) string { return p.list(p.values[:listings/10]) }, classes: quarantined, says: "shrank"},
	)
}

func utf16Of(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func (f *fault) begin(w *world) {
	w.net.set(f.net)
	for _, p := range w.pubs {
		if f.http != "" {
			w.srv.Fail(p.path, f.http, 0)
		}
		if f.list != nil {
			w.serve(p, f.list(w, p))
		}
	}
}

// heal ends the fault, and everybody lists one more.
func (f *fault) heal(w *world) {
	w.net.set("")
	for _, p := range w.pubs {
		w.srv.Heal(p.path)
		p.values = append(p.values[:listings:listings], p.value(listings))
		w.serveGood(p)
	}
}

// want is what must be seen of the fault at a publisher.
func (f *fault) want(p *publisher) ([]feed.Class, string) {
	if but := f.but[p.server]; but != "" {
		class, says, _ := strings.Cut(but, ": ")
		return []feed.Class{feed.Class(class)}, says
	}
	return f.classes, f.says
}

// shown checks class and reason.
func (f *fault) shown(w *world, p *publisher) {
	w.t.Helper()
	classes, says := f.want(p)
	h := w.health(p)
	ok := slices.Contains(classes, h.Status) && h.Since != nil
	if h.Status != feed.ClassHealthy {
		ok = ok && h.Advice != "" && slices.ContainsFunc(strings.Split(says, "|"), func(s string) bool { return strings.Contains(strings.ToLower(h.Reason), s) })
	}
	if !ok {
		w.t.Errorf("%s (%s): %s since %v: %s; want %v with %q", p.id, p.server, h.Status, h.Since, h.Reason, classes, says)
	}
	if h.Listings != listings {
		w.t.Errorf("%s: %d listings during the fault", p.id, h.Listings)
	}
}

// live is the whole of one fault: a good run, the fault, and a good run again.
func (f *fault) live(t *testing.T, n int, dir, defs string) {
	w := newWorld(t, publishers(n), dir, defs, nil)
	w.app.Start()
	w.pull(nil)
	for _, p := range w.pubs {
		if h := w.health(p); h.Status != feed.ClassHealthy || h.Listings != listings {
			t.Fatalf("%s (%s) at first: %s %s, %d listings", p.id, p.server, h.Status, h.Reason, h.Listings)
		}
	}
	w.tidy("at first")
	w.ahead.Add(int64(6 * time.Hour))
	f.begin(w)
	w.pull(func() { w.alive("while they are pulled") })
	w.alive("afterwards")
	for _, p := range w.pubs {
		f.shown(w, p)
	}
	h := w.health(w.pubs[0])
	t.Logf("%s: %s: %s", f.name, h.Status, h.Reason)
	w.tidy("after the fault")
	w.ahead.Add(int64(6 * time.Hour))
	f.heal(w)
	w.pull(nil)
	for _, p := range w.pubs {
		if h := w.health(p); h.Status != feed.ClassHealthy || h.Reason != "" || h.Quarantined != "" || h.Listings != listings+1 || h.Failures != 0 {
			t.Errorf("%s (%s) healed: %+v", p.id, p.server, h)
		}
		w.listed(p, p.values[listings], "healed")
	}
	w.alive("healed")
	w.tidy("healed")
	w.stop()
}

// TestFaults goes through every fault with ten feeds of different formats and
// servers, in a long run with forty.
func TestFaults(t *testing.T) {
	n := 10
	if os.Getenv("EI_SOAK") != "" {
		n = 40
	}
	list := faults()
	if raceEnabled { // the whole list runs without the race detector, see scripts/unit.sh
		for i := range 8 {
			list[i] = list[i*len(list)/8]
		}
		list = list[:8]
	}
	before := descriptors(t)
	began := time.Now()
	for _, f := range list {
		t.Run(f.name, func(t *testing.T) {
			dir, defs := t.TempDir(), t.TempDir()
			synctest.Test(t, func(t *testing.T) { f.live(t, n, dir, defs) })
		})
	}
	if after := descriptors(t); after > before+2 {
		t.Errorf("%d file descriptors, %d before", after, before)
	}
	t.Logf("%d faults × %d feeds in %s", len(list), n, time.Since(began).Round(time.Second))
}

// descriptors counts the open files of this process, 0 where the system does not tell.
func descriptors(t *testing.T) int {
	t.Helper()
	for range 3 { // what is mapped is let go when it is collected
		runtime.GC()
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// TestLongFaults: what lasts becomes stale, and comes back all the same.
func TestLongFaults(t *testing.T) {
	for _, c := range []struct {
		fault fault
		days  int
		says  string
	}{
		{fault{name: "404 for eight days", http: feedserver.NotFound}, 8, "no good run since 2000-01-01; 9 runs failed in a row"},
		{fault{name: "304 for a hundred days", http: feedserver.NotModified}, 100, "has listed the same since 2000-01-01"},
	} {
		t.Run(c.fault.name, func(t *testing.T) {
			dir, defs := t.TempDir(), t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, publishers(2), dir, defs, nil)
				w.app.Start()
				w.pull(nil)
				c.fault.begin(w)
				for range c.days + 1 {
					w.pull(nil)
					w.ahead.Add(int64(24 * time.Hour))
				}
				w.pull(nil)
				w.alive("after all the days")
				for _, p := range w.pubs {
					if h := w.health(p); h.Status != feed.ClassStale || !strings.Contains(strings.ReplaceAll(h.Reason, "10 runs", "9 runs"), c.says) {
						t.Errorf("%s: %s: %s", p.id, h.Status, h.Reason)
					}
				}
				c.fault.heal(w)
				w.pull(nil)
				for _, p := range w.pubs {
					if h := w.health(p); h.Status != feed.ClassHealthy {
						t.Errorf("%s healed: %s: %s", p.id, h.Status, h.Reason)
					}
					w.listed(p, p.values[listings], "healed")
				}
				w.stop()
			})
		})
	}
}

// scheduled makes a world whose scheduler pulls.
func scheduled(t *testing.T, n int, dir, defs string) *world {
	return newWorld(t, publishers(n), dir, defs, func(c *app.Config) { c.Offline = false })
}

// TestScheduledFaults: every feed meets another fault between two of its runs, and
// the scheduler brings all of them back.
func TestScheduledFaults(t *testing.T) {
	var list []fault
	for _, f := range faults() {
		if f.http != "" && slices.Equal(f.classes, failing) {
			list = append(list, f)
		}
	}
	dir, defs := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := scheduled(t, len(list), dir, defs)
		w.app.Start()
		time.Sleep(2 * time.Minute)
		w.alive("after the first runs")
		for i, p := range w.pubs {
			w.srv.Fail(p.path, list[i].http, 0)
		}
		time.Sleep(11 * time.Minute)
		w.alive("during the faults")
		for i, p := range w.pubs {
			list[i].shown(w, p)
		}
		(&fault{}).heal(w)
		time.Sleep(12 * time.Minute)
		for i, p := range w.pubs {
			h := w.health(p)
			if list[i].http == feedserver.RateLimited { // the publisher asked for a day
				if h.Status != feed.ClassFailing || h.Next == nil || h.Next.Sub(*h.LastRun) < 24*time.Hour {
					t.Errorf("%s: %s, next at %v", list[i].name, h.Status, h.Next)
				}
				continue
			}
			if h.Status != feed.ClassHealthy || h.Listings != listings+1 {
				t.Errorf("%s at %s: %+v", list[i].name, p.id, h)
			}
		}
		w.alive("healed")
		w.tidy("healed")
		w.stop()
	})
}

// TestHalfHang: fifty of a hundred publishers take every connection and never
// answer. The other fifty are pulled within a minute and a half of the server's
// clock, and look-ups go on.
func TestHalfHang(t *testing.T) {
	dir, defs := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := scheduled(t, 100, dir, defs)
		for i, p := range w.pubs {
			if i%2 == 0 {
				w.srv.Fail(p.path, feedserver.Blackhole, 0)
			}
		}
		w.app.Start()
		time.Sleep(90 * time.Second)
		done := 0
		for i, p := range w.pubs {
			h := w.health(p)
			if i%2 == 1 && h.Status == feed.ClassHealthy && h.Listings == listings {
				done++
			}
			if i%2 == 0 && h.Status == feed.ClassHealthy {
				t.Errorf("%s hangs and is %s", p.id, h.Status)
			}
		}
		if done != 50 {
			t.Errorf("%d of 50 feeds were pulled beside 50 that hang", done)
		}
		w.get("/healthz", nil)
		w.stop()
	})
}

// TestFaultsAreThirty keeps the list whole.
func TestFaultsAreThirty(t *testing.T) {
	seen := map[string]bool{}
	met := map[feedserver.Fault]bool{}
	for _, f := range faults() {
		if seen[f.name] {
			t.Errorf("%s twice", f.name)
		}
		seen[f.name], met[f.http] = true, true
	}
	if len(seen) < 30 {
		t.Errorf("only %d faults", len(seen))
	}
	for _, f := range feedserver.Faults() {
		name := string(f)
		if !met[f] && !strings.HasPrefix(name, "echo-") && !slices.Contains([]string{"html", "json-error", "empty", "utf-16", "binary"}, name) { // the last are lists here, secrets a test of internal/ingest
			t.Errorf("the server's fault %s is not met", name)
		}
	}
}
