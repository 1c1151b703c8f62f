"""API keys to principals without a call per request, current to within a second of every change."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextvars import Context
from dataclasses import dataclass
from hashlib import sha256
from types import TracebackType
from typing import Final, Self

import grpc.aio

from llmhub.auth.v1 import auth_service_pb2, auth_service_pb2_grpc
from services.runtime.clock import Clock, SystemClock
from services.runtime.context import Principal
from services.runtime.errors import (
    KeyExpired,
    KeyInvalid,
    KeyRevoked,
    LlmhubError,
    ServiceUnavailable,
)
from services.runtime.key_format import key_id_of
from services.runtime.log import get_logger
from services.runtime.metrics import KEY_CACHE_HITS, KEY_CACHE_MISSES, KEY_CACHE_SIZE
from services.runtime.status import from_rpc_error

CAPACITY: Final = 100_000
REFUSED_CAPACITY: Final = 10_000

_TTL: Final = 30.0
_REFRESH_AFTER: Final = 20.0
_REFUSED_TTL: Final = 5.0
_BEAT_IS_LATE: Final = 1.5
_OLD_WITHOUT_BEATS: Final = 1.0
_VERIFY_SECONDS: Final = 3.0
_RECHECK_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 3.0
_MOST_CALLS: Final = 64
_LONGEST_PAUSE: Final = 1.0

_REFUSALS: Final = (KeyInvalid, KeyExpired, KeyRevoked)
_LOGGER = get_logger(__name__)


@dataclass(slots=True)
class _Entry:
    """A verified key; times on the monotonic clock. `ends_at`: the cache's limit, the key's or the secret's."""

    principal: Principal
    verified_at: float
    refresh_at: float
    ends_at: float
    epoch: int


@dataclass(frozen=True, slots=True)
class _Refusal:
    error: LlmhubError
    key_id: str | None
    ends_at: float


