package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// world is a publisher, a folder of definitions and a data folder.
type world struct {
	t     *testing.T
	feeds *feedserver.Server
	dir   string // work folder: feeds/, data/
}

func newWorld(t *testing.T, ids ...string) *world {
	w := &world{t: t, feeds: feedserver.Start(t), dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(w.dir, "feeds"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		w.define(id, "")
		w.feeds.SetString("/"+id, "one."+id+".example\ntwo."+id+".example\nthree."+id+".example\n")
	}
	return w
}

// define writes a feed's definition; more holds further keys, each after a comma.
func (w *world) define(id, more string) {
	w.t.Helper()
	def := fmt.Sprintf(`{"feeds":[{"id":%q,"feed_name":%q,"feed_type":"txt","indicator_type":"domain","feed_url":%q,
		"field_mapping":{"source":[],"destination":[]},"allow_networks":["127.0.0.0/8"]%s}]}`, id, id, w.feeds.URL("/"+id), more)
	if err := os.WriteFile(filepath.Join(w.dir, "feeds", id+".json"), []byte(def), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command("elasticintel", args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "EI_DATA=data", "EI_FEEDS=feeds", "EI_LISTEN=127.0.0.1:0")
	return cmd
}

// run runs a command to its end.
func (w *world) run(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	cmd := w.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("elasticintel %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func (w *world) must(code int, args ...string) (stdout, stderr string) {
	w.t.Helper()
	got, stdout, stderr := w.run(args...)
	if got != code {
		w.t.Fatalf("elasticintel %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout, stderr
}

// server is a running `elasticintel serve`.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	took time.Duration // until the first line
	talk *syncBuffer
	rest chan string // what stdout held after the first line
}

func (w *world) serve(args ...string) *server {
	w.t.Helper()
	s := &server{t: w.t, cmd: w.command(append([]string{"serve"}, args...)...), talk: &syncBuffer{}, rest: make(chan string, 1)}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	s.cmd.Stderr = s.talk
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
		if w.t.Failed() {
			w.t.Logf("the server said:\n%s", s.talk)
		}
	})
	r := bufio.NewReader(out)
	line, err := r.ReadString('\n')
	s.took = time.Since(began)
	s.url = strings.TrimSpace(line)
	if err != nil || !strings.HasPrefix(s.url, "http://127.0.0.1:") {
		_ = s.cmd.Wait()
		w.t.Fatalf("first line %q, %v\n%s", line, err, s.talk)
	}
	go func() { b, _ := io.ReadAll(r); s.rest <- string(b) }()
	return s
}

// stop sends a signal and checks that the server ends in time with a code.
func (s *server) stop(sig syscall.Signal, code int) {
	s.t.Helper()
	began := time.Now()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
	if rest := <-s.rest; rest != "" {
		s.t.Errorf("stdout holds more than the address: %q", rest)
	}
	_ = s.cmd.Wait()
	took := time.Since(began)
	if took > 10500*time.Millisecond {
		s.t.Errorf("it took %v to stop", took)
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code && sig != syscall.SIGKILL {
		s.t.Errorf("exit code %d after %v, want %d", got, sig, code)
	}
}

// get asks the server and returns the status and the body.
func (s *server) get(path string, header ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (s *server) found(value string) bool {
	s.t.Helper()
	_, body := s.get("/api/v1/indicators/" + value)
	return strings.Contains(body, `"found":true`)
}

// within waits until a condition holds and returns how long that took.
func within(t *testing.T, d time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(began) > d {
			t.Fatalf("not within %v: %s", d, what)
		}
		<-tick.C
	}
	return time.Since(began)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestServe_FromFeedToAnswer(t *testing.T) {
	w := newWorld(t, "alpha", "beta")
	w.feeds.Fail("/beta", feedserver.NotFound, 0)
	s := w.serve()
	within(t, 10*time.Second, "the first pull", func() bool { return s.found("one.alpha.example") })
	if s.found("one.beta.example") {
		t.Error("a feed that fails lists something")
	}
	within(t, 5*time.Second, "the failure is told by name with its next try", func() bool {
		return strings.Contains(s.talk.String(), "beta") && strings.Contains(s.talk.String(), "404") && strings.Contains(s.talk.String(), "next try at")
	})
	w.must(1, "lookup", "one.alpha.example")

	_, stderr := w.must(4, "serve")
	if !strings.Contains(stderr, fmt.Sprintf("process %d", s.cmd.Process.Pid)) {
		t.Errorf("the second server does not name the first, %d: %s", s.cmd.Process.Pid, stderr)
	}

	w.feeds.Heal("/beta")
	w.must(0, "ingest", "beta")
	took := within(t, 2*time.Second, "a head written beside the server", func() bool { return s.found("one.beta.example") })
	t.Logf("seen by the server %v after the ingest beside it", took.Round(time.Millisecond))

	w.feeds.Drop("/alpha", "two.alpha.example")
	w.feeds.Add("/alpha", "four.alpha.example")
	code, body := post(t, s.url+"/api/v1/feeds/alpha/run")
	if code != http.StatusOK || !strings.Contains(body, `"status":"ok"`) {
		t.Fatalf("run by HTTP: %d %s", code, body)
	}
	if s.found("two.alpha.example") || !s.found("four.alpha.example") {
		t.Error("the run by HTTP is not seen at once")
	}
	stdout, _ := w.must(0, "lookup", "-o", "ndjson", "two.alpha.example")
	if !strings.Contains(stdout, `"listed":false`) {
		t.Errorf("a de-listed value has no history: %s", stdout)
	}

	s.stop(syscall.SIGINT, 130)
	again := w.serve()
	if !again.found("four.alpha.example") {
		t.Error("a restarted server does not answer at once")
	}
	again.stop(syscall.SIGKILL, 0)
	third := w.serve()
	if !third.found("four.alpha.example") || !third.found("one.beta.example") {
		t.Error("a killed server lost data")
	}
	third.stop(syscall.SIGTERM, 0)
	w.must(0, "verify")
}

func post(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Post(url, "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestServe_FollowsDefinitionsAndChoices(t *testing.T) {
	w := newWorld(t, "alpha")
	s := w.serve()
	within(t, 10*time.Second, "the first pull", func() bool { return s.found("one.alpha.example") })

	w.feeds.SetString("/later", "one.later.example\n")
	w.define("later", "")
	within(t, 5*time.Second, "a definition that is new", func() bool { return s.found("one.later.example") })

	w.feeds.SetString("/off", "one.off.example\n")
	w.define("off", `,"enabled":false`)
	within(t, 5*time.Second, "a definition that is off", func() bool { _, b := s.get("/api/v1/feeds"); return strings.Contains(b, `"id":"off"`) })
	w.must(0, "feeds", "enable", "off")
	within(t, 5*time.Second, "a feed that is switched on", func() bool { return s.found("one.off.example") })

	broken := filepath.Join(w.dir, "feeds", "broken.json")
	if err := os.WriteFile(broken, []byte(`{"feeds":[{"feed_nme":"x"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "a broken definition is reported", func() bool { return strings.Contains(s.talk.String(), "broken.json") })
	if code, body := s.get("/api/v1/feeds"); code != 200 || !strings.Contains(body, `"id":"alpha"`) {
		t.Errorf("a broken definition takes others with it: %d %s", code, body)
	}
	s.stop(syscall.SIGINT, 130)
}

func TestServe_ForOthersOnlyWithAKey(t *testing.T) {
	w := newWorld(t, "alpha")
	stdout, stderr := w.must(3, "serve", "--listen", "0.0.0.0:0")
	if stdout != "" || !strings.Contains(stderr, "keys create") {
		t.Errorf("refused with %q %q", stdout, stderr)
	}
	if _, stderr = w.must(3, "serve", "--listen", "nonsense"); !strings.Contains(stderr, "HOST:PORT") {
		t.Errorf("refused with %q", stderr)
	}
	key, _ := w.must(0, "keys", "create", "test", "-q")
	s := w.serve("--listen", ":0")
	if code, _ := s.get("/api/v1/stats"); code != http.StatusUnauthorized {
		t.Errorf("without a key: %d", code)
	}
	if code, _ := s.get("/healthz"); code != http.StatusOK {
		t.Errorf("healthz: %d", code)
	}
	if code, body := s.get("/api/v1/stats", "Authorization", "Bearer "+strings.TrimSpace(key)); code != http.StatusOK {
		t.Errorf("with a key: %d %s", code, body)
	}
	port := s.url[strings.LastIndex(s.url, ":")+1:]
	if _, stderr := w.must(4, "serve", "--data", "other", "--listen", "127.0.0.1:"+port); !strings.Contains(stderr, "cannot listen on") {
		t.Errorf("a taken port: %s", stderr)
	}
	s.stop(syscall.SIGTERM, 0)
}

func TestServe_GoesOnAnsweringWithoutDefinitions(t *testing.T) {
	w := newWorld(t, "alpha")
	w.must(0, "ingest", "alpha")
	def := filepath.Join(w.dir, "feeds", "alpha.json")
	if err := os.WriteFile(def, []byte(`{"feeds":[`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := w.serve()
	if !s.found("one.alpha.example") {
		t.Error("a slip in a definition takes the answers away")
	}
	within(t, 5*time.Second, "the slip is reported", func() bool { return strings.Contains(s.talk.String(), "alpha.json") })
	w.feeds.Add("/alpha", "four.alpha.example")
	w.define("alpha", `,"interval":"1h"`)
	within(t, 5*time.Second, "the definition is back", func() bool { _, b := s.get("/api/v1/feeds"); return strings.Contains(b, `"id":"alpha"`) })
	s.stop(syscall.SIGTERM, 0)
}

func TestIngest_InterruptedLeavesNothingHalfDone(t *testing.T) {
	w := newWorld(t, "alpha")
	w.feeds.Fail("/alpha", feedserver.Blackhole, 0)
	cmd := w.command("ingest", "alpha")
	var talk syncBuffer
	cmd.Stderr = &talk
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.feeds.Wait(ctx, "/alpha", 1); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(talk.String(), "interrupted") {
		t.Errorf("exit code %d: %s", code, &talk)
	}
	w.must(0, "verify")
	w.feeds.Heal("/alpha")
	w.must(0, "ingest", "alpha")
}

func TestServe_StopsWhileAFeedHangs(t *testing.T) {
	w := newWorld(t, "alpha", "hangs")
	w.feeds.Fail("/hangs", feedserver.Blackhole, 0)
	s := w.serve()
	within(t, 10*time.Second, "the hanging fetch", func() bool { return w.feeds.Hits("/hangs") > 0 })
	s.stop(syscall.SIGTERM, 0)
	w.must(0, "verify")
}

func TestServe_VerifyAndBackupWhileItWorks(t *testing.T) {
	w := newWorld(t, "alpha", "beta")
	s := w.serve()
	within(t, 10*time.Second, "the first pull", func() bool { return s.found("one.alpha.example") && s.found("one.beta.example") })
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // the feeds change all the time
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			w.feeds.Add("/alpha", fmt.Sprintf("n%d.alpha.example", i))
			if res, err := http.Post(s.url+"/api/v1/feeds/alpha/run", "application/json", nil); err == nil {
				res.Body.Close()
			}
		}
	}()
	for i := range 5 {
		w.must(0, "verify")
		name := fmt.Sprintf("b%d.tar.zst", i)
		w.must(0, "backup", name)
		w.must(0, "restore", name, "--data", fmt.Sprintf("r%d", i)) // verifies
		w.must(1, "lookup", "one.alpha.example", "--data", fmt.Sprintf("r%d", i))
	}
	close(stop)
	<-stopped
	s.stop(syscall.SIGINT, 130)
}

// TestServe_StarterData: a new data folder answers within a second of the start
// of the process.
func TestServe_StarterData(t *testing.T) {
	w := newWorld(t)
	s := w.serve("--offline", "--feeds", "")
	var stats struct{ Listings, Indicators, Feeds int }
	var took time.Duration
	began := time.Now()
	within(t, 20*time.Second, "starter data", func() bool {
		code, _ := s.get("/readyz")
		if took == 0 && code == http.StatusOK {
			took = s.took + time.Since(began)
		}
		if code != http.StatusOK {
			return false
		}
		_, body := s.get("/api/v1/stats")
		return json.Unmarshal([]byte(body), &stats) == nil
	})
	if stats.Listings == 0 {
		t.Skip("the binary carries no starter data yet")
	}
	t.Logf("%d listings; address after %v, all answers after %v", stats.Listings, s.took, took)
	if stats.Listings < 10_000 {
		t.Errorf("%d listings, want at least 10,000", stats.Listings)
	}
	stdout, _ := w.must(0, "feeds", "status", "--feeds", "", "-o", "ndjson")
	if !strings.Contains(stdout, `"snapshot":"20`) {
		t.Errorf("no feed says that its data is a snapshot: %.500s", stdout)
	}
	s.stop(syscall.SIGINT, 130)
}
