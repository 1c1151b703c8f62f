"""The adapters of this process, by provider, replaced one by one when the configuration changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Self

from services.providers.domain.adapter import Adapter
from services.providers.settings import Account, ProvidersSettings
from services.runtime.errors import ProviderNotFound
from services.runtime.log import get_logger

log = get_logger(__name__)

AdapterFactory = Callable[[Account, ProvidersSettings], AbstractAsyncContextManager[Adapter]]
"""Makes the adapter of an account; leaving the context closes its connections."""

_CLOSE_AFTER = 1800.0
"""Seconds a replaced adapter stays open for the calls it still carries: longer than any call may last by default."""


class AdapterPool:
    """Holds one open adapter per account."""

    def __init__(self, factory: AdapterFactory) -> None:
        self._factory = factory
        self._open: dict[str, tuple[Account, Adapter, AbstractAsyncContextManager[Adapter]]] = {}
        self._retired: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._retired:
            task.cancel()
        await asyncio.gather(*self._retired, return_exceptions=True)
        for _account, _adapter, context in self._open.values():
            await context.__aexit__(None, None, None)
        self._open.clear()

    async def apply(self, settings: ProvidersSettings) -> None:
        """Open new and changed accounts, then retire what they replace. Running calls are not touched."""
        async with self._lock:
            for name, account in settings.accounts.items():
                known = self._open.get(name)
                if known is not None and known[0] == account:
                    continue
                context = self._factory(account, settings)
                self._open[name] = (account, await context.__aenter__(), context)
                if known is not None:
                    self._retire(name, known[2])
            for name in [name for name in self._open if name not in settings.accounts]:
                self._retire(name, self._open.pop(name)[2])

    def adapter(self, provider: str) -> Adapter:
        """Return the adapter of a provider. Raises ProviderNotFound."""
        return self.entry(provider)[1]

    def entry(self, provider: str) -> tuple[Account, Adapter]:
        """Return a provider's account and adapter. Raises ProviderNotFound."""
        known = self._open.get(provider)
        if known is None:
            message = f"this process serves no provider {provider}"
            raise ProviderNotFound(message, provider=provider)
        return known[0], known[1]

    def _retire(self, name: str, context: AbstractAsyncContextManager[Adapter]) -> None:
        async def close_later() -> None:
            try:
                await asyncio.sleep(_CLOSE_AFTER)
            finally:
                await context.__aexit__(None, None, None)

        log.info("provider account replaced", provider=name)
        task = asyncio.get_running_loop().create_task(close_later())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)
