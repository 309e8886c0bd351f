# The only definition of how Sanderling is set up, built, checked and run. `make help` lists the commands.
#
#   STRICT=1        nothing is skipped: a skipped test and a lock file that is out of date fail (.ci/run sets it)
#   PYTHON=…        the Python that makes .venv
#   ARGS='…'        arguments for `make demo`, `make bench` and pytest in `make test-python`

PYTHON ?= python3
CARGO ?= cargo
ARGS ?=
STRICT ?=

# Debian packages that tests need beyond what build/preflight.sh asks for, one a line.
SYSTEM_PACKAGES := $(shell sed 's/\#.*//' requirements/apt.txt 2>/dev/null)

VENV := .venv
RUN := $(VENV)/bin/python
STEP := build/step.sh
EXTENSION := python/sanderling/_engine.abi3.so
PAGES := python/sanderling/server/static/debug/index.html
CLIP := python/sanderling/demo/material/bigbuckbunny.mp4
NODE_MODULES := web/node_modules/.package-lock.json

RUST_SOURCES := $(shell find crates/media crates/rtc crates/sfu crates/io crates/load crates/py \
	-path '*/tests/*' -prune -o \( -name '*.rs' -o -name Cargo.toml \) -print)
WEB_SOURCES := $(shell find web -name node_modules -prune -o -name dist -prune -o -type f -print)

LOCKED := $(if $(STRICT),--locked)
CHECKED := --release --config build/tests.toml
export CARGO
export SANDERLING_STRICT := $(STRICT)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help preflight setup build demo test check test-rust test-web test-python bench fuzz web schema lock wheel \
	wheel-test system-packages clean

help:
	@printf '%s\n' \
		'make demo         build what changed and show a live stream (ARGS="--seconds 10 --json")' \
		'make test         check, and run every test' \
		'make setup        virtual environment, npm packages, film clip' \
		'make build        extension and web pages' \
		'make check        formats, lints, types, generated files' \
		'make test-rust    tests of the crates             make test-web     tests of the web packages' \
		'make test-python  pytest (ARGS="-k name")         make bench        measure' \
		'make fuzz         a longer search for crashes     make web          the web pages alone' \
		'make wheel        a wheel in dist/                make wheel-test   try it in an empty environment' \
		'make schema       generated files: message types, schema, the SDK'"'"'s surface' \
		'make lock         pin requirements/*.in anew (needs uv)' \
		'make clean        remove what was built (not .venv)'

# ------------------------------------------------------------------------------------------------ set-up

preflight:
	@build/preflight.sh $(PYTHON)

setup: preflight .build/venv $(NODE_MODULES) $(CLIP)

# --clear where the environment's Python is gone or older than what is asked for now.
.build/venv: requirements/dev.txt pyproject.toml build/develop.py
	@mkdir -p .build
	@$(RUN) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(STEP) 'python packages' $(RUN) -m pip install --quiet --disable-pip-version-check --no-input \
		--require-hashes -r requirements/dev.txt >&2
	@$(RUN) build/develop.py
	@touch $@

