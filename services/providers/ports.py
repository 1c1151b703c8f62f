"""What the providers service needs from outside: a way to call a provider over HTTP, wherever it is hosted."""

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
    """Sends one request. Leaving the context closes the connection unless the body was read to its end.

    URLs are sent as they are written: whatever must be quoted in them is.
    """

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> AbstractAsyncContextManager[Answer]:
        """Send and wait for the headers. Raises UpstreamUnreachable, UpstreamTimeout, UpstreamFailed."""
        ...

    def get(
        self, url: str, headers: Mapping[str, str], deadlines: Deadlines
    ) -> AbstractAsyncContextManager[Answer]:
        """Ask and wait for the headers. Raises as post."""
        ...


class Platform(Protocol):
    """Where a dialect is hosted: makes of a dialect's request a call at the host, with the account's credentials.

    Paths are those of the dialect at its own vendor; headers are lower case and hold no credentials. The answer is in
    the dialect's own framing. Both raise as Transport does, UpstreamAuthFailed when no credential is to be had, and
    ProviderNotConfigured when one cannot be read.
    """

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
        """Send a request of the dialect for a model of the host."""
        ...

    def get(self, path: str, deadlines: Deadlines) -> AbstractAsyncContextManager[Answer]:
        """Ask for what the host has at a path, for example its models."""
        ...
