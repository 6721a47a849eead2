# `make demo` and `make test` set everything up by themselves; nothing is installed outside .venv.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ROOMS := blocks cli deployments faberdb flows tasks

# Hundreds of modules, compiled once and not at each start of each process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint check lock clean

demo: $(READY)
	@exec $(BIN)/faber-db demo

# Two at a time: tests wait for disks and processes more than they compute. Each worker has servers of its own.
test: $(READY)
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found on the PATH."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q $(ROOMS)
	@touch $@

lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-header --no-emit-index-url --group dev pyproject.toml --upgrade --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-header --no-emit-index-url --constraint <(sed -E 's/ \\$$//; /^ /d' requirements.lock) pyproject.toml \
		--output-file deployments/container/requirements.lock

clean:
	rm -rf $(VENV) .faber .mypy_cache .ruff_cache .pytest_cache
