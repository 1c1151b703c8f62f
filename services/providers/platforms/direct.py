"""A dialect at its own vendor, or at a server that copies it: the dialect's paths below a base URL."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from services.providers import credentials
from services.providers.domain.limits import Deadlines
from services.providers.ports import Answer, Transport
from services.providers.settings import Account


class Direct:
    """Adds the base URL and the account's headers, nothing else; see ports.Platform."""

    __slots__ = ("_base", "_own", "_transport")

    def __init__(self, account: Account, transport: Transport) -> None:
        self._base = account.base_url.rstrip("/")
        self._own = credentials.headers(account)
        self._transport = transport

    def post(
        self,
        path: str,
        model: str,
        headers: Mapping[str, str],
        body: bytes,
        deadlines: Deadlines,
        *,
        stream: bool = False,
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a request."""
        sent = {"content-type": "application/json", **headers, **self._own}
        return self._transport.post(self._base + path, sent, body, deadlines)

    def get(self, path: str, deadlines: Deadlines) -> AbstractAsyncContextManager[Answer]:
        """Ask for what is at a path."""
        return self._transport.get(self._base + path, self._own, deadlines)
