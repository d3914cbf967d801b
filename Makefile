# What can be made; `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# How long each fuzz target runs; how long the soak, and the memory it may use.
FUZZTIME ?= 10m
SOAK_MINUTES ?= 60
SOAK_MB ?= 1024

VERSION ?= 0.1.0-dev$(shell git rev-parse --short HEAD 2>/dev/null | sed 's/^/+/')

# Packages that start goroutines or are called by several; the rest would only be slow.
RACE := ./annotator/dumpcap ./annotator/engine ./annotator/eval ./annotator/score/ort \
	./extcap/bridge ./extcap/toolbar ./grpc/... ./lua/native

# What the tests call, as program:package of Debian.
TOOLS := tshark:tshark editcap:wireshark-common gcc:gcc zstd:zstd lua5.2:lua5.2 lua5.4:lua5.4 \
	luacheck:lua-check shellcheck:shellcheck jq:jq \
	ip:iproute2 nmap:nmap curl:curl

# Wiresharks of other releases that the tests in lua/ use, where they can be had.
WIRESHARKS ?= 4.4

GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the programs into ./bin
	@mkdir -p bin
	CGO_ENABLED=1 go build -buildvcs=false -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/ampulla ./annotator
ifneq ($(wildcard extcap/*.go),)
	CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ampulla-extcap ./extcap
endif
ifneq ($(wildcard lua/native/*.go),)
	CGO_ENABLED=1 go build -buildvcs=false -trimpath -buildmode=c-shared -ldflags '-s -w' -o bin/ampulla-native.so ./lua/native
	@rm -f bin/ampulla-native.h
endif

.PHONY: deps
deps: ## install what the tests need (root, or sudo that asks nothing)
	@missing=(); \
	for tool in $(TOOLS); do \
		command -v "$${tool%%:*}" >/dev/null || missing+=("$${tool#*:}"); \
	done; \
	[[ -e /usr/include/stdlib.h ]] || missing+=(libc6-dev); \
	if [[ $${missing[*]-} ]]; then \
		sudo=(); ((EUID == 0)) || sudo=(sudo -n); \
		install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$${missing[@]}"); \
		echo "missing: $${missing[*]}"; \
		printf '  %s\n' "$${sudo[*]:+sudo -n }apt-get update" "$${sudo[*]:+sudo -n }$${install[*]}"; \
		"$${sudo[@]}" apt-get update -q >/dev/null && "$${sudo[@]}" "$${install[@]}" >/dev/null || { \
			echo "make: these could not be installed; as root, run: $${install[*]}" >&2; exit 1; }; \
	fi
	@./install.sh --yes --library-only
	@lua/wireshark.sh $(WIRESHARKS) || echo "make: lua/ is tested without Wireshark $(WIRESHARKS)"

.PHONY: check
check: ## what needs no test run: vet, a build without cgo, shellcheck, luacheck
	go vet ./...
	CGO_ENABLED=0 go build -o /dev/null ./...
	GOOS=windows CGO_ENABLED=0 go build -o /dev/null ./annotator
	shellcheck -x -P SCRIPTDIR --severity=warning install.sh .ci/run $$(git ls-files '*.sh')
	cd lua && luacheck --quiet .

.PHONY: test
test: deps check ## all checks and tests; installs what they need
	go test -race -timeout 20m $(RACE)
	go test -timeout 25m ./...

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10m) each
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz' || true); do \
			echo "== $$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$package"; \
		done; \
	done

.PHONY: bench
bench: build ## run the benchmarks, compare with ndpiReader, editcap and tshark, and measure reports; tables in dist/
	@mkdir -p dist
	go test -run '^$$' -bench . -benchmem ./... | tee dist/benchmarks.txt
	annotator/bench.sh | tee dist/bench.md
	annotator/report/bench.sh | tee dist/report.md

.PHONY: soak
soak: build ## annotate one capture that goes on for SOAK_MINUTES (60), in bounded memory
	@data=$${AMPULLA_DATA:-$$(../shared/data/unpack)}; \
	end=$$((SECONDS + $(SOAK_MINUTES) * 60)); \
	while ((SECONDS < end)); do \
		find "$$data" -name '*cap' -o -name '*capng' | xargs -I{} editcap -F pcapng {} - 2>/dev/null || true; \
	done | ./bin/ampulla annotate --comments all - /dev/null & \
	pid=$$!; peak=0; \
	while now=$$(awk '$$1 == "VmHWM:" { print $$2 }' "/proc/$$pid/status" 2>/dev/null) && [[ $$now ]]; do \
		peak=$$now; sleep 1; \
	done; \
	wait $$pid; \
	echo "peak memory: $$((peak / 1024)) MB of $(SOAK_MB)"; ((peak < $(SOAK_MB) * 1024))

.PHONY: soak-capture
soak-capture: build ## capture with AI for SOAK_MINUTES (60) at 5,000 packets/s (root); see extcap/soak.sh
	extcap/soak.sh $(SOAK_MINUTES)

.PHONY: report-check
report-check: build ## open reports in Chromium, and visit the shop again (root; chromium, nginx, npm)
	@command -v chromium >/dev/null || { echo "make: missing; try: apt-get install --no-install-recommends chromium" >&2; exit 1; }
	@axe=$${XDG_CACHE_HOME:-$$HOME/.cache}/ampulla-axe; mkdir -p "$$axe"; \
	[[ -e $$axe/node_modules/axe-core/axe.min.js ]] || npm install --silent --no-fund --prefix "$$axe" axe-core@4.14.1; \
	AMPULLA_FULL=1 AMPULLA_AXE=$$axe/node_modules/axe-core/axe.min.js \
		go test -count 1 -v -timeout 60m -run '^(TestReportInBrowser|TestShop)$$' ./annotator

.PHONY: judge-http
judge-http: build ## ask the service over HTTP as strangers and as many; see grpc/gateway/judge.sh
	grpc/gateway/judge.sh

.PHONY: models
models: ## train the models again (Python, some minutes); see models/train
	models/train/run.sh

.PHONY: testdata
testdata: ## make the captures of testdata again (root, 10 minutes)
	testdata/make.sh

.PHONY: packages
packages: ## build packages, archives and a formula into ./dist; see packaging/make.sh
	VERSION='$(VERSION)' packaging/make.sh

.PHONY: lint
lint: ## run golangci-lint, built from source; slow the first time
	go run $(GOLANGCI) run ./...

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
