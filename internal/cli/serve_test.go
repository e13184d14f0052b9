package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

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
