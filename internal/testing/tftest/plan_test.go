package tftest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestTerraform shares one initialised copy: a provider takes 0.7 GB, so its
// commands run one after the other.
func TestTerraform(t *testing.T) {
	r := New(t, Identity(t))
	t.Run("fmt", func(t *testing.T) { r.Run(t, "fmt", "-check", "-recursive", "-diff") })
	t.Run("validate", func(t *testing.T) { r.Run(t, "validate", "-no-color") })
	t.Run("variables", func(t *testing.T) { r.Run(t, "test", "-no-color") })
	var lite Plan
	t.Run("lite", func(t *testing.T) {
		lite = r.Plan(t, "function_url=false", `secrets=["otx"]`, `alert_emails=["ops@example.com"]`)
		sound(t, lite, "elasticintel", "arm64")
		grants(t, lite, "elasticintel", lean)
		for kind, n := range map[string]int{"aws_lambda_function": 4, "aws_opensearch_domain": 0, "aws_kms_key": 0, "aws_lambda_function_url": 0,
			"aws_cloudwatch_metric_alarm": 10, "aws_budgets_budget": 1, "aws_ssm_parameter": 1, "aws_cloudwatch_dashboard": 1, "aws_scheduler_schedule": 2} {
			if got := len(lite.Of(kind)); got != n {
				t.Errorf("%d of %s, want %d", got, kind, n)
			}
		}
	})
	t.Run("standard", func(t *testing.T) {
		p := r.Plan(t, "profile=standard", "kms_key=own", "function_url=true", "architecture=x86_64", "prefix=soc-2", "opensearch_nodes=4",
			"opensearch_url=https://search.example.com") // the domain's own is not known yet, and hides the other variables
		sound(t, p, "soc-2", "x86_64")
		grants(t, p, "soc-2", withSearch())
		for kind, n := range map[string]int{"aws_opensearch_domain": 1, "aws_kms_key": 1, "aws_lambda_function_url": 1, "aws_cloudwatch_metric_alarm": 13} {
			if got := len(p.Of(kind)); got != n {
				t.Errorf("%d of %s, want %d", got, kind, n)
			}
		}
		if zones := p.Of("aws_opensearch_domain")[0].Get("cluster_config.0.zone_awareness_config.0.availability_zone_count"); zones != 2.0 {
			t.Errorf("4 nodes over %v zones, want 2", zones)
		}
	})
	if lite.Changes == nil {
		t.Fatal("no plan to break")
	}
	t.Run("broken", func(t *testing.T) { broken(t, lite) })
}

func sound(t *testing.T, p Plan, prefix, arch string) {
	t.Helper()
	for _, f := range Check(p, prefix, arch) {
		t.Error(f)
	}
}

