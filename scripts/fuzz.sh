#!/usr/bin/env bash
# Every fuzz target for a short time: fuzz.sh [TIME]. Prints one line a target
# and the whole output of one that fails. A target that tried fewer than 100
# inputs fails too: it proved nothing. What is new is made smaller in few steps
# only; the default, a minute for each, leaves no time to find anything.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-3s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
count=0
while read -r file; do
  pkg=./$(dirname "$file")
  for f in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
    for span in "$time" 30s; do # a second, longer try where the machine is busy
      # The fuzzer calls it a failure when its time ends in the middle of an input
      # (golang/go#75804, mended in Go 1.27); a finding says what the input was.
      if ! go test "$pkg" -run '^$' -fuzz "^$f\$" -fuzztime "$span" -fuzzminimizetime 10x >"$log" 2>&1 &&
        { ! grep -q '^    context deadline exceeded$' "$log" || grep -q 'Failing input\|panic:' "$log"; }; then
        echo "fuzz $pkg $f FAILED"
        cat "$log"
        exit 1
      fi
      execs=$(grep -o 'execs: [0-9]*' "$log" | tail -1 | cut -d' ' -f2 || true)
      [ "${execs:-0}" -ge 100 ] && break
    done
    if [ "${execs:-0}" -lt 100 ]; then
      echo "fuzz $pkg $f tried only ${execs:-0} inputs in $span"
      cat "$log"
      exit 1
    fi
    echo "fuzz $pkg $f: $execs inputs"
    count=$((count + 1))
  done
done < <(grep -rl --include='*_test.go' '^func Fuzz' internal | sort)
[ "$count" -gt 0 ] || { echo "no fuzz target found" >&2; exit 1; }
