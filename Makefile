# The two commands: `make demo` shows outrider, `make test` runs what CI runs. `make help` lists the others.
#
# Everything is built in one profile, release, into CARGO_TARGET_DIR (cargo's own default: target/). Nothing is downloaded
# but crates, all of them in the first step; what follows works offline.

.DEFAULT_GOAL := help
.PHONY: help demo test test-engines check engines format lint tidy deny bench deb advisories fetch

CARGO ?= cargo
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
# cargo-nextest runs the same tests in parallel and says more. Without it cargo's own runner does.
TEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo nextest run || echo test --lib --bins --tests)

# Tests that are left out otherwise, with the features of the whole workspace so that nothing is built again.
TEST_IGNORED := $(shell $(CARGO) nextest --version >/dev/null 2>&1 \
    && echo "nextest run --release --locked --offline --workspace --run-ignored only -E 'test(other_engines_give) | test(bucket::)'" \
    || echo 'test --release --locked --offline --workspace --test lake --test platform --test e2e -- --ignored other_engines_give bucket::')
ENGINES := $(abspath $(or $(CARGO_TARGET_DIR),target))/engines
ENGINES_LIST := crates/lake/tests/engines/requirements.txt

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
	@echo 'make engines     install what reads and holds the lake in some of the tests (Python)'
	@echo 'make check       the quick part: format, lints, repository rules, licences'
	@echo 'make bench       the figures, BENCH="..." for arguments'
	@echo 'make deb         the Debian package, for this machine (cargo-deb)'
	@echo 'make format      format the code'
	@echo 'make advisories  known vulnerabilities and yanked crates (network, cargo-deny)'

demo: fetch
	$(STEP) $(CARGO) build --release --locked --offline --package outrider
	@$(CARGO) run --quiet --release --locked --offline --package outrider -- demo

test: check engines
	$(STEP) $(CARGO) $(TEST) --release --locked --offline --workspace
	@if test -x $(ENGINES)/bin/python; then $(MAKE) --no-print-directory test-engines; else \
	    printf '\n==> left out: the lake as DuckDB and ClickHouse read it, and in a bucket; what that needs could not be installed\n'; fi

# The lake's tables as engines of others read them, and in a store of another.
test-engines:
	$(STEP) env OUTRIDER_ENGINES=$(ENGINES)/bin/python $(CARGO) $(TEST_IGNORED)

# Needs Python with venv, and its package index once.
engines:
	@cmp -s $(ENGINES_LIST) $(ENGINES)/$(notdir $(ENGINES_LIST)).done || sh -c 'rm -rf $(ENGINES) && python3 -m venv $(ENGINES) \
	    && $(ENGINES)/bin/python -m pip install --quiet --no-deps -r $(ENGINES_LIST) \
	    && cp $(ENGINES_LIST) $(ENGINES)/$(notdir $(ENGINES_LIST)).done || rm -rf $(ENGINES)'

check: fetch
	$(STEP) $(CARGO) fmt --all --check
	$(STEP) $(CARGO) xtask tidy
	$(STEP) $(CARGO) xtask deny
	$(STEP) $(CARGO) clippy --release --locked --offline --workspace --all-targets -- -D warnings

bench: fetch
	$(STEP) $(CARGO) run --release --locked --offline --package outrider-bench -- $(BENCH)

deb: fetch
	$(STEP) $(CARGO) deb --locked --offline --package outrider

format:
	$(CARGO) fmt --all

advisories:
	$(STEP) $(CARGO) deny check

fetch:
	$(STEP) $(CARGO) fetch --locked --target $(HOST)
