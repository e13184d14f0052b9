locals {
  function_metrics = { for m in ["Invocations", "Errors", "Duration"] : m => [for k, f in var.functions : ["AWS/Lambda", m, "FunctionName", f, { label = k }]] }
  graphs = concat([
    { title = "Feeds", stat = "Maximum", metrics = [for m in ["FeedsHealthy", "FeedsSick"] : [var.prefix, m]] },
    { title = "Jobs waiting, and dead letters", stat = "Maximum", metrics = [for q in concat([var.queue], values(var.dead_letters)) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", q]] },
    { title = "Runs of functions", stat = "Sum", metrics = local.function_metrics.Invocations },
    { title = "Errors of functions", stat = "Sum", metrics = concat(local.function_metrics.Errors, [[var.prefix, "LoggedErrors"]]) },
    { title = "Duration of functions, 95th of 100, ms", stat = "p95", metrics = local.function_metrics.Duration },
    { title = "Requests of the HTTP API", stat = "Sum", metrics = [for m in ["Count", "4xx", "5xx"] : ["AWS/ApiGateway", m, "ApiId", var.api_id]] },
    ], var.domain == "" ? [] : [
    { title = "Domain: memory and processor, %", stat = "Maximum", metrics = [for m in ["JVMMemoryPressure", "CPUUtilization"] : ["AWS/ES", m, "DomainName", var.domain, "ClientId", var.account]] },
    { title = "Domain: free disk of the fullest node, MB", stat = "Minimum", metrics = [["AWS/ES", "FreeStorageSpace", "DomainName", var.domain, "ClientId", var.account]] },
  ])
}

resource "aws_cloudwatch_dashboard" "main" {
  dashboard_name = var.prefix
  dashboard_body = jsonencode({ widgets = [for i, g in local.graphs : {
    type       = "metric", x = 12 * (i % 2), y = 6 * floor(i / 2), width = 12, height = 6
    properties = { title = g.title, region = var.region, stat = g.stat, period = 300, view = "timeSeries", metrics = g.metrics }
  }] })
}
