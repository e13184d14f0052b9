# SecureString parameters. The value is write-only: Terraform neither reads it back nor keeps it, and writes it
# only when the parameter is made. "unset" stands for no secret until somebody puts one there.
variable "prefix" { type = string }
variable "names" { type = set(string) }
variable "kms_key_arn" { type = string }

resource "aws_ssm_parameter" "secret" {
  for_each         = var.names
  name             = "${var.prefix}${each.key}"
  type             = "SecureString"
  key_id           = var.kms_key_arn
  value_wo         = "unset"
  value_wo_version = 1
}
