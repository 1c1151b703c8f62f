"""The only file that calls a provider: connection pools, time limits, and foreign errors made ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import Self

import aiohttp
from yarl import URL

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

    def post(self, url: str, headers: Mapping[str, str], body: bytes, deadlines: Deadlines) -> _Exchange:
        """Send and wait for the answer's headers; see ports.Transport."""
        return _Exchange(self, "POST", url, headers, body, deadlines)

    def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> _Exchange:
        """Ask and wait for the answer's headers; see ports.Transport."""
        return _Exchange(self, "GET", url, headers, None, deadlines)

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open session."""
        if self._session is None:
            message = "the transport is used inside its context"
            raise RuntimeError(message)
        return self._session

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


class _Exchange:
    """One request, and its answer while the context lasts. A class, because a generator costs four times as much."""

    __slots__ = ("_body", "_deadlines", "_headers", "_method", "_owner", "_response", "_session", "_url")

    def __init__(
        self,
        owner: HttpTransport,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadlines: Deadlines,
    ) -> None:
        self._owner = owner
        self._session = owner.session
        self._method = method
        self._url = url
        self._headers = headers
        self._body = body
        self._deadlines = deadlines

    async def __aenter__(self) -> HttpAnswer:
        deadlines = self._deadlines
        until, phase = deadlines.wait(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout_at(until):
                self._response = await self._session.request(
                    self._method,
                    _address(self._url),
                    data=self._body,
                    headers=self._headers,
                    allow_redirects=False,
                    timeout=_connecting(deadlines.connect),
                )
        except (aiohttp.ClientError, OSError) as error:
            raise self._owner.translate(error, phase) from error
        return HttpAnswer(self._response, deadlines, self._owner)

    async def __aexit__(self, *_: object) -> None:
        # Releases a connection whose body was read to its end; closes the socket otherwise, which is what tells the
        # provider to stop.
        response = self._response
        if response.content.at_eof():
            response.release()
        else:
            response.close()


@lru_cache(maxsize=1024)
def _address(url: str) -> URL:
    """Take the address letter by letter: a signature may cover how it is written."""
    try:
        return URL(url, encoded=True)
    except ValueError as error:
        raise aiohttp.InvalidURL(url) from error


@lru_cache(maxsize=64)
def _connecting(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds)


class HttpAnswer:
    """An answer whose headers have arrived; see ports.Answer.

    One timer serves all waits for the body: it is set once and, when it rings, asks whether the wait it was set for is
    still the one that goes on. A timer per read would cost as much as the read.
    """

    __slots__ = ("_deadlines", "_loop", "_owner", "_phase", "_response", "_timer", "_timer_at", "_until")

    def __init__(self, response: aiohttp.ClientResponse, deadlines: Deadlines, owner: HttpTransport) -> None:
        self._response = response
        self._deadlines = deadlines
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._phase = ""
        self._until: float | None = None
        """When the wait that goes on has to end; None while nobody waits."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

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
        try:
            while data := await self._next():
                size += len(data)
                if size > self._owner.max_response_bytes:
                    message = f"the answer is larger than {self._owner.max_response_bytes} bytes"
                    raise UpstreamProtocol(message)
                pieces.append(data)
        finally:
            self._stop()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        try:
            while data := await self._next():
                yield data
        finally:
            self._stop()

    async def _next(self) -> bytes:
        """Return what has arrived, or wait for more; empty at the end."""
        content = self._response.content
        # The limit covers the wait for the provider only, never the time the consumer takes.
        until, self._phase = self._deadlines.wait(self._loop.time())
        self._until = until
        if self._timer is None or until < self._timer_at:
            self._ring_at(until)
        try:
            return await content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise self._owner.translate(error, self._phase) from error
        finally:
            self._until = None

    def _ring_at(self, when: float) -> None:
        self._stop()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._until is None:
            return
        if self._until > self._timer_at:
            self._ring_at(self._until)
        else:
            self._response.content.set_exception(TimeoutError())

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
