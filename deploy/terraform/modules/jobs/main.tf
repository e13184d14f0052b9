# Schedules -> functions; topic of jobs -> queue -> ingest; dead letters of both.
variable "prefix" { type = string }
variable "account" { type = string }
variable "topic_arn" { type = string }
variable "queue_arn" { type = string }
variable "events_dlq_arn" { type = string }
variable "own_key" { type = bool }
variable "kms_key_arn" { type = string }
variable "ingest_name" { type = string }
variable "ingest_timeout" { type = number }
variable "ingest_concurrency" { type = number }
variable "enabled" { type = bool }
variable "schedules" {
  type = map(object({ expression = string, function_arn = string }))
}

locals {
  fortnight = 1209600 # the longest that SQS keeps a message
}

resource "aws_sns_topic" "jobs" {
  name              = "${var.prefix}-jobs"
  kms_master_key_id = var.own_key ? var.kms_key_arn : "alias/aws/sns"
}

resource "aws_sqs_queue" "dlq" {
  name                      = "${var.prefix}-jobs-dlq"
  message_retention_seconds = local.fortnight
  kms_master_key_id         = var.kms_key_arn
  sqs_managed_sse_enabled   = var.own_key ? null : true # SNS cannot use alias/aws/sqs
}

resource "aws_sqs_queue" "jobs" {
  name                       = "${var.prefix}-jobs"
  visibility_timeout_seconds = 6 * var.ingest_timeout # as Lambda asks for
  receive_wait_time_seconds  = 20
  message_retention_seconds  = 345600
  kms_master_key_id          = var.kms_key_arn
  sqs_managed_sse_enabled    = var.own_key ? null : true
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dlq.arn, maxReceiveCount = 3 })
}

resource "aws_sqs_queue_redrive_allow_policy" "dlq" {
  queue_url            = aws_sqs_queue.dlq.id
  redrive_allow_policy = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = [aws_sqs_queue.jobs.arn] })
}

resource "aws_sqs_queue_policy" "jobs" {
  queue_url = aws_sqs_queue.jobs.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Sid       = "Topic"
    Effect    = "Allow"
    Principal = { Service = "sns.amazonaws.com" }
    Action    = "sqs:SendMessage"
    Resource  = var.queue_arn
    Condition = { ArnEquals = { "aws:SourceArn" = var.topic_arn } }
  }] })
}

resource "aws_sns_topic_subscription" "jobs" {
  topic_arn            = aws_sns_topic.jobs.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.jobs.arn
  raw_message_delivery = true
  depends_on           = [aws_sqs_queue_policy.jobs]
}

resource "aws_lambda_event_source_mapping" "jobs" {
  event_source_arn        = aws_sqs_queue.jobs.arn
  function_name           = var.ingest_name
  batch_size              = 1 # a run may take all of a function's time
  function_response_types = ["ReportBatchItemFailures"]
  scaling_config {
    maximum_concurrency = var.ingest_concurrency
  }
}

resource "aws_sqs_queue" "events_dlq" {
  name                      = "${var.prefix}-events-dlq"
  message_retention_seconds = local.fortnight
  kms_master_key_id         = var.kms_key_arn
  sqs_managed_sse_enabled   = var.own_key ? null : true
}

resource "aws_iam_role" "schedule" {
  name = "${var.prefix}-schedule"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Allow"
    Principal = { Service = "scheduler.amazonaws.com" }
    Action    = "sts:AssumeRole"
    Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
  }] })
}

resource "aws_iam_role_policy" "schedule" {
  name = "invoke"
  role = aws_iam_role.schedule.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Sid = "Invoke", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = [for s in var.schedules : s.function_arn] },
    { Sid = "DeadLetters", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [var.events_dlq_arn] },
  ] })
}

# the only statement whose key is not known before it is made
resource "aws_iam_role_policy" "schedule_key" {
  count = var.own_key ? 1 : 0
  name  = "key"
  role  = aws_iam_role.schedule.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [var.kms_key_arn] },
  ] })
}

resource "aws_scheduler_schedule" "tick" {
  for_each                     = var.schedules
  name                         = "${var.prefix}-${each.key}"
  state                        = var.enabled ? "ENABLED" : "DISABLED"
  schedule_expression          = each.value.expression
  schedule_expression_timezone = "UTC"
  kms_key_arn                  = var.kms_key_arn
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = each.value.function_arn
    role_arn = aws_iam_role.schedule.arn
    # not jsonencode: it would write < and > as \u003c and \u003e, which Scheduler does not replace
    input = "{\"at\":\"<aws.scheduler.scheduled-time>\"}"
    retry_policy {
      maximum_retry_attempts       = 3
      maximum_event_age_in_seconds = 1800
    }
    dead_letter_config {
      arn = aws_sqs_queue.events_dlq.arn
    }
  }
}

output "topic_arn" { value = aws_sns_topic.jobs.arn }
output "queue_url" { value = aws_sqs_queue.jobs.url }
output "queue_name" { value = aws_sqs_queue.jobs.name }
output "dlq_url" { value = aws_sqs_queue.dlq.url }
output "events_dlq_url" { value = aws_sqs_queue.events_dlq.url }
output "dead_letter_names" { value = { jobs = aws_sqs_queue.dlq.name, events = aws_sqs_queue.events_dlq.name } }
output "schedule_names" { value = { for k, s in aws_scheduler_schedule.tick : k => s.name } }
