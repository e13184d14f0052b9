#!/usr/bin/env bash
# The figures of the engine over OpenSearch, beside the embedded one on the same
# data, on a quiet machine:
#
#   scripts/bench-opensearch.sh [-listings 1000000] [-feeds 40] [-big 100000] [-rounds 3] [-write docs/benchmarks.md]
#
# The node is ours, of VERSION (2.19.1.0, or 3.8.0.0) with HEAP (1g). With EI_SAMPLES
# the listings are those of real feeds. -listings 2000 -big 1000 -rounds 1 shows soon that it works.
set -euo pipefail
cd "$(dirname "$0")/.."
args=()
for a in "$@"; do # files are named from here, and the benchmark runs in bench
	case $a in docs/*) a=$PWD/$a ;; esac
	args+=("$a")
done
FOLDER=$(mktemp -d -u "${TMPDIR:-/tmp}/ei-bench-opensearch-XXXXXX")
export FOLDER VERSION=${VERSION:-2.19.1.0} HEAP=${HEAP:-1g} LIFE=${LIFE:-14400} CGO_ENABLED=0
make -s build
url=$(scripts/opensearch.sh start)
trap 'scripts/opensearch.sh stop' EXIT
(cd bench && go run . opensearch -url "$url" -binary ../bin/elasticintel "${args[@]}")
