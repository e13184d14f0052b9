package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/elasticintel/elasticintel/internal/testing/awstest"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
	"github.com/elasticintel/elasticintel/internal/testing/opensearchtest"
)

// gaps are what a second plan changes although nothing did, since the emulator does
// not answer what it was told, with what it leaves out.
var gaps = map[string]string{
	"module.observability.aws_cloudwatch_metric_alarm.main": "DescribeAlarms leaves out period, statistic, dimensions, treat_missing_data and actions",
}

// folder is where the command was built, "" where it was not.
var folder string

// built is the command, built once for all tests.
var built = sync.OnceValues(func() (bin string, err error) {
	if folder, err = os.MkdirTemp("", "ei-e2e-"); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(folder, "elasticintel"), "./cmd/elasticintel")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return filepath.Join(folder, "elasticintel"), nil
})

// TestMain removes what was built.
func TestMain(m *testing.M) {
	code := m.Run()
	if folder != "" {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

// installation is an environment in an emulator, made and removed by the command.
type installation struct {
	t       *testing.T
	env     string
	bin     string
	server  *awstest.Server
	environ []string
	work    string
	feeds   string // folder of definitions
	set     []string
	pub     *feedserver.Server
	account *Account
	api     *API
}

func install(t *testing.T, env string, server *awstest.Server) *installation {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{t: t, env: env, bin: bin, server: server, work: t.TempDir(), feeds: t.TempDir(), pub: feedserver.Start(t)}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "TF_VAR_") && !strings.HasPrefix(name, "EI_") || name == "EI_TF_MIRROR" {
			in.environ = append(in.environ, v)
		}
	}
	in.environ = append(in.environ, server.Env()...)
	in.account = &Account{ID: awstest.Account, Region: awstest.Region, now: time.Now, cfg: aws.Config{
		Region: awstest.Region, BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider(awstest.AccessKey, awstest.Secret, "")}}
	in.account.ready()
	in.set = []string{"--set", "schedule=rate(1 minute)", "--set", `secrets=["otx"]`}
	return in
}

// feed writes a definition of a feed with one value, NAME.example.
func (in *installation) feed(name string) {
	in.t.Helper()
	in.pub.SetString("/"+name, name+".example\n")
	text := fmt.Sprintf(`{"feeds":[{"id":%q,"feed_name":%q,"feed_type":"txt","indicator_type":"domain","feed_url":%q,"field_mapping":{"source":[],"destination":[]},"allow_networks":["127.0.0.0/8"]}]}`, name, name, in.pub.URL("/"+name))
	if err := os.WriteFile(filepath.Join(in.feeds, name+".json"), []byte(text), 0o600); err != nil {
		in.t.Fatal(err)
	}
}

// run runs the command; the test ends where it fails.
func (in *installation) run(args ...string) (stdout, stderr string) {
	in.t.Helper()
	ctx, cancel := context.WithTimeout(in.t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, in.bin, append(args, "--env", in.env)...)
	cmd.Env, cmd.Dir = in.environ, in.work
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	start := time.Now()
	err := cmd.Run()
	in.t.Logf("%s: %s", args[0], time.Since(start).Round(time.Second))
	if err != nil {
		in.t.Fatalf("elasticintel %s: %v\n%s\n%s", strings.Join(args, " "), err, out.String(), log.String())
	}
	return out.String(), log.String()
}

func (in *installation) deploy(more ...string) (string, string) {
	in.t.Helper()
	args := append([]string{"deploy", "--arch", AMD64, "--work", in.work, "--source", source(in.t), "--feeds", in.feeds, "--json"}, in.set...)
	return in.run(append(args, more...)...)
}

