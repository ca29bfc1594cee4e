# Uplevel: what a person types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export GOTOOLCHAIN := local

PROGRAMS := uplevel upleveld uplevel-publish
TARGETS  := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
LINT_VERSION := 2.15.0
LINT     := build/tools/golangci-lint-$(LINT_VERSION)

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## the main job, on five real releases of a real product
	@sh demo/preflight.sh && go run ./demo

journey: ## the demo, its transcript written into the README
	@sh demo/preflight.sh && JOURNEY=README.md go run ./demo </dev/null

build: ## the three programs, into build/bin
	@mkdir -p build/bin
	go build -trimpath -ldflags='-s -w' -o build/bin/ $(PROGRAMS:%=./cmd/%)

test: deps ## install what the tests need, then run them all
	go test -race -timeout 18m ./...

deps:
	@scripts/install-deps

check: vet cross tidy lint ## formatting, vet, lint, all six systems, size of the tool

vet:
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not formatted: $$out"; exit 1; }
	go vet ./...

cross:
	@for t in $(TARGETS); do echo "build and vet uplevel for $$t"; \
	  CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} go vet ./cmd/uplevel && \
	  CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} go build -trimpath -ldflags='-s -w' -o build/cross/uplevel-$${t%/*}-$${t#*/} ./cmd/uplevel || exit 1; \
	  size=$$(stat -c %s build/cross/uplevel-$${t%/*}-$${t#*/}); \
	  test $$size -le 16000000 || { echo "uplevel for $$t is $$size bytes, the limit is 16,000,000"; exit 1; }; \
	done

tidy:
	go mod tidy -diff

lint: $(LINT) ## every linter of .golangci.yml
	$(LINT) config verify
	$(LINT) run ./...

tools: $(LINT) ## what check needs besides Go, into build/tools

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

sweep: build ## cut update, apply, revert and continue at every system call
	go test ./test/crash -count=1 -v -timeout 120m -args -sweep

fuzz: ## every fuzz target for a minute each
	scripts/fuzz 60s

bench: ## measure the tool beside its peers and write docs/performance.md
	go run ./test/bench -o docs/performance.md

merging: ## write docs/merging.md, the manual of merges, from its cases
	go test ./test/merging -count=1 -args -write

vuln: ## known holes in dependencies (asks the vulnerability database)
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

clean: ## remove what was built; the demo's downloads stay
	rm -rf build/demo build/bin build/cross

.PHONY: help demo journey build test deps check vet cross tidy lint tools sweep fuzz bench merging vuln clean
