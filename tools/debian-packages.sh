#!/usr/bin/env bash
# Installs the Debian packages some tests need; without root it only says which ones are missing.
set -euo pipefail

# package | what shows that it is there | what needs it
needed=(
    "chromium|chromium google-chrome|the gRPC-Web page in a browser"
    "postgresql|/usr/lib/postgresql/*/bin/postgres|storage on PostgreSQL"
    "redis-server|redis-server|Redis"
)

present() {
    local name
    for name in $1; do
        case "$name" in
        /*) compgen -G "$name" >/dev/null && return 0 ;;
        *) command -v "$name" >/dev/null && return 0 ;;
        esac
    done
    return 1
}

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    # A continuous integration machine may hand out root without a password; nobody else is asked for it.
    if [ -n "${CI:-}" ] && sudo -n true 2>/dev/null; then as_root=(sudo -n); else as_root=(false); fi
fi
can_install() { [ "${as_root[*]:-}" != false ] && command -v apt-get >/dev/null; }

set -f # the patterns above are for compgen
missing=()
for line in "${needed[@]}"; do
    IFS='|' read -r package shown_by reason <<<"$line"
    if ! present "$shown_by"; then
        missing+=("$package")
        can_install || echo "test: tests on $reason need $package: install it with your package manager"
    fi
done
if [ "${#missing[@]}" -eq 0 ] || ! can_install; then exit 0; fi

# The servers are started by tests, on ports and folders of their own; none may start with the machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod +x "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
echo "test: installing Debian packages: ${missing[*]}"
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq)
if ! { "${install[@]}" update && "${install[@]}" install --yes --no-install-recommends "${missing[@]}"; } </dev/null >/dev/null; then
    echo "test: ${missing[*]} could not be installed; the tests that need them say so"
fi
