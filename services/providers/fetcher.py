"""The one place that fetches what a caller's URL points to.

https only, public addresses only, and the very address that was checked is the one that is connected to. No redirects,
no proxies, no cookies, no compression, nothing kept between calls. The URL is in no log and in no error.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from services.providers.domain.address import AddressRule, is_public
from services.providers.domain.fetching import Place, place_of, refusal, type_of
from services.providers.fetch_settings import FetchSettings
from services.runtime.errors import Overloaded
from services.runtime.log import get_logger

log = get_logger(__name__)

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Looks a host name up; addresses as text, in the order in which to try them. Raises OSError."""

_AT_ONCE: Final = 4
"""Fetches of one request that run at a time."""
_AT_ONCE_IN_ALL: Final = 32
_WAITING_IN_ALL: Final = 1000
_READ: Final = 64 * 1024
_HEADERS: Final = {"accept-encoding": "identity", "user-agent": "llmhub", "accept": "*/*"}
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A URL to fetch, what it is to be shown as, and the request's field it stands in."""

    url: str
    kind: int
    field: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was behind a URL."""

    data: bytes
    mime_type: str


async def look_up(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Fetcher:
    """Fetches under the guard of its settings. `settings` may be replaced while it runs."""

    def __init__(
        self, settings: FetchSettings, *, resolve: Resolve = look_up, allowed: AddressRule = is_public
    ) -> None:
        self.settings = settings
        self._resolve = resolve
        self._allowed = allowed
        self._slots = asyncio.Semaphore(_AT_ONCE_IN_ALL)
        self._waiting = 0

    @property
    def enabled(self) -> bool:
        """Whether anything is fetched at all."""
        return self.settings.enabled

    async def fetch(self, wanted: list[Wanted], seconds: float | None = None) -> dict[str, Fetched]:
        """Fetch several URLs, each once, within the settings' time limit and `seconds`; return what is behind each.

        Raises RequestInvalid naming the field of the first URL that may not or could not be fetched; nothing goes on
        being fetched then.
        """
        settings = self.settings
        asked: dict[str, Wanted] = {}
        for each in wanted:
            asked.setdefault(each.url, each)
        if len(asked) > settings.max_per_request:
            raise refusal(
                wanted[-1].field, f"a request may have at most {settings.max_per_request} URLs fetched"
            )
        if self._waiting + len(asked) > _WAITING_IN_ALL:
            raise Overloaded("too many URLs are being fetched", retry_after=1.0)
        limit = settings.timeout if seconds is None else min(settings.timeout, max(seconds, 0.0))
        until = asyncio.get_running_loop().time() + limit
        turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting += len(asked)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    url: group.create_task(self._one(each, turn, until, settings))
                    for url, each in asked.items()
                }
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            self._waiting -= len(asked)
        return {url: task.result() for url, task in tasks.items()}

    async def _one(
        self, wanted: Wanted, turn: asyncio.Semaphore, until: float, settings: FetchSettings
    ) -> Fetched:
        try:
            async with asyncio.timeout_at(until), turn, self._slots:
                return await self._guarded(wanted, settings)
        except TimeoutError:
            raise refusal(wanted.field, "the URL did not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Such errors quote the URL, whose query may be a secret: only their kind goes on.
            log.info("url not fetched", error=type(error).__name__)
            raise refusal(wanted.field, "the URL could not be fetched") from None

    async def _guarded(self, wanted: Wanted, settings: FetchSettings) -> Fetched:
        place = place_of(wanted.url, settings.ports, wanted.field)
        addresses = await self._checked(place, wanted.field)
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(place.host, addresses),
            socket_factory=_only(frozenset(addresses)),
            use_dns_cache=False,
            force_close=True,
            ssl=self._trust,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=_NO_TIMEOUT,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers=_HEADERS,
            ) as session,
            session.get(URL(wanted.url, encoded=True), allow_redirects=False) as answer,
        ):
            mime_type = _taken(answer.status, answer.headers, wanted, settings)
            return Fetched(await _read(answer, wanted.field, settings.max_bytes), mime_type)

    async def _checked(self, place: Place, field: str) -> list[str]:
        """Look the host up, once, and return its addresses; every one of them must be allowed."""
        try:
            addresses = await self._resolve(place.host, place.port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise refusal(field, "the host of the URL is not known")
        if not all(map(self._allowed, addresses)):
            raise refusal(field, "the host of the URL is not on the public internet")
        return addresses

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        ca = self.settings.ca
        return ssl.create_default_context(cafile=None if ca is None else str(ca))


class _Pinned(AbstractResolver):
    """Knows one host, and of it only the addresses that were checked."""

    def __init__(self, host: str, addresses: list[str]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host.rstrip(".").lower() != self._host.lower():
            raise OSError("another host than the one that was checked")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _only(checked: frozenset[str]) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    """Return what makes a socket, for the checked addresses alone: the last gate before a connection."""

    def make(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if str(address[0]) not in checked:
            raise OSError("another address than the one that was checked")
        return socket.socket(family, kind, protocol)

    return make


def _taken(status: int, headers: Mapping[str, str], wanted: Wanted, settings: FetchSettings) -> str:
    """Return the media type of an answer that may be read; else raise RequestInvalid."""
    field = wanted.field
    if 300 <= status < 400:
        raise refusal(field, "the URL redirects, which is not followed")
    if status != 200:
        raise refusal(field, f"the URL answered with the HTTP status {status}")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise refusal(field, "the URL answered in a compressed form that was not asked for")
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > settings.max_bytes:
        raise refusal(field, f"what the URL points to is larger than {settings.max_bytes} bytes")
    return type_of(headers.get("content-type", ""), wanted.kind, settings.content_types, field)


async def _read(answer: aiohttp.ClientResponse, field: str, limit: int) -> bytes:
    pieces = bytearray()
    while piece := await answer.content.read(_READ):
        pieces += piece
        if len(pieces) > limit:
            raise refusal(field, f"what the URL points to is larger than {limit} bytes")
    return bytes(pieces)