$(NODE_MODULES): web/package-lock.json web/package.json $(wildcard web/packages/*/package.json)
	@$(STEP) 'npm packages' npm --prefix web ci --loglevel=error --no-audit --no-fund >&2
	@touch $@

$(CLIP): build/clip.py requirements/clip.txt | .build/venv
	@$(STEP) 'film clip' $(RUN) build/clip.py

system-packages:
	@build/packages.sh $(SYSTEM_PACKAGES)

# ------------------------------------------------------------------------------------------------ build

build: setup $(EXTENSION) $(PAGES)

$(EXTENSION): $(RUST_SOURCES) Cargo.toml Cargo.lock .cargo/config.toml build/pyo3.txt build/extension.py | .build/venv
	@$(STEP) 'extension' $(RUN) build/extension.py $(LOCKED)

$(PAGES): $(WEB_SOURCES) | $(NODE_MODULES)
	@$(STEP) 'web pages' npm --prefix web run --silent build >&2
	@touch $@

web: preflight $(PAGES)

schema: preflight .build/venv
	@$(RUN) build/schema.py
	@$(RUN) build/surface.py
	@$(RUN) build/openapi.py
	@$(RUN) build/codes.py

# ------------------------------------------------------------------------------------------------ run

# The shell is replaced by the demo, so that Ctrl-C reaches it alone and its exit status is make's.
demo: build
	@exec $(VENV)/bin/sanderling demo $(ARGS)

bench: build
	@exec $(RUN) -m benches $(ARGS)

# libFuzzer's instrumentation is behind flags that only a nightly compiler takes, or one that is told to be one.
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/targets/*.rs)))
FUZZ_SECONDS ?= 60

fuzz: build
	@$(STEP) 'property tests' $(RUN) -m pytest tests/property --hypothesis-profile=long --timeout=3600 $(ARGS)
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(STEP) 'cargo-fuzz' $(CARGO) install cargo-fuzz --locked
	@for target in $(FUZZ_TARGETS); do \
		RUSTC_BOOTSTRAP=1 $(STEP) "fuzz $$target" $(CARGO) fuzz run $$target -- \
			-max_total_time=$(FUZZ_SECONDS) || exit 1; done

# ------------------------------------------------------------------------------------------------ check and test

# Each on its own, so that `make --keep-going check` shows everything that is wrong.
CHECKS := rustfmt clippy ruff-format ruff mypy stubtest generated-files tsc eslint
.PHONY: $(CHECKS)

check: $(CHECKS)

rustfmt: setup
	@$(STEP) $@ $(CARGO) fmt --all --check

clippy: setup
	@$(STEP) $@ $(CARGO) clippy $(LOCKED) $(CHECKED) --quiet --workspace --all-targets -- -D warnings

ruff-format: setup
	@$(STEP) $@ $(RUN) -m ruff format --quiet --check .

ruff: setup
	@$(STEP) $@ $(RUN) -m ruff check --quiet .

mypy: setup
	@$(STEP) $@ $(RUN) -m mypy

stubtest: build
	@$(STEP) $@ $(RUN) -m mypy.stubtest --mypy-config-file pyproject.toml sanderling._engine

generated-files: setup
	@$(STEP) $@ $(RUN) build/schema.py --check
	@$(STEP) $@ $(RUN) build/surface.py --check
	@$(STEP) $@ $(RUN) build/openapi.py --check
	@$(STEP) $@ $(RUN) build/codes.py --check

tsc: setup
	@$(STEP) $@ npm --prefix web run --silent types

eslint: setup
	@$(STEP) $@ npm --prefix web run --silent lint

# What the oracle cannot do: handshakes where half gets lost, an estimate of the path and what is sent by it.
BEYOND_ORACLE := connect::with_half narrow:: loss::a_link_with_a_rate first_frame::an_older_key_frame

test-rust: setup
	@$(STEP) 'cargo test' $(CARGO) test $(LOCKED) $(CHECKED) --quiet --workspace --exclude sanderling-py
	@$(STEP) 'same, with the oracle' $(CARGO) test $(LOCKED) $(CHECKED) --quiet \
		-p sanderling-sfu -p sanderling-lab \
		--features sanderling-sfu/str0m-viewer -- $(BEYOND_ORACLE:%=--skip %)

test-web: build
	@$(STEP) 'web tests' npm --prefix web test --silent

test-python: build system-packages
	@$(STEP) 'pytest' $(RUN) -m pytest $(ARGS)

# pytest comes last: its closing line is the last word.
test: check test-rust test-web wheel-test test-python

# ------------------------------------------------------------------------------------------------ wheel

wheel: build
	@rm -rf dist
	@$(STEP) 'wheel' $(RUN) -m maturin build --release --locked --quiet --out dist
	@$(RUN) build/slim.py dist

wheel-test: wheel
	@$(STEP) 'wheel in a new venv' $(RUN) build/wheel_test.py

lock:
	@cd requirements && for name in runtime dev; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
			--no-emit-index-url --no-emit-find-links --output-file $$name.txt $$name.in || exit 1; done

clean:
	rm -rf .build dist target web/packages/*/dist python/sanderling/server/static
	rm -f $(EXTENSION)
