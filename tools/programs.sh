#!/usr/bin/env bash
# Installs the programs that tests/programs drives into .tools/programs: what is missing, in the locked versions.
# usage: tools/programs.sh [--lock]     (--lock writes the lock files anew)
set -euo pipefail
cd "$(dirname "$0")/.."
source=tests/programs
target=.tools/programs
uv=.venv/bin/uv
groups="libraries litellm"

if [ "${1:-}" = --lock ]; then
    (cd "$source/node" && npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved \
        --loglevel=error </dev/null)
    for group in $groups; do
        "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
            --no-emit-index-url --no-emit-find-links --no-annotate --upgrade \
            --custom-compile-command 'tools/programs.sh --lock' \
            "$source/python/$group.in" --output-file "$source/python/$group.lock"
    done
    exit 0
fi

# up_to_date LOCK FOLDER: what is installed there is what the lock file says.
up_to_date() { cmp --quiet "$1" "$2/.installed"; }

if ! command -v npm >/dev/null; then
    echo "programs: Claude Code, Codex CLI and Gemini CLI need Node 20 or newer with npm: install nodejs and npm" >&2
    exit 1
fi
lock=$source/node/package-lock.json
if ! up_to_date "$lock" "$target/node"; then
    echo "programs: installing Claude Code, Codex CLI and Gemini CLI (about 900 MB)"
    mkdir -p "$target/node"
    cp "$source/node/package.json" "$lock" "$target/node/"
    # No package's script runs but the one that puts Claude Code's program into its place.
    (cd "$target/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null &&
        node node_modules/@anthropic-ai/claude-code/install.cjs)
    cp "$lock" "$target/node/.installed"
fi
for group in $groups; do
    lock=$source/python/$group.lock
    if ! up_to_date "$lock" "$target/$group"; then
        echo "programs: installing $source/python/$group.in"
        "$uv" venv --quiet --clear --python .venv/bin/python "$target/$group"
        "$uv" pip sync --quiet --python "$target/$group/bin/python" --require-hashes "$lock"
        cp "$lock" "$target/$group/.installed"
    fi
done
