# Ten alarms in lite, which is what costs nothing; three more watch a domain.
locals {
  alarms = merge(
    { for k, q in var.dead_letters : "${k}-dlq" => {
      namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = q }, statistic = "Maximum", period = 300, over = 0, times = 1
      says      = "Messages that failed too often wait in ${q}."
    } },
    { for k, f in var.functions : "${k}-errors" => {
      namespace = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = f }, statistic = "Sum", period = 300, over = 0, times = 1
      says      = "${f} ended with an error: its log group says which."
    } },
    { for k in ["ingest", "api"] : "${k}-throttles" => {
      namespace = "AWS/Lambda", metric = "Throttles", dimensions = { FunctionName = var.functions[k] }, statistic = "Sum", period = 300, over = 0, times = 3
      says      = "${var.functions[k]} was not let run: the account's or its own limit of concurrency is reached."
    } },
    {
      feeds-sick = {
        namespace = var.prefix, metric = "FeedsSick", dimensions = {}, statistic = "Maximum", period = 3600, over = var.sick_feeds, times = 2
        says      = "Feeds are sick: GET /api/v1/feeds says which and why."
      }
      logged-errors = {
        namespace = var.prefix, metric = "LoggedErrors", dimensions = {}, statistic = "Sum", period = 300, over = 0, times = 3
        says      = "A function logs errors again and again: look for level ERROR in the log groups."
      }
    },
    { for k, a in local.domain_alarms : k => a if var.domain != "" },
  )
  of_domain = { DomainName = var.domain, ClientId = var.account }
  domain_alarms = {
    domain-red = {
      namespace = "AWS/ES", metric = "ClusterStatus.red", dimensions = local.of_domain, statistic = "Maximum", period = 60, over = 0, times = 5
      says      = "A primary shard of the domain is missing."
    }
    domain-full = {
      namespace = "AWS/ES", metric = "ClusterIndexWritesBlocked", dimensions = local.of_domain, statistic = "Maximum", period = 300, over = 0, times = 1
      says      = "The domain takes no writes: its disk is full or its memory short; opensearch_gb and opensearch_instance change that."
    }
    domain-memory = {
      namespace = "AWS/ES", metric = "JVMMemoryPressure", dimensions = local.of_domain, statistic = "Maximum", period = 300, over = 92, times = 3
      says      = "The domain's nodes are short of memory: take a larger opensearch_instance."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "main" {
  for_each            = local.alarms
  alarm_name          = "${var.prefix}-${each.key}"
  alarm_description   = "${each.value.says} What to do: docs/aws.md#${each.key}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.times
  threshold           = each.value.over
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
