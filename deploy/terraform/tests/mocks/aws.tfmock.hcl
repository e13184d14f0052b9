mock_data "aws_caller_identity" {
  defaults = { account_id = "111122223333" }
}
mock_data "aws_partition" {
  defaults = { partition = "aws" }
}
mock_data "aws_region" {
  defaults = { id = "eu-central-1" }
}
mock_resource "aws_sqs_queue" {
  defaults = { arn = "arn:aws:sqs:eu-central-1:111122223333:q", url = "https://sqs.eu-central-1.amazonaws.com/111122223333/q" }
}
mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:t" }
}
mock_resource "aws_lambda_function" {
  defaults = {
    arn        = "arn:aws:lambda:eu-central-1:111122223333:function:f"
    invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:f/invocations"
  }
}
mock_resource "aws_lambda_function_url" {
  defaults = { function_url = "https://u.lambda-url.eu-central-1.on.aws/" }
}
mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::111122223333:role/r" }
}
mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-central-1:111122223333:key/1", key_id = "1" }
}
mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-central-1:111122223333:log-group:g" }
}
mock_resource "aws_apigatewayv2_api" {
  defaults = { execution_arn = "arn:aws:execute-api:eu-central-1:111122223333:a", api_endpoint = "https://a.execute-api.eu-central-1.amazonaws.com" }
}
mock_resource "aws_opensearch_domain" {
  defaults = { arn = "arn:aws:es:eu-central-1:111122223333:domain/d", endpoint = "search-d.eu-central-1.es.amazonaws.com" }
}
