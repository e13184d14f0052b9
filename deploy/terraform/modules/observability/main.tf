# Who is told, what is counted from the logs, and the budget. alarms.tf has the alarms, dashboard.tf the picture.

# With the keys that AWS manages the topic has no key of KMS: CloudWatch may not use alias/aws/sns. What an alarm says is its name and its figures.
resource "aws_sns_topic" "alarms" {
  name              = "${var.prefix}-alarms"
  kms_master_key_id = var.own_key ? var.kms_key_arn : null
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Sid       = "Alarms"
    Effect    = "Allow"
    Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
    Action    = "sns:Publish"
    Resource  = var.topic_arn
    Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
  }] })
}

resource "aws_sns_topic_subscription" "mail" {
  for_each  = var.emails
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

# one metric over all functions: lines that the program logs as errors
resource "aws_cloudwatch_log_metric_filter" "errors" {
  for_each       = var.log_groups
  name           = "${var.prefix}-${each.key}-errors"
  log_group_name = each.value
  pattern        = "{ $.level = \"ERROR\" }"
  metric_transformation {
    namespace     = var.prefix
    name          = "LoggedErrors"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_budgets_budget" "month" {
  count        = var.budget_usd > 0 ? 1 : 0
  name         = "${var.prefix}-month"
  budget_type  = "COST"
  limit_amount = tostring(var.budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      notification_type         = notification.key
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }
  depends_on = [aws_sns_topic_policy.alarms]
}
