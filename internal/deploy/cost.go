package deploy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Usage is what an estimate is made for.
type Usage struct {
	ValuesPerDay    float64 // new indicators
	QueriesPerMonth float64 // look-ups
	RunsPerDay      float64 // of all feeds that are on
}

// Typical is the usage that estimates are made for: 37 feeds or so, and as many
// look-ups as a small team's tools send.
func Typical() Usage { return Usage{ValuesPerDay: 250e3, QueriesPerMonth: 1e6, RunsPerDay: 480} }

// CostLine is one line of an estimate.
type CostLine struct {
	What string  // in words
	How  string  // the arithmetic, with its prices
	USD  float64 // a month
}

// Estimate is what a deployment will cost in a month, in us-east-1, without tax.
type Estimate struct {
	Usage    Usage
	Lines    []CostLine
	Unpriced []string // types in the plan that may cost something and are not counted
}

// Total is the sum in dollars.
func (e *Estimate) Total() float64 {
	sum := 0.0
	for _, l := range e.Lines {
		sum += l.USD
	}
	return sum
}

// gratis are types of resources without a price of their own.
var gratis = []string{"aws_apigatewayv2_integration", "aws_apigatewayv2_route", "aws_apigatewayv2_stage", "aws_budgets_budget", "aws_cloudwatch_log_resource_policy",
	"aws_iam_role", "aws_iam_role_policy", "aws_iam_policy", "aws_iam_role_policy_attachment", "aws_kms_alias", "aws_kms_key_policy", "aws_lambda_alias", "aws_lambda_event_source_mapping",
	"aws_lambda_function_event_invoke_config", "aws_lambda_function_url", "aws_lambda_permission", "aws_opensearch_domain_policy", "aws_s3_bucket_lifecycle_configuration",
	"aws_s3_bucket_ownership_controls", "aws_s3_bucket_policy", "aws_s3_bucket_public_access_block", "aws_s3_bucket_server_side_encryption_configuration",
	"aws_s3_bucket_versioning", "aws_scheduler_schedule_group", "aws_sns_topic_policy", "aws_sns_topic_subscription", "aws_sqs_queue_policy",
	"aws_sqs_queue_redrive_allow_policy", "aws_sqs_queue_redrive_policy", "aws_ssm_parameter", "terraform_data"}

// Cost estimates what the planned resources cost in a month under a usage.
func Cost(resources []Resource, u Usage) *Estimate {
	c := &costing{u: u, e: &Estimate{Usage: u}, of: map[string][]Resource{}}
	for _, r := range resources {
		c.of[r.Type] = append(c.of[r.Type], r)
	}
	c.search()
	c.api()
	c.functions()
	c.bucket()
	c.jobs()
	c.key()
	c.watching()
	for _, kind := range slices.Sorted(maps.Keys(c.of)) {
		if !c.counted[kind] && !slices.Contains(gratis, kind) {
			c.e.Unpriced = append(c.e.Unpriced, kind)
		}
	}
	return c.e
}

type costing struct {
	u       Usage
	e       *Estimate
	of      map[string][]Resource // by type
	counted map[string]bool
}

// take returns the resources of a type, which are counted by that.
func (c *costing) take(kind string) []Resource {
	if c.counted == nil {
		c.counted = map[string]bool{}
	}
	c.counted[kind] = true
	return c.of[kind]
}

func (c *costing) line(usd float64, what, how string, a ...any) {
	c.e.Lines = append(c.e.Lines, CostLine{What: what, How: fmt.Sprintf(how, a...), USD: usd})
}

func (c *costing) runs() float64 { return c.u.RunsPerDay * days }

// over is what is paid of n, when some of it is free.
func over(n, free float64) float64 { return math.Max(0, n-free) }

