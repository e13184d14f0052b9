package deploy

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) < 0.0005 }

func res(kind, name string, values map[string]any) Resource {
	return Resource{Address: kind + "." + name, Mode: "managed", Type: kind, Values: values}
}

// lite is what of a lite deployment has a price.
func lite() []Resource {
	list := []Resource{res("aws_apigatewayv2_api", "http", nil), res("aws_s3_bucket", "data", nil), res("aws_sns_topic", "jobs", nil), res("aws_sqs_queue", "jobs", nil),
		res("aws_cloudwatch_log_group", "x", nil), res("aws_cloudwatch_dashboard", "x", nil), res("aws_iam_role", "x", nil),
		res("aws_scheduler_schedule", "a", map[string]any{"schedule_expression": "cron(0 * * * ? *)"}),
		res("aws_scheduler_schedule", "b", map[string]any{"schedule_expression": "rate(15 minutes)"}),
		res("aws_cloudwatch_log_metric_filter", "x", map[string]any{"metric_transformation": []any{map[string]any{"name": "LoggedErrors"}}})}
	for name, mb := range map[string]float64{"scheduler": 256, "ingest": 1024, "api": 512, "health": 256} {
		tmp := 512.0
		if mb > 256 {
			tmp = 2048
		}
		list = append(list, res("aws_lambda_function", name, map[string]any{"function_name": "elasticintel-" + name, "memory_size": mb,
			"architectures": []any{"arm64"}, "ephemeral_storage": []any{map[string]any{"size": tmp}}}))
	}
	for i := range 10 {
		list = append(list, res("aws_cloudwatch_metric_alarm", fmt.Sprint(i), nil))
	}
	return list
}

func standard() []Resource {
	list := append(lite(), res("aws_kms_key", "own", nil), res("aws_opensearch_domain", "main", map[string]any{
		"cluster_config": []any{map[string]any{"instance_type": "t3.small.search", "instance_count": 1.0}}, "ebs_options": []any{map[string]any{"volume_size": 10.0}}}))
	for i := range 3 {
		list = append(list, res("aws_cloudwatch_metric_alarm", fmt.Sprint("d", i), nil))
	}
	return list
}

func usd(t *testing.T, e *Estimate, what string) float64 {
	t.Helper()
	for _, l := range e.Lines {
		if l.What == what {
			return l.USD
		}
	}
	t.Errorf("no line %q", what)
	return 0
}

var promised = Usage{ValuesPerDay: 250e3, QueriesPerMonth: 1e6, RunsPerDay: 480}

// TestCostPromise: what the project promises, from hand-computed parts.
func TestCostPromise(t *testing.T) {
	e := Cost(lite(), promised)
	// 480 × 30.4 = 14,592 runs. Calls: 1 M + 14,592 + 2 × (729.6 + 2,918.4)/2 = 1,018,240.
	for what, want := range map[string]float64{
		"HTTP API":     1.00,
		"Lambda calls": 18240 * 0.2e-6,                             // 0.0036
		"Lambda time":  0,                                          // 12.5k + 72.96k + 0.9k GB-s of 400k
		"Lambda /tmp":  (25000 + 72960) * 1.5 * 0.0000000309,       // 0.0045
		"S3 storage":   (250e3*8*240*3 + 250e3*30*90) / 1e9 * .023, // 2.115 GB: 0.0486
		"S3 requests":  (51072+8760)*5e-6 + (87552+100000)*0.4e-6,  // 0.2992 + 0.0750
		"Alarms":       0, "Metrics": 0, "Dashboards": 0, "SNS": 0, "SQS": 0, "Logs": 0, "Schedules": 0,
	} {
		if got := usd(t, e, what); !near(got, want) {
			t.Errorf("%s: $%.4f, want $%.4f", what, got, want)
		}
	}
	if total := e.Total(); !near(total, 1.43089) || total > 1.50 || len(e.Unpriced) > 0 {
		t.Errorf("lite: $%.5f, not counted: %q", total, e.Unpriced)
	}
	if total := Cost(append(lite(), res("aws_kms_key", "own", nil)), promised).Total(); !near(total, 2.43089) || total > 2.50 {
		t.Errorf("lite with its own key: $%.5f", total)
	}
	// 26.28 + 1.22 + 1 + 1 + 0.30 + 0.0036 + 0.0045 + 0.0486 + 0.2554 + 0.0350
	e = Cost(standard(), promised)
	if total := e.Total(); !near(total, 30.14721) || total > 31 || !near(usd(t, e, "OpenSearch nodes"), 26.28) || !near(usd(t, e, "Alarms"), 0.30) {
		t.Errorf("standard: $%.5f", total)
	}
}

func TestCostOfMore(t *testing.T) {
	// 10 M look-ups: $10 HTTP API; (10,018,240 − 1 M) × $0.20/M; 125k + 72,960 + 912 GB-s are free still; 8.5 GB of logs, 3.5 paid.
	e := Cost(lite(), Usage{ValuesPerDay: 250e3, QueriesPerMonth: 10e6, RunsPerDay: 480})
	if !near(usd(t, e, "HTTP API"), 10) || !near(usd(t, e, "Lambda calls"), 1.803648) || !near(usd(t, e, "Logs"), 1.75) {
		t.Error(e.Lines)
	}
	// 100 M: (1.25 M + 73,872 − 400k) × $0.0000133334
	e = Cost(lite(), Usage{QueriesPerMonth: 100e6, RunsPerDay: 480})
	if !near(usd(t, e, "Lambda time"), 923872*0.0000133334) {
		t.Error(usd(t, e, "Lambda time"))
	}
	e = Cost([]Resource{res("aws_nat_gateway", "x", nil), res("aws_opensearch_domain", "x", map[string]any{
		"cluster_config": []any{map[string]any{"instance_type": "z9.huge.search", "instance_count": 2.0}}})}, promised)
	if got := strings.Join(e.Unpriced, ", "); got != "nodes z9.huge.search, aws_nat_gateway" {
		t.Error(got)
	}
	for expression, want := range map[string]float64{"rate(1 hour)": 729.6, "rate(15 minutes)": 2918.4, "rate(2 days)": 15.2, "cron(0 * * * ? *)": 729.6,
		"cron(0/10 * * * ? *)": 4377.6, "cron(0,30 * * * ? *)": 1459.2, "": 729.6} {
		if got := firings(expression); !near(got, want) {
			t.Errorf("%s: %g times a month, want %g", expression, got, want)
		}
	}
	for n, want := range map[float64]string{1e6: "1M", 1018240: "1.02M", 14592: "14.6k", 3: "3", 1000: "1k", 0.9: "0.9"} {
		if got := count(n); got != want {
			t.Errorf("%g: %s, want %s", n, got, want)
		}
	}
	for name, p := range prices {
		if p.usd <= 0 || p.per == "" || p.source == "" || len(p.date) != 7 {
			t.Errorf("price %s: %+v", name, p)
		}
	}
}
