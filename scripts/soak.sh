#!/usr/bin/env bash
# The full counts that make test samples: kills, duels, corruption, random
# histories against the naive engine, a day of 180 feeds, long fuzzing.
#
# EI_SOAK_SCALE=0.05  that part of the day's 5 million listings (default 0.1; 1 is all of them)
set -euo pipefail
cd "$(dirname "$0")/.."
export EI_SOAK=1 EI_SOAK_SCALE=${EI_SOAK_SCALE:-0.1}
[ -x bin/tflint ] || make -s tflint
go test -count=1 -timeout 3h -v ./internal/testing/... ./internal/ingest/... ./internal/corpus/... "$@"
go test -count=1 -timeout 3h -v -run 'EngineKills|RealKill|WithFaults|EngineRandom' ./internal/opensearch "$@" # 20 kills of nodes in the midst of syncs
scripts/fuzz.sh "${FUZZTIME:-60s}"
