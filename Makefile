# The two commands: `make demo` shows outrider, `make test` runs what CI runs. `make help` lists the others.
#
# Everything is built in one profile, release, into CARGO_TARGET_DIR (cargo's own default: target/). Nothing is downloaded
# but crates and, for the web console, npm packages, all of them in the first steps; what follows works offline.

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz test-engines check engines console console-check console-checked console-flows console-flows-here console-flown chromium format lint tidy deny bench deb advisories fetch

CARGO ?= cargo
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
# cargo-nextest runs the same tests in parallel and says more. Without it cargo's own runner does.
TEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo nextest run || echo test --lib --bins --tests)

# Tests that are left out otherwise, with the features of the whole workspace so that nothing is built again.
TEST_IGNORED := $(shell $(CARGO) nextest --version >/dev/null 2>&1 \
    && echo "nextest run --release --locked --offline --workspace --run-ignored only -E 'test(other_engines_give) | test(bucket::) | test(another_validator)'" \
    || echo 'test --release --locked --offline --workspace --test lake --test platform --test e2e --test real_apis -- --ignored other_engines_give bucket:: another_validator')
# What comes from outside, made up: so many lines, streams and values for each property, against 256 in `make test`.
CASES ?= 100000
TEST_FUZZ := $(shell $(CARGO) nextest --version >/dev/null 2>&1 \
    && echo "nextest run --release --locked --offline --workspace -E 'package(outrider-collect)'" \
    || echo 'test --release --locked --offline --package outrider-collect')
ENGINES := $(abspath $(or $(CARGO_TARGET_DIR),target))/engines
ENGINES_LIST := crates/lake/tests/engines/requirements.txt

