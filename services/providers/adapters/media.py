"""Gives a target by value what it cannot fetch itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.content_pb2 import Media
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from services.dialects.losses import Losses
from services.providers.domain.adapter import Adapter
from services.providers.domain.media import Reach, out_of_reach
from services.providers.fetcher import Fetched, Fetcher, Wanted

Missing = list[tuple[str, Media]]


class ReachingAdapter:
    """Fetches the URLs that the adapter inside does not reach; see domain.adapter.Adapter.

    Where fetching is off, requests pass as they are, and the codec says what it cannot carry. `reach`: by model.
    """

    def __init__(
        self, inner: Adapter, provider: str, reach: Callable[[str], Reach], fetcher: Fetcher
    ) -> None:
        self._inner = inner
        self._provider = provider
        self._reach = reach
        self._fetcher = fetcher
        self.relay = inner.relay
        self.embed = inner.embed
        self.models = inner.models

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Make a call for the whole answer."""
        missing = self._missing(request.request, request.attempt)
        if not missing:
            return await self._inner.generate(request)
        completed, warnings = await self._completed(request.request, missing, request.attempt)
        answer = await self._inner.generate(pb.GenerateRequest(attempt=request.attempt, request=completed))
        answer.response.warnings.extend(warnings)
        return answer

    def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Make a streaming call."""
        missing = self._missing(request.request, request.attempt)
        # A generator around a generator costs every piece of every stream: only those pay that have to.
        return self._stream(request, missing) if missing else self._inner.generate_stream(request)

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Ask the provider to count."""
        missing = self._missing(request.request, request.attempt)
        if not missing:
            return await self._inner.count_tokens(request)
        completed, warnings = await self._completed(request.request, missing, request.attempt)
        answer = await self._inner.count_tokens(
            pb.CountTokensRequest(attempt=request.attempt, request=completed)
        )
        answer.response.warnings.extend(warnings)
        return answer

    async def _stream(
        self, request: pb.GenerateStreamRequest, missing: Missing
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        completed, warnings = await self._completed(request.request, missing, request.attempt)
        inner = pb.GenerateStreamRequest(attempt=request.attempt, request=completed)
        async with aclosing(self._inner.generate_stream(inner)) as messages:
            async for message in messages:
                _warn(message, warnings)
                yield message

    def _missing(self, request: GenerateRequest, attempt: pb.Attempt) -> Missing:
        return out_of_reach(request, self._reach(attempt.model)) if self._fetcher.enabled else []

    async def _completed(
        self, request: GenerateRequest, missing: Missing, attempt: pb.Attempt
    ) -> tuple[GenerateRequest, tuple[LossWarning, ...]]:
        """Return a copy of the request with the missing media in it, and the warnings that say so."""
        losses = Losses(request.unsupported)
        for path, _ in missing:
            losses.emulated(
                path, f"{self._provider} does not fetch this URL: llmhub did, and sent the content"
            )
        wanted = [Wanted(media.url, media.kind, f"{path}.url") for path, media in missing]
        limits = attempt.limits
        seconds = limits.total.seconds + limits.total.nanos / 1e9 if limits.HasField("total") else None
        fetched = await self._fetcher.fetch(wanted, seconds)
        completed = GenerateRequest()
        completed.CopyFrom(request)
        _put(out_of_reach(completed, self._reach(attempt.model)), fetched)
        return completed, losses.warnings


def _put(missing: Missing, fetched: dict[str, Fetched]) -> None:
    for _, media in missing:
        found = fetched[media.url]
        media.data = found.data
        # What came is what it is; the caller's word may name another form of it.
        media.mime_type = found.mime_type


def _warn(message: pb.GenerateStreamResponse, warnings: Iterable[LossWarning]) -> None:
    first, last = message.events[0], message.events[-1]
    if first.WhichOneof("event") == "started":
        first.started.warnings.extend(warnings)
    if last.WhichOneof("event") == "finished":
        last.finished.warnings.extend(warnings)
