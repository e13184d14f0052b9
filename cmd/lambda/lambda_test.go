package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
	"github.com/elasticintel/elasticintel/internal/testing/lambdatest"
)

// TestMain removes what bootstrap built.
func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// built is a folder with the program as it is deployed, but for this machine.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bootstrap-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "bootstrap"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

func bootstrap(t testing.TB) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "bootstrap")
}

// process is a function of its own.
type process struct {
	*lambdatest.Server
	cmd *exec.Cmd
	out *output
	end chan error
}

// output is what a process said so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// String implements fmt.Stringer.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// launch starts a function with nothing in its environment but what is given.
func launch(t testing.TB, bin, function string, env ...string) *process {
	t.Helper()
	p := &process{Server: lambdatest.New(t), out: &output{}, end: make(chan error, 1)}
	p.cmd = exec.Command(bin)
	p.cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + p.Addr(), "EI_FUNCTION=" + function}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.end <- p.cmd.Wait() }()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as Lambda does.
func (p *process) kill() {
	if p.cmd.Process.Kill() == nil {
		<-p.end
	}
}

// queue is a batch of one job.
func queue(t testing.TB, jobs ...awslambda.Job) string {
	t.Helper()
	var records []any
	for i, j := range jobs {
		b, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, map[string]any{"messageId": fmt.Sprint(i), "eventSource": "aws:sqs", "body": string(b)})
	}
	b, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func get(path, key string) string {
	return fmt.Sprintf(`{"version":"2.0","rawPath":%q,"headers":{"host":"x","authorization":"Bearer %s"},"requestContext":{"stage":"$default","http":{"method":"GET","sourceIp":"198.51.100.7"}}}`, path, key)
}

const limit = time.Minute

// world is a store in a folder with one feed, uploaded as a file.
func world(t testing.TB, pub *feedserver.Server) (dir string, store blob.Store, env []string) {
	t.Helper()
	dir = t.TempDir()
	store, err := blob.NewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	def := fmt.Sprintf(`{"feeds":[{"id":"a","feed_name":"A","feed_type":"txt","indicator_type":"domain","feed_url":%q,"field_mapping":{"source":[],"destination":[]},"allow_networks":["127.0.0.0/8"]}]}`, pub.URL("/a"))
	if _, err := blob.Write(t.Context(), store, "feeds.d/a.json", []byte(def), blob.Cond{}); err != nil {
		t.Fatal(err)
	}
	return dir, store, []string{"EI_DATA=" + dir, "EI_CACHE=" + t.TempDir()}
}

// Real processes of the built bootstrap on one store: a job is run, the other
// function answers what it brought, the third says how the feed is doing.
func TestBootstrap(t *testing.T) {
	bin := bootstrap(t)
	pub := feedserver.Start(t)
	pub.SetString("/a", "one.a.example\n")
	_, store, env := world(t, pub)

	api := launch(t, bin, "api", env...)
	if r := api.Invoke(get("/readyz", ""), limit); !strings.Contains(string(r.Body), `"statusCode":503`) {
		t.Errorf("an api without any data: %s %s", r.Body, r.Error)
	}
	in := launch(t, bin, "ingest", env...)
	job := awslambda.NewJob("a", time.Now())
	for range 3 { // warm, and the same job
		if r := in.Invoke(queue(t, job), limit); string(r.Body) != `{"batchItemFailures":[]}` {
			t.Errorf("ingest: %s %s\n%s", r.Body, r.Error, in.out)
		}
	}
	if pub.Hits("/a") != 1 {
		t.Errorf("one job ran %d times", pub.Hits("/a"))
	}
	key, _, err := auth.New(store, time.Now).Create(t.Context(), "test", auth.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one.a.example", "one.a.example"} {
		if r := api.Invoke(get("/api/v1/indicators/"+name, key), limit); !strings.Contains(string(r.Body), `\"found\":true`) {
			t.Errorf("api: %s %s\n%s", r.Body, r.Error, api.out)
		}
	}
	if r := api.Invoke(get("/api/v1/indicators/one.a.example", ""), limit); !strings.Contains(string(r.Body), `"statusCode":401`) {
		t.Errorf("api without a key: %s", r.Body)
	}
	health := launch(t, bin, "health", env...)
	if r := health.Invoke(`{"at":"<aws.scheduler.scheduled-time>"}`, limit); !strings.Contains(string(r.Body), `"healthy":1`) {
		t.Errorf("health: %s %s", r.Body, r.Error)
	}
	if r := health.Invoke(queue(t, job), limit); !strings.Contains(r.Error, "it has the members Records") {
		t.Errorf("an event of another function: %+v", r)
	}
	health.kill()
	if !strings.Contains(health.out.String(), `"Listings":1`) || !strings.Contains(health.out.String(), `"_aws"`) {
		t.Errorf("no metrics in %s", health.out)
	}
}

