# Every variable: values that are refused, one after the other for those with several limits, and the limits themselves.
# TF_VAR_zip names a zip; internal/testing/tftest makes one.
mock_provider "aws" {
  source = "./tests/mocks"
}

run "refused" {
  command = plan
  variables {
    prefix              = "awselastic"
    profile             = "large"
    zip                 = "nothing-here.zip"
    architecture        = "amd64"
    kms_key             = "mine"
    schedule            = "hourly"
    health_schedule     = "rate(0 minutes)"
    memory              = { api = 127 }
    ingest_timeout      = 59
    ingest_concurrency  = 1
    tmp_mb              = 511
    api_rate            = 0
    api_burst           = 0
    api_concurrency     = 0
    environment         = { AWS_ENDPOINT_URL = "http://127.0.0.1:1" }
    secrets             = ["Upper"]
    raw_days            = -1
    noncurrent_days     = 0
    log_days            = 2
    alert_emails        = ["nobody"]
    sick_feeds          = -1
    budget_usd          = -1
    opensearch_version  = "Elasticsearch_7.10"
    opensearch_instance = "t3.small"
    opensearch_nodes    = 0
    opensearch_gb       = 9
    opensearch_url      = "https://user@example.com"
    tags                = { app = "mine" }
  }
  expect_failures = [
    var.prefix, var.profile, var.zip, var.architecture, var.kms_key, var.schedule, var.health_schedule, var.memory, var.ingest_timeout,
    var.ingest_concurrency, var.tmp_mb, var.api_rate, var.api_burst, var.api_concurrency, var.environment, var.secrets, var.raw_days,
    var.noncurrent_days, var.log_days, var.alert_emails, var.sick_feeds, var.budget_usd, var.opensearch_version, var.opensearch_instance,
    var.opensearch_nodes, var.opensearch_gb, var.opensearch_url, var.tags,
  ]
}

run "refused_above" {
  command = plan
  variables {
    prefix             = "a-name-that-is-far-too-long"
    zip                = "main.tf"
    schedule           = "cron(0 * * * ? *) and more"
    health_schedule    = "at(2026-12-01T00:00:00)"
    memory             = { ingest = 10241 }
    ingest_timeout     = 901
    ingest_concurrency = 101
    tmp_mb             = 10241
    api_rate           = 10001
    api_burst          = 5001
    api_concurrency    = 1001
    environment        = { EI_SECRET_OTX = "value" }
    secrets            = ["../other"]
    raw_days           = 36501
    noncurrent_days    = 36501
    log_days           = 4000
    alert_emails       = ["a@example.com, b@example.com"]
    sick_feeds         = 0.5
    opensearch_version = "OpenSearch_2.5"
    opensearch_nodes   = 5
    opensearch_gb      = 16385
    opensearch_url     = "https://example.com/path"
    tags               = { "aws:x" = "y" }
  }
  expect_failures = [
    var.prefix, var.zip, var.schedule, var.health_schedule, var.memory, var.ingest_timeout, var.ingest_concurrency, var.tmp_mb, var.api_rate,
    var.api_burst, var.api_concurrency, var.environment, var.secrets, var.raw_days, var.noncurrent_days, var.log_days, var.alert_emails,
    var.sick_feeds, var.opensearch_version, var.opensearch_nodes, var.opensearch_gb, var.opensearch_url, var.tags,
  ]
}

run "refused_fractions" {
  command = plan
  variables {
    prefix             = "two--dashes"
    memory             = { health = 256.5 }
    ingest_timeout     = 60.5
    ingest_concurrency = 2.5
    tmp_mb             = 512.5
    api_burst          = 1.5
    api_concurrency    = 1.5
    environment        = { EI_DATA = "s3://other" }
    raw_days           = 0.5
    noncurrent_days    = 1.5
    opensearch_gb      = 10.5
    opensearch_nodes   = 81
    opensearch_url     = "search.example.com"
  }
  expect_failures = [
    var.prefix, var.memory, var.ingest_timeout, var.ingest_concurrency, var.tmp_mb, var.api_burst, var.api_concurrency, var.environment,
    var.raw_days, var.noncurrent_days, var.opensearch_gb, var.opensearch_nodes, var.opensearch_url,
  ]
}

run "least" {
  command = apply
  variables {
    prefix             = "abc"
    schedule           = "rate(1 minute)"
    health_schedule    = "cron(5 * * * ? *)"
    enabled            = false
    memory             = { scheduler = 128, ingest = 128, api = 128, health = 128 }
    ingest_timeout     = 60
    ingest_concurrency = 2
    tmp_mb             = 512
    api_rate           = 1
    api_burst          = 1
    api_concurrency    = 1
    raw_days           = 0
    noncurrent_days    = 1
    log_days           = 1
    budget_usd         = 0
  }
  assert {
    condition     = output.schedule_names.scheduler == "abc-scheduler" && output.ssm_prefix == "/abc/" && output.function_url == "" && output.domain_endpoint == null && output.opensearch_url == "" && output.kms_key_arn == null
    error_message = "outputs do not follow the variables"
  }
}

run "most" {
  command = apply
  variables {
    prefix              = "a2345678901234567890"
    profile             = "standard"
    architecture        = "x86_64"
    kms_key             = "own"
    memory              = { scheduler = 10240, ingest = 10240, api = 10240, health = 10240 }
    ingest_timeout      = 900
    ingest_concurrency  = 100
    tmp_mb              = 10240
    api_rate            = 10000
    api_burst           = 5000
    api_concurrency     = 1000
    function_url        = true
    environment         = { EI_LOG_LEVEL = "debug" }
    secrets             = ["abuse_ch", "otx"]
    raw_days            = 36500
    noncurrent_days     = 36500
    destroy_data        = true
    log_days            = 3653
    alert_emails        = ["ops@example.com"]
    sick_feeds          = 5
    budget_usd          = 100
    opensearch_version  = "OpenSearch_3.1"
    opensearch_instance = "m7g.medium.search"
    opensearch_nodes    = 3
    opensearch_gb       = 100
    opensearch_url      = "https://search.example.com:9200"
    tags                = { team = "soc" }
  }
  assert {
    condition     = output.function_url == "https://u.lambda-url.eu-central-1.on.aws" && output.domain_name == "a2345678901234567890" && output.opensearch_url == "https://search.example.com:9200" && output.kms_key_arn == "arn:aws:kms:eu-central-1:111122223333:key/1"
    error_message = "outputs do not follow the variables"
  }
}

run "standard" {
  command = apply
  variables {
    profile = "standard"
  }
  assert {
    condition     = output.opensearch_url == "https://search-d.eu-central-1.es.amazonaws.com" && output.api_url == "https://a.execute-api.eu-central-1.amazonaws.com"
    error_message = "the functions do not reach the domain"
  }
}