func source(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// found waits until the API finds a value.
func (in *installation) found(value string) {
	in.t.Helper()
	ctx, cancel := context.WithTimeout(in.t.Context(), 3*time.Minute)
	defer cancel()
	for {
		var said struct{ Found bool }
		err := in.api.call(ctx, http.MethodGet, "/api/v1/indicators/"+value, nil, &said)
		if said.Found {
			return
		}
		if pause(ctx, time.Second) != nil {
			in.t.Fatalf("%s is not found: %v", value, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// unchanged wants a further plan to change nothing but what the emulator cannot tell.
func (in *installation) unchanged() {
	in.t.Helper()
	_, log := in.deploy("--plan")
	lines := 0
	for _, l := range strings.Split(log, "\n") {
		words := strings.Fields(l)
		switch {
		case strings.HasPrefix(l, "Plan: "):
			if lines++; !strings.HasPrefix(l, "Plan: 0 to add, ") || !strings.Contains(l, ", 0 to replace, 0 to destroy.") {
				in.t.Error(l)
			}
		case strings.HasPrefix(l, "Nothing to do"):
			lines++
		case len(words) == 2 && words[0] == "change":
			if name, _, _ := strings.Cut(words[1], "["); gaps[name] == "" {
				in.t.Errorf("a second plan changes %s", words[1])
			}
		}
	}
	if lines != 1 {
		in.t.Errorf("no plan in %s", log)
	}
}

// ask sends a request of a service and returns what it answers, as it is.
func (in *installation) ask(r request) string {
	in.t.Helper()
	req, body, err := in.account.build(in.t.Context(), r)
	if err != nil {
		in.t.Fatal(err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/20261201/%s/%s/aws4_request, SignedHeaders=host, Signature=0", awstest.AccessKey, awstest.Region, r.service))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		in.t.Fatalf("%s: %s %v %s", r.name, resp.Status, err, text)
	}
	return string(text)
}

// left says in which lists of AWS's something of the installation is.
func (in *installation) left() (where []string) {
	in.t.Helper()
	for _, r := range []request{
		{service: "s3", name: "ListBuckets", method: http.MethodGet, path: "/"},
		{service: "lambda", name: "ListFunctions", method: http.MethodGet, path: "/2015-03-31/functions/"},
		{service: "lambda", name: "ListEventSourceMappings", method: http.MethodGet, path: "/2015-03-31/event-source-mappings/"},
		{service: "sqs", name: "ListQueues", target: "AmazonSQS", version: "1.0", in: map[string]any{}},
		{service: "sns", name: "ListTopics", form: "Action=ListTopics&Version=2010-03-31"},
		{service: "iam", name: "ListRoles", form: "Action=ListRoles&Version=2010-05-08"},
		{service: "ssm", name: "DescribeParameters", target: "AmazonSSM", version: "1.1", in: map[string]any{}},
		{service: "logs", name: "DescribeLogGroups", target: "Logs_20140328", version: "1.1", in: map[string]any{}},
		{service: "monitoring", name: "DescribeAlarms", form: "Action=DescribeAlarms&Version=2010-08-01"},
		{service: "monitoring", name: "ListDashboards", form: "Action=ListDashboards&Version=2010-08-01"},
		{service: "budgets", name: "DescribeBudgets", target: "AWSBudgetServiceGateway", version: "1.1", in: map[string]any{"AccountId": awstest.Account}},
		{service: "scheduler", name: "ListSchedules", method: http.MethodGet, path: "/schedules"},
		{service: "apigateway", name: "GetApis", method: http.MethodGet, path: "/v2/apis"},
		{service: "es", name: "ListDomainNames", method: http.MethodGet, path: "/2021-01-01/domain"},
	} {
		if strings.Contains(in.ask(r), Prefix(in.env)) {
			where = append(where, r.name)
		}
	}
	return where
}

// life deploys, lets the schedule fire, updates, plans again and destroys, all by the
// built command.
func (in *installation) life(profile string) {
	t := in.t
	in.feed("a")
	in.feed("b")
	start := time.Now()
	out, log := in.deploy("--yes", "--profile", profile, "--smoke-feed", "a")
	t.Logf("%s was deployed, and answered, in %s", profile, time.Since(start).Round(time.Second))
	var made struct {
		API, Key    string
		Changed     bool
		FunctionURL string `json:"function_url"`
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Key == "" || !made.Changed {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(log, "It works: a.example is found in a") {
		t.Errorf("no test: %s", log)
	}
	in.api = NewAPI(made.API, made.Key)
	in.feed("c")
	in.set = append(in.set, "--set", `environment={"EI_LOG_LEVEL":"debug"}`)
	out, log = in.deploy("--yes", "--smoke-feed", "c")
	if strings.Contains(out, made.Key) || strings.Contains(out, `"key"`) || !strings.Contains(log, "It works: c.example is found in c") {
		t.Errorf("the second time: %s\n%s", out, log)
	}
	in.found("b.example") // that nobody asked to be run: the schedule did
	var refusal *refused
	if err := NewAPI(made.API, "ei_wrong").call(t.Context(), http.MethodGet, "/api/v1/indicators/a.example", nil, nil); !errors.As(err, &refusal) || refusal.status != http.StatusUnauthorized {
		t.Errorf("with a wrong key: %v", err)
	}
	if made.FunctionURL != "" {
		in.ownURL(made.FunctionURL, made.Key)
	}
	if out, _ := in.run("aws", "status", "--json"); !strings.Contains(out, `"healthy": 3`) && !strings.Contains(out, `"healthy":3`) {
		t.Error(out)
	}
	if out, _ := in.run("aws", "logs", "ingest", "--since", "1h"); !strings.Contains(out, "b@") || !strings.Contains(out, "done") {
		t.Errorf("no line of a job: %s", out)
	}
	in.unchanged()
	if profile == "standard" {
		in.dropDomain()
	}
	all := []string{"ListBuckets", "ListFunctions", "ListEventSourceMappings", "ListQueues", "ListTopics", "ListRoles", "DescribeParameters", "DescribeLogGroups",
		"DescribeAlarms", "ListDashboards", "DescribeBudgets", "ListSchedules", "GetApis"}
	if left := in.left(); !slices.Equal(left, all) {
		t.Errorf("of %v there is something in %v", all, left)
	}
	export := filepath.Join(in.work, "export.tar.zst")
	in.run("destroy", "--work", in.work, "--yes", "--name", in.env, "--export", export)
	if st, err := os.Stat(export); err != nil || st.Size() < 1000 {
		t.Error("the export", st, err)
	}
	if left := in.left(); len(left) > 0 {
		t.Errorf("something is left in %v", left)
	}
}

// ownURL asks the function itself, and looks at who may.
func (in *installation) ownURL(address, key string) {
	in.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		in.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(in.t.Context(), http.MethodGet, in.server.URL+"/api/v1/indicators/b.example", nil)
	if err != nil {
		in.t.Fatal(err)
	}
	req.Host = u.Host
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), `"found":true`) {
		in.t.Errorf("the function's own URL: %s %v %s", resp.Status, err, text)
	}
	policy := in.ask(request{service: "lambda", name: "GetPolicy", method: http.MethodGet, path: "/2015-03-31/functions/" + Prefix(in.env) + "-api/policy"})
	for _, action := range []string{urlStatement, "lambda:InvokeFunction", "lambda:InvokeFunctionUrl"} {
		if !strings.Contains(policy, action) {
			in.t.Errorf("%s is not in %s", action, policy)
		}
	}
}

// needsProvider ends a test where the AWS provider cannot be had.
func needsProvider(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("terraform was not found in PATH")
	}
	mirrorOrSkip(t, tool(t))
}

// TestEndToEnd: the built command deploys the profile lite with the real provider and
// real functions into an emulator, where it does its work.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	needsProvider(t)
	in := install(t, "e2e", awstest.Ministack(t))
	in.set = append(in.set, "--set", "function_url=true")
	in.life("lite")
}

// domainAddress is where Terraform has the domain.
const domainAddress = "module.search[0].aws_opensearch_domain.main"

// adoptDomain makes the domain as Terraform would and imports it, for the provider
// waits ten minutes for a domain that it makes, whoever answers.
func (in *installation) adoptDomain() {
	in.t.Helper()
	in.deploy("--plan", "--profile", "standard") // binds the work folder to the state
	in.ask(request{service: "es", name: "CreateDomain", method: http.MethodPost, path: "/2021-01-01/opensearch/domain", in: map[string]any{
		"DomainName": Prefix(in.env), "EngineVersion": "OpenSearch_2.19",
		"ClusterConfig":               map[string]any{"InstanceType": "t3.small.search", "InstanceCount": 1},
		"EBSOptions":                  map[string]any{"EBSEnabled": true, "VolumeType": "gp3", "VolumeSize": 10},
		"EncryptionAtRestOptions":     map[string]any{"Enabled": true},
		"NodeToNodeEncryptionOptions": map[string]any{"Enabled": true},
		"DomainEndpointOptions":       map[string]any{"EnforceHTTPS": true, "TLSSecurityPolicy": "Policy-Min-TLS-1-2-PFS-2023-10"},
	}})
	in.terraform("import", "-input=false", "-no-color", domainAddress, Prefix(in.env))
}

// dropDomain ends the domain before the rest, for the same reason.
func (in *installation) dropDomain() {
	in.t.Helper()
	in.ask(request{service: "es", name: "DeleteDomain", method: http.MethodDelete, path: "/2021-01-01/opensearch/domain/" + Prefix(in.env)})
	in.terraform("state", "rm", domainAddress)
}

// terraform runs a command of Terraform's in the environment's work folder.
func (in *installation) terraform(args ...string) {
	in.t.Helper()
	tool, err := FindTool(in.t.Context(), in.environ)
	if err != nil {
		in.t.Fatal(err)
	}
	work := &Work{Dir: filepath.Join(in.work, in.account.ID+"-"+in.account.Region+"-"+in.env)}
	if _, err := tool.Prepare(work.Dir); err != nil {
		in.t.Fatal(err)
	}
	r := &Runner{Tool: tool, Work: work}
	if out, err := r.plain(in.t.Context(), args...); err != nil {
		in.t.Fatalf("terraform %v: %v\n%s", args, err, out)
	}
}

// TestEndToEnd_Standard: the same with a real OpenSearch in the domain's place.
func TestEndToEnd_Standard(t *testing.T) {
	t.Parallel()
	needsProvider(t)
	node := opensearchtest.Start(t, opensearchtest.Options{Version: opensearchtest.V2})
	in := install(t, "e2e", awstest.Ministack(t, "MINISTACK_OPENSEARCH_ENDPOINT="+strings.TrimPrefix(node.URLs[0], "http://")))
	in.set = append(in.set, "--set", "opensearch_url="+node.URLs[0])
	in.feed("a")
	in.adoptDomain()
	in.life("standard")
}