# The web console needs Node.js 20 or newer, and its flows Chromium, which is installed where that may be. What is missing is said.
NODE := $(shell node --version 2>/dev/null | grep -E '^v(2[0-9]|[3-9][0-9])\.')
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
BINARY := $(abspath $(or $(CARGO_TARGET_DIR),target))/release/outrider
# Errors alone: what cannot be installed says why.
NPM := npm --prefix console --no-audit --no-fund --loglevel=error
CONSOLE_FILES := $(wildcard console/*.json console/*.ts console/*.html console/public/* console/scripts/*) \
    $(shell find console/src -type f -not -name schema.d.ts -not -name '*.test.*')

# Says what runs, runs it, and says how long it took.
STEP = @sh -c ' \
    printf "\n==> %s\n" "$$*"; \
    start=$$(date +%s); \
    "$$@"; status=$$?; \
    printf "==> %s s, exit status %s: %s\n" "$$(($$(date +%s) - start))" "$$status" "$$*"; \
    exit $$status' step

help:
	@echo 'make demo        build outrider and watch it catch, block and release a noisy consumer'
	@echo 'make test        everything that CI runs: check, then all tests'
	@echo 'make fuzz        made up lines, streams and values against the collector for as long as one wants, CASES="..." of each'
	@echo 'make engines     install what reads and holds the lake in some of the tests (Python)'
	@echo 'make console-flows  the web console in a real browser (Chromium)'
	@echo 'make console     build the web console, which the next build of outrider has in it (Node.js)'
	@echo 'make check       the quick part: format, lints, repository rules, licences'
	@echo 'make bench       the figures, BENCH="..." for arguments'
	@echo 'make deb         the Debian package, for this machine (cargo-deb)'
	@echo 'make format      format the code'
	@echo 'make advisories  known vulnerabilities and yanked crates (network, cargo-deny)'

demo: fetch console
	$(STEP) $(CARGO) build --release --locked --offline --package outrider
	@$(CARGO) run --quiet --release --locked --offline --package outrider -- demo

test: console check engines console-check
	$(STEP) $(CARGO) $(TEST) --release --locked --offline --workspace
	@if test -x $(ENGINES)/bin/python; then $(MAKE) --no-print-directory test-engines; else \
	    printf '\n==> left out: the lake as DuckDB and ClickHouse read it, and in a bucket; what that needs could not be installed\n'; fi
	@$(MAKE) --no-print-directory console-flows

# The lake's tables as engines of others read them, and in a store of another.
test-engines:
	$(STEP) env OUTRIDER_ENGINES=$(ENGINES)/bin/python $(CARGO) $(TEST_IGNORED)

fuzz: fetch
	$(STEP) env PROPTEST_CASES=$(CASES) $(CARGO) $(TEST_FUZZ)

# Needs Python with venv, and its package index once.
engines:
	@cmp -s $(ENGINES_LIST) $(ENGINES)/$(notdir $(ENGINES_LIST)).done || sh -c 'rm -rf $(ENGINES) && python3 -m venv $(ENGINES) \
	    && $(ENGINES)/bin/python -m pip install --quiet --no-deps -r $(ENGINES_LIST) \
	    && cp $(ENGINES_LIST) $(ENGINES)/$(notdir $(ENGINES_LIST)).done || rm -rf $(ENGINES)'

# The console's files, where there are newer sources. Without Node.js outrider is built without them, and says so.
console:
ifeq ($(NODE),)
	@printf '\n==> left out: the web console, which needs Node.js 20 or newer\n'
else
	@$(MAKE) --silent --no-print-directory console/node_modules/.package-lock.json \
	    && $(MAKE) --silent --no-print-directory console/dist/index.html \
	    || { test ! -e console/node_modules/.package-lock.json \
	    && printf '\n==> left out: the web console, whose packages could not be installed\n'; }
endif

console/node_modules/.package-lock.json: console/package.json console/package-lock.json
	$(STEP) $(NPM) ci --fetch-retries=5
	@touch $@

console/dist/index.html: $(CONSOLE_FILES)
	$(STEP) $(NPM) run build

# Types, lints, and the tests of its logic.
console-check: console
	@if test -e console/dist/index.html; then $(MAKE) --no-print-directory console-checked; fi

console-checked:
	$(STEP) $(NPM) run check

# Debian's browser, where it is missing and who runs this may install it.
chromium:
ifeq ($(CHROMIUM)$(shell id -u),0)
	@if command -v apt-get >/dev/null; then \
	    printf '\n==> apt-get install chromium\n'; \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get install -qq --no-install-recommends chromium >/dev/null \
	        || { apt-get update -qq && apt-get install -qq --no-install-recommends chromium >/dev/null; } \
	        || printf '\n==> Chromium could not be installed\n'; fi
endif

# The console of this build in a real browser. In a make of its own, which finds what was just installed.
console-flows: chromium
	@$(MAKE) --no-print-directory console-flows-here

console-flows-here:
	@if test ! -e console/dist/index.html; then \
	    printf '\n==> left out: the flows of the web console, which was not built\n'; \
	elif test -z "$(CHROMIUM)"; then \
	    printf '\n==> left out: the flows of the web console, which need Chromium (apt install chromium)\n'; \
	else $(MAKE) --no-print-directory console-flown; fi

console-flown:
	@$(BINARY) openapi | node console/scripts/openapi.mjs --check
	$(STEP) env OUTRIDER_BINARY=$(BINARY) CHROMIUM=$(CHROMIUM) $(NPM) run flows

check: fetch
	$(STEP) $(CARGO) fmt --all --check
	$(STEP) $(CARGO) xtask tidy
	$(STEP) $(CARGO) xtask deny
	$(STEP) $(CARGO) clippy --release --locked --offline --workspace --all-targets -- -D warnings

bench: fetch
	$(STEP) $(CARGO) run --release --locked --offline --package outrider-bench -- $(BENCH)

deb: fetch console
	$(STEP) $(CARGO) deb --locked --offline --package outrider

format:
	$(CARGO) fmt --all

advisories:
	$(STEP) $(CARGO) deny check

fetch:
	$(STEP) $(CARGO) fetch --locked --target $(HOST)
