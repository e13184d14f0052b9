# The modules here are used by this root alone, which says the versions.
rule "terraform_required_providers" {
  enabled = false
}
rule "terraform_required_version" {
  enabled = false
}
