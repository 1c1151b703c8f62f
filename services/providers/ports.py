"""What the providers service needs from outside: a way to call a provider over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.providers.domain.limits import Deadlines


class Answer(Protocol):
    """A provider's HTTP answer whose headers have arrived."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, names in lower case."""
        ...

    async def read(self) -> bytes:
        """Return the whole body.

        Raises UpstreamTimeout, UpstreamFailed (cut), UpstreamProtocol (over the size limit).
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises as read, when a limit of the deadlines passes."""
        ...


class Transport(Protocol):
    """Sends one request. Leaving the context closes the connection unless the body was read to its end."""

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> AbstractAsyncContextManager[Answer]:
        """Send and wait for the headers. Raises UpstreamUnreachable, UpstreamTimeout, UpstreamFailed."""
        ...
