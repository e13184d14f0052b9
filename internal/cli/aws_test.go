package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/auth"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/deploy"
	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

// awsCall sends a request to the emulator.
func awsCall(t *testing.T, service, target, version string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, os.Getenv("AWS_ENDPOINT_URL"), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Content-Type", "application/x-amz-json-"+version)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261201/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", target, res.Status, data, err)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			t.Fatal(err)
		}
	}
}

// installed is a world whose bucket is that of the environment test, as if it had
// been deployed: with a state, queues, an alarm and a log group.
func installed(t *testing.T) (*world, *deploy.Account, *deploy.Outputs) {
	t.Helper()
	w, _ := bucketWorld(t)
	a, err := deploy.OpenAccount(t.Context(), "", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	queue := func(name string) string {
		var q struct{ QueueUrl string }
		awsCall(t, "sqs", "AmazonSQS.CreateQueue", "1.0", map[string]any{"QueueName": name}, &q)
		return q.QueueUrl
	}
	awsCall(t, "logs", "Logs_20140328.CreateLogGroup", "1.1", map[string]any{"logGroupName": "/aws/lambda/ei-test-ingest"}, nil)
	awsCall(t, "monitoring", "GraniteServiceVersion20100801.PutMetricAlarm", "1.0", map[string]any{"AlarmName": "ei-test-jobs-dlq", "AlarmDescription": "Messages wait.", "Namespace": "x",
		"MetricName": "y", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"}, nil)
	out := &deploy.Outputs{Prefix: "ei-test", Profile: "lite", Region: awstest.Region, APIURL: "http://api.example", Bucket: "intel", QueueURL: queue("jobs"), DLQURL: queue("jobs-dlq"), EventsDLQURL: queue("events-dlq"),
		AlarmNames: []string{"ei-test-jobs-dlq"}, LogGroups: map[string]string{"ingest": "/aws/lambda/ei-test-ingest"}, SSMPrefix: "/ei-test/"}
	data, _ := json.Marshal(out)
	var values map[string]any
	_ = json.Unmarshal(data, &values)
	outputs := map[string]any{}
	for name, v := range values {
		outputs[name] = map[string]any{"value": v}
	}
	state, _ := json.Marshal(map[string]any{"version": 4, "outputs": outputs})
	b := a.State("test")
	if _, err := a.EnsureBucket(t.Context(), b.Bucket); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Upload(t.Context(), b.Bucket, b.Key, state); err != nil {
		t.Fatal(err)
	}
	return w, a, out
}

// TestAWSCommands: an installation is looked at, its dead letters put back.
func TestAWSCommands(t *testing.T) {
	w, _, out := installed(t)
	w.must(0, "ingest", "a")
	said, _ := w.must(0, "aws", "status", "--env", "test")
	for _, want := range []string{"feeds       1 healthy", "listings    3", "jobs        0 waiting", "alarms      none rings", "a     ok"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	awsCall(t, "monitoring", "GraniteServiceVersion20100801.SetAlarmState", "1.0", map[string]any{"AlarmName": "ei-test-jobs-dlq", "StateValue": "ALARM", "StateReason": "1 is over 0"}, nil)
	awsCall(t, "sqs", "AmazonSQS.SendMessage", "1.0", map[string]any{"QueueUrl": out.DLQURL, "MessageBody": `{"id":"a@x","feed":"a"}`}, nil)
	awsCall(t, "sqs", "AmazonSQS.SendMessage", "1.0", map[string]any{"QueueUrl": out.EventsDLQURL, "MessageBody": `{"at":"x"}`}, nil)
	said, _ = w.must(exitPartial, "aws", "status", "--env", "test", "--json")
	var s awsStatus
	if err := json.Unmarshal([]byte(said), &s); err != nil || s.Feeds["healthy"] != 1 || s.JobsDLQ.Waiting != 1 || s.EventDLQ.Waiting != 1 || len(s.Alarms) != 1 || s.Alarms[0].Why != "1 is over 0" || len(s.Runs) != 1 || s.Drift != nil {
		t.Errorf("%+v, %v", s, err)
	}
	said, hint := w.must(exitPartial, "aws", "status", "--env", "test")
	if !strings.Contains(said, "ALARM ei-test-jobs-dlq") || !strings.Contains(hint, "elasticintel aws dlq --env test") {
		t.Error(said, hint)
	}
	if said, _ = w.must(0, "aws", "dlq", "--env", "test", "-o", "ndjson"); strings.Count(said, "\n") != 2 || !strings.Contains(said, `"queue":"jobs"`) || !strings.Contains(said, `{\"at\":\"x\"}`) {
		t.Error(said)
	}
	if _, hint = w.must(0, "aws", "dlq", "--env", "test", "--redrive"); !strings.Contains(hint, "1 job put back") {
		t.Error(hint)
	}
	if said, _ = w.must(exitPartial, "aws", "status", "--env", "test"); !strings.Contains(said, "jobs        1 waiting") || !strings.Contains(said, "jobs_dlq    0 waiting") {
		t.Error(said)
	}
	w.must(0, "aws", "dlq", "--env", "test", "--clear")
	if said, _ = w.must(0, "aws", "dlq", "--env", "test", "--json"); said != "[]\n" {
		t.Error(said)
	}
	if _, hint = w.must(exitUnreachable, "aws", "status"); !strings.Contains(hint, `environment "main" is not deployed`) || !strings.Contains(hint, "elasticintel deploy`") {
		t.Error(hint)
	}
}

func TestAWSLogs(t *testing.T) {
	w, _, _ := installed(t)
	group := map[string]any{"logGroupName": "/aws/lambda/ei-test-ingest", "logStreamName": "s"}
	awsCall(t, "logs", "Logs_20140328.CreateLogStream", "1.1", group, nil)
	put := func(ago time.Duration, text string) {
		group["logEvents"] = []any{map[string]any{"timestamp": time.Now().Add(-ago).UnixMilli(), "message": text}}
		awsCall(t, "logs", "Logs_20140328.PutLogEvents", "1.1", group, nil)
	}
	put(time.Hour, "old")
	put(time.Minute, `{"level":"INFO","msg":"job"}`+"\n")
	put(time.Second, `{"level":"ERROR","msg":"bad \u001b[2J"}`)
	if said, _ := w.must(0, "aws", "logs", "ingest", "--env", "test"); strings.Count(said, "\n") != 2 || !strings.Contains(said, `Z {"level":"INFO","msg":"job"}`) || strings.Contains(said, "old") {
		t.Error(said)
	}
	if said, _ := w.must(0, "aws", "logs", "ingest", "--env", "test", "--since", "2h", "--errors", "-o", "ndjson"); strings.Count(said, "\n") != 1 || !strings.Contains(said, `"stream":"s"`) {
		t.Error(said)
	}
	if _, hint := w.must(exitUsage, "aws", "logs", "ingst", "--env", "test"); !strings.Contains(hint, "Did you mean ingest?") {
		t.Error(hint)
	}
	// followed: what comes is printed when it comes
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	end := make(chan int, 1)
	go func() {
		end <- Run(ctx, Env{Args: []string{"aws", "logs", "ingest", "--follow", "--env", "test"}, In: strings.NewReader(""), Out: out, Err: io.Discard, Environ: os.Environ(), Now: time.Now})
		_ = out.Close()
	}()
	buf := make([]byte, 64<<10)
	seen := ""
	for !strings.Contains(seen, "fresh") {
		n, err := in.Read(buf)
		if err != nil {
			t.Fatal(err, seen)
		}
		if seen += string(buf[:n]); strings.Contains(seen, "bad") && !strings.Contains(seen, "fresh") {
			put(0, "fresh")
		}
	}
	cancel()
	if code := <-end; code != exitInterrupted {
		t.Error(code)
	}
}

// programOn is a program on an emulator, with what it says.
func programOn(t *testing.T) (*program, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	p := &program{env: Env{In: strings.NewReader(""), Out: io.Discard, Err: &said, Environ: os.Environ(), Now: time.Now}, cfg: config.Default(), log: slog.New(slog.DiscardHandler)}
	p.now = func() time.Time { return time.Now().UTC() }
	p.talk, p.out = newTalk(&said, nil, false), newPrinter(io.Discard, "table", nil)
	return p, &said
}

// TestDeploySteps: what deploy does after Terraform, and does not do twice.
func TestDeploySteps(t *testing.T) {
	w, a, out := installed(t)
	ctx := t.Context()
	p, said := programOn(t)
	store, err := dataOf(ctx, out)
	if err != nil {
		t.Fatal(err)
	}

	key, err := p.firstKey(ctx, out)
	if err != nil || !strings.HasPrefix(key, "ei_") {
		t.Fatal(key, err)
	}
	if _, err := auth.New(store, p.now).Check(ctx, "Bearer "+key); err != nil {
		t.Error(err)
	}
	if _, _, err := store.Get(ctx, "store.json"); err != nil {
		t.Error("the functions would not answer:", err)
	}
	if second, err := p.firstKey(ctx, out); second != "" || err != nil {
		t.Error("a second key", err)
	}
	passing, end, err := p.passingKey(ctx, out)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := auth.New(store, p.now).Check(ctx, "Bearer "+passing); err != nil || !k.Role.Allows(auth.Editor) || k.Role.Allows(auth.Admin) {
		t.Error(k, err)
	}
	end()
	if _, err := auth.New(store, p.now).Check(ctx, "Bearer "+passing); err == nil {
		t.Error("the key of the test still opens")
	}

	// feed definitions: a.json is in the bucket
	w.define("b", `,"enabled":false`)
	w.define("c", `,"auth":{"type":"header","name":"X-Key","secret":"c"}`)
	w.define("d", "")
	if err := os.Remove(filepath.Join(w.dir, "feeds", "a.json")); err != nil {
		t.Fatal(err)
	}
	p.cfg.Feeds = filepath.Join(w.dir, "feeds")
	if err := p.uploadFeeds(ctx, a, out.Bucket); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 files in", "3 of them new or changed", "feeds.d/a.json is in the bucket and not in"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("no %q in %s", want, said)
		}
	}
	said.Reset()
	if err := p.uploadFeeds(ctx, a, out.Bucket); err != nil || !strings.Contains(said.String(), "0 of them new or changed") {
		t.Error(err, said)
	}
	if keys, err := a.Keys(ctx, out.Bucket, "feeds.d/"); err != nil || !slices.Equal(keys, []string{"feeds.d/a.json", "feeds.d/b.json", "feeds.d/c.json", "feeds.d/d.json"}) {
		t.Error(keys, err)
	}

	// the feed of the test
	for asked, want := range map[string]string{"": "a", "d": "d"} {
		if id, err := p.smokeFeed(ctx, a, out.Bucket, asked); id != want || err != nil {
			t.Error(asked, id, err)
		}
	}
	var f *failure
	if _, err := p.smokeFeed(ctx, a, out.Bucket, "dd"); !errors.As(err, &f) || f.code != exitUsage {
		t.Error(err)
	}
	if err := a.Empty(ctx, out.Bucket, "feeds.d/"); err != nil {
		t.Fatal(err)
	}
	if id, err := p.smokeFeed(ctx, a, out.Bucket, ""); id != usualSmoke || err != nil {
		t.Errorf("with the built-in catalogue: %q, %v", id, err)
	}
}

// TestDestroyExport: the backup that destroy writes first can be restored, and says
// what was known.
func TestDestroyExport(t *testing.T) {
	w, a, _ := installed(t)
	w.must(0, "ingest", "a")
	p, _ := programOn(t)
	file := filepath.Join(t.TempDir(), "x.tar.zst")
	if err := p.exportData(t.Context(), "intel", a.Region, file); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "EI_DATA=back")
	w.must(0, "restore", file)
	if said, _ := w.must(1, "lookup", "one.a.example", "-o", "ndjson"); !strings.Contains(said, `"found":true`) {
		t.Error(said)
	}
	err := p.exportData(t.Context(), "intel-none", a.Region, file+"2")
	if _, gone := os.Stat(file + "2"); err == nil || gone == nil {
		t.Error("a bucket that is not there is exported", err)
	}
}

// TestAsking: only a clear yes is one, and only the name destroys.
func TestAsking(t *testing.T) {
	p, _ := programOn(t)
	for line, want := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "no\n": false, "yy\n": false} {
		p.env.In = strings.NewReader(line)
		if yes, err := p.confirm(t.Context(), false, "? "); yes != want || err != nil {
			t.Errorf("%q: %v, %v", line, yes, err)
		}
	}
	p.env.In = strings.NewReader("")
	if yes, err := p.confirm(t.Context(), false, "? "); yes || err == nil {
		t.Error("an end of the input is a yes", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, out := io.Pipe()
	defer out.Close()
	p.env.In = in
	if yes, err := p.confirm(ctx, false, "? "); yes || !errors.Is(err, context.Canceled) {
		t.Error(yes, err)
	}
	for _, c := range []struct {
		o    destroyOptions
		asks bool
		ok   bool
	}{
		{destroyOptions{}, true, true}, {destroyOptions{}, false, false}, {destroyOptions{name: "main"}, true, true}, {destroyOptions{name: "main"}, false, false},
		{destroyOptions{name: "main", yes: true}, false, true}, {destroyOptions{yes: true}, true, false}, {destroyOptions{name: "other", yes: true}, true, false},
	} {
		c.o.env = deploy.Main
		if err := c.o.checkName(c.asks); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestNoTool: without Terraform the way to it is said.
func TestNoTool(t *testing.T) {
	var said bytes.Buffer
	code := Run(t.Context(), Env{Args: []string{"deploy", "--yes", "--work", t.TempDir()}, In: strings.NewReader(""), Out: io.Discard, Err: &said, Environ: []string{"PATH=" + t.TempDir()}, Now: time.Now})
	if code != exitConfig || !strings.Contains(said.String(), "neither terraform nor tofu is in PATH: install Terraform (https://") {
		t.Error(code, said.String())
	}
}
