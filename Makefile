# `make run PATTERN=01` and `make test` do all their own set-up. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
PATTERN ?= 01
ARGS ?= --quick
SAMPLE_RESULTS ?= target/sample
RECORDING ?= target/recording
MAVEN ?= mvn -q -B -f pipelines/pom.xml
BIN := $(VENV)/bin
SOURCES := $(shell git ls-files -- src python pipelines build.rs Cargo.toml Cargo.lock pyproject.toml 2>/dev/null)
JAVA_SOURCES := $(filter pipelines/%.java pipelines/%.xml,$(SOURCES))

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/.installed ## The main job: build, install, fetch engines, run PATTERN (ARGS="--quick")
	$(BIN)/rtmbench engines fetch
	$(BIN)/rtmbench run $(PATTERN) $(ARGS)

$(VENV)/.dev: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	touch $@

.PHONY: lock
lock: ## Write requirements-dev.txt anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate \
		--custom-compile-command "make lock" --group dev pyproject.toml -o requirements-dev.txt

.PHONY: jars
jars: target/.jars ## Build the job jars with Maven
target/.jars: $(JAVA_SOURCES)
	$(MAVEN) package
	mkdir -p target && touch $@

.PHONY: wheel
wheel: $(VENV)/.dev target/.jars ## Build the wheel, with the pipelines and the job jars in it
	RTMBENCH_REQUIRE_JARS=1 $(BIN)/maturin build --release --locked --compatibility pypi --auditwheel check --out dist

$(VENV)/.installed: $(SOURCES) $(VENV)/.dev target/.jars
	rm -rf dist
	$(MAKE) wheel
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall dist/*.whl
	touch $@

.PHONY: test
test: $(VENV)/.installed ## The tests without engines, and one real run on both engines (12 minutes)
	cargo test --locked --release
	$(BIN)/rtmbench engines fetch
	$(BIN)/python -m pytest -m "smoke or not (e2e or full or accept)"

.PHONY: test-e2e
test-e2e: $(VENV)/.installed ## The other tests on real Kafka, Flink and Spark (15 minutes)
	$(BIN)/rtmbench engines fetch
	$(BIN)/python -m pytest -m "e2e and not (smoke or full or accept)"

.PHONY: test-full
test-full: $(VENV)/.installed ## The tests that take longer
	$(BIN)/rtmbench engines fetch all
	$(BIN)/python -m pytest -m full

.PHONY: claims
claims: $(VENV)/.installed ## Try out every claim of the documents on the engines (25 minutes)
	$(BIN)/rtmbench claims

.PHONY: accept
accept: $(VENV)/.installed ## The timing gates; for a quiet machine
	$(BIN)/rtmbench engines fetch
	$(BIN)/python -m pytest -m accept -s

.PHONY: sample
sample: $(VENV)/.installed ## Record what rtmbench.sample() gives anew (half an hour; for a quiet machine)
	$(BIN)/rtmbench engines fetch flink@1.20 spark@4.1 spark@4.3
	$(BIN)/python tools/sample.py record $(SAMPLE_RESULTS)
	$(BIN)/python tools/sample.py pack $(SAMPLE_RESULTS)

.PHONY: record
record: $(VENV)/.installed $(VENV)/.bench ## Run the commands behind the figures of the documents; hours, may be interrupted; for a quiet machine
	$(BIN)/rtmbench engines fetch all
	$(BIN)/python tools/record.py run $(RECORDING)

.PHONY: bench
bench: $(VENV)/.installed $(VENV)/.bench ## The core beside other Kafka clients on a real broker; for a quiet machine
	cargo build --locked --release --example bare
	$(BIN)/python benches/bench.py --bare "$${CARGO_TARGET_DIR:-target}/release/examples/bare" $(BENCH_ARGS)

$(VENV)/.bench: benches/requirements.txt $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --require-hashes -r $<
	touch $@

.PHONY: bench-lock
bench-lock: ## Write benches/requirements.txt anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate \
		--custom-compile-command "make bench-lock" benches/requirements.in -o benches/requirements.txt

.PHONY: lint
lint: $(VENV)/.dev ## Format check and lints of Rust, Python and Java; builds no wheel
	cargo fmt --check
	cargo clippy --locked --release --all-targets --features python -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(MAVEN) spotless:check

.PHONY: format
format: $(VENV)/.dev ## Format Rust, Python and Java
	cargo fmt
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(MAVEN) spotless:apply

.PHONY: clean
clean: ## Remove what was built; the engines' cache stays
	rm -rf target dist $(VENV) pipelines/*/target pipelines/*/flink/target pipelines/*/spark/target pipelines/*/storage/target
