#!/usr/bin/env bash
# Installs the npm packages of the tests that drive a browser client, when they are there and have changed.
set -euo pipefail
cd "$(dirname "$0")/../tests/clients/web" 2>/dev/null || exit 0
[ -f package-lock.json ] || exit 0

if ! command -v npm >/dev/null; then
    echo "test: the web client tests need Node 20 or newer with npm: install nodejs and npm"
    exit 0
fi
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "test: installing npm packages of tests/clients/web"
    npm ci --no-audit --no-fund --loglevel=error </dev/null
    touch node_modules/.package-lock.json
fi
