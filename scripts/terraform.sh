#!/usr/bin/env bash
# Terraform (or OpenTofu) with the AWS provider of a local mirror, where there is one.
#
#   scripts/terraform.sh ARGS…      runs terraform ARGS in the folder it is called from
#   scripts/terraform.sh --find     prints where the provider comes from: a mirror's folder, "config" or "network"
#
#   EI_TERRAFORM=PROGRAM   the program, without it terraform, then tofu
#   EI_TF_MIRROR=DIR       a folder that has registry.terraform.io/hashicorp/aws
#
# The provider is looked for in EI_TF_MIRROR; then a readable TF_CLI_CONFIG_FILE decides; then come Terraform's implied
# mirrors, and any mirror below /opt; then the network. Exit 3: there is none of them, said in one line.
set -euo pipefail
readonly host=registry.terraform.io
self=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

lacks() { echo "terraform: $*" >&2; exit 3; }

# mirror prints the first folder that holds the provider.
mirror() {
  local d
  for d in "$@"; do
    d=${d%/}
    if [ -n "$d" ] && compgen -G "$d/$host/hashicorp/aws/*" >/dev/null; then echo "$d"; return; fi
  done
  return 1
}

# find sets from to a mirror's folder, "config" or "network".
find_provider() {
  if [ -n "${EI_TF_MIRROR:-}" ]; then
    from=$(mirror "$EI_TF_MIRROR") || lacks "EI_TF_MIRROR=$EI_TF_MIRROR has no $host/hashicorp/aws: give the folder above it"
  elif [ -r "${TF_CLI_CONFIG_FILE:-}" ]; then
    from=config
  elif ! from=$(mirror "$HOME/.terraform.d/plugins" /usr/local/share/terraform/plugins /usr/share/terraform/plugins /opt /opt/*/); then
    curl -fsS -m 20 -o /dev/null "https://$host/.well-known/terraform.json" 2>/dev/null ||
      lacks "no AWS provider: no mirror was found (EI_TF_MIRROR=DIR names one) and $host cannot be reached"
    from=network
  fi
}

# use_mirror DIR: a configuration beside our other tools names it, written whole so that two at a time do no harm.
use_mirror() {
  local file=$self/../bin/terraform.tfrc
  mkdir -p "$self/../bin"
  printf 'disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path    = "%s"\n    include = ["%s/*/*"]\n  }\n  direct {\n    exclude = ["%s/hashicorp/aws"]\n  }\n}\n' \
    "$1" "$host" "$host" >"$file.$$"
  mv "$file.$$" "$file"
  export TF_CLI_CONFIG_FILE=$file
}

program=${EI_TERRAFORM:-$(command -v terraform || command -v tofu || true)}
[ -n "$program" ] || lacks "neither terraform nor tofu was found: install terraform 1.11 or newer"
find_provider
if [ "${1:-}" = --find ]; then echo "$from"; exit; fi
case $from in
  config) ;;
  network) unset TF_CLI_CONFIG_FILE ;; # a file that does not exist is a warning at every command
  *) use_mirror "$from" ;;
esac
export TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1
exec "$program" "$@"
