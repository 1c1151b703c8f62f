#!/usr/bin/env bash
# Writes the lock files: hashes for every platform, no registry host, no machine path.
# usage: tools/lock.sh [--upgrade]
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-annotate \
        --custom-compile-command 'make lock' "${@}"
}

echo "lock: requirements.lock (what a running llmhub needs)"
compile pyproject.toml --group build --output-file requirements.lock "$@"
echo "lock: requirements-dev.lock (that, and what tests and generators need)"
compile pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock "$@"
echo "lock: tools/uv.lock (the installer itself)"
compile tools/uv.in --output-file tools/uv.lock "$@"
