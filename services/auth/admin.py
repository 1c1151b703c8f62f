"""What the operator does with keys from the command line; works beside a running service and without one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final

from services.auth.domain.api_key import BOOTSTRAP_ID
from services.auth.domain.errors import KeyExists
from services.auth.domain.policy import DEFAULT_SCOPES, OPERATOR, Grant, Scope
from services.auth.keyring import OPERATOR_CALLER, Draft
from services.auth.settings import AuthSettings
from services.auth.wiring import Opened, opened
from services.runtime import private_file
from services.runtime.errors import KeyExpired, KeyInvalid, KeyRevoked
from services.runtime.key_format import key_id_of

FIRST_KEY_FILE: Final = "bootstrap.key"


async def ensure_admin_key(settings: AuthSettings) -> str | None:
    """Return the text of an administrator's key that works, None if there is none that can be shown.

    It is the configured bootstrap key; else the first key, which is made if there is no key at all and is kept in
    `bootstrap.key` in data_dir, so that later starts show the same one.
    """
    async with opened(settings) as auth:
        await auth.keyring.install_bootstrap()
        text = settings.bootstrap_text or await _first_key(settings, auth)
        if text is None:
            return None
        with contextlib.suppress(KeyInvalid, KeyExpired, KeyRevoked):
            key, _ = await auth.keyring.verify(text)
            return text if Scope.ADMIN in key.grant.scopes else None
        return None


async def create_key(
    settings: AuthSettings,
    *,
    name: str,
    scopes: Iterable[int] = (),
    models: Iterable[str] = (),
    environment: str = "live",
    expires_at_ms: int | None = None,
) -> tuple[str, str]:
    """Make a key with the operator's rights; return its id and its text, which is shown nowhere else.

    No scopes: inference and reading the catalogue. A running service sees the key within its poll interval.
    """
    grant = Grant(frozenset(scopes) or DEFAULT_SCOPES, tuple(models), environment, expires_at_ms)
    # The command may run without LLMHUB_BOOTSTRAP_KEY, so it leaves the bootstrap key of the service alone.
    async with opened(settings) as auth:
        key, text = await auth.keyring.create(OPERATOR_CALLER, Draft(name, grant))
        return key.key_id, text


async def _first_key(settings: AuthSettings, auth: Opened) -> str | None:
    path = settings.data_dir / FIRST_KEY_FILE
    has_keys = any(key.key_id != BOOTSTRAP_ID for key in await auth.store.page(2, None))
    # Read after the question: whoever made the key meanwhile wrote the file before it.
    kept = private_file.read(path)
    text = _well_formed(kept)
    if has_keys:
        return text
    if text is None:
        if kept is not None:
            path.unlink(missing_ok=True)
        # The file comes first: after a crash between the two the next start makes the key that it names.
        text = private_file.create(path, auth.keyring.new_text() + "\n").strip()
    with contextlib.suppress(KeyExists):
        await auth.keyring.adopt(text, Draft("administrator", OPERATOR))
    return text


def _well_formed(kept: str | None) -> str | None:
    """The key that the file holds, None if it holds none."""
    text = (kept or "").strip()
    try:
        return text if key_id_of(text) is not None else None
    except ValueError:
        return None
