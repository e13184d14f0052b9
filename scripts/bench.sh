#!/usr/bin/env bash
# The figures of docs/benchmarks.md: beside SQLite in one run, then the Go
# benchmarks that the tables quote. Use a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
make -s build
(cd bench && go run . -binary ../bin/elasticintel "$@")
go test -run '^$' -bench 'Parse|AppendJSON' -benchtime 1s ./internal/intel
go test -run '^$' -bench 'Text|CSV|JSON|Hosts' -benchtime 3x ./internal/parse
go test -run '^$' -bench . -benchtime 3x ./internal/corpus ./internal/ingest
go test -run '^$' -bench 'Single|Handler|Bulk' -benchtime 2s -count 5 ./internal/api
