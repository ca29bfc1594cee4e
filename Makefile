# Uplevel: what a person types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export GOTOOLCHAIN := local

TARGETS  := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
LINT_VERSION := 2.15.0
LINT     := build/tools/golangci-lint-$(LINT_VERSION)
GITLEAKS_VERSION := 8.30.1
GITLEAKS := build/tools/gitleaks-$(GITLEAKS_VERSION)
VULN_VERSION := 1.9.0
VULN     := build/tools/govulncheck-$(VULN_VERSION)

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## the main job, on five real releases of a real product
	@sh demo/preflight.sh && go run ./demo

journey: ## the demo, its transcript written into the README
	@sh demo/preflight.sh && JOURNEY=README.md go run ./demo </dev/null

build: ## the three programs, into build/bin
	@mkdir -p build/bin
	scripts/build-uplevel build/bin/uplevel
	go build -trimpath -ldflags='-s -w' -o build/bin/ ./cmd/upleveld ./cmd/uplevel-publish

# The version of the update tool, and the day of its release (none: that of the commit).
VERSION  ?= 0.1.0-dev
RELEASED ?=

tools-all: ## the update tool for every system, into build/bin/tools: VERSION=1.2.0 RELEASED=2026-11-24
	@mkdir -p build/bin/tools
	@for t in $(TARGETS); do os=$${t%/*}; arch=$${t#*/}; exe=; test $$os != windows || exe=.exe; \
	  echo "build uplevel $(VERSION) for $$t"; \
	  GOOS=$$os GOARCH=$$arch scripts/build-uplevel build/bin/tools/uplevel-$$os-$$arch$$exe \
	    -X main.version=$(VERSION) -X main.released=$(RELEASED) || exit 1; \
	done

test: deps ## install what the tests need, then run them all
	go test -race -timeout 18m ./...
	go test -timeout 5m -run TestLargeContentsAreWindowed ./internal/delta

deps:
	@scripts/install-deps

check: vet cross tidy lint secrets ## formatting, vet, lint, secrets, all six systems, size of the tool

vet:
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not formatted: $$out"; exit 1; }
	go vet ./...

cross:
	@for t in $(TARGETS); do echo "build and vet uplevel for $$t"; \
	  CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} go vet ./cmd/uplevel && \
	  GOOS=$${t%/*} GOARCH=$${t#*/} scripts/build-uplevel build/cross/uplevel-$${t%/*}-$${t#*/} || exit 1; \
	  size=$$(stat -c %s build/cross/uplevel-$${t%/*}-$${t#*/}); \
	  test $$size -le 16000000 || { echo "uplevel for $$t is $$size bytes, the limit is 16,000,000"; exit 1; }; \
	  ! grep -qaF 'text/template.(*state)' build/cross/uplevel-$${t%/*}-$${t#*/} || { echo "uplevel for $$t executes text/template, which keeps every method (docs/decisions/2026-11-24-size.md)"; exit 1; }; \
	done

tidy:
	go mod tidy -diff

lint: $(LINT) ## every linter of .golangci.yml
	$(LINT) config verify
	$(LINT) run ./...

secrets: $(GITLEAKS) ## secrets in the files and in the history
	scripts/scan-secrets $(GITLEAKS)

$(GITLEAKS):
	@mkdir -p build/tools && dir=$$(mktemp -d build/tools/new.XXXXXX) && echo "building gitleaks $(GITLEAKS_VERSION) (once)" && \
	GOBIN=$(CURDIR)/$$dir go install github.com/zricethezav/gitleaks/v8@v$(GITLEAKS_VERSION) && \
	mv $$dir/gitleaks $(GITLEAKS); rc=$$?; rm -rf "$$dir"; exit $$rc

tools: $(LINT) $(GITLEAKS) ## what check needs besides Go, into build/tools

# Its version is part of its name, so that a new pin builds anew. One of the same version
# that is installed already is taken as it is.
$(LINT):
	@mkdir -p build/tools
	@have=$$(PATH="$$PATH:$$(go env GOPATH)/bin" command -v golangci-lint || true); \
	if [ -n "$$have" ] && "$$have" version 2>/dev/null | grep -qF ' version $(LINT_VERSION) '; then \
	  echo "taking $$have"; cp "$$have" $(LINT); \
	else \
	  echo "building golangci-lint $(LINT_VERSION) (some minutes, once)"; \
	  GOBIN=$(CURDIR)/build/tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(LINT_VERSION) && \
	  mv build/tools/golangci-lint $(LINT); \
	fi

sweep: ## cut every operation of the tool off at every system call (SWEEP=full: no samples)
	go test ./test/crash -run TestNothingIsEverHalfDone -count=1 -v -timeout 0 -args -sweep
	go test ./test/crashservice -count=1 -v -timeout 0 -args -sweep $(if $(filter full,$(SWEEP)),,-most 8m)
	go test ./test/network ./test/hostile ./test/concurrent -p 1 -count=1 -v -timeout 0 -args -sweep

fuzz: ## every fuzz target for a minute each, or FUZZTIME=10m; JOBS=3 at a time
	scripts/fuzz -t $(or $(FUZZTIME),1m) -j $(or $(JOBS),1)

bench: ## measure the tool beside its peers and write docs/performance.md
	@scripts/install-peers
	go run ./test/bench -o docs/performance.md

merging: ## write docs/merging.md, the manual of merges, from its cases
	go test ./test/merging -count=1 -args -write

vuln: $(VULN) ## known holes in dependencies (asks the vulnerability database)
	@scripts/find-vulns $(VULN) ./...

$(VULN):
	@mkdir -p build/tools && dir=$$(mktemp -d build/tools/new.XXXXXX) && \
	GOBIN=$(CURDIR)/$$dir go install golang.org/x/vuln/cmd/govulncheck@v$(VULN_VERSION) && \
	mv $$dir/govulncheck $(VULN); rc=$$?; rm -rf "$$dir"; exit $$rc

sbom: build tools-all ## what each program is made of, as CycloneDX 1.6, into build/bin/sbom
	@rm -rf build/bin/sbom
	go run ./test/sbom -version $(VERSION) -out build/bin/sbom build/bin/upleveld build/bin/uplevel-publish build/bin/tools/uplevel-*

clean: ## remove what was built; the demo's downloads stay
	rm -rf build/demo build/bin build/cross

.PHONY: help demo journey build tools-all test deps check vet cross tidy lint secrets tools sweep fuzz bench merging vuln sbom clean
