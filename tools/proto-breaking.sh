#!/usr/bin/env bash
# Fails when proto/ breaks callers of the contract on the main branch.
set -euo pipefail
cd "$(dirname "$0")/.."

has_contract() { [ -n "$(git ls-tree -r --name-only "$1" -- proto/llmhub 2>/dev/null | grep '\.proto$' || true)" ]; }

base=
for ref in origin/main main HEAD; do
    if git rev-parse --quiet --verify "$ref^{commit}" >/dev/null 2>&1 && has_contract "$ref"; then
        base=$ref
        break
    fi
done
if [ -z "$base" ]; then
    echo "proto: nothing to compare with yet: no commit holds a contract"
    exit 0
fi

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
git archive "$base" -- proto buf.yaml | tar -x -C "$before"
.venv/bin/buf breaking --against "$before"
echo "proto: breaks nothing that $base promises"
