#!/usr/bin/env bash
# The figures of docs/benchmarks.md: beside SQLite in one run, then beside more
# peers on the same data, then the Go benchmarks that the tables quote. Use a
# quiet machine. PEERS="-listings 5000000 -feeds 180" changes what the peers get.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
make -s build
(cd bench && go run . -binary ../bin/elasticintel "$@")

# Redis from Debian, where it is missing and may be installed: redis-tools has the
# program and, unlike redis-server, no service. The output says who is left out.
if ! command -v redis-server >/dev/null && ! command -v redis-check-rdb >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	(apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends redis-tools) >/dev/null 2>&1 ||
		echo "redis-tools could not be installed" >&2
fi
cgo=0
if command -v cc >/dev/null; then cgo=1; fi # with a C compiler mattn's SQLite is measured too
# shellcheck disable=SC2086 # PEERS is a list of flags
(cd bench && CGO_ENABLED=$cgo go run -tags sqlite_fts5 . peers -write ../docs/benchmarks.md ${PEERS:-})

go test -run '^$' -bench 'Parse|AppendJSON' -benchtime 1s ./internal/intel
go test -run '^$' -bench 'Text|CSV|JSON|Hosts' -benchtime 3x ./internal/parse
go test -run '^$' -bench . -benchtime 3x ./internal/corpus ./internal/ingest
go test -run '^$' -bench 'Single|Handler|Bulk' -benchtime 2s -count 5 ./internal/api
