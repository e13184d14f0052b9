# Nothing but hashicorp/aws: names come from variables, the zip is made by `elasticintel deploy` (or scripts/lambda.sh).
terraform {
  # write-only arguments, so that no secret ever comes into the state
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

provider "aws" {
  default_tags {
    tags = merge(var.tags, { app = var.prefix })
  }
}
