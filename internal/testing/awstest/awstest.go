// Package awstest starts emulators of Amazon's services for tests: ministack,
// which also runs functions, and moto as the second opinion. scripts/pytools.sh
// installs both. Where they are missing, the test is skipped with one line;
// under CI=true it fails.
package awstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/pytools"
)

// What every emulator answers for, and what Env says of it.
const (
	Region    = "us-east-1"
	Account   = "111122223333" // of ministack
	AccessKey = "test"         // not of digits: ministack takes those for an account
	Secret    = "test"
)

// Server is a running emulator.
type Server struct {
	URL string // http://127.0.0.1:PORT, of every service

	name string
	log  *output
	end  chan struct{} // closed when the process has ended
}

// Ministack starts ministack, which ends with the test, or with this process.
// It has only the variables that it needs and env, as NAME=value; what it has it
// gives to every function that it starts, with AWS_ENDPOINT_URL and credentials.
func Ministack(t testing.TB, env ...string) *Server {
	t.Helper()
	return start(t, "ministack", "/_ministack/health", func(port int) ([]string, []string) {
		return []string{"from ministack.app import main"}, append([]string{
			fmt.Sprintf("GATEWAY_PORT=%d", port), "BIND_HOST=127.0.0.1", fmt.Sprintf("AWS_ENDPOINT_URL=http://127.0.0.1:%d", port),
			"IOT_MTLS_ENABLED=0", "LAMBDA_EXECUTOR=local", "LAMBDA_ASYNC_RETRY_BASE_SECONDS=0.2",
			"MINISTACK_REGION=" + Region, "MINISTACK_ACCOUNT_ID=" + Account,
		}, env...)
	})
}

// Moto starts moto, which ends with the test, or with this process.
func Moto(t testing.TB) *Server {
	t.Helper()
	return start(t, "moto", "/moto-api/data.json", func(port int) ([]string, []string) {
		return []string{oneAtATime, "-H", "127.0.0.1", "-p", fmt.Sprint(port)}, nil
	})
}

// Env is the environment of a client of the server, as NAME=value.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL, "AWS_REGION=" + Region, "AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + Secret,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
}

// Setenv makes the test's environment, and that of what it starts, one of a
// client of the server; other AWS_ variables are gone until the test ends.
func (s *Server) Setenv(t testing.TB) {
	t.Helper()
	Clean(t)
	for _, v := range s.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
}

// Clean removes every AWS_ variable until the test ends.
func Clean(t testing.TB) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, value) // puts it back afterwards
			_ = os.Unsetenv(name)
		}
	}
}

// Reset removes everything that was made on the server.
func (s *Server) Reset(t testing.TB) {
	t.Helper()
	path := "/_ministack/reset"
	if s.name == "moto" {
		path = "/moto-api/reset"
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("reset of %s: %s", s.name, res.Status)
	}
}

// Log is what the server and its functions said so far.
func (s *Server) Log() string { return s.log.String() }

// oneAtATime is moto with a lock around each request, once its body is there: left
// alone it compares the tag of a conditional put and writes the object in two steps,
// between which other threads write, so that updates got lost that S3 keeps.
const oneAtATime = `
import io
import moto.server
from moto.server import main
one, serve = threading.Lock(), moto.server.run_simple
def ordered(host, port, app, **options):
    def handle(environ, respond):
        body, size = environ["wsgi.input"], environ.get("CONTENT_LENGTH")
        if size or environ.get("wsgi.input_terminated"):
            environ["wsgi.input"] = io.BytesIO(body.read(int(size)) if size else body.read())
        with one:
            return list(app(environ, respond))
    serve(host, port, handle, **options)
moto.server.run_simple = ordered
`

// guard ends the server when its standard input does, that is when the test
// closes it or its process is gone, and what it started some seconds later.
const guard = `
import os, signal, sys, threading, time
os.setsid()
def wait(inherited):
    while os.read(inherited, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os.killpg(0, signal.SIGKILL)
mine = os.dup(0)
nothing = os.open(os.devnull, os.O_RDONLY)
os.dup2(nothing, 0)
threading.Thread(target=wait, args=(mine,), daemon=True).start()
%s
main()
`

func start(t testing.TB, name, health string, command func(port int) (args, env []string)) *Server {
	t.Helper()
	python := interpreter(t, name)
	folder := t.TempDir()
	var said string
	for range 3 { // somebody else may take the port in between
		port := pytools.Port(t)
		args, env := command(port)
		s := &Server{URL: fmt.Sprintf("http://127.0.0.1:%d", port), name: name, log: &output{}, end: make(chan struct{})}
		args = slices.Concat([]string{"-W", "ignore", "-c", fmt.Sprintf(guard, args[0])}, args[1:])
		s.run(t, exec.Command(python, args...), append(env, "HOME="+folder, "TMPDIR="+folder, "PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED=1",
			"AWS_ACCESS_KEY_ID="+AccessKey, "AWS_SECRET_ACCESS_KEY="+Secret, "AWS_DEFAULT_REGION="+Region))
		if err := s.ready(t.Context(), health); err == nil {
			return s
		} else if said = fmt.Sprintf("%s: %v\n%s", name, err, s.Log()); t.Context().Err() != nil {
			break
		}
	}
	t.Fatal(said)
	return nil
}

// run starts the process and lets it end with the test.
func (s *Server) run(t testing.TB, cmd *exec.Cmd, env []string) {
	t.Helper()
	cmd.Env, cmd.Stdout, cmd.Stderr = env, s.log, s.log
	cmd.WaitDelay = 10 * time.Second // functions that hold the pipes
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // killed, or said in the log
		close(s.end)
	}()
	t.Cleanup(func() {
		_ = in.Close()
		<-s.end
		if t.Failed() {
			t.Logf("the end of what %s said:\n%s", s.name, s.log.tail(4000))
		}
	})
}

// ready waits until the server answers; an error where it ends or says nothing
// for a minute.
func (s *Server) ready(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-s.end:
			return errors.New("it ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// interpreter is the Python that has an emulator.
func interpreter(t testing.TB, name string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(here), "..", "..", "..", "bin", name)
	if _, err := os.Stat(filepath.Join(dir, "requirements.txt")); err != nil { // the script's last step
		say := fmt.Sprintf("bin/%s is missing: run scripts/pytools.sh", name)
		if os.Getenv("CI") == "true" {
			t.Fatal(say)
		}
		t.Skip(say)
	}
	return filepath.Join(dir, "bin", "python")
}

// output is what a process says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) tail(n int) string {
	s := o.String()
	return s[max(0, len(s)-n):]
}
