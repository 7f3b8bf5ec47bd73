# Everything a user starts. `make help` lists the targets; set-up happens by itself, once.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(foreach v,python3 python3.13 python3.12 python3.11,$(if $(shell $(v) -c 'import sys; sys.exit(not (3,11) <= sys.version_info < (3,14))' 2>/dev/null && echo ok),$(v))))
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?= data/headlines.csv
ARGS ?=
MODEL ?= text-classifier
UI_PORT ?= 5001
PREFECT_PORT ?= 4200
SERVE_PORT ?= 5002
BENCH_DATA ?= data/headlines.csv

# Telemetry off for every tool; state below mlruns/. `tasks/runtime/state/local_state.py` sets the same for the bare command.
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export GX_ANALYTICS_ENABLED := false

.PHONY: help setup train test check format ui serve lock docs bench-serving bench-overhead sweep clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# An environment holds its own path: in a checkout that was moved or copied it is made anew.
ifneq ($(wildcard $(BIN)/lstm-text),)
ifeq ($(shell grep -F '$(abspath $(BIN))/python' $(BIN)/lstm-text),)
.PHONY: $(VENV)/.installed
endif
endif

setup: $(VENV)/.installed  ## Create .venv and install the locked versions

# The lock names uv with its hash: pip installs that one file, uv the rest, compiled (imports are 3x faster so).
$(VENV)/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "expected Python 3.11, 3.12 or 3.13 on PATH, found: $$(python3 --version 2>&1). Install one, or run make PYTHON=/path/to/python." >&2; exit 2; }
	@grep -qsF '$(abspath $(BIN))/python' $(BIN)/lstm-text || $(PYTHON) -m venv --clear $(VENV)
	@awk '/^uv==/{on=1} on{print} on&&!/\\$$/{exit}' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

train: setup  ## Run the whole pipeline on data/headlines.csv (DATA=file, ARGS="--section.field value")
	@$(BIN)/lstm-text train --data.path $(DATA) $(ARGS)

test: setup  ## Run the tests
	@$(BIN)/python -m pytest $(ARGS)

check: setup  ## Format, lint, types, import contracts (changes nothing)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup  ## Format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

ui: setup  ## MLflow UI and Prefect server on loopback (UI_PORT, PREFECT_PORT)
	@$(BIN)/lstm-text ui --mlflow-port $(UI_PORT) --prefect-port $(PREFECT_PORT)

serve: setup  ## Serve the champion over HTTP (MODEL, SERVE_PORT)
	@$(BIN)/lstm-text serve --model-uri models:/$(MODEL)@champion --port $(SERVE_PORT)

lock: setup  ## Resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra dev pyproject.toml --output-file requirements.lock

docs: setup  ## Write docs/configuration.md from the config tree
	$(BIN)/python docs/write_configuration.py

bench-serving: setup  ## From text to label, beside stock MLflow and Keras (BENCH_DATA=file; about 10 minutes)
	@$(BIN)/python -W ignore benchmarks/serving.py $(BENCH_DATA) 2> >(grep -v -e port.cc -e WARNING -e INFO >&2)

bench-overhead: setup  ## What the flow costs beside the bare library (about 5 minutes)
	@$(BIN)/python -W ignore benchmarks/overhead.py

sweep: setup  ## Kill the first command of a new state folder at every 0.2 s (about an hour; ARGS="--step 1")
	@$(BIN)/python tests/sweep_first_seconds.py $(ARGS)

clean:  ## Remove the virtual environment (mlruns/ stays)
	rm -rf $(VENV)
