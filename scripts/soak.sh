#!/usr/bin/env bash
# The full counts that make test samples: kills, duels, corruption, long fuzzing.
set -euo pipefail
cd "$(dirname "$0")/.."
export EI_SOAK=1
go test -count=1 -timeout 3h -v ./internal/testing/... ./internal/ingest/... ./internal/corpus/... "$@"
scripts/fuzz.sh "${FUZZTIME:-60s}"
