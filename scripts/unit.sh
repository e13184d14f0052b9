#!/usr/bin/env bash
# All tests, with the race detector where a C compiler is there (it needs cgo).
set -euo pipefail
cd "$(dirname "$0")/.."
race=()
if command -v "${CC:-cc}" >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1; then
  export CGO_ENABLED=1
  race=(-race)
elif [ "${CI:-}" = true ]; then
  echo "tests: -race needs a C compiler and none was found" >&2
  exit 1
else
  echo "tests: without -race, since no C compiler was found"
fi
if ! scripts/pytools.sh; then # tests that need them are skipped, and say so
  if [ "${CI:-}" = true ]; then exit 1; fi
fi
# broken LOG: the packages that the race detector ended by a fault of its own, which says nothing
# of the program; none where a package failed by itself.
broken() {
  awk '/^ThreadSanitizer: CHECK failed/ { broke = 1 }
    /^FAIL\t/ { if (broke) list = list " " $2; else failed = 1 }
    /^(ok|FAIL|\?) *\t/ { broke = 0 }
    END { if (!failed) print list }' "$1"
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! go test "${race[@]}" -shuffle=on -timeout 60m "$@" ./... 2>&1 | tee "$log"; then
  again=$(broken "$log")
  if [ -z "${again// /}" ]; then exit 1; fi
  echo "tests: the race detector itself failed in$again: once more"
  # shellcheck disable=SC2086
  go test "${race[@]}" -shuffle=on -timeout 60m "$@" $again
fi
if [ ${#race[@]} -gt 0 ]; then # what is shortened under the race detector, whole
  CGO_ENABLED=0 go test -timeout 20m -run TestEngineRandom ./internal/corpus
  CGO_ENABLED=0 go test -timeout 40m -run TestRealFeeds ./internal/opensearch
  CGO_ENABLED=0 go test -timeout 10m ./internal/testing/bombs ./internal/testing/faults
fi
(cd bench && CGO_ENABLED=0 go test -timeout 10m ./...)
