#!/usr/bin/env bash
# The figures of docs/benchmarks.md, on a quiet machine:
#
#   scripts/bench.sh [small|medium|large]    1 million listings in 40 feeds (the default), 5 million in 180, 20 million in 180
#
# Beside SQLite as users run us, our own goals, beside more peers on the same data
# (GOALS and PEERS are more flags for these two; PEERS=none leaves the peers out),
# then the Go benchmarks that the tables quote.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-small}" in
small) size=(-listings 1000000 -feeds 40) ;;
medium) size=(-listings 5000000 -feeds 180) ;;
large) size=(-listings 20000000 -feeds 180) ;;
*)
	echo "no such size: $1; there are small, medium and large" >&2
	exit 2
	;;
esac
export CGO_ENABLED=0
make -s build
(cd bench && go run . -binary ../bin/elasticintel)
# shellcheck disable=SC2086 # GOALS and PEERS are lists of flags
(cd bench && go run . goals "${size[@]}" -binary ../bin/elasticintel -write ../docs/benchmarks.md ${GOALS:-})

# install PACKAGE installs one from Debian where that may be done; the output of
# the benchmark says who is left out.
install() {
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return; fi
	(apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "$1") >/dev/null 2>&1 ||
		echo "$1 could not be installed" >&2
}
if [ "${PEERS:-}" != none ]; then
	# redis-tools has the program and, unlike redis-server, no service.
	command -v redis-server >/dev/null || command -v redis-check-rdb >/dev/null || install redis-tools
	if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && ! command -v initdb >/dev/null; then
		if [ "$(id -u)" = 0 ] && [ ! -e /etc/postgresql-common ]; then # no cluster is wanted, and so no service runs
			mkdir /etc/postgresql-common
			echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
		fi
		install postgresql
	fi
	command -v rg >/dev/null || install ripgrep
	cgo=0
	if command -v cc >/dev/null; then cgo=1; fi # with a C compiler mattn's SQLite is measured too
	# shellcheck disable=SC2086
	(cd bench && CGO_ENABLED=$cgo go run -tags sqlite_fts5 . peers "${size[@]}" -write ../docs/benchmarks.md ${PEERS:-})
fi

go test -run '^$' -bench 'Parse|AppendJSON' -benchtime 1s ./internal/intel
go test -run '^$' -bench 'Text|CSV|JSON|Hosts' -benchtime 3x ./internal/parse
go test -run '^$' -bench . -benchtime 3x ./internal/corpus ./internal/ingest
go test -run '^$' -bench 'Single|Handler|Bulk' -benchtime 2s -count 5 ./internal/api