func (c *costing) search() {
	for _, d := range c.take("aws_opensearch_domain") {
		cluster, disk := block(d.Values, "cluster_config"), block(d.Values, "ebs_options")
		kind, n := text(cluster, "instance_type"), math.Max(1, number(cluster, "instance_count"))
		hour, known := nodes[kind]
		if !known {
			c.e.Unpriced = append(c.e.Unpriced, "nodes "+kind)
		}
		c.line(n*hour*hours, "OpenSearch nodes", "%s × %s × $%g/h × %d h", count(n), kind, hour, hours)
		gb := number(disk, "volume_size") * n
		c.line(gb*prices["gp3"].usd, "OpenSearch disks", "%s GB × $%g", count(gb), prices["gp3"].usd)
	}
}

func (c *costing) api() {
	for range c.take("aws_apigatewayv2_api") {
		c.line(c.u.QueriesPerMonth*prices["http-api"].usd, "HTTP API", "%s look-ups × $1.00/M", count(c.u.QueriesPerMonth))
	}
}

// functions adds up calls, memory and /tmp of all functions. What a function
// does is the end of its name.
func (c *costing) functions() {
	var calls, armGBs, x86GBs, tmp float64
	fired := 0.0
	for _, s := range c.take("aws_scheduler_schedule") {
		fired += firings(text(s.Values, "schedule_expression"))
	}
	list := c.take("aws_lambda_function")
	for _, f := range list {
		n, seconds := fired/2, float64(tickSeconds)
		switch name := text(f.Values, "function_name"); {
		case strings.HasSuffix(name, "-api"):
			n, seconds = c.u.QueriesPerMonth, querySeconds
		case strings.HasSuffix(name, "-ingest"):
			n, seconds = c.runs(), runSeconds
		}
		gbs := n * seconds * number(f.Values, "memory_size") / 1024
		if a, _ := f.Values["architectures"].([]any); len(a) == 1 && a[0] == "x86_64" {
			x86GBs += gbs
		} else {
			armGBs += gbs
		}
		calls += n
		tmp += n * seconds * over(number(block(f.Values, "ephemeral_storage"), "size"), 512) / 1024
	}
	if len(list) == 0 {
		return
	}
	c.line(over(calls, freeCalls)*prices["lambda"].usd, "Lambda calls", "%s calls, 1 M free, then $0.20/M", count(calls))
	paidARM := over(armGBs, freeGBs)
	paidX86 := over(x86GBs, over(freeGBs, armGBs))
	c.line(paidARM*prices["lambda-arm64"].usd+paidX86*prices["lambda-x86"].usd, "Lambda time", "%s GB-s, 400k free, then $%.10f (arm64)", count(armGBs+x86GBs), prices["lambda-arm64"].usd)
	c.line(tmp*prices["lambda-tmp"].usd, "Lambda /tmp", "%s GB-s beyond 512 MB × $%.10f", count(tmp), prices["lambda-tmp"].usd)
	c.line(over(fired, freeFirings)*prices["scheduler"].usd, "Schedules", "%s firings, 14 M free", count(fired))
}

// firings is how often a month a schedule fires. A cron expression counts as
// hourly unless its minutes say more.
func firings(expression string) float64 {
	var n float64
	var unit string
	if _, err := fmt.Sscanf(expression, "rate(%f %s", &n, &unit); err == nil && n > 0 {
		per := map[byte]float64{'m': 60 * 24 * days, 'h': 24 * days, 'd': days}[unit[0]]
		return per / n
	}
	minutes, _, _ := strings.Cut(strings.TrimPrefix(expression, "cron("), " ")
	times := float64(strings.Count(minutes, ",") + 1)
	if _, step, ok := strings.Cut(minutes, "/"); ok {
		if _, err := fmt.Sscanf(step, "%f", &n); err == nil && n > 0 {
			times = 60 / n
		}
	}
	return times * 24 * days
}

