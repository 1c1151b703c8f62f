"""Dialects from other packages: found by entry points, opened and called so that their failure stays theirs.

A package offers a dialect by an entry point of the group `llmhub.providers`: its name is the dialect's name, its value
a ProviderPlugin. examples/provider_plugin is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Protocol

from services.providers.adapters.closed import ClosedAdapter
from services.providers.adapters.guarded import FAILURES, GuardedAdapter
from services.providers.domain.adapter import Adapter
from services.providers.plugin_names import GROUP
from services.providers.settings import Account
from services.runtime.errors import LlmhubError
from services.runtime.log import get_logger

log = get_logger(__name__)

_OPENING: Final = 30.0
"""Seconds a plug-in may take to open."""


class ProviderPlugin(Protocol):
    """Makes the adapter of one account.

    The context is entered when the account is first configured or has changed, and left when no call uses it any
    more; connections and tasks belong inside it. `account.options` holds what the file says for the plug-in alone.
    """

    def __call__(self, account: Account) -> AbstractAsyncContextManager[Adapter]:
        """Return the context in which the account's adapter is open."""
        ...


@asynccontextmanager
async def plugged(account: Account) -> AsyncGenerator[Adapter, None]:
    """Open an account's plug-in. One that cannot be loaded or opened leaves its provider not configured."""
    found = tuple(entry_points(group=GROUP, name=account.dialect))
    try:
        context = _context(account, found)
        async with asyncio.timeout(_OPENING):
            adapter: Any = await context.__aenter__()
    except FAILURES as error:
        why = error.message if isinstance(error, LlmhubError) else type(error).__name__
        reason = f"its plug-in {account.dialect} cannot be opened: {why}"
        log.exception("plug-in not opened", dialect=account.dialect, provider=account.name)
        yield ClosedAdapter(account.name, reason)
        return
    try:
        yield GuardedAdapter(adapter, account)
    finally:
        try:
            await context.__aexit__(None, None, None)
        except FAILURES:
            log.exception("plug-in not closed", dialect=account.dialect, provider=account.name)


def _context(account: Account, found: tuple[EntryPoint, ...]) -> AbstractAsyncContextManager[Adapter]:
    if not found:
        message = f"no installed package offers {account.dialect}"
        raise LookupError(message)
    if len(found) > 1:
        message = f"{len(found)} installed packages offer {account.dialect}"
        raise LookupError(message)
    plugin: ProviderPlugin = found[0].load()
    return plugin(account)
