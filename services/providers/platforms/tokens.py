"""Bearer tokens that expire: cached, renewed ahead of time by one flight, and put on every request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from services.providers.domain.limits import Deadlines
from services.providers.platforms.late import LateExchange
from services.providers.ports import Answer, Transport
from services.runtime.errors import LlmhubError, UpstreamAuthFailed, UpstreamFailed
from services.runtime.log import get_logger

log = get_logger(__name__)

_MARGIN: Final = 10.0
"""Seconds before its end from which a token is no longer sent."""
_AHEAD: Final = 300.0
"""Seconds before its end from which a token is renewed while calls go on with it, at most a fifth of its life."""
_AGAIN: Final = 30.0
"""Seconds between tries to renew a token that still holds."""
_FETCH: Final = 30.0
"""Seconds that one fetch may take."""
_DEFAULT_LIFE: Final = 3600.0
_FORM: Final = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Token:
    """A token and how long it lives, in seconds from when it was got."""

    value: str
    life: float


Fetch = Callable[[], Awaitable[Token]]
"""Gets a new token. Raises LlmhubError."""


class TokenSource:
    """Keeps one token fresh. However many wait, one fetch runs; a caller that leaves does not end it."""

    def __init__(self, provider: str, fetch: Fetch) -> None:
        self._provider = provider
        self._fetch = fetch
        self._value = ""
        self._ends_at = self._renew_at = float("-inf")
        self._flight: asyncio.Task[str] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    def at_hand(self) -> str | None:
        """Return a token that can be sent now, None if one has to be waited for."""
        now = asyncio.get_running_loop().time()
        if now >= self._ends_at - _MARGIN:
            return None
        if now >= self._renew_at and self._flight is None:
            self._renew_at = now + _AGAIN
            self._start()
        return self._value

    async def get(self) -> str:
        """Return a token, waiting for it if need be. Raises what the fetch raises."""
        token = self.at_hand()
        return await asyncio.shield(self._flight or self._start()) if token is None else token

    def _start(self) -> asyncio.Task[str]:
        self._flight = asyncio.get_running_loop().create_task(self._renewed(), name="renew-token")
        self._flight.add_done_callback(self._landed)
        return self._flight

    async def _renewed(self) -> str:
        token = await self._fetch()
        now = asyncio.get_running_loop().time()
        self._value = token.value
        self._ends_at = now + token.life
        self._renew_at = self._ends_at - min(_AHEAD, token.life / 5)
        return token.value

    def _landed(self, flight: asyncio.Task[str]) -> None:
        self._flight = None
        if not flight.cancelled() and (error := flight.exception()) is not None:
            reason = error.reason if isinstance(error, LlmhubError) else type(error).__name__
            log.warning("token not renewed", provider=self._provider, reason=reason)


class TokenTransport:
    """Puts the source's token on what the transport inside sends; see ports.Transport."""

    __slots__ = ("_inner", "_provider", "_tokens")

    def __init__(self, provider: str, inner: Transport, tokens: TokenSource) -> None:
        self._provider = provider
        self._inner = inner
        self._tokens = tokens

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> AbstractAsyncContextManager[Answer]:
        """Send with a token."""
        token = self._tokens.at_hand()
        if token is not None:
            return self._inner.post(url, _with(headers, token), body, deadlines)

        async def begin() -> AbstractAsyncContextManager[Answer]:
            return self._inner.post(url, _with(headers, await self._tokens.get()), body, deadlines)

        return LateExchange(self._provider, begin, deadlines)

    def get(
        self, url: str, headers: Mapping[str, str], deadlines: Deadlines
    ) -> AbstractAsyncContextManager[Answer]:
        """Ask with a token."""

        async def begin() -> AbstractAsyncContextManager[Answer]:
            return self._inner.get(url, _with(headers, await self._tokens.get()), deadlines)

        return LateExchange(self._provider, begin, deadlines)


def _with(headers: Mapping[str, str], token: str) -> dict[str, str]:
    return {**headers, "authorization": f"Bearer {token}"}


async def fetch_oauth(provider: str, transport: Transport, url: str, form: bytes) -> Token:
    """Ask an OAuth 2 token endpoint. Raises UpstreamAuthFailed, with the endpoint's error code, and as Transport."""
    now = asyncio.get_running_loop().time()
    limits = Deadlines(_FETCH, now + _FETCH, _FETCH, now + _FETCH)
    async with transport.post(url, _FORM, form, limits) as answer:
        body = await answer.read()
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        said = {}
    told: dict[str, Any] = said if isinstance(said, dict) else {}
    if answer.status >= 500:
        raise UpstreamFailed(f"{provider}'s token endpoint failed with {answer.status}", provider=provider)
    value = told.get("access_token")
    if answer.status != 200 or not isinstance(value, str) or not value:
        code = told.get("error")
        why = code[:100] if isinstance(code, str) else f"status {answer.status}"
        text = f"{provider}'s token endpoint refused the credentials: {why}"
        raise UpstreamAuthFailed(text, provider=provider)
    return Token(value, _life(told.get("expires_in")))


def _life(value: Any) -> float:
    """Seconds, which some endpoints write as text."""
    try:
        life = float(value)
    except (TypeError, ValueError):
        return _DEFAULT_LIFE
    return life if 0 < life < 1e9 else _DEFAULT_LIFE
