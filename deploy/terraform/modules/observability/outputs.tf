output "topic_arn" { value = aws_sns_topic.alarms.arn }
output "dashboard" { value = aws_cloudwatch_dashboard.main.dashboard_name }
output "alarm_names" { value = sort([for a in aws_cloudwatch_metric_alarm.main : a.alarm_name]) }
