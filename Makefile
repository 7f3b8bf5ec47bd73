# `make help` lists the targets. The first one that you run sets up the environment.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(foreach v,python3 python3.13 python3.12 python3.11,$(if $(shell $(v) -c 'import sys; sys.exit(not (3,11) <= sys.version_info < (3,14))' 2>/dev/null && echo ok),$(v))))
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?= data/headlines.csv
ARGS ?=
MODEL ?= text-classifier
# GPU=1 installs TensorFlow for NVIDIA GPUs (Linux x86_64). It stays until GPU=0.
INSTALLED := $(or $(shell cat $(VENV)/.lock 2>/dev/null),requirements.lock)
GPU ?= $(findstring gpu,$(INSTALLED))
LOCK := requirements$(if $(filter-out 0,$(GPU)),-gpu).lock
UI_PORT ?= 5001
PREFECT_PORT ?= 4200
SERVE_PORT ?= 5002
BENCH_DATA ?= data/headlines.csv
BENCH_VENV ?= .bench-venv
DOCS_VENV ?= .docs-venv
TORCH ?=

# No telemetry, for every tool. Without make, `tasks/runtime/state/local_state.py` sets this.
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export GX_ANALYTICS_ENABLED := false

.PHONY: help setup train test check format ui serve lock docs docs-site screenshots bench bench-peers bench-cost bench-serving bench-overhead sweep fuzz clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# An environment contains its own path, so a moved or copied checkout needs a new one; tensorflow and tensorflow-cpu
# overwrite each other, so another lock does too.
ifneq ($(INSTALLED),$(LOCK))
.PHONY: $(VENV)/.installed
endif
ifneq ($(wildcard $(BIN)/lstm-text),)
ifeq ($(shell grep -F '$(abspath $(BIN))/python' $(BIN)/lstm-text),)
.PHONY: $(VENV)/.installed
endif
endif

setup: $(VENV)/.installed  ## Create .venv and install the locked versions (GPU=1: for NVIDIA GPUs, 7 GB)

# The lock has uv with its hash. pip installs uv; uv installs the rest, compiled so that the first import is faster.
$(VENV)/.installed: $(LOCK) pyproject.toml
	@test -n "$(PYTHON)" || { echo "This project needs Python 3.11, 3.12 or 3.13; PATH has none of them. Install one, or run make PYTHON=/path/to/python." >&2; exit 2; }
	@[ $(INSTALLED) = $(LOCK) ] && grep -qsF '$(abspath $(BIN))/python' $(BIN)/lstm-text || $(PYTHON) -m venv --clear $(VENV)
	@echo $(LOCK) > $(VENV)/.lock
	@awk '/^uv==/{on=1} on{print} on&&!/\\$$/{exit}' $(LOCK) > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r $(LOCK)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

train: setup  ## Train on data/headlines.csv (DATA=file, ARGS="--section.field value")
	@$(BIN)/lstm-text train --data.path $(DATA) $(ARGS)

test: setup  ## Run the tests
	@$(BIN)/python -m pytest $(ARGS)

check: setup  ## Check format, lint, types and import contracts; change nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup  ## Format, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

ui: setup  ## Start the MLflow UI and a Prefect server on loopback (UI_PORT, PREFECT_PORT)
	@$(BIN)/lstm-text ui --mlflow-port $(UI_PORT) --prefect-port $(PREFECT_PORT)

serve: setup  ## Serve the champion over HTTP (MODEL, SERVE_PORT)
	@$(BIN)/lstm-text serve --model-uri models:/$(MODEL)@champion --port $(SERVE_PORT)

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra dev pyproject.toml

lock: setup  ## Write requirements.lock and requirements-gpu.lock from pyproject.toml
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --output-file requirements-gpu.lock --group gpu --constraint requirements.lock --excludes <(echo tensorflow-cpu)

docs: setup  ## Write docs/configuration.md, and the outputs in docs/tutorial.md (about 3 minutes)
	$(BIN)/python docs/write_configuration.py
	$(BIN)/python docs/write_tutorial.py

docs-site: $(DOCS_VENV)/.installed  ## Build the pages as a site in build/docs; a broken link is an error
	$(DOCS_VENV)/bin/python -m sphinx -W --keep-going -q -c docs/site . build/docs
	@echo build/docs/index.html

$(DOCS_VENV)/.installed: docs/site/requirements.txt | setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(DOCS_VENV)
	$(BIN)/uv pip install --quiet --python $(DOCS_VENV)/bin/python -r $<
	@touch $@

screenshots: setup  ## Write docs/images/ with Chromium (apt-get install chromium; CHROMIUM=path)
	$(BIN)/python docs/write_screenshots.py

bench: setup  ## Compare with linear models, fastText, Keras (DATA="a.csv b.parquet", ARGS="--seeds 1", TORCH=1)
	-@$(MAKE) --no-print-directory bench-peers
	@$(BIN)/python -W ignore benchmarks/bench.py $(DATA) --peers-python $(BENCH_VENV)/bin/python $(ARGS)

bench-cost: setup  ## Time and memory for 1,000 to 1,000,000 rows, with fastText (ARGS="--rows 1000 10000")
	-@$(MAKE) --no-print-directory bench-peers
	@$(BIN)/python -W ignore benchmarks/cost.py --peers-python $(BENCH_VENV)/bin/python $(ARGS)

bench-peers: $(BENCH_VENV)/.peers $(if $(TORCH),$(BENCH_VENV)/.torch)  ## Install fastText (TORCH=1: and PyTorch, 5 GB on Linux) in .bench-venv

# fastText needs an older NumPy than this project, and PyTorch is large.
$(BENCH_VENV)/.%: benchmarks/%-requirements.txt | setup
	@test -x $(BENCH_VENV)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(BENCH_VENV)
	$(BIN)/uv pip install --quiet --python $(BENCH_VENV)/bin/python -r $<
	@touch $@

bench-serving: setup  ## Compare the speed with MLflow and Keras (BENCH_DATA=file; about 10 minutes)
	@$(BIN)/python -W ignore benchmarks/serving.py $(BENCH_DATA) 2> >(grep -v -e port.cc -e WARNING -e INFO >&2)

bench-overhead: setup  ## Compare the time of the flow with that of the library (about 5 minutes)
	@$(BIN)/python -W ignore benchmarks/overhead.py

sweep: setup  ## Kill the first command of a new state folder every 0.2 s (about an hour; ARGS="--step 1")
	@$(BIN)/python tests/sweep_first_seconds.py $(ARGS)

SECONDS ?= 60
fuzz: setup  ## Try changed files and texts with the reader and a model (SECONDS=60, SEED=7 repeats a run)
	@TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

clean:  ## Remove the virtual environments (mlruns/ stays)
	rm -rf $(VENV) $(BENCH_VENV) $(DOCS_VENV)
