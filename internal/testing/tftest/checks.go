package tftest

import (
	"fmt"
	"slices"
	"strings"
)

// Accepted are the wildcards in statements that allow something, by resource
// and Sid, each with its reason.
var Accepted = map[string]string{
	"module.key[0].aws_kms_key.main.policy Account":  "the account's root on its own key: without it nobody could change the key again. In a key's policy * is that key",
	"module.key[0].aws_kms_key.main.policy Services": "in a key's policy the resource * is that key; principals are five services, for this account",
	"module.key[0].aws_kms_key.main.policy Logs":     "in a key's policy the resource * is that key; the principal is CloudWatch Logs, for this account's groups",
}

// Check returns what a plan does that an installation must not do; prefix is
// its name, arch what its functions run on.
func Check(p Plan, prefix, arch string) []string {
	c := checker{plan: p, prefix: prefix, arch: arch}
	for _, f := range []func(){c.storage, c.queues, c.logs, c.functions, c.api, c.domain, c.secrets, c.names, c.policies, c.alarms} {
		f()
	}
	return c.found
}

type checker struct {
	plan         Plan
	prefix, arch string
	found        []string
}

func (c *checker) say(r Change, format string, args ...any) {
	c.found = append(c.found, r.Address+": "+fmt.Sprintf(format, args...))
}

// want says which attributes are not as they should be.
func (c *checker) want(r Change, want map[string]any) {
	for path, v := range want {
		if got := r.Get(path); fmt.Sprint(got) != fmt.Sprint(v) {
			c.say(r, "%s is %v, not %v", path, got, v)
		}
	}
}

// one returns the only resource of a type.
func (c *checker) one(kind string) Change {
	all := c.plan.Of(kind)
	if len(all) != 1 {
		c.found = append(c.found, fmt.Sprintf("%d of %s, not 1", len(all), kind))
		return Change{Address: kind}
	}
	return all[0]
}

func (c *checker) storage() {
	c.one("aws_s3_bucket")
	c.want(c.one("aws_s3_bucket_versioning"), map[string]any{"versioning_configuration.0.status": "Enabled"})
	c.want(c.one("aws_s3_bucket_server_side_encryption_configuration"), map[string]any{"rule.0.apply_server_side_encryption_by_default.0.sse_algorithm": "aws:kms", "rule.0.bucket_key_enabled": true})
	c.want(c.one("aws_s3_bucket_ownership_controls"), map[string]any{"rule.0.object_ownership": "BucketOwnerEnforced"})
	c.want(c.one("aws_s3_bucket_public_access_block"), map[string]any{"block_public_acls": true, "block_public_policy": true, "ignore_public_acls": true, "restrict_public_buckets": true})
	life := c.one("aws_s3_bucket_lifecycle_configuration")
	rules, _ := life.Get("rule").([]any)
	for i := range rules {
		at := fmt.Sprintf("rule.%d.", i)
		c.want(life, map[string]any{at + "status": "Enabled", at + "abort_incomplete_multipart_upload.0.days_after_initiation": 1})
	}
	if len(rules) == 0 || life.Get("rule.0.noncurrent_version_expiration.0.noncurrent_days") == nil {
		c.say(life, "replaced versions stay for ever")
	}
}

func (c *checker) queues() {
	for _, q := range c.plan.Of("aws_sqs_queue") {
		if q.Get("sqs_managed_sse_enabled") != true && !has(q, "kms_master_key_id") {
			c.say(q, "not encrypted")
		}
	}
	for _, topic := range c.plan.Of("aws_sns_topic") {
		// CloudWatch cannot publish where the key is alias/aws/sns; an own key lets it
		if !has(topic, "kms_master_key_id") && topic.Address != "module.observability.aws_sns_topic.alarms" {
			c.say(topic, "not encrypted")
		}
	}
	for _, m := range c.plan.Of("aws_lambda_event_source_mapping") {
		c.want(m, map[string]any{"function_response_types.0": "ReportBatchItemFailures"})
	}
	for _, s := range c.plan.Of("aws_scheduler_schedule") {
		if !has(s, "target.0.dead_letter_config.0.arn") {
			c.say(s, "no dead letters")
		}
		if in := fmt.Sprint(s.Get("target.0.input")); !strings.Contains(in, "<aws.scheduler.scheduled-time>") {
			c.say(s, "the time is not replaced in %s", in)
		}
	}
}

// has: the attribute has a value, or will.
func has(r Change, path string) bool {
	switch v := r.Get(path).(type) {
	case nil:
		return r.Unknown(path)
	case []any:
		return len(v) > 0
	default:
		return v != ""
	}
}

func (c *checker) logs() {
	for _, g := range c.plan.Of("aws_cloudwatch_log_group") {
		if days, _ := g.Get("retention_in_days").(float64); days < 1 {
			c.say(g, "logs are kept for ever")
		}
	}
}

