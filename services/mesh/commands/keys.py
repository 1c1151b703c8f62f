"""`llmhub keys`: works on the database itself, whether the server runs or not; a running one follows at once."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from services.mesh.faults import Misuse

if TYPE_CHECKING:
    from services.auth.domain.api_key import ApiKey
    from services.auth.settings import AuthSettings

_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PAGE: Final = 500


def create(options: argparse.Namespace) -> int:
    """Make a key; only its text goes to standard output, so that a script can take it."""
    from services.auth.app import create_key

    scopes = [_scope(name) for name in options.scope]
    expires = _expiry(options.expires_in)
    key_id, text = asyncio.run(
        create_key(
            _settings(options),
            name=options.name,
            scopes=scopes,
            models=options.model,
            environment=options.environment,
            expires_at_ms=expires,
        )
    )
    print(f"key {key_id} ({options.name}); keep its text, it is not stored:", file=sys.stderr)
    print(text)
    return 0


def list_keys(options: argparse.Namespace) -> int:
    """Print one line per key, newest first."""
    keys = asyncio.run(_all(_settings(options)))
    rows = [("KEY_ID", "NAME", "SCOPES", "CREATED", "STATE"), *map(_row, keys)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def revoke(options: argparse.Namespace) -> int:
    """End a key."""
    asyncio.run(_revoke(_settings(options), options.key_id))
    print(f"key {options.key_id} is revoked", file=sys.stderr)
    return 0


def _settings(options: argparse.Namespace) -> AuthSettings:
    from services.mesh.commands.opening import configure_logs, opened
    from services.mesh.resolve import auth_settings

    source = opened(options)
    configure_logs(source.config, "warning")
    return auth_settings(source.config, source.places)


async def _all(settings: AuthSettings) -> list[ApiKey]:
    from services.auth.ports import Position
    from services.auth.wiring import opened

    keys: list[ApiKey] = []
    async with opened(settings) as auth:
        while True:
            after = Position(keys[-1].created_at, keys[-1].key_id) if keys else None
            page = await auth.store.page(_PAGE, after)
            keys += page
            if len(page) < _PAGE:
                return keys


async def _revoke(settings: AuthSettings, key_id: str) -> None:
    from services.auth.keyring import OPERATOR_CALLER
    from services.auth.wiring import opened

    async with opened(settings) as auth:
        await auth.keyring.revoke(OPERATOR_CALLER, key_id)


def _row(key: ApiKey) -> tuple[str, ...]:
    from services.auth.domain.policy import Scope

    now = time.time() * 1000
    state = "valid"
    if key.revoked_at is not None:
        state = "revoked"
    elif key.grant.expires_at is not None:
        state = f"{'expired' if key.grant.expires_at <= now else 'until'} {_date(key.grant.expires_at)}"
    scopes = ",".join(Scope(scope).name.lower() for scope in sorted(key.grant.scopes))
    return key.key_id, key.name, scopes, _date(key.created_at), state


def _date(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _scope(name: str) -> int:
    from services.auth.domain.policy import Scope

    try:
        return Scope[name.upper().replace("-", "_")].value
    except KeyError:
        known = ", ".join(scope.name.lower() for scope in Scope)
        raise Misuse(f"no scope is called {name}; there are: {known}") from None


def _expiry(text: str | None) -> int | None:
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None:
        raise Misuse(f"{text!r} is no duration; write for example 12h, 30d or 4w")
    return int((time.time() + int(found[1]) * _SECONDS[found[2]]) * 1000)