class KeyCache:
    """Authenticates API keys, asking AuthService once per key and 30 s; use it as an async context manager.

    A change that AuthService announces takes effect at once. While it does not prove by its beats that nothing was
    missed, answers older than a second are asked for again; while it cannot be reached at all, they serve to their end.
    Tokens are kept only as SHA-256.
    """

    def __init__(self, auth_channel: grpc.aio.Channel, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._monotonic = self._clock.monotonic
        self._stub: auth_service_pb2_grpc.AuthServiceStub = auth_service_pb2_grpc.AuthServiceStub(
            auth_channel
        )
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._digests: dict[str, set[bytes]] = {}
        self._refusals: OrderedDict[bytes, _Refusal] = OrderedDict()
        self._flights: dict[bytes, asyncio.Task[_Entry | LlmhubError]] = {}
        self._changed_meanwhile: dict[bytes, set[str]] = {}
        self._calls = asyncio.Semaphore(_MOST_CALLS)
        # Entries of another epoch were verified before the running watch began, so changes may have been missed.
        self._epoch = 0
        self._current_until = float("-inf")
        self._unreachable_until = float("-inf")
        self._watching: asyncio.Task[None] | None = None
        self._unwatch: tuple[Callable[[], None], ...] = ()
        self.hits = 0
        self.misses = 0

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch(), name="key-cache-watch")
        self._unwatch = (
            KEY_CACHE_HITS.watch(lambda: self.hits),
            KEY_CACHE_MISSES.watch(lambda: self.misses),
            KEY_CACHE_SIZE.watch(self.__len__),
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for unwatch in self._unwatch:
            unwatch()
        tasks = [*self._flights.values(), *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __len__(self) -> int:
        """Keys held."""
        return len(self._entries)

    def ready(self) -> bool:
        """Whether AuthService has been heard once, so that keys can be verified."""
        return self._current_until != float("-inf")

    async def authenticate(self, token: str) -> Principal:
        """Return who holds the key.

        Raises KeyInvalid, KeyExpired or KeyRevoked; ServiceUnavailable if AuthService is needed and does not answer.
        """
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        entry = self._entries.get(digest)
        if entry is not None:
            now = self._monotonic()
            if now < entry.refresh_at and now < self._current_until and entry.epoch == self._epoch:
                self._entries.move_to_end(digest)
                self.hits += 1
                return entry.principal
            if now < entry.ends_at:
                self.hits += 1
                return await self._recheck(token, digest, entry, now)
        self.misses += 1
        return await self._miss(token, digest)

    async def _miss(self, token: str, digest: bytes) -> Principal:
        refusal = self._refusals.get(digest)
        if refusal is not None and self._monotonic() < refusal.ends_at:
            raise _copy(refusal.error)
        try:
            key_id = key_id_of(token)
        except ValueError as fault:
            raise KeyInvalid(str(fault)) from None
        # Shielded: other callers wait for the same answer.
        outcome = await asyncio.shield(self._flight(token, digest, key_id))
        if isinstance(outcome, LlmhubError):
            raise _copy(outcome)
        return outcome.principal

    async def _recheck(self, token: str, digest: bytes, entry: _Entry, now: float) -> Principal:
        """Handle an entry that is within its time and either due for a refresh or not known to be current."""
        if now < self._current_until and entry.epoch == self._epoch:
            entry.refresh_at = min(now + 1.0, entry.ends_at)
            self._flight(token, digest, entry.principal.key_id)
            return entry.principal
        if now - entry.verified_at < _OLD_WITHOUT_BEATS or now < self._unreachable_until:
            return entry.principal
        flight = self._flight(token, digest, entry.principal.key_id)
        await asyncio.wait((flight,), timeout=_RECHECK_SECONDS)
        outcome = flight.result() if flight.done() and not flight.cancelled() else None
        if isinstance(outcome, _Entry):
            return outcome.principal
        if isinstance(outcome, _REFUSALS):
            raise _copy(outcome)
        # No answer: for a second nobody waits for one again, unless a change was announced after all.
        self._unreachable_until = self._monotonic() + 1.0
        if self._entries.get(digest) is entry and self._monotonic() < entry.ends_at:
            return entry.principal
        return await self._miss(token, digest)

    def _flight(self, token: str, digest: bytes, key_id: str | None) -> asyncio.Task[_Entry | LlmhubError]:
        """The one running question about this token."""
        flight = self._flights.get(digest)
        if flight is None:
            # Empty context: the answer belongs to no single request.
            flight = asyncio.get_running_loop().create_task(
                self._verify(token, digest, key_id), context=Context()
            )
            self._flights[digest] = flight
            flight.add_done_callback(lambda _: self._flights.pop(digest, None))
        return flight

    async def _verify(self, token: str, digest: bytes, key_id: str | None) -> _Entry | LlmhubError:
        """Ask, and ask again if the key changed while the answer was on its way."""
        for _ in range(3):
            changed: set[str] = set()
            self._changed_meanwhile[digest] = changed
            try:
                outcome = await self._ask(token)
            finally:
                del self._changed_meanwhile[digest]
            subject = outcome.principal.key_id if isinstance(outcome, _Entry) else key_id
            if not (subject in changed if subject is not None else changed):
                self._keep(digest, key_id, outcome)
                return outcome
        return ServiceUnavailable("the key keeps changing", service="auth")

    async def _ask(self, token: str) -> _Entry | LlmhubError:
        epoch, asked_at = self._epoch, self._monotonic()
        request = auth_service_pb2.VerifyKeyRequest(key=token)
        try:
            async with asyncio.timeout(_VERIFY_SECONDS), self._calls:
                # Waiting bridges a restart of the auth service.
                response = await self._stub.VerifyKey(request, timeout=_VERIFY_SECONDS, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error, "auth")
            if isinstance(failure, _REFUSALS):
                return failure
            _LOGGER.warning("key not verified", reason=failure.reason)
        except (TimeoutError, grpc.aio.UsageError):
            _LOGGER.warning("key not verified", reason="no answer from auth")
        else:
            return self._entry(response, asked_at, epoch)
        return ServiceUnavailable("the key cannot be verified now", retry_after=1.0, service="auth")

    def _entry(self, response: auth_service_pb2.VerifyKeyResponse, asked_at: float, epoch: int) -> _Entry:
        now, wall = self._monotonic(), self._clock.now()
        found = response.principal
        expires_at = found.expires_at.ToNanoseconds() / 1e9 if found.HasField("expires_at") else None
        ends_at = now + _TTL
        if expires_at is not None:
            ends_at = min(ends_at, now + expires_at - wall)
        if response.secret_valid_until_ms:
            ends_at = min(ends_at, now + response.secret_valid_until_ms / 1000 - wall)
        principal = Principal(
            key_id=found.key_id,
            name=found.name,
            scopes=frozenset(found.scopes),
            models=tuple(found.models),
            version=found.version,
            expires_at=expires_at,
            environment=found.environment,
        )
        return _Entry(principal, asked_at, min(now + _REFRESH_AFTER, ends_at), ends_at, epoch)

    def _keep(self, digest: bytes, key_id: str | None, outcome: _Entry | LlmhubError) -> None:
        if isinstance(outcome, _Entry):
            self._forget(digest)
            self._refusals.pop(digest, None)
            self._entries[digest] = outcome
            self._digests.setdefault(outcome.principal.key_id, set()).add(digest)
            if len(self._entries) > CAPACITY:
                self._forget(next(iter(self._entries)))
        elif isinstance(outcome, _REFUSALS):
            self._forget(digest)
            self._refusals[digest] = _Refusal(outcome, key_id, self._monotonic() + _REFUSED_TTL)
            if len(self._refusals) > REFUSED_CAPACITY:
                self._refusals.popitem(last=False)

    def _forget(self, digest: bytes) -> None:
        entry = self._entries.pop(digest, None)
        if entry is None:
            return
        siblings = self._digests[entry.principal.key_id]
        siblings.discard(digest)
        if not siblings:
            del self._digests[entry.principal.key_id]

    def _changed(self, key_ids: Iterable[str]) -> None:
        """Forget all about these keys, refusals included: a key may have been made or extended."""
        ids = set(key_ids)
        for key_id in ids:
            for digest in tuple(self._digests.get(key_id, ())):
                self._forget(digest)
        for digest, refusal in tuple(self._refusals.items()):
            if refusal.key_id is None or refusal.key_id in ids:
                del self._refusals[digest]
        for changed in self._changed_meanwhile.values():
            changed |= ids

    async def _watch(self) -> None:
        """Follow the changes for as long as the cache lives."""
        failures = 0
        while True:
            epoch = self._epoch
            try:
                await self._follow()
            except (grpc.aio.AioRpcError, grpc.aio.UsageError, TimeoutError) as error:
                reason = (
                    error.code().name if isinstance(error, grpc.aio.AioRpcError) else type(error).__name__
                )
                _LOGGER.info("watch of keys ended", reason=reason)
            except Exception:
                _LOGGER.exception("watch of keys failed")
            failures = 0 if self._epoch != epoch else failures + 1
            await asyncio.sleep(random.uniform(0.5, 1.0) * min(0.05 * 2**failures, _LONGEST_PAUSE))

    async def _follow(self) -> None:
        call = self._stub.WatchKeys(auth_service_pb2.WatchKeysRequest(), wait_for_ready=True)
        try:
            first = True
            while True:
                # A dead peer may never close the stream; beats come each second.
                async with asyncio.timeout(_SILENCE_SECONDS):
                    message = await call.read()
                if not isinstance(message, auth_service_pb2.WatchKeysResponse):  # the end
                    return
                if first:
                    self._epoch += 1
                    first = False
                if message.key_ids:
                    self._changed(message.key_ids)
                self._current_until = self._monotonic() + _BEAT_IS_LATE
        finally:
            call.cancel()


def _copy(error: LlmhubError) -> LlmhubError:
    """The same error without a traceback that grows with each caller."""
    copy = type(error)(error.message, retry_after=error.retry_after)
    copy.metadata = error.metadata
    return copy
