package cli

import (
	"bufio"
	"bytes"
	"context"
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
	env   []string
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
	cmd.Env = append(append(os.Environ(), "EI_DATA=data", "EI_FEEDS=feeds", "EI_LISTEN=127.0.0.1:0", "EI_ENRICH=off"), w.env...)
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