// lean is what each role may do in lite, by actions; a call that the program
// makes and that is missing here fails on AWS, one that nobody makes must go.
var lean = map[string][]string{
	"scheduler": {"s3:GetObject", "s3:ListBucket", "sns:Publish", "sqs:SendMessage", "ssm:GetParameter"},
	"ingest": {"s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject", "sns:Publish",
		"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "ssm:GetParameter"},
	"api":      {"s3:GetObject", "s3:ListBucket", "sns:Publish", "ssm:GetParameter"},
	"health":   {"s3:GetObject", "s3:ListBucket", "sqs:SendMessage", "ssm:GetParameter"},
	"schedule": {"lambda:InvokeFunction", "sqs:SendMessage"},
}

// withSearch is lean with what the standard profile adds.
func withSearch() map[string][]string {
	out := map[string][]string{}
	for role, actions := range lean {
		out[role] = slices.Clone(actions)
	}
	out["ingest"] = append(out["ingest"], "es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut")
	out["api"] = append(out["api"], "es:ESHttpDelete", "es:ESHttpPost")
	out["health"] = append(out["health"], "es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpPost")
	return out
}

func grants(t *testing.T, p Plan, prefix string, want map[string][]string) {
	t.Helper()
	got, err := p.Grants()
	if err != nil {
		t.Fatal(err)
	}
	for role := range got {
		if want[strings.TrimPrefix(role, prefix+"-")] == nil {
			t.Errorf("the role %s is not in the table", role)
		}
	}
	for role, actions := range want {
		var have []string
		for _, g := range got[prefix+"-"+role] {
			have = append(have, g.Action)
			if !strings.Contains(g.Resource, ":"+prefix+"-") && !strings.Contains(g.Resource, "/"+prefix+"/") {
				t.Errorf("%s may %s on %s, which is not of this installation alone", role, g.Action, g.Resource)
			}
		}
		slices.Sort(have)
		slices.Sort(actions)
		if have = slices.Compact(have); !slices.Equal(have, actions) {
			t.Errorf("%s may %v, want %v", role, have, actions)
		}
	}
}

// broken changes one thing at a time in a sound plan; each must be found.
func broken(t *testing.T, sound Plan) {
	for _, c := range []struct {
		kind, path string
		value      any
		want       string
	}{
		{"aws_s3_bucket_versioning", "versioning_configuration.0.status", "Suspended", "not Enabled"},
		{"aws_s3_bucket_server_side_encryption_configuration", "rule.0.apply_server_side_encryption_by_default.0.sse_algorithm", "AES256", "not aws:kms"},
		{"aws_s3_bucket_public_access_block", "block_public_policy", false, "block_public_policy is false"},
		{"aws_s3_bucket_ownership_controls", "rule.0.object_ownership", "ObjectWriter", "not BucketOwnerEnforced"},
		{"aws_s3_bucket_lifecycle_configuration", "rule.0.abort_incomplete_multipart_upload", []any{}, "abort_incomplete"},
		{"aws_s3_bucket_lifecycle_configuration", "rule.0.noncurrent_version_expiration", []any{}, "for ever"},
		{"aws_sqs_queue", "sqs_managed_sse_enabled", false, "not encrypted"},
		{"aws_sns_topic", "kms_master_key_id", "", "not encrypted"},
		{"aws_lambda_event_source_mapping", "function_response_types", []any{}, "not ReportBatchItemFailures"},
		{"aws_scheduler_schedule", "target.0.input", `{"at":"\u003caws.scheduler.scheduled-time\u003e"}`, "not replaced"},
		{"aws_scheduler_schedule", "target.0.dead_letter_config", []any{}, "no dead letters"},
		{"aws_cloudwatch_log_group", "retention_in_days", 0.0, "kept for ever"},
		{"aws_cloudwatch_log_group", "name", "/aws/lambda/elasticintel-other", "nobody made"},
		{"aws_lambda_function", "architectures.0", "x86_64", "not arm64"},
		{"aws_lambda_function", "environment.0.variables.AWS_ENDPOINT_URL", "http://127.0.0.1:1", "has the variable AWS_ENDPOINT_URL"},
		{"aws_lambda_function", "environment.0.variables.EI_FUNCTION", "other", "EI_FUNCTION is other"},
		{"aws_lambda_function", "timeout", 900.0, "comes again"},
		{"aws_apigatewayv2_stage", "access_log_settings", []any{}, "no access log"},
		{"aws_apigatewayv2_stage", "access_log_settings.0.format", "$context.path", "look up"},
		{"aws_apigatewayv2_stage", "default_route_settings.0.throttling_rate_limit", 499.0, "lets 499"},
		{"aws_ssm_parameter", "value", "secret", "into the state"},
		{"aws_ssm_parameter", "type", "String", "not SecureString"},
		{"aws_cloudwatch_dashboard", "dashboard_name", "other", "does not begin"},
		{"aws_cloudwatch_log_metric_filter", "metric_transformation.0.name", "Other", "which nothing writes"},
		{"aws_cloudwatch_metric_alarm", "alarm_actions", []any{}, "tells nobody"},
		{"aws_sqs_queue_policy", "policy", `{"Statement":[{"Sid":"s","Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"a"}]}`, "to *"},
		{"aws_iam_role_policy", "policy", `{"Statement":[{"Sid":"s","Effect":"Allow","Action":["s3:Get*"],"Resource":["a"]}]}`, "s3:Get*"},
		{"aws_iam_role_policy", "policy", `{"Statement":[{"Sid":"s","Effect":"Allow","Action":["s3:GetObject"],"Resource":["*"]}]}`, "on everything"},
		{"aws_iam_role_policy", "policy", `{"Statement":[{"Sid":"s","Effect":"Allow","NotAction":["s3:GetObject"],"Resource":["a"]}]}`, "does not allow"},
	} {
		p := clone(t, sound)
		if !breakOne(p, c.kind, c.path, c.value) {
			t.Errorf("%s %s: nothing to break", c.kind, c.path)
			continue
		}
		if found := strings.Join(Check(p, "elasticintel", "arm64"), "\n"); !strings.Contains(found, c.want) {
			t.Errorf("%s %s = %v: found %q, want %q", c.kind, c.path, c.value, found, c.want)
		}
	}
}

func clone(t *testing.T, p Plan) Plan {
	t.Helper()
	var out Plan
	text, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// breakOne sets an attribute of every resource of a type that has what is above it.
func breakOne(p Plan, kind, path string, value any) bool {
	done := false
	at, last := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		at, last = path[:i], path[i+1:]
	}
	for _, c := range p.Of(kind) {
		var above any = c.Change.After
		if at != "" {
			above = c.Get(at)
		}
		switch x := above.(type) {
		case map[string]any:
			x[last], done = value, true
		case []any:
			if len(x) > 0 {
				x[0], done = value, true
			}
		}
		var unknown any = c.Change.Unknown
		if at != "" {
			unknown = get(unknown, at)
		}
		if m, ok := unknown.(map[string]any); ok {
			delete(m, last)
		}
	}
	return done
}
