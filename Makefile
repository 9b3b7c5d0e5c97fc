# `make run` and `make test` are all that a fresh Debian 12 machine with Swift needs; system packages are installed only when missing.
# `make help` lists the targets.

SWIFT ?= swift
# Debian's own, because its modules come from Debian packages.
PYTHON ?= /usr/bin/python3
BUILD_FLAGS ?= --static-swift-stdlib
FUZZ_SECONDS ?= 600
VEDETTE := .build/release/vedette
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Why each is needed: docs/dependencies.md.
BUILD_PACKAGES := zlib1g-dev libisal-dev libzstd-dev libsimdjson-dev libre2-dev libxxhash-dev libhyperscan-dev libs2-dev libssl-dev libsqlite3-dev \
    libcurl4-openssl-dev libmaxminddb-dev
TEST_PACKAGES := python3 python3-jsonschema jq gzip zstd openssl procps systemd libmaxmind-db-writer-perl valgrind binutils librsvg2-2 libedit2

# Installs those Debian packages of a list that are missing.
define install
@missing=; \
if ! command -v dpkg-query > /dev/null; then echo "make: not a Debian system; please provide: $(1)" >&2; exit 0; fi; \
for package in $(1); do \
    dpkg-query -W -f='$${Status}' $$package 2> /dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
done; \
[ -z "$$missing" ] && exit 0; \
echo "make: installing$$missing"; \
$(SUDO) apt-get update -q && \
$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing
endef

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: docs help run build test unit python rules packages test-packages fuzz fuzz-quick install format lint bench bench-quick bench-counts clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F '\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: build  ## build, replay the sample day against the rule pack, print the alerts
	$(VEDETTE) replay --rules AnalyticsRules SampleLogs/2026-03-02 --to 2026-03-03T00:00:00Z

build: packages  ## the release binary: .build/release/vedette
	$(SWIFT) build -c release $(BUILD_FLAGS)

test: test-packages build unit rules python  ## install what tests need, then run everything

unit: packages  ## unit and property tests (debug build)
	$(SWIFT) build --build-tests
	VEDETTE=$(CURDIR)/$(VEDETTE) $(SWIFT) test --skip-build

rules:  ## the rule pack's own tests, with the release binary
	$(VEDETTE) rules check --strict AnalyticsRules
	$(VEDETTE) rules test AnalyticsRules

python:  ## end-to-end tests, with the release binary
	VEDETTE=$(CURDIR)/$(VEDETTE) $(PYTHON) -B -m unittest discover -s Tests/Python

fuzz: packages  ## libFuzzer over every reader of outside data, FUZZ_SECONDS (600) each
	for target in $$(Tools/fuzz.sh list); do Tools/fuzz.sh $$target $(FUZZ_SECONDS) || exit 1; done

fuzz-quick: packages  ## the same inputs, and mutations of them for some seconds each, in the debug build
	$(SWIFT) build --build-tests
	VEDETTE_FUZZ_SECONDS=6 $(SWIFT) test --skip-build --filter FuzzTests

packages:
	$(call install,$(BUILD_PACKAGES))

test-packages:
	$(call install,$(BUILD_PACKAGES) $(TEST_PACKAGES))

install:  ## copy the built binary, unit, configuration and rules into the system (DESTDIR, PREFIX)
	$(if $(DESTDIR),,$(SUDO)) sh deploy/install.sh

format:  ## format all Swift sources in place
	$(SWIFT) format --in-place --parallel --recursive Sources Tests Package.swift

lint:  ## fail on any Swift source that is not formatted
	$(SWIFT) format lint --strict --parallel --recursive Sources Tests Package.swift

bench: build  ## throughput over 1 GB of logs with 40 and 400 rules
	$(PYTHON) Benchmarks/run.py

bench-quick: build  ## the same over 20 MB: a smoke test
	$(PYTHON) Benchmarks/run.py --quick

bench-counts: test-packages  ## instructions and allocations per event against the committed counts
	$(PYTHON) Benchmarks/counts.py --check

docs:  ## the modules' reference (DocC) in .build/docs
	sh Tools/docs.sh

clean:  ## remove everything that was built
	rm -rf .build
