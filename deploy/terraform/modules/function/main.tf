# One function: role, log group, code.
variable "name" { type = string }
variable "zip" { type = string }
variable "arch" { type = string }
variable "memory" { type = number }
variable "timeout" { type = number }
variable "tmp_mb" { type = number }
variable "concurrency" { type = number }
variable "environment" { type = map(string) }
variable "statements" {
  type = list(object({ sid = string, actions = list(string), resources = list(string) }))
}
variable "own_key" { type = bool }
variable "kms_key_arn" { type = string }
variable "dlq_arn" { type = string }
variable "log_days" { type = number }

resource "aws_cloudwatch_log_group" "main" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_iam_role" "main" {
  name = var.name
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Allow"
    Principal = { Service = "lambda.amazonaws.com" }
    Action    = "sts:AssumeRole"
  }] })
}

resource "aws_iam_role_policy" "run" {
  name = "run"
  role = aws_iam_role.main.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    for s in var.statements : { Sid = s.sid, Effect = "Allow", Action = s.actions, Resource = s.resources }
  ] })
}

# what is known only after the log group and the key were made, apart from the rest, so that a plan shows that
resource "aws_iam_role_policy" "logs" {
  name = "logs"
  role = aws_iam_role.main.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Sid = "Logs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["${aws_cloudwatch_log_group.main.arn}:*"] },
  ] })
}

resource "aws_iam_role_policy" "key" {
  count = var.own_key ? 1 : 0
  name  = "key"
  role  = aws_iam_role.main.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [var.kms_key_arn] },
  ] })
}

resource "aws_lambda_function" "main" {
  function_name                  = var.name
  role                           = aws_iam_role.main.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.arch]
  filename                       = var.zip
  source_code_hash               = filebase64sha256(var.zip)
  memory_size                    = var.memory
  timeout                        = var.timeout
  reserved_concurrent_executions = var.concurrency
  kms_key_arn                    = var.kms_key_arn
  environment {
    variables = var.environment
  }
  ephemeral_storage {
    size = var.tmp_mb
  }
  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.main.name
  }
  dynamic "dead_letter_config" {
    for_each = var.dlq_arn == "" ? [] : [var.dlq_arn]
    content {
      target_arn = dead_letter_config.value
    }
  }
  depends_on = [aws_iam_role_policy.run, aws_iam_role_policy.logs, aws_iam_role_policy.key]
}

output "name" { value = aws_lambda_function.main.function_name }
output "invoke_arn" { value = aws_lambda_function.main.invoke_arn }
output "role_arn" { value = aws_iam_role.main.arn }
output "log_group" { value = aws_cloudwatch_log_group.main.name }
