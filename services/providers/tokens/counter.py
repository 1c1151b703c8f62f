"""Counts the input tokens of a request: exactly where that can be done, else by a guess that learns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, ParamSpec, TypeVar

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.usage_pb2 import Measure
from services.providers.tokens.calibration import Calibration
from services.providers.tokens.content import Content, content_of, digest
from services.providers.tokens.estimate import estimate
from services.providers.tokens.families import Family, family_of
from services.providers.tokens.lru import Lru
from services.providers.tokens.vocabulary import Vocabularies, slices
from services.runtime.errors import LlmhubError, Overloaded

P = ParamSpec("P")
T = TypeVar("T")

_KEPT: Final = 4096
_AT_ONCE: Final = 4000
"""Characters or bytes that are counted in the event loop; more go to the thread."""
_WAITING: Final = 256
_OBSERVED: Final = 4
"""Observations that may wait; those beyond are not made."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Input tokens, and what that figure is: MEASURE_COUNTED is exact, MEASURE_ESTIMATED is not."""

    tokens: int
    measure: Measure.ValueType


@dataclass(frozen=True, slots=True)
class Target:
    """Whose tokens are counted: the provider by name, its model, and the codec it is reached through."""

    provider: str
    model: str
    codec: str

    @property
    def family(self) -> Family:
        """What is known of the model."""
        return family_of(self.model, self.codec)


class TokenCounter:
    """One for the process: vocabularies and the thread that counts with them are shared by all adapters."""

    def __init__(self) -> None:
        self.calibration = Calibration()
        self._vocabularies = Vocabularies()
        self._kept: Lru[bytes, Counted] = Lru(_KEPT)
        self._thread = ThreadPoolExecutor(1, "tokens")
        self._waiting = 0
        self._observing = threading.Semaphore(_OBSERVED)

    def close(self) -> None:
        """Stop counting; what is being counted is given up."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def count(self, request: GenerateRequest, target: Target) -> Counted:
        """Return the input tokens of a request at a target. Raises Overloaded."""
        family = target.family
        large = request.ByteSize() > _AT_ONCE
        asked = (request, target.provider, target.model)
        key = await self._aside(digest, *asked) if large else digest(*asked)
        raw = self._kept.get(key)
        if raw is None:
            content = await self._aside(content_of, request, family) if large else content_of(request, family)
            raw = await self._count(content, family)
            self._kept.put(key, raw)
        if raw.measure == Measure.MEASURE_COUNTED:
            return raw
        # Only the guess is kept: what was learnt since then counts too.
        factor = self.calibration.factor(target.provider, target.model)
        return Counted(max(1, round(raw.tokens * factor)), raw.measure)

    def learns(self, target: Target, now: float) -> bool:
        """Tell whether an attempt that begins now should be shown to `observe` when it has ended well."""
        family = target.family
        if family.exact or (family.vocabulary and not self._vocabularies.loaded(family.vocabulary)):
            return False
        return self.calibration.due(target.provider, target.model, now)

    def observe(self, read: Callable[[], GenerateRequest | None], target: Target, reported: int) -> None:
        """Learn from the input tokens that a provider reported for a request; never raises, never waits."""
        if not self._observing.acquire(blocking=False):
            return

        def learn() -> None:
            request = _without_fault(read)
            content = None if request is None else content_of(request, target.family)
            if content is not None and content.plain:
                guessed, _ = self._guess(content, target.family, bool)
                self.calibration.learn(target.provider, target.model, guessed, reported)

        try:
            self._thread.submit(learn).add_done_callback(lambda _: self._observing.release())
        except RuntimeError:  # closed already
            self._observing.release()

    async def _count(self, content: Content, family: Family) -> Counted:
        ready = not family.vocabulary or self._vocabularies.loaded(family.vocabulary)
        if ready and content.size <= _AT_ONCE:
            return _counted(self._guess(content, family, bool))
        stopped = False
        try:
            return _counted(await self._aside(self._guess, content, family, lambda: stopped))
        finally:
            stopped = True

    async def _aside(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something in the thread. Raises Overloaded."""
        if self._waiting >= _WAITING:
            raise Overloaded("too many requests are waiting for their tokens to be counted", retry_after=1.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, partial(do, *args, **kwargs)
            )
        finally:
            self._waiting -= 1

    def _guess(self, content: Content, family: Family, stop: Callable[[], bool]) -> tuple[float, bool]:
        """Return the tokens, and whether they are exact."""
        if family.vocabulary:
            found = self._vocabularies.count(family.vocabulary, content.texts, stop)
            if found is not None:
                return found + content.fixed, content.exact
        texts = 0.0
        for text in content.texts:
            if stop():
                break
            texts += sum(map(estimate, slices(text)))
        return texts * family.density + content.fixed, False


def _counted(found: tuple[float, bool]) -> Counted:
    tokens, exact = found
    return Counted(round(tokens), Measure.MEASURE_COUNTED if exact else Measure.MEASURE_ESTIMATED)


def _without_fault(read: Callable[[], GenerateRequest | None]) -> GenerateRequest | None:
    try:
        return read()
    except LlmhubError:
        return None
