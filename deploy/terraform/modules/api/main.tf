# The HTTP API, and where wanted the function's own URL. Who may ask what is decided by the API keys of the program.
variable "prefix" { type = string }
variable "function_name" { type = string }
variable "invoke_arn" { type = string }
variable "rate" { type = number }
variable "burst" { type = number }
variable "function_url" { type = bool }
variable "log_days" { type = number }
variable "kms_key_arn" { type = string }

resource "aws_apigatewayv2_api" "http" {
  name          = "${var.prefix}-http"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "api" {
  api_id                 = aws_apigatewayv2_api.http.id
  integration_type       = "AWS_PROXY"
  integration_uri        = var.invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

# one route: paths and methods are the program's matter, as in `serve`
resource "aws_apigatewayv2_route" "all" {
  api_id    = aws_apigatewayv2_api.http.id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.api.id}"
}

resource "aws_cloudwatch_log_group" "http" {
  name              = "/aws/http/${var.prefix}"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.http.id
  name        = "$default"
  auto_deploy = true
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.http.arn
    # neither the path nor the query: they hold what people look up
    format = jsonencode({
      time     = "$context.requestTime", id = "$context.requestId", ip = "$context.identity.sourceIp", method = "$context.httpMethod",
      status   = "$context.status", bytes = "$context.responseLength", ms = "$context.responseLatency",
      function = "$context.integration.status", error = "$context.error.message"
    })
  }
  default_route_settings {
    throttling_rate_limit  = var.rate
    throttling_burst_limit = var.burst
  }
}

resource "aws_lambda_permission" "http" {
  statement_id  = "http"
  action        = "lambda:InvokeFunction"
  function_name = var.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.http.execution_arn}/*/*"
}

resource "aws_lambda_function_url" "api" {
  count              = var.function_url ? 1 : 0
  function_name      = var.function_name
  authorization_type = "NONE" # API keys of the program, as on the HTTP API
}

output "id" { value = aws_apigatewayv2_api.http.id }
output "url" { value = aws_apigatewayv2_api.http.api_endpoint }
output "function_url" { value = var.function_url ? trimsuffix(aws_lambda_function_url.api[0].function_url, "/") : "" }
output "log_group" { value = aws_cloudwatch_log_group.http.name }
