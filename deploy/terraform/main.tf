data "aws_caller_identity" "me" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

# ARNs are made of names here, so that policies can be read in a plan, before anything exists.
locals {
  account    = data.aws_caller_identity.me.account_id
  partition  = data.aws_partition.here.partition
  region     = data.aws_region.here.id # .name is deprecated in 6.x, .region is not in 5.x
  bucket     = "${var.prefix}-data-${local.account}-${local.region}"
  ssm_prefix = "/${var.prefix}/"
  standard   = var.profile == "standard"
  own_key    = var.kms_key == "own"
  functions  = toset(["scheduler", "ingest", "api", "health"])

  arn = {
    bucket     = "arn:${local.partition}:s3:::${local.bucket}"
    jobs       = "arn:${local.partition}:sns:${local.region}:${local.account}:${var.prefix}-jobs"
    queue      = "arn:${local.partition}:sqs:${local.region}:${local.account}:${var.prefix}-jobs"
    events_dlq = "arn:${local.partition}:sqs:${local.region}:${local.account}:${var.prefix}-events-dlq"
    alarms     = "arn:${local.partition}:sns:${local.region}:${local.account}:${var.prefix}-alarms"
    domain     = "arn:${local.partition}:es:${local.region}:${local.account}:domain/${var.prefix}"
    secrets    = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${local.ssm_prefix}*"
    functions  = { for f in local.functions : f => "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.prefix}-${f}" }
  }

  timeout = { scheduler = 60, ingest = var.ingest_timeout, api = 29, health = 60 }

  opensearch_url = !local.standard ? "" : (var.opensearch_url != "" ? var.opensearch_url : "https://${module.search[0].endpoint}")
  common_environment = merge(var.environment, {
    EI_DATA    = "s3://${local.bucket}"
    EI_SECRETS = "ssm:${local.ssm_prefix}"
    EI_METRICS = var.prefix
    # the bucket's lifecycle deletes old downloads
    EI_KEEP_RAW = "0"
    }, local.standard ? {
    EI_ENGINE          = "opensearch"
    EI_OPENSEARCH_AUTH = "sigv4"
    EI_OPENSEARCH_URL  = local.opensearch_url
    } : {
    EI_ENGINE = "embedded"
  })
  publishes = { EI_JOBS_TOPIC = local.arn.jobs }
  environment = {
    scheduler = local.publishes
    ingest    = local.publishes # to itself: the next part of a long run
    api       = local.publishes
    health    = {}
  }
}

module "key" {
  source    = "./modules/key"
  count     = local.own_key ? 1 : 0
  prefix    = var.prefix
  account   = local.account
  partition = local.partition
  region    = local.region
}

module "storage" {
  source          = "./modules/storage"
  bucket          = local.bucket
  bucket_arn      = local.arn.bucket
  kms_key_arn     = one(module.key[*].arn)
  raw_days        = var.raw_days
  noncurrent_days = var.noncurrent_days
  destroy_data    = var.destroy_data
}

module "jobs" {
  source             = "./modules/jobs"
  prefix             = var.prefix
  account            = local.account
  topic_arn          = local.arn.jobs
  queue_arn          = local.arn.queue
  events_dlq_arn     = local.arn.events_dlq
  own_key            = local.own_key
  kms_key_arn        = one(module.key[*].arn)
  ingest_name        = module.function["ingest"].name
  ingest_timeout     = var.ingest_timeout
  ingest_concurrency = var.ingest_concurrency
  enabled            = var.enabled
  schedules = {
    scheduler = { expression = var.schedule, function_arn = local.arn.functions.scheduler }
    health    = { expression = var.health_schedule, function_arn = local.arn.functions.health }
  }
}

module "function" {
  source      = "./modules/function"
  for_each    = local.functions
  name        = "${var.prefix}-${each.key}"
  zip         = var.zip
  arch        = var.architecture
  memory      = var.memory[each.key]
  timeout     = local.timeout[each.key]
  tmp_mb      = contains(["ingest", "api"], each.key) ? var.tmp_mb : 512
  concurrency = each.key == "api" ? var.api_concurrency : -1
  environment = merge(local.common_environment, local.environment[each.key], { EI_FUNCTION = each.key })
  statements  = local.statements[each.key]
  own_key     = local.own_key
  kms_key_arn = one(module.key[*].arn)
  dlq_arn     = contains(["scheduler", "health"], each.key) ? local.arn.events_dlq : ""
  log_days    = var.log_days
}

module "api" {
  source        = "./modules/api"
  prefix        = var.prefix
  function_name = module.function["api"].name
  invoke_arn    = module.function["api"].invoke_arn
  rate          = var.api_rate
  burst         = var.api_burst
  function_url  = var.function_url
  log_days      = var.log_days
  kms_key_arn   = one(module.key[*].arn)
}

module "search" {
  source      = "./modules/search"
  count       = local.standard ? 1 : 0
  name        = var.prefix
  domain_arn  = local.arn.domain
  engine      = var.opensearch_version
  instance    = var.opensearch_instance
  nodes       = var.opensearch_nodes
  gb          = var.opensearch_gb
  kms_key_arn = one(module.key[*].arn)
  log_days    = var.log_days
  partition   = local.partition
  account     = local.account
  region      = local.region
  access      = [for f in local.functions : { role_arn = module.function[f].role_arn, actions = local.search_actions[f] }]
}

module "secrets" {
  source      = "./modules/secrets"
  prefix      = local.ssm_prefix
  names       = var.secrets
  kms_key_arn = one(module.key[*].arn)
}

module "observability" {
  source       = "./modules/observability"
  prefix       = var.prefix
  account      = local.account
  region       = local.region
  topic_arn    = local.arn.alarms
  own_key      = local.own_key
  kms_key_arn  = one(module.key[*].arn)
  emails       = var.alert_emails
  sick_feeds   = var.sick_feeds
  budget_usd   = var.budget_usd != null ? var.budget_usd : (local.standard ? 50 : 5)
  functions    = { for k, f in module.function : k => f.name }
  log_groups   = { for k, f in module.function : k => f.log_group }
  queue        = module.jobs.queue_name
  dead_letters = module.jobs.dead_letter_names
  api_id       = module.api.id
  domain       = local.standard ? var.prefix : ""
}
