# make            build the binary for this machine
# make test       everything CI checks: format, vet, staticcheck, govulncheck, tests with -race, short fuzz, cross builds
# make quick      the tests alone, without -race
# make soak       the full counts: 1,000 kills, long duels, longer fuzzing
# make bench      the figures of docs/benchmarks.md
# make bench-opensearch  those of the engine over OpenSearch, beside the embedded one: BENCH="-listings 1000000 -rounds 3" VERSION=3.8.0.0
#
# make pytools    what tests run of PyPI (a TAXII server, PyMISP, emulators of AWS, checkov), into bin/; make test does it by itself
#
# make tflint     builds tflint into bin/ (minutes); the tests of deploy/terraform run it from then on
#
# make opensearch a real OpenSearch on loopback until make opensearch-stop or an hour has passed: NODES=1|3 VERSION=2.19.1.0|3.8.0.0 SECURITY=1
#                 (scripts/opensearch.sh says more; tests start what they need by themselves, or use OPENSEARCH_URL)
#
# EI_SAMPLES=DIR  a folder with the large feed samples (feeds/INDEX.tsv); without it the small samples of the repository serve
# EI_VULNDB=DIR   an offline copy of the Go vulnerability database
SHELL := /bin/bash
export CGO_ENABLED := 0
LDFLAGS := -s -w
BIN := bin/elasticintel
FUZZTIME ?= 3s

.PHONY: build test tflint opensearch opensearch-stop pytools quick soak bench bench-opensearch fmt vet static vuln unit fuzz cross clean

build: $(BIN)

$(BIN): FORCE
	go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/elasticintel

.PHONY: FORCE
FORCE:

test: fmt vet static vuln cross unit fuzz

fmt:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted (run gofmt -w):"; echo "$$out"; exit 1; fi

vet:
	go vet ./...
	cd bench && go vet ./...

bin/staticcheck bin/govulncheck: tools/go.mod tools/go.sum
	cd tools && GOBIN=$(CURDIR)/bin go install tool
	@touch bin/staticcheck bin/govulncheck

static: bin/staticcheck
	bin/staticcheck ./...

vuln: bin/govulncheck
	scripts/vuln.sh

unit:
	scripts/unit.sh

pytools:
	scripts/pytools.sh

tflint:
	cd tools/tflint && GOBIN=$(CURDIR)/bin go install tool

opensearch:
	@scripts/opensearch.sh start

opensearch-stop:
	@scripts/opensearch.sh stop

quick:
	go test ./...

fuzz:
	scripts/fuzz.sh $(FUZZTIME)

# The single file of each system-specific part must keep compiling.
cross:
	@for t in linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do \
	  echo "build $$t"; GOOS=$${t%/*} GOARCH=$${t#*/} go build -o /dev/null ./cmd/elasticintel || exit 1; done

soak:
	scripts/soak.sh

bench:
	scripts/bench.sh

bench-opensearch:
	scripts/bench-opensearch.sh $(BENCH)

clean:
	rm -rf bin dist
