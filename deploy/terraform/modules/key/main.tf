# The installation's own key. Functions use it by their roles; the services named here on their own account, for this account alone.
variable "prefix" { type = string }
variable "account" { type = string }
variable "partition" { type = string }
variable "region" { type = string }

locals {
  # sns: jobs into an encrypted queue; cloudwatch and budgets: alarms into an encrypted topic; events: dead letters of schedules
  services = ["sns.amazonaws.com", "sqs.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com", "scheduler.amazonaws.com"]
}

resource "aws_kms_key" "main" {
  description             = "${var.prefix}: data, jobs, secrets, logs"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    {
      Sid       = "Account" # without it nobody could ever change the key again; it lets IAM policies decide
      Effect    = "Allow"
      Principal = { AWS = "arn:${var.partition}:iam::${var.account}:root" }
      Action    = "kms:*"
      Resource  = "*" # in a key's policy: this key
    },
    {
      Sid       = "Services"
      Effect    = "Allow"
      Principal = { Service = local.services }
      Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
      Resource  = "*"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
    },
    {
      Sid       = "Logs"
      Effect    = "Allow"
      Principal = { Service = "logs.${var.region}.amazonaws.com" }
      Action    = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
      Resource  = "*"
      Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${var.partition}:logs:${var.region}:${var.account}:log-group:*" } }
    },
  ] })
}

resource "aws_kms_alias" "main" {
  name          = "alias/${var.prefix}"
  target_key_id = aws_kms_key.main.key_id
}

output "arn" { value = aws_kms_key.main.arn }
