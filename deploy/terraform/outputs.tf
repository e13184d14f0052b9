output "prefix" {
  value       = var.prefix
  description = "The name of the installation."
}
output "profile" {
  value       = var.profile
  description = "lite or standard."
}
output "region" {
  value       = local.region
  description = "Where it is."
}
output "api_url" {
  value       = module.api.url
  description = "Address of the HTTP API, without a slash at the end."
}
output "function_url" {
  value       = module.api.function_url
  description = "Address of the api function itself; empty without var.function_url."
}
output "bucket" {
  value       = module.storage.bucket
  description = "The bucket with everything durable; feed definitions go below feeds.d/."
}
output "topic_arn" {
  value       = module.jobs.topic_arn
  description = "Where jobs are published."
}
output "queue_url" {
  value       = module.jobs.queue_url
  description = "Jobs that wait."
}
output "dlq_url" {
  value       = module.jobs.dlq_url
  description = "Jobs that failed too often."
}
output "events_dlq_url" {
  value       = module.jobs.events_dlq_url
  description = "Events of schedules that no function took."
}
output "alarms_topic_arn" {
  value       = module.observability.topic_arn
  description = "Where alarms are told."
}
output "alarm_names" {
  value       = module.observability.alarm_names
  description = "The alarms."
}
output "function_names" {
  value       = { for k, f in module.function : k => f.name }
  description = "Names of the functions: scheduler, ingest, api, health."
}
output "log_groups" {
  value       = merge({ for k, f in module.function : k => f.log_group }, { http = module.api.log_group })
  description = "Log groups of the functions, and http, the access log."
}
output "schedule_names" {
  value       = module.jobs.schedule_names
  description = "Schedules: scheduler, health."
}
output "domain_name" {
  value       = one(module.search[*].name)
  description = "Name of the OpenSearch domain; null in lite."
}
output "domain_endpoint" {
  value       = one(module.search[*].endpoint)
  description = "Host of the OpenSearch domain; null in lite."
}
output "opensearch_url" {
  value       = local.opensearch_url
  description = "Where the functions reach the domain; empty in lite."
}
output "ssm_prefix" {
  value       = local.ssm_prefix
  description = "Where secrets lie in Parameter Store: this and the secret's name."
}
output "kms_key_arn" {
  value       = one(module.key[*].arn)
  description = "The installation's own key; null where AWS manages the keys."
}
output "dashboard" {
  value       = module.observability.dashboard
  description = "Name of the dashboard in CloudWatch."
}