func (c *checker) functions() {
	groups := map[any]bool{}
	for _, g := range c.plan.Of("aws_cloudwatch_log_group") {
		groups[g.Get("name")] = true
	}
	visible, _ := c.queue("jobs").Get("visibility_timeout_seconds").(float64)
	for _, f := range c.plan.Of("aws_lambda_function") {
		c.want(f, map[string]any{"runtime": "provided.al2023", "handler": "bootstrap", "architectures.0": c.arch, "logging_config.0.log_format": "JSON"})
		if !groups[f.Get("logging_config.0.log_group")] {
			c.say(f, "logs to a group that nobody made: it would keep them for ever")
		}
		vars, _ := f.Get("environment.0.variables").(map[string]any)
		for name := range vars {
			if !strings.HasPrefix(name, "EI_") {
				c.say(f, "has the variable %s", name)
			}
		}
		if name, _ := f.Get("function_name").(string); vars["EI_FUNCTION"] == nil || name != c.prefix+"-"+fmt.Sprint(vars["EI_FUNCTION"]) {
			c.say(f, "EI_FUNCTION is %v in %s", vars["EI_FUNCTION"], name)
		}
		if s, _ := f.Get("timeout").(float64); visible < 6*s {
			c.say(f, "may run %v s, but a message comes again after %v s", s, visible)
		}
	}
}

func (c *checker) queue(name string) Change {
	for _, q := range c.plan.Of("aws_sqs_queue") {
		if q.Get("name") == c.prefix+"-"+name {
			return q
		}
	}
	return Change{}
}

func (c *checker) api() {
	stage := c.one("aws_apigatewayv2_stage")
	if !has(stage, "access_log_settings.0.destination_arn") {
		c.say(stage, "no access log")
	}
	if format := fmt.Sprint(stage.Get("access_log_settings.0.format")); strings.Contains(format, "$context.path") || strings.Contains(format, "$context.routeKey") {
		c.say(stage, "the access log has what people look up")
	}
	if rate, _ := stage.Get("default_route_settings.0.throttling_rate_limit").(float64); rate < 500 {
		c.say(stage, "lets %v requests a second through", rate)
	}
}

func (c *checker) domain() {
	for _, d := range c.plan.Of("aws_opensearch_domain") {
		c.want(d, map[string]any{"encrypt_at_rest.0.enabled": true, "node_to_node_encryption.0.enabled": true,
			"domain_endpoint_options.0.enforce_https": true, "domain_endpoint_options.0.tls_security_policy": "Policy-Min-TLS-1-2-PFS-2023-10"})
		if len(c.plan.Of("aws_opensearch_domain_policy")) != 1 {
			c.say(d, "no policy")
		}
	}
}

func (c *checker) secrets() {
	for _, s := range c.plan.Of("aws_ssm_parameter") {
		c.want(s, map[string]any{"type": "SecureString"})
		if s.Get("value") != nil || s.Get("value_wo") != nil || s.Get("insecure_value") != nil {
			c.say(s, "its value comes into the state")
		}
	}
}

// names: what has a name of our own begins with the prefix, so that several
// installations do not meet.
func (c *checker) names() {
	for _, r := range c.plan.Changes {
		for _, attr := range []string{"bucket", "function_name", "domain_name", "alarm_name", "dashboard_name", "policy_name", "name"} {
			name, ok := r.Get(attr).(string)
			if !ok || r.Mode != "managed" || r.Type == "aws_iam_role_policy" || r.Type == "aws_apigatewayv2_stage" {
				continue
			}
			if i := strings.LastIndexByte(name, '/'); i >= 0 && r.Type == "aws_cloudwatch_log_group" {
				name = name[i+1:]
			}
			if !strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(name, "alias"), "/"), c.prefix) {
				c.say(r, "%s %q does not begin with %s", attr, name, c.prefix)
			}
		}
	}
}

func (c *checker) policies() {
	all, err := c.plan.Statements()
	if err != nil {
		c.found = append(c.found, err.Error())
	}
	for _, s := range all {
		if _, ok := Accepted[s.Address+" "+s.Sid]; ok || s.Effect != "Allow" {
			continue
		}
		for _, a := range s.Actions {
			if strings.ContainsAny(a, "*?") {
				c.found = append(c.found, fmt.Sprintf("%s: %s allows the action %s", s.Address, s.Sid, a))
			}
		}
		for _, p := range s.Principals {
			if strings.Contains(p, "*") {
				c.found = append(c.found, fmt.Sprintf("%s: %s allows it to %s", s.Address, s.Sid, p))
			}
		}
		if slices.Contains(s.Resources, "*") {
			c.found = append(c.found, fmt.Sprintf("%s: %s allows it on everything", s.Address, s.Sid))
		}
	}
}

func (c *checker) alarms() {
	for _, a := range c.plan.Of("aws_cloudwatch_metric_alarm") {
		if !has(a, "alarm_actions") {
			c.say(a, "tells nobody")
		}
		if a.Get("namespace") == c.prefix && !c.counted(a.Get("metric_name")) {
			c.say(a, "watches the metric %v, which nothing writes", a.Get("metric_name"))
		}
	}
}

// counted: a filter counts the metric, or the health function writes it.
func (c *checker) counted(metric any) bool {
	for _, f := range c.plan.Of("aws_cloudwatch_log_metric_filter") {
		if f.Get("metric_transformation.0.name") == metric {
			return true
		}
	}
	return metric == "FeedsSick"
}
