"""A dialect's codec and a platform make an adapter."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.content_pb2 import OpaqueState
from llmhub.types.v1.error_pb2 import Error, ErrorReason
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import ChatCodec, CountCodec, EmbeddingCodec, WireRequest
from services.dialects.progress import observe
from services.providers.adapters.relay import Relay, RelayWay
from services.providers.adapters.upstream import Upstream
from services.providers.domain.model_lists import MODEL_LISTS, model_names
from services.providers.ports import Platform
from services.providers.settings import Account
from services.runtime.errors import LlmhubError, UpstreamFailed, UpstreamProtocol
from services.runtime.offload import by_size
from services.runtime.status import to_message

_NO_SUCH_PATH: Final = frozenset({404, 405, 501})


@dataclass(frozen=True, slots=True)
class Tongue:
    """The codecs of one dialect."""

    chat: ChatCodec
    count: CountCodec | None = None
    embedding: EmbeddingCodec | None = None


class DialectAdapter:
    """Speaks one dialect to one account; see domain.adapter.Adapter."""

    def __init__(
        self, account: Account, platform: Platform, tongue: Tongue, ways: Mapping[int, RelayWay]
    ) -> None:
        self._name = account.name
        self._upstream = Upstream(account, platform)
        self._chat = tongue.chat
        self._count = tongue.count
        self._embedding = tongue.embedding
        self.relay = Relay(self._upstream, ways).run
        """Sends a body that the provider takes as it is and passes the answer's bytes on."""

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Make a call for the whole answer."""
        wire = await self._encoded(request.request, request.attempt.model, stream=False)
        body = await self._call(wire, request.attempt)
        try:
            response = await by_size(len(body), self._chat.decode_response, body)
        except LlmhubError as error:
            raise self._upstream.scrubbed(to_message(error)) from None
        response.warnings.extend(wire.warnings)
        if not response.HasField("created_at"):
            response.created_at.GetCurrentTime()
        for candidate in response.candidates:
            for part in candidate.parts:
                self._stamp(part.state if part.HasField("state") else None, request.attempt)
        return pb.GenerateResponse(response=response)

    async def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Make a streaming call."""
        attempt = request.attempt
        wire = await self._encoded(request.request, attempt.model, stream=True)
        decoder = self._chat.stream_decoder()
        characters = 0
        upstream = self._upstream
        limits = upstream.deadlines(attempt.limits)
        async with upstream.post(
            wire.path, attempt.model, wire.headers, wire.body, limits, stream=True
        ) as answer:
            await upstream.refuse_failure(answer, self._chat)
            async for data in answer.chunks():
                events = decoder.feed(data)
                if not events:
                    continue
                message, characters = self._message(events, attempt, wire.warnings, characters)
                limits.first_token_seen = limits.first_token_seen or message.progress.content
                yield message
                if message.progress.complete:
                    return
        events = decoder.close()
        if events:
            message, characters = self._message(events, attempt, wire.warnings, characters)
            yield message
        elif not characters:
            text = f"{self._name} sent an empty stream"
            raise UpstreamProtocol(text, provider=self._name)

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Ask the provider to count."""
        if self._count is None:
            raise self._upstream.unsupported("token counting")
        wire = self._count.encode_count_request(request.request, request.attempt.model)
        response = self._count.decode_count_response(await self._call(wire, request.attempt))
        response.warnings.extend(wire.warnings)
        return pb.CountTokensResponse(response=response)

    async def models(self) -> list[str]:
        """Read the provider's list of models."""
        upstream = self._upstream
        path = MODEL_LISTS.get(self._chat.name)
        if path is None:
            raise upstream.unsupported("list of models")
        limits = upstream.deadlines(pb.TimeLimits())
        limits.whole()
        async with upstream.get(path, limits) as answer:
            if answer.status in _NO_SUCH_PATH:
                raise upstream.unsupported("list of models")
            await upstream.refuse_failure(answer, self._chat)
            return model_names(await answer.read())

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """Make an embedding call."""
        if self._embedding is None:
            raise self._upstream.unsupported("embeddings")
        wire = self._embedding.encode_embed_request(request.request, request.attempt.model)
        response = self._embedding.decode_embed_response(await self._call(wire, request.attempt))
        response.warnings.extend(wire.warnings)
        return pb.EmbedResponse(response=response)

    async def _encoded(self, request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
        return await by_size(request.ByteSize(), self._chat.encode_request, request, model, stream=stream)

    async def _call(self, wire: WireRequest, attempt: pb.Attempt) -> bytes:
        upstream = self._upstream
        limits = upstream.deadlines(attempt.limits)
        limits.whole()
        async with upstream.post(wire.path, attempt.model, wire.headers, wire.body, limits) as answer:
            await upstream.refuse_failure(answer, self._chat)
            return await answer.read()

    def _message(
        self,
        events: list[StreamEvent],
        attempt: pb.Attempt,
        warnings: tuple[LossWarning, ...],
        characters: int,
    ) -> tuple[pb.GenerateStreamResponse, int]:
        """Wrap decoded events with what they tell; an incomplete end becomes an error, never an event."""
        for event in events:
            if event.HasField("block_delta") and event.block_delta.HasField("state"):
                self._stamp(event.block_delta.state, attempt)
            elif event.HasField("block_start") and event.block_start.part.HasField("state"):
                self._stamp(event.block_start.part.state, attempt)
        progress = observe(events, characters)
        last = events[-1]
        if last.WhichOneof("event") == "finished":
            if not last.finished.complete:
                raise self._broken(last.finished.error)
            last.finished.warnings.extend(warnings)
        if events[0].WhichOneof("event") == "started":
            started = events[0].started
            started.provider = self._name
            if not started.HasField("created_at"):
                started.created_at.GetCurrentTime()
            started.warnings.extend(warnings)
        return pb.GenerateStreamResponse(events=events, progress=progress), progress.output_characters

    def _stamp(self, state: OpaqueState | None, attempt: pb.Attempt) -> None:
        """Write down where opaque state comes from, so that it is only ever sent back there."""
        if state is not None:
            state.provider = self._name
            state.model = attempt.model

    def _broken(self, error: Error) -> LlmhubError:
        # An end before the end: whether that interrupts an answer is known to the gateway alone.
        if error.reason not in {
            ErrorReason.ERROR_REASON_UNSPECIFIED,
            ErrorReason.ERROR_REASON_STREAM_INTERRUPTED,
        }:
            return self._upstream.scrubbed(error)
        return UpstreamFailed(f"{self._name} ended its stream early", provider=self._name)
