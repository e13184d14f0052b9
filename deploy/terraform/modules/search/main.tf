# The OpenSearch domain. Its policy names the functions' roles, each with the methods that it uses; nothing is let in without a signature.
variable "name" { type = string }
variable "domain_arn" { type = string }
variable "engine" { type = string }
variable "instance" { type = string }
variable "nodes" { type = number }
variable "gb" { type = number }
variable "kms_key_arn" { type = string }
variable "log_days" { type = number }
variable "partition" { type = string }
variable "account" { type = string }
variable "region" { type = string }
variable "access" {
  type = list(object({ role_arn = string, actions = list(string) }))
}

locals {
  zones = var.nodes == 1 ? 1 : (var.nodes % 3 == 0 ? 3 : 2)
}

resource "aws_cloudwatch_log_group" "errors" {
  name              = "/aws/opensearch/${var.name}"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_cloudwatch_log_resource_policy" "errors" {
  policy_name = "${var.name}-opensearch"
  policy_document = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Allow"
    Principal = { Service = "es.amazonaws.com" }
    Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource  = "arn:${var.partition}:logs:${var.region}:${var.account}:log-group:${aws_cloudwatch_log_group.errors.name}:*"
    Condition = { StringEquals = { "aws:SourceAccount" = var.account }, ArnEquals = { "aws:SourceArn" = var.domain_arn } }
  }] })
}

resource "aws_opensearch_domain" "main" {
  domain_name    = var.name
  engine_version = var.engine
  cluster_config {
    instance_type          = var.instance
    instance_count         = var.nodes
    zone_awareness_enabled = local.zones > 1
    dynamic "zone_awareness_config" {
      for_each = local.zones > 1 ? [local.zones] : []
      content {
        availability_zone_count = zone_awareness_config.value
      }
    }
  }
  ebs_options {
    ebs_enabled = true
    volume_type = "gp3"
    volume_size = var.gb
  }
  encrypt_at_rest {
    enabled    = true
    kms_key_id = var.kms_key_arn
  }
  node_to_node_encryption {
    enabled = true
  }
  domain_endpoint_options {
    enforce_https       = true
    tls_security_policy = "Policy-Min-TLS-1-2-PFS-2023-10"
  }
  log_publishing_options {
    log_type                 = "ES_APPLICATION_LOGS"
    cloudwatch_log_group_arn = aws_cloudwatch_log_group.errors.arn
  }
  depends_on = [aws_cloudwatch_log_resource_policy.errors]
}

# apart from the domain: it names roles, and functions whose roles they are name the domain
resource "aws_opensearch_domain_policy" "main" {
  domain_name = aws_opensearch_domain.main.domain_name
  access_policies = jsonencode({ Version = "2012-10-17", Statement = [
    for a in var.access : { Effect = "Allow", Principal = { AWS = a.role_arn }, Action = a.actions, Resource = "${var.domain_arn}/*" } if length(a.actions) > 0
  ] })
}

output "name" { value = aws_opensearch_domain.main.domain_name }
output "endpoint" { value = aws_opensearch_domain.main.endpoint }