// bucket is the data bucket. Where a cluster is the index, look-ups read nothing
// of it.
func (c *costing) bucket() {
	for range c.take("aws_s3_bucket") {
		segments := c.u.ValuesPerDay * daysOfListings * bytesPerListing * copies
		gb := (segments + c.u.ValuesPerDay*rawBytes*rawDays) / 1e9
		puts, gets := c.runs()*putsPerRun, c.runs()*getsPerRun
		if len(c.of["aws_opensearch_domain"]) == 0 {
			puts += listsPerMonth
			gets += c.u.QueriesPerMonth * readShare
		}
		c.line(gb*prices["s3-gb"].usd, "S3 storage", "%.2f GB × $%g", gb, prices["s3-gb"].usd)
		c.line(puts*prices["s3-put"].usd+gets*prices["s3-get"].usd, "S3 requests", "%s PUT and LIST × $5/M + %s GET × $0.40/M", count(puts), count(gets))
	}
}

func (c *costing) jobs() {
	if len(c.take("aws_sns_topic")) > 0 {
		c.line(over(c.runs(), freeMessages)*prices["sns"].usd, "SNS", "%s jobs, 1 M free", count(c.runs()))
	}
	if len(c.take("aws_sqs_queue")) > 0 {
		n := c.runs()*messagesPerRun + pollsPerMonth
		c.line(over(n, freeMessages)*prices["sqs"].usd, "SQS", "%s requests, most of them waiting, 1 M free", count(n))
	}
}

func (c *costing) key() {
	if n := float64(len(c.take("aws_kms_key"))); n > 0 {
		uses := c.runs()
		c.line(n*prices["kms-key"].usd+over(uses, freeKeyUses)*prices["kms"].usd, "Own KMS key", "%s × $1.00 + %s uses, 20k free", count(n), count(uses))
	}
}

func (c *costing) watching() {
	if len(c.take("aws_cloudwatch_log_group")) > 0 {
		gb := c.u.QueriesPerMonth * logBytes / 1e9
		c.line(over(gb, freeLogGB)*prices["logs"].usd, "Logs", "%.2f GB, 5 GB free, then $0.50", gb)
	}
	if n := float64(len(c.take("aws_cloudwatch_metric_alarm"))); n > 0 {
		c.line(over(n, freeAlarms)*prices["alarm"].usd, "Alarms", "%s, 10 free, then $0.10", count(n))
	}
	names := map[string]bool{}
	for _, f := range c.take("aws_cloudwatch_log_metric_filter") {
		names[text(block(f.Values, "metric_transformation"), "name")] = true
	}
	n := float64(len(names)) + healthMetrics
	if len(c.of["aws_opensearch_domain"]) > 0 {
		n += indexMetrics
	}
	if len(names) > 0 {
		c.line(over(n, freeMetrics)*prices["metric"].usd, "Metrics", "%s, 10 free, then $0.30", count(n))
	}
	if n := float64(len(c.take("aws_cloudwatch_dashboard"))); n > 0 {
		c.line(over(n, freeDashboard)*prices["dashboard"].usd, "Dashboards", "%s, 3 free, then $3", count(n))
	}
}

// block is a nested block of a resource, which the plan shows as a list of one.
func block(v map[string]any, name string) map[string]any {
	if list, ok := v[name].([]any); ok && len(list) > 0 {
		b, _ := list[0].(map[string]any)
		return b
	}
	return nil
}

func text(v map[string]any, name string) string {
	s, _ := v[name].(string)
	return s
}

func number(v map[string]any, name string) float64 {
	n, _ := v[name].(float64)
	return n
}

// count writes a number as people do: 1M, 14.5k, 3.
func count(n float64) string {
	trim := func(s string) string { return strings.TrimSuffix(s, ".0") }
	switch {
	case n >= 1e6:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", n/1e6), "0"), ".") + "M"
	case n >= 1000:
		return trim(fmt.Sprintf("%.1f", n/1000)) + "k"
	}
	return trim(fmt.Sprintf("%.1f", n))
}
