package cli

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// pager is a webhook's receiver: it keeps what it took and checks signatures.
type pager struct {
	*httptest.Server
	t   *testing.T
	key []byte

	mu     sync.Mutex
	status int // of its answers
	asked  int // requests, taken or not
	ids    map[string]int
	took   []alert
}

type alert struct{ Type, Feed, Name, Provider, From, To, Since, Reason, Advice, At string }

func newPager(t *testing.T) *pager {
	p := &pager{t: t, key: []byte("0123456789abcdef01234567"), status: 200, ids: map[string]int{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
		p.t.Errorf("signature %q, want %q", r.Header.Get("webhook-signature"), want)
	}
	if p.status == 200 {
		var a alert
		if err := json.Unmarshal(body, &a); err != nil {
			p.t.Errorf("%v in %s", err, body)
		}
		p.ids[r.Header.Get("webhook-id")]++
		p.took = append(p.took, a)
	}
	w.WriteHeader(p.status)
}

func (p *pager) answer(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

// seen says which changes were taken, in order, and how many requests there were.
func (p *pager) seen() (changes string, asked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, a := range p.took {
		out = append(out, a.Feed+" "+a.From+" "+a.To)
	}
	return strings.Join(out, ", "), p.asked
}

func (p *pager) env(t *testing.T) {
	t.Setenv("EI_ALERT_WEBHOOK", p.URL+"/services/hunter2hunter2")
	t.Setenv("EI_ALERT_ALLOW_NETWORK", "127.0.0.0/8")
	t.Setenv("EI_ALERT_AFTER", "0")
	t.Setenv("EI_SECRET_ALERT_WEBHOOK", "whsec_"+base64.StdEncoding.EncodeToString(p.key))
}

// A feed breaks and heals under a running server: every face says which class it
// is in and why, and the webhook is told, also over restarts and failures of its own.
func TestServe_TellsOfFeedsThatFallSickAndHeal(t *testing.T) {
	p := newPager(t)
	p.env(t)
	w := newWorld(t, "alpha", "beta")
	s := w.serve("--log-level", "debug")
	within(t, 10*time.Second, "the first pull", func() bool { return s.found("one.alpha.example") && s.found("one.beta.example") })
	post(t, s.url+"/api/v1/feeds/alpha/run")
	if seen, asked := p.seen(); asked != 0 {
		t.Errorf("told of feeds that are well: %s", seen)
	}

	w.feeds.Fail("/beta", feedserver.NotFound, 0)
	post(t, s.url+"/api/v1/feeds/beta/run")
	w.expect(s, "beta", "failing", "1 run failed in a row: ")
	within(t, 10*time.Second, "the alert", func() bool { seen, _ := p.seen(); return seen == "beta healthy failing" })
	p.mu.Lock()
	if a := p.took[0]; a.Type != "feed.health" || a.Name != "beta" || !strings.Contains(a.Reason, "404") || !strings.Contains(a.Advice, "elasticintel ingest beta") || a.Since == "" || a.At == "" {
		t.Errorf("alert %+v", a)
	}
	p.mu.Unlock()

	w.feeds.Heal("/beta")
	post(t, s.url+"/api/v1/feeds/beta/run")
	w.expect(s, "beta", "healthy", "")
	within(t, 10*time.Second, "the recovery", func() bool { seen, _ := p.seen(); return seen == "beta healthy failing, beta failing healthy" })

	// The receiver is down, and the server is killed before it could tell.
	p.answer(503)
	w.feeds.Fail("/beta", feedserver.HTML, 0)
	post(t, s.url+"/api/v1/feeds/beta/run")
	w.expect(s, "beta", "quarantined", "is held back")
	_, before := p.seen()
	within(t, 10*time.Second, "a try", func() bool { _, asked := p.seen(); return asked > 2 && asked >= before })
	within(t, 20*time.Second, "the failure is said, without the secret", func() bool { return strings.Contains(s.talk.String(), "503") })
	s.stop(syscall.SIGKILL, 0)
	p.answer(200)
	again := w.serve("--log-level", "debug")
	within(t, 10*time.Second, "what was not told before the kill", func() bool {
		seen, _ := p.seen()
		return strings.HasSuffix(seen, "failing healthy, beta healthy quarantined")
	})
	within(t, 10*time.Second, "the start names the sick feed", func() bool {
		return strings.Contains(again.talk.String(), "Feeds: 1 quarantined, 1 healthy. `elasticintel feeds status` says more of beta.")
	})
	again.stop(syscall.SIGTERM, 0)

	// Another restart repeats nothing; a run without a server tells too.
	third := w.serve()
	within(t, 10*time.Second, "ready", func() bool { code, _ := third.get("/readyz"); return code == 200 })
	w.feeds.Heal("/beta")
	post(t, third.url+"/api/v1/feeds/beta/run")
	within(t, 10*time.Second, "the second recovery", func() bool { seen, _ := p.seen(); return strings.HasSuffix(seen, "beta quarantined healthy") })
	third.stop(syscall.SIGTERM, 0)
	w.feeds.Fail("/alpha", feedserver.NotFound, 0)
	w.must(4, "ingest", "alpha")
	if seen, _ := p.seen(); seen != "beta healthy failing, beta failing healthy, beta healthy quarantined, beta quarantined healthy, alpha healthy failing" {
		t.Errorf("told %s", seen)
	}
	for id, n := range p.ids {
		if n != 1 || !strings.HasPrefix(id, "msg_") {
			t.Errorf("message %q was taken %d times", id, n)
		}
	}
	if said := s.talk.String() + again.talk.String() + third.talk.String(); strings.Contains(said, "hunter2") || !strings.Contains(said, p.Listener.Addr().String()) {
		t.Errorf("what was said shows the webhook's secret, or nothing of it: %s", said)
	}
}

// expect checks that every face says the same of a feed.
func (w *world) expect(s *server, id, class, reason string) {
	w.t.Helper()
	stdout, stderr := w.must(0, "feeds", "status", id)
	if !strings.Contains(stdout, " "+class+" ") || !strings.Contains(stdout, reason) || stderr != "1 "+class+".\n" {
		w.t.Errorf("feeds status:\n%s%s", stdout, stderr)
	}
	var view struct {
		State struct{ Status, Since, Reason, Advice string }
	}
	_, body := s.get("/api/v1/feeds/" + id)
	if err := json.Unmarshal([]byte(body), &view); err != nil || view.State.Status != class || view.State.Since == "" || !strings.Contains(view.State.Reason, reason) || (view.State.Advice == "") != (class == "healthy") {
		w.t.Errorf("%v: the API says %s", err, body)
	}
	_, metrics := s.get("/metrics")
	series := `ei_feed_health{feed="` + id + `",class="`
	if strings.Count(metrics, series) != 10 || !strings.Contains(metrics, series+class+`"} 1`) || !strings.Contains(metrics, `ei_feed_health_since_timestamp_seconds{feed="`+id+`"} `) {
		w.t.Errorf("metrics: %s", metrics)
	}
	_, doctor, _ := w.run("doctor")
	if class != "healthy" && !strings.Contains(doctor, "feed "+id) {
		w.t.Errorf("doctor: %s", doctor)
	}
}

func TestDoctor_ChecksAlerts(t *testing.T) {
	p := newPager(t)
	w := newWorld(t, "alpha")
	stdout, _ := w.must(0, "doctor")
	if !strings.Contains(stdout, "no webhook is told") {
		t.Errorf("without webhooks: %s", stdout)
	}
	p.env(t)
	stdout, _ = w.must(0, "doctor")
	if _, asked := p.seen(); asked != 0 || !strings.Contains(stdout, "messages are signed") {
		t.Errorf("%d requests: %s", asked, stdout)
	}
	stdout, _ = w.must(0, "doctor", "--send-test-alert")
	if _, asked := p.seen(); asked != 1 || p.took[0].Type != "test" || !strings.Contains(stdout, "took a test message") {
		t.Errorf("%d requests: %s", asked, stdout)
	}
	t.Setenv("EI_ALERT_ALLOW_NETWORK", "")
	stdout, _ = w.must(5, "doctor", "--send-test-alert")
	if _, asked := p.seen(); asked != 1 || !strings.Contains(stdout, "--alert-allow-network") || strings.Contains(stdout, "hunter2") {
		t.Errorf("%d requests: %s", asked, stdout)
	}
	t.Setenv("EI_SECRET_ALERT_WEBHOOK", "hunter2")
	stdout, _ = w.must(5, "doctor")
	if !strings.Contains(stdout, "EI_SECRET_ALERT_WEBHOOK: the signing secret is not base64") || strings.Contains(stdout, "hunter2") {
		t.Errorf("a bad secret: %s", stdout)
	}
	for _, args := range [][]string{{"serve"}, {"ingest", "alpha"}} {
		if stdout, stderr := w.must(3, args...); !strings.Contains(stderr, "signing secret") || strings.Contains(stdout+stderr, "hunter2") {
			t.Errorf("%v with a bad secret: %s", args, stderr)
		}
	}
	t.Setenv("EI_SECRET_ALERT_WEBHOOK", "")
	t.Setenv("EI_ALERT_WEBHOOK", "https://good.example/x hunter2:hunter2")
	if _, stderr := w.must(3, "ingest", "alpha"); !strings.Contains(stderr, "number 2: a webhook's address must be") || strings.Contains(stderr, "hunter2") {
		t.Errorf("a bad URL: %s", stderr)
	}
}
