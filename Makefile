# Build, run and test need Go, make and a shell; nothing else.
# `make help` lists the targets.

GO       ?= go
SEED     ?= 1
FUZZTIME ?= 30s

# Without git, or outside a checkout, it is a development build.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS   = -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# A module of its own, so that the linter's dependencies are not ours.
LINT = $(GO) tool -modfile=tools/go.mod golangci-lint

.DEFAULT_GOAL := build

.PHONY: build
build: ## build bin/netcmp
	$(GO) build -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/netcmp ./cmd/netcmp

.PHONY: run
run: build ## the same messages over tcp, then udp, through the same bad path (SEED=1)
	bin/netcmp run --proto tcp --seed $(SEED)
	bin/netcmp run --proto udp --seed $(SEED)

# One package at a time (-p 1): some tests hold the instrument to microseconds.
.PHONY: test
test: ## run all tests
	$(GO) build ./...
	$(GO) test -p 1 ./...

.PHONY: race
race: ## run the tests of all packages but the program's under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) build -race ./...
	CGO_ENABLED=1 $(GO) test -p 1 -race -short $$($(GO) list ./... | grep -v /cmd/)

.PHONY: lint
lint: ## vet, formatting, lint; the first time builds the linter for some minutes
	$(GO) vet ./...
	$(LINT) run

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (30s)
	@grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' . | sort | \
	while IFS=: read -r file name; do \
		name=$${name#func }; dir=$${file%/*}; \
		echo "== $$dir $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$dir" || exit 1; \
	done

.PHONY: bench
bench: ## run all benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-path
bench-path: ## the path's speed and punctuality, through the real lab (two minutes)
	$(GO) test -run '^$$' -bench '^BenchmarkPath' -benchtime 1x ./experiment

# Each piece of work is kept as it is done: to do one anew,
# NETCMP_PEERS=$PWD/bin/peers go test -count 1 -v -run TestPeers/udp-64 ./validation
.PHONY: bench-peers
bench-peers: ## netcmp and iperf3, sockperf and irtt in turns, into docs/performance.md (six minutes)
	@rm -rf bin/peers && mkdir -p bin/peers
	NETCMP_PEERS=$(CURDIR)/bin/peers $(GO) test -count 1 -v -timeout 30m -run '^TestPeers$$' ./validation

# One part alone: NETCMP_DISTURBED=1 go test -count 1 -v -run TestDisturbed/quiet ./validation
.PHONY: disturbed
disturbed: ## what netcmp says when this machine disturbs it: stopped processes, busy processors (half an hour)
	NETCMP_DISTURBED=1 $(GO) test -count 1 -v -timeout 90m -run '^TestDisturbed$$' ./validation

.PHONY: soak
soak: ## 50 clients, session after session, over all protocols (ten minutes; SOAK=1h for longer)
	NETCMP_SOAK=$(or $(SOAK),10m) $(GO) test -count 1 -v -timeout 0 -run '^TestSoak$$' ./peer

.PHONY: test-vm
test-vm: ## the tests that need the kernel's own netem, in a virtual machine (two minutes)
	tools/vm/test.sh

.PHONY: fidelity
fidelity: ## the emulator held against the kernel's netem, in a virtual machine (six minutes)
	tools/vm/fidelity.sh

# Each part is kept as it is done: to measure one anew,
# NETCMP_VALIDATE=$PWD/bin/validation go test -count 1 -run TestValidation/mathis ./validation
.PHONY: validate
validate: ## known laws and results over the real lab, into docs/validation.md (twenty minutes)
	@rm -rf bin/validation && mkdir -p bin/validation
	NETCMP_VALIDATE=$(CURDIR)/bin/validation $(GO) test -count 1 -v -timeout 60m -run '^TestValidation$$' ./validation

.PHONY: lessons
lessons: build ## play every lesson, into docs/lessons, in English and in Chinese (eight minutes)
	@rm -rf docs/lessons && mkdir -p docs/lessons/zh
	for name in $$(bin/netcmp lesson --list | cut -d ' ' -f 1); do \
		bin/netcmp lesson $$name --markdown docs/lessons >/dev/null && \
		bin/netcmp lesson $$name --lang zh --markdown docs/lessons/zh >/dev/null || exit 1; \
	done

.PHONY: screenshots
screenshots: build ## the pages of docs/ and their pictures (three minutes; needs Chromium)
	tools/screenshots/make.sh

.PHONY: cover
cover: ## measure test coverage into bin/cover.out and bin/cover.html
	@mkdir -p bin
	$(GO) test -coverpkg ./... -coverprofile bin/cover.out ./...
	$(GO) tool cover -html bin/cover.out -o bin/cover.html
	@$(GO) tool cover -func bin/cover.out | tail -n 1

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do \
		printf '  %-12s %s\n' "$$target" "$$text"; \
	done
