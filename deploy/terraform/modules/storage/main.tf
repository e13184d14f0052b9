# The bucket: everything durable. Versioned, encrypted, private, TLS only.
variable "bucket" { type = string }
variable "bucket_arn" { type = string }
variable "kms_key_arn" { type = string }
variable "raw_days" { type = number }
variable "noncurrent_days" { type = number }
variable "destroy_data" { type = bool }

resource "aws_s3_bucket" "data" {
  bucket        = var.bucket
  force_destroy = var.destroy_data
}

resource "aws_s3_bucket_versioning" "data" {
  bucket = aws_s3_bucket.data.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "data" {
  bucket = aws_s3_bucket.data.id
  rule {
    bucket_key_enabled = true # one call of KMS for many objects
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "data" {
  bucket                  = aws_s3_bucket.data.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "data" {
  bucket = aws_s3_bucket.data.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "data" {
  bucket     = aws_s3_bucket.data.id
  depends_on = [aws_s3_bucket_public_access_block.data]
  policy = jsonencode({ Version = "2012-10-17", Statement = [{
    Sid       = "TLS"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:*"
    Resource  = [var.bucket_arn, "${var.bucket_arn}/*"]
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }] })
}

resource "aws_s3_bucket_lifecycle_configuration" "data" {
  bucket     = aws_s3_bucket.data.id
  depends_on = [aws_s3_bucket_versioning.data]
  rule {
    id     = "replaced"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
  dynamic "rule" {
    for_each = var.raw_days > 0 ? [var.raw_days] : []
    content {
      id     = "raw"
      status = "Enabled"
      filter {
        prefix = "raw/"
      }
      expiration {
        days = rule.value
      }
      abort_incomplete_multipart_upload {
        days_after_initiation = 1
      }
    }
  }
}

output "bucket" { value = aws_s3_bucket.data.bucket }
