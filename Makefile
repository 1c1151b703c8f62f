# Needs only make and Python 3.11 or newer; everything else is installed into .venv by tools/bootstrap.py.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# The first Python on the machine that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done || true)
BIN := .venv/bin
ARGS ?=
# Tests wait more than they compute: one process more than a small machine has cores.
TEST_PROCESSES ?= 3
TYPED := services tests tools $(if $(wildcard bench/*.py),bench) $(if $(wildcard sdk/python/*/*.py),sdk/python)

.PHONY: help run test check fmt lint types imports proto gen gen-check sizes conformance lock bench fuzz programs kill-test clean

help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ------------------------------------------------------------------------------------------ for users

run: .venv/.installed-run ## install what is needed and start the mesh (ARGS="--workers 2" for more)
	@exec $(BIN)/llmhub up $(ARGS)

# ------------------------------------------------------------------------------------- for developers

test: .venv/.installed-dev ## install what the tests need and run them (ARGS="tests/runtime -k deadline")
	@tools/debian-packages.sh
	@tools/node-packages.sh
	@$(BIN)/python -m pytest --numprocesses=$(TEST_PROCESSES) --dist=loadfile --ignore=tests/programs $(ARGS)

check: lint types imports proto gen-check sizes ## everything that needs no running service: format, lint, types, imports, proto, gen

fmt: .venv/.installed-dev ## format and mend what can be mended (Python and proto)
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format
	@$(BIN)/buf format --write

lint: .venv/.installed-dev ## ruff: format and lint
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check

types: .venv/.installed-dev ## mypy strict
	@$(BIN)/mypy $(TYPED)

imports: .venv/.installed-dev ## import-linter: which package may import which
	@$(BIN)/lint-imports --no-logo

proto: .venv/.installed-dev ## buf: lint, format, and no breaking change against the main branch
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code
	@tools/proto-breaking.sh

gen: .venv/.installed-dev ## generate gen/ and the SDK's messages from proto/ (needs Go and Node)
	@$(BIN)/python -m tools.gen

gen-check: .venv/.installed-dev ## fail when what is generated differs from what is committed
	@$(BIN)/python -m tools.gen --check

sizes: .venv/.installed-dev ## no file over 400 lines, no function over 60; rules of the repository
	@$(BIN)/python -m pytest -q tests/architecture

conformance: .venv/.installed-dev ## write docs/conformance.md anew: which recordings pass which tests
	@$(BIN)/python -m tools.conformance

lock: .venv/.installed-dev ## write the lock files anew from pyproject.toml (ARGS=--upgrade for newer versions)
	@tools/lock.sh $(ARGS)

bench: .venv/.installed-dev ## measure cost per call against peers (needs gcc or Node)
	@$(BIN)/python -m bench $(ARGS)

programs: .venv/.installed-dev ## install Claude Code, Codex, Gemini CLI and others (1 GB) and run them on llmhub
	@tools/programs.sh
	@$(BIN)/python -m pytest tests/programs $(ARGS)

fuzz: .venv/.installed-dev ## every parser on broken recordings for ten minutes (ARGS="--seconds 60 --only gemini")
	@$(BIN)/python -m tools.fuzz $(ARGS)

kill-test: .venv/.installed-dev ## the long run of kill -9 under load: 100 kills
	@LLMHUB_KILLS=100 $(BIN)/python -m pytest tests/crash $(ARGS)

clean: ## remove environments, caches and installed tools; data in .llmhub stays
	@rm -rf .venv .tools node_modules tests/clients/web/node_modules build dist
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -------------------------------------------------------------------------------------- environments

.venv/.installed-run: requirements.lock tools/uv.lock pyproject.toml tools/bootstrap.py
.venv/.installed-dev: requirements-dev.lock tools/uv.lock pyproject.toml tools/bootstrap.py
.venv/.installed-%:
	@test -n "$(PYTHON)" || { echo "setup: llmhub needs Python 3.11 or newer and found none; install it or say PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) tools/bootstrap.py $*