// A process that is killed in mid-run loses nothing: the message comes again, to
// another process.
func TestBootstrap_KilledInMidRun(t *testing.T) {
	bin := bootstrap(t)
	pub := feedserver.Start(t)
	pub.Fail("/a", feedserver.Blackhole, 0)
	_, _, env := world(t, pub)
	job := queue(t, awslambda.NewJob("a", time.Now()))
	first := launch(t, bin, "ingest", env...)
	first.Send(job, limit)
	if err := pub.Wait(t.Context(), "/a", 1); err != nil {
		t.Fatal(err)
	}
	first.kill()
	pub.Heal("/a")
	pub.SetString("/a", "one.a.example\n")
	second := launch(t, bin, "ingest", env...)
	if r := second.Invoke(job, limit); string(r.Body) != `{"batchItemFailures":[]}` {
		t.Errorf("%s %s", r.Body, r.Error)
	}
	second.kill()
	if n := strings.Count(second.out.String(), `"status":"ok"`); n != 1 {
		t.Errorf("%d good runs: %s", n, second.out)
	}
}

func TestBootstrap_WrongSettings(t *testing.T) {
	bin := bootstrap(t)
	for want, c := range map[string][]string{
		"want one of api, health, ingest, scheduler": {"whois", "EI_DATA=" + t.TempDir()},
		"EI_DATA is not set":                         {"api"},
		"EI_LOG_LEVEL":                               {"api", "EI_DATA=" + t.TempDir(), "EI_LOG_LEVEL=loud"},
		"EI_CACHE_MB=much":                           {"api", "EI_DATA=" + t.TempDir(), "EI_CACHE_MB=much"},
		"EI_SHARD_SIZE=-1":                           {"ingest", "EI_DATA=" + t.TempDir(), "EI_SHARD_SIZE=-1"},
		"EI_JOBS_TOPIC is not set":                   {"scheduler", "EI_DATA=" + t.TempDir()},
	} {
		p := launch(t, bin, c[0], append(c[1:], "EI_CACHE="+t.TempDir())...)
		if r := p.InitError(); !strings.Contains(r.Error, want) {
			t.Errorf("%v: %+v", c, r)
		}
		if err := <-p.end; err == nil {
			t.Errorf("%v: the process ended well", c)
		}
		p.end <- nil
	}
	out, err := exec.Command(bin).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "AWS_LAMBDA_RUNTIME_API is not set") {
		t.Errorf("%s, %v", out, err)
	}
}

// BenchmarkStart measures from the start of the process to its first poll.
func BenchmarkStart(b *testing.B) {
	bin := bootstrap(b)
	pub := feedserver.Start(b)
	_, _, env := world(b, pub)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		p := launch(b, bin, "api", env...)
		<-p.Polled()
		took = append(took, time.Since(start))
		p.kill()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "ms-p95")
	if st, err := os.Stat(bin); err == nil {
		b.ReportMetric(float64(st.Size())/1e6, "MB")
	}
}
