package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

// newSession is one without Terraform, in an emulator.
func newSession(t *testing.T, a *Account, vars map[string]any) *Session {
	t.Helper()
	work, err := OpenWork(t.TempDir(), "x")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Env: "test", Vars: vars, Files: os.DirFS("../../deploy/terraform"), Code: Code{Arch: AMD64}, Now: time.Now, Say: t.Logf}
	return &Session{Account: a, Runner: &Runner{Work: work}, State: a.State("test"), o: o}
}

// TestSaved: what was deployed with is found by the next deployment, from any
// machine, and is gone with the state.
func TestSaved(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	ctx, a := t.Context(), open(t, "")
	if _, err := a.EnsureBucket(ctx, a.State("test").Bucket); err != nil {
		t.Fatal(err)
	}
	first := newSession(t, a, map[string]any{"profile": "standard", "log_days": 90.0})
	if err := first.Attach(ctx); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `environment "test" is not deployed in account 111122223333, region us-east-1`) {
		t.Error(err)
	}
	vars, err := first.variables(ctx)
	if err == nil {
		err = first.write(vars, []byte("zip"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := a.Keys(ctx, first.State.Bucket, ""); err != nil || len(keys) > 0 {
		t.Error("kept before anybody agreed:", keys, err)
	}
	if err := first.save(ctx); err != nil {
		t.Fatal(err)
	}
	// another machine: one variable more, one back to its default, the rest as it was
	second := newSession(t, a, map[string]any{"log_days": nil, "api_rate": 5.0})
	if vars, err = second.variables(ctx); err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(vars)
	if want := `{"api_rate":5,"architecture":"x86_64","prefix":"ei-test","profile":"standard","zip":"bootstrap.zip"}`; string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := second.write(vars, []byte("zip")); err != nil {
		t.Fatal(err)
	}
	dir := second.Runner.Work.Terraform()
	for _, name := range []string{"bootstrap.zip", "elasticintel.auto.tfvars.json", "main.tf"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.Upload(ctx, second.State.Bucket, second.State.beside(variablesName), []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := second.variables(ctx); err == nil || !strings.Contains(err.Error(), "remove it and give all variables again") {
		t.Error(err)
	}
	if err := second.Forget(ctx); err != nil {
		t.Fatal(err)
	}
	if obj, err := a.Object(ctx, second.State.Bucket, second.State.beside(zipName)); obj != nil || err != nil {
		t.Error("left:", len(obj), err)
	}
}

func TestOutputs(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	ctx, a := t.Context(), open(t, "")
	b := a.State("test")
	if _, err := a.Outputs(ctx, "test"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := a.EnsureBucket(ctx, b.Bucket); err != nil {
		t.Fatal(err)
	}
	for state, want := range map[string]string{
		`{"version":4,"outputs":{}}`:                       "is half made, or half taken away: run `elasticintel deploy --env test` or",
		`{"version":5,"outputs":{"prefix":{"value":"x"}}}`: "version 5 of Terraform's state cannot be read here",
		`{"version":4,"outputs":{"prefix":{"value":5}}}`:   "cannot unmarshal",
		`{`: "cannot be read here",
	} {
		if _, err := a.Upload(ctx, b.Bucket, b.Key, []byte(state)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Outputs(ctx, "test"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", state, err)
		}
	}
	state := `{"version":4,"outputs":{"bucket":{"value":"b","type":"string"},"alarm_names":{"value":["x","y"]},"log_groups":{"value":{"api":"/aws/lambda/x"}},"domain_name":{"value":null}}}`
	if _, err := a.Upload(ctx, b.Bucket, b.Key, []byte(state)); err != nil {
		t.Fatal(err)
	}
	if out, err := a.Outputs(ctx, "test"); err != nil || out.Bucket != "b" || len(out.AlarmNames) != 2 || out.LogGroups["api"] != "/aws/lambda/x" {
		t.Error(out, err)
	}
	// the names are those of the configuration
	hcl := page(t, "deploy/terraform/outputs.tf")
	said, _ := json.Marshal(Outputs{})
	var names map[string]any
	_ = json.Unmarshal(said, &names)
	for name := range names {
		if !strings.Contains(hcl, `output "`+name+`" {`) {
			t.Errorf("deploy/terraform has no output %q", name)
		}
	}
}

// makeQueue makes a queue and puts messages into it.
func makeQueue(t *testing.T, a *Account, name string, bodies ...string) string {
	t.Helper()
	var q struct{ QueueUrl string }
	if err := a.sqs(t.Context(), "CreateQueue", map[string]any{"QueueName": name}, &q); err != nil {
		t.Fatal(err)
	}
	for _, b := range bodies {
		if err := a.sqs(t.Context(), "SendMessage", map[string]any{"QueueUrl": q.QueueUrl, "MessageBody": b}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return q.QueueUrl
}

func bodies(list []Message) []string {
	var out []string
	for _, m := range list {
		out = append(out, m.Body)
	}
	slices.Sort(out)
	return out
}

// TestDeadLetters: looked at, all of them can be had again; put back, they are in
// the other queue and here no more.
func TestDeadLetters(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	ctx, a := t.Context(), open(t, "")
	var want []string
	for i := range 23 {
		want = append(want, fmt.Sprintf("%02d", i))
	}
	dead, jobs := makeQueue(t, a, "dead", want...), makeQueue(t, a, "jobs")
	if few, err := a.Peek(ctx, dead, 5); err != nil || len(few) < 5 || len(few) > 10 {
		t.Error(len(few), err)
	}
	list, err := a.Peek(ctx, dead, 100)
	if err != nil || !slices.Equal(bodies(list), want) || list[0].Sent.IsZero() || list[0].Tries < 1 || list[0].ID == "" {
		t.Fatal(bodies(list), err)
	}
	if n, err := a.Redrive(ctx, dead, jobs); n != 23 || err != nil {
		t.Error(n, err)
	}
	if waiting, working, err := a.Depth(ctx, dead); waiting+working != 0 || err != nil {
		t.Error(waiting, working, err)
	}
	if list, err := a.Peek(ctx, jobs, 100); err != nil || !slices.Equal(bodies(list), want) {
		t.Error(bodies(list), err)
	}
	if err := a.Purge(ctx, jobs); err != nil {
		t.Error(err)
	}
	if waiting, _, err := a.Depth(ctx, jobs); waiting != 0 || err != nil {
		t.Error(waiting, err)
	}
	if _, err := a.Redrive(ctx, dead+"-none", jobs); err == nil {
		t.Error("a queue that is not there is redriven")
	}
}

func TestRinging(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	ctx, a := t.Context(), open(t, "")
	cloudwatch := func(name string, in map[string]any) {
		t.Helper()
		if err := a.call(ctx, request{service: "monitoring", name: name, target: "GraniteServiceVersion20100801", version: "1.0", in: in}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"mine", "quiet", "others"} {
		cloudwatch("PutMetricAlarm", map[string]any{"AlarmName": n, "AlarmDescription": n + " rings", "Namespace": "x", "MetricName": "y", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"})
	}
	for _, n := range []string{"mine", "others"} {
		cloudwatch("SetAlarmState", map[string]any{"AlarmName": n, "StateValue": "ALARM", "StateReason": "5 is over 1"})
	}
	list, err := a.Ringing(ctx, []string{"mine", "quiet"})
	if err != nil || len(list) != 1 || list[0].Name != "mine" || list[0].Says != "mine rings" || list[0].Why != "5 is over 1" || time.Since(list[0].Since) > time.Hour {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := a.Ringing(ctx, nil); len(list) > 0 || err != nil {
		t.Error(list, err)
	}
}

// TestLogs: what is there, in order; followed, each line once, also one that comes late.
func TestLogs(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	ctx, a := t.Context(), open(t, "")
	logs := func(name string, in map[string]any) {
		t.Helper()
		in["logGroupName"] = "/aws/lambda/x"
		if err := a.call(ctx, request{service: "logs", name: name, target: "Logs_20140328", version: "1.1", in: in}, nil); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now().Add(-time.Minute)
	put := func(stream, text string, after time.Duration) {
		t.Helper()
		logs("PutLogEvents", map[string]any{"logStreamName": stream, "logEvents": []any{map[string]any{"timestamp": begin.Add(after).UnixMilli(), "message": text}}})
	}
	logs("CreateLogGroup", map[string]any{})
	logs("CreateLogStream", map[string]any{"logStreamName": "s1"})
	logs("CreateLogStream", map[string]any{"logStreamName": "s2"})
	put("s1", "old", -time.Hour)
	put("s1", `{"level":"INFO","n":1}`, time.Second)
	put("s2", `{"level":"ERROR","n":2}`, 2*time.Second)
	var got []string
	emit := func(l LogLine) error {
		got = append(got, l.Stream+" "+l.Text)
		return nil
	}
	q := LogQuery{Group: "/aws/lambda/x", Since: begin}
	if err := a.Logs(ctx, q, emit); err != nil || strings.Join(got, "|") != `s1 {"level":"INFO","n":1}|s2 {"level":"ERROR","n":2}` {
		t.Error(got, err)
	}
	got, q.Errors = nil, true
	if err := a.Logs(ctx, q, emit); err != nil || strings.Join(got, "|") != `s2 {"level":"ERROR","n":2}` {
		t.Error(got, err)
	}
	got, q.Errors = nil, false
	end, rounds := errors.New("end"), 0
	pause := func(context.Context) error {
		switch rounds++; rounds {
		case 1:
			put("s1", "three", 40*time.Second)
		case 2:
			put("s2", "late", 30*time.Second)
		case 4:
			return end
		}
		return nil
	}
	if err := a.Follow(ctx, q, pause, emit); !errors.Is(err, end) || strings.Join(got[2:], "|") != "s1 three|s2 late" {
		t.Error(got, err)
	}
	q.Group = "none"
	if err := a.Logs(ctx, q, emit); err == nil || !strings.Contains(err.Error(), "log group none") {
		t.Error(err)
	}
}

func TestFailed(t *testing.T) {
	for text, want := range map[string]bool{
		`{"time":"2026-12-01T05:01:56Z","level":"ERROR","msg":"not ready"}`:                       true,
		`{"time":"2026-12-01T05:01:56Z","level":"INFO","msg":"a list of ERROR"}`:                  false,
		`{"type":"platform.report","record":{"status":"timeout"}}`:                                true,
		`{"type":"platform.report","record":{"status":"success"}}`:                                false,
		"2026-12-01T05:01:56.000Z 3e96056d Task timed out after 600.05 seconds":                   true,
		"RequestId: 3e96056d Error: Runtime exited with error: signal: killed":                    true,
		"REPORT RequestId: 3e96056d Duration: 80 ms Memory Size: 1024 MB Max Memory Used: 125 MB": false,
	} {
		if Failed(text) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}

// TestDropParameters: those below the prefix, and no others.
func TestDropParameters(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	ctx, a := t.Context(), open(t, "")
	ssm := func(name string, in map[string]any, out any) {
		t.Helper()
		if err := a.call(ctx, request{service: "ssm", name: name, target: "AmazonSSM", version: "1.1", in: in}, out); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 12 {
		ssm("PutParameter", map[string]any{"Name": fmt.Sprintf("/ei-test/s%d", i), "Value": "x", "Type": "SecureString"}, nil)
	}
	ssm("PutParameter", map[string]any{"Name": "/ei-test2/other", "Value": "x", "Type": "SecureString"}, nil)
	if err := a.dropParameters(ctx, "/ei-test/"); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]int{"/ei-test/": 0, "/ei-test2/": 1} {
		var page struct{ Parameters []any }
		if ssm("GetParametersByPath", map[string]any{"Path": prefix}, &page); len(page.Parameters) != want {
			t.Error(prefix, page)
		}
	}
}
