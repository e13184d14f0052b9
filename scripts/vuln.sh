#!/usr/bin/env bash
# Known vulnerabilities in what the binary calls. With EI_VULNDB (a folder that
# holds index/ and ID/, or vulndb.tar.gz) no network is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
db=()
if [ -n "${EI_VULNDB:-}" ]; then
  dir=$EI_VULNDB
  if [ -f "$dir/vulndb.tar.gz" ]; then
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    tar xzf "$dir/vulndb.tar.gz" -C "$tmp"
    dir=$tmp/vulndb
  fi
  db=(-db "file://$dir")
elif ! curl -sfI -m 5 -o /dev/null https://vuln.go.dev/index/db.json; then
  if [ "${CI:-}" = true ]; then
    echo "govulncheck: EI_VULNDB is not set and the online database cannot be reached" >&2
    exit 1
  fi
  echo "govulncheck: skipped, the vulnerability database cannot be reached (set EI_VULNDB to an offline copy)"
  exit 0
fi
bin/govulncheck "${db[@]}" ./...
