# The state bucket is given at init: -backend-config=bucket=… -backend-config=key=… -backend-config=region=…
terraform {
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}
