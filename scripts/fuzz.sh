#!/usr/bin/env bash
# Every fuzz target for a short time: fuzz.sh [TIME]
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-3s}
grep -rl --include='*_test.go' '^func Fuzz' internal | sort | while read -r file; do
  pkg=./$(dirname "$file")
  for f in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
    echo "fuzz $pkg $f"
    go test "$pkg" -run '^$' -fuzz "^$f\$" -fuzztime "$time" | tail -1
  done
done
