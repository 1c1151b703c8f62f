"""The only file that calls a provider: connection pools, time limits, and foreign errors made ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

import aiohttp

from services.providers.domain.limits import Deadlines
from services.runtime.errors import (
    LlmhubError,
    UpstreamFailed,
    UpstreamProtocol,
    UpstreamTimeout,
    UpstreamUnreachable,
)

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None)


class HttpTransport:
    """Calls one provider over HTTP/1.1 with pooled connections.

    Redirects are not followed and the environment's proxies are not used: calls go where the configuration says,
    nowhere else. Answers are asked for uncompressed, so that a relayed stream costs no decompression.
    """

    def __init__(self, provider: str, *, max_connections: int, max_response_bytes: int) -> None:
        self._provider = provider
        self._max_connections = max_connections
        self._max_response_bytes = max_response_bytes
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=self._max_connections, ttl_dns_cache=60, keepalive_timeout=30, enable_cleanup_closed=False
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=_NO_TIMEOUT,
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
            headers={"accept-encoding": "identity", "user-agent": "llmhub"},
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> AsyncIterator[HttpAnswer]:
        """Send and wait for the answer's headers; see ports.Transport."""
        if self._session is None:
            message = "the transport is used inside its context"
            raise RuntimeError(message)
        loop = asyncio.get_running_loop()
        until, phase = deadlines.wait(loop.time())
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=deadlines.connect)
        try:
            async with asyncio.timeout_at(until):
                response = await self._session.post(
                    url, data=body, headers=headers, allow_redirects=False, timeout=timeout
                )
        except (aiohttp.ClientError, OSError) as error:
            raise self.translate(error, phase) from error
        try:
            yield HttpAnswer(response, deadlines, self)
        finally:
            # Releases a connection whose body was read to its end; closes the socket otherwise, which is what tells the
            # provider to stop.
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    @property
    def max_response_bytes(self) -> int:
        """Largest whole answer accepted."""
        return self._max_response_bytes

    def translate(self, error: Exception, phase: str) -> LlmhubError:
        """Return ours for a failure of the HTTP library; `phase` is the wait that was going on."""
        provider = self._provider
        match error:
            case aiohttp.ConnectionTimeoutError():
                return UpstreamTimeout(
                    f"{provider} did not accept a connection in time", provider=provider, phase="connect"
                )
            case TimeoutError():
                return UpstreamTimeout(
                    f"{provider} did not answer in time ({phase})", provider=provider, phase=phase
                )
            case aiohttp.ClientConnectorError() | aiohttp.InvalidURL():
                return UpstreamUnreachable(f"{provider} cannot be reached", provider=provider)
            case aiohttp.ClientResponseError():
                return UpstreamProtocol(f"{provider} sent a broken HTTP answer", provider=provider)
            case _:
                return UpstreamFailed(f"{provider} closed the connection early", provider=provider)


class HttpAnswer:
    """An answer whose headers have arrived; see ports.Answer."""

    def __init__(self, response: aiohttp.ClientResponse, deadlines: Deadlines, owner: HttpTransport) -> None:
        self._response = response
        self._deadlines = deadlines
        self._owner = owner

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers; look-up ignores case."""
        return self._response.headers

    async def read(self) -> bytes:
        """Return the whole body."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self.chunks():
            size += len(piece)
            if size > self._owner.max_response_bytes:
                message = f"the answer is larger than {self._owner.max_response_bytes} bytes"
                raise UpstreamProtocol(message)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        content = self._response.content
        loop = asyncio.get_running_loop()
        phase = ""
        while True:
            try:
                until, phase = self._deadlines.wait(loop.time())
                # The limit covers the wait for the provider only, never the time the consumer takes.
                async with asyncio.timeout_at(until):
                    data = await content.readany()
            except (aiohttp.ClientError, OSError) as error:
                raise self._owner.translate(error, phase) from error
            if not data:
                return
            yield data
