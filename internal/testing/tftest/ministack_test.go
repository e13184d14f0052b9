package tftest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

// emulator is one that Terraform applies to, with what it does not tell as it was
// told, so that a second plan wants to change it again.
type emulator struct {
	start func(testing.TB) *awstest.Server
	vars  []string
	gaps  map[string]string
	lacks string // a resource that it does not do, without the block's end
}

var emulators = map[string]emulator{
	"ministack": {func(t testing.TB) *awstest.Server { return awstest.Ministack(t) }, nil, map[string]string{
		"module.observability.aws_cloudwatch_metric_alarm.main": "DescribeAlarms leaves period, statistic, dimensions, treat_missing_data and actions out",
	}, ""},
	// the second opinion, above all on alarms
	"moto": {awstest.Moto, []string{"TF_VAR_budget_usd=0"}, map[string]string{ // budgets fail there
		"module.function.aws_lambda_function.main": "logging_config is not kept",
		"module.jobs.aws_sqs_queue.jobs":           "redrive_policy comes back with other white space",
	}, `resource "aws_sqs_queue_redrive_allow_policy" "dlq" {`}, // the provider waits for ever for it to be as it was told

}

// TestApply makes lite on an emulator, plans again, and removes it. The bootstrap
// does nothing: what the functions do is tested with the deploy command.
func TestApply(t *testing.T) {
	if os.Getenv("EI_SOAK") == "" {
		t.Skip("takes minutes, most of them waits of the provider: EI_SOAK=1 runs it")
	}
	for name, e := range emulators {
		t.Run(name, func(t *testing.T) { apply(t, e) })
	}
}

func apply(t *testing.T, e emulator) {
	t.Helper()
	s := e.start(t)
	r := New(t, slices.Concat(s.Env(), e.vars, []string{"TF_VAR_secrets=[\"otx\"]", "TF_VAR_destroy_data=true", "TF_VAR_alert_emails=[\"ops@example.com\"]"})...)
	if e.lacks != "" {
		file := filepath.Join(r.Dir, "modules", "jobs", "main.tf")
		text, err := os.ReadFile(file)
		begin, rest, ok := strings.Cut(string(text), e.lacks)
		if _, rest, found := strings.Cut(rest, "\n}\n"); err != nil || !ok || !found || os.WriteFile(file, []byte(begin+rest), 0o600) != nil {
			t.Fatalf("%s is not in %s (%v)", e.lacks, file, err)
		}
	}
	r.Run(t, "apply", "-no-color", "-auto-approve", "-parallelism=30")
	putSecret(t, s, "/elasticintel/otx", "hunter2")
	r.Run(t, "apply", "-refresh-only", "-no-color", "-auto-approve") // reads everything back into the state
	file := filepath.Join(t.TempDir(), "plan")
	r.Run(t, "plan", "-no-color", "-out="+file)
	second(t, r.Show(t, file), e.gaps)
	var out map[string]struct{ Value any }
	if err := json.Unmarshal([]byte(r.Run(t, "output", "-json")), &out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"api_url", "bucket", "topic_arn", "queue_url", "dlq_url", "events_dlq_url", "ssm_prefix", "alarms_topic_arn", "dashboard", "region", "profile"} {
		if v, _ := out[name].Value.(string); v == "" {
			t.Errorf("the output %s is %v", name, out[name].Value)
		}
	}
	state, err := os.ReadFile(filepath.Join(r.Dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{`"unset"`, "hunter2"} {
		if strings.Contains(string(state), value) {
			t.Errorf("the value of a secret, %s, is in the state", value)
		}
	}
	r.Run(t, "destroy", "-no-color", "-auto-approve", "-parallelism=30")
	if left := strings.TrimSpace(r.Run(t, "state", "list")); left != "" {
		t.Errorf("destroy left %s", left)
	}
}

// second says what a plan after an apply wants to change without being excused.
func second(t *testing.T, p Plan, gaps map[string]string) {
	t.Helper()
	index := regexp.MustCompile(`\["[^"]*"\]`)
	for _, c := range p.Changes {
		if slices.Equal(c.Change.Actions, []string{"no-op"}) || slices.Equal(c.Change.Actions, []string{"read"}) {
			continue
		}
		if gaps[index.ReplaceAllString(c.Address, "")] == "" {
			t.Errorf("%s: the second plan wants %v", c.Address, c.Change.Actions)
		}
	}
}

// putSecret gives a parameter that exists another value, as people do.
func putSecret(t *testing.T, s *awstest.Server, name, value string) {
	t.Helper()
	call(t, s, "PutParameter", map[string]any{"Name": name, "Value": value, "Type": "SecureString", "Overwrite": true})
	var got struct{ Parameter struct{ Value string } }
	if err := json.Unmarshal(call(t, s, "GetParameter", map[string]any{"Name": name, "WithDecryption": true}), &got); err != nil || got.Parameter.Value != value {
		t.Fatalf("the parameter has the value %q (%v), want %q", got.Parameter.Value, err, value)
	}
}

func call(t *testing.T, s *awstest.Server, action string, in map[string]any) []byte {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AmazonSSM."+action)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+awstest.AccessKey+"/20261201/"+awstest.Region+"/ssm/aws4_request, SignedHeaders=host, Signature=0")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v %s", action, res.Status, err, out)
	}
	return out
}
