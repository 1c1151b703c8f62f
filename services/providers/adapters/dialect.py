"""A dialect's codec and a transport make an adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing

from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.content_pb2 import OpaqueState
from llmhub.types.v1.error_pb2 import Error, ErrorReason
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import ChatCodec, CountCodec, EmbeddingCodec, WireRequest
from services.dialects.progress import observe
from services.providers import credentials
from services.providers.domain.endpoints import PASSED_ANSWER_HEADERS, PASSED_ANSWER_PREFIXES, RELAY_ROUTES
from services.providers.domain.limits import Deadlines, deadlines
from services.providers.ports import Answer, Transport
from services.providers.settings import Account
from services.runtime.errors import (
    LlmhubError,
    OperationUnsupported,
    ProviderNotConfigured,
    UpstreamFailed,
    UpstreamProtocol,
)
from services.runtime.status import from_message, to_message


class DialectAdapter:
    """Speaks one dialect to one account; see domain.adapter.Adapter."""

    def __init__(
        self,
        account: Account,
        transport: Transport,
        chat: ChatCodec,
        count: CountCodec | None = None,
        embedding: EmbeddingCodec | None = None,
    ) -> None:
        self._account = account
        self._transport = transport
        self._chat = chat
        self._count = count
        self._embedding = embedding
        self._headers = {"content-type": "application/json", **credentials.headers(account)}
        self._erase = credentials.eraser(account)

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Make a call for the whole answer."""
        wire = self._chat.encode_request(request.request, request.attempt.model, stream=False)
        response = self._chat.decode_response(await self._call(wire, request.attempt))
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
        wire = self._chat.encode_request(request.request, request.attempt.model, stream=True)
        decoder = self._chat.stream_decoder()
        characters = 0
        limits = self._deadlines(request.attempt)
        async with self._post(wire.path, wire.headers, wire.body, limits) as answer:
            await self._refuse_failure(answer)
            async for data in answer.chunks():
                events = decoder.feed(data)
                if not events:
                    continue
                message, characters = self._message(events, request.attempt, wire.warnings, characters)
                limits.first_token_seen = limits.first_token_seen or message.progress.content
                yield message
                if message.progress.complete:
                    return
        events = decoder.close()
        if events:
            message, characters = self._message(events, request.attempt, wire.warnings, characters)
            yield message
        elif not characters:
            text = f"{self._account.name} sent an empty stream"
            raise UpstreamProtocol(text, provider=self._account.name)

    async def relay(self, request: pb.RelayRequest) -> AsyncGenerator[pb.RelayResponse, None]:
        """Send a body of this dialect and pass the answer's bytes on."""
        route = RELAY_ROUTES.get(request.endpoint)
        if route is None or route.dialect != self._chat.name:
            text = f"{self._account.name} does not speak the dialect of this endpoint"
            raise OperationUnsupported(text, provider=self._account.name)
        body = self._chat.relay_request(request.body, request.attempt.model, request.endpoint)
        headers = route.taken(request.headers)
        limits = self._deadlines(request.attempt)
        if not request.stream:
            limits.whole()
        async with self._post(route.path, headers, body.body, limits) as answer:
            self._refuse_redirect(answer)
            first = pb.RelayResponse()
            first.head.status = answer.status
            _pass(answer.headers, first.head)
            if answer.status >= 400:
                first.data = data = self._erase(await answer.read())
                first.head.error.CopyFrom(self._failure(answer, data))
                yield first
                return
            if request.stream and "text/event-stream" in answer.headers.get("content-type", ""):
                stream = self._relay_stream(answer, first, request, limits, hide=body.hide_usage)
                async with aclosing(stream) as messages:
                    async for piece in messages:
                        yield piece
                return
            first.data = data = await answer.read()
            first.progress.CopyFrom(self._chat.relay_answer(data, request.endpoint))
            yield first

    async def _relay_stream(
        self,
        answer: Answer,
        message: pb.RelayResponse,
        request: pb.RelayRequest,
        limits: Deadlines,
        *,
        hide: bool,
    ) -> AsyncGenerator[pb.RelayResponse, None]:
        """Yield the stream's pieces; `message` is the first one, with the head."""
        tap = self._chat.relay_tap(request.endpoint, hide_usage=hide)
        complete = False
        async for data in answer.chunks():
            passed = tap.feed(data)
            message.data = passed.data
            if passed.progress is not None:
                message.progress.CopyFrom(passed.progress)
                limits.first_token_seen = limits.first_token_seen or passed.progress.content
                complete = passed.progress.complete
            yield message
            message = pb.RelayResponse()
        last = tap.close()
        if last.progress is not None and (last.progress.complete or complete):
            yield pb.RelayResponse(data=last.data, progress=last.progress)
            return
        text = f"{self._account.name} ended its stream early"
        raise UpstreamFailed(text, provider=self._account.name)

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Ask the provider to count."""
        if self._count is None:
            raise self._unsupported("token counting")
        wire = self._count.encode_count_request(request.request, request.attempt.model)
        response = self._count.decode_count_response(await self._call(wire, request.attempt))
        response.warnings.extend(wire.warnings)
        return pb.CountTokensResponse(response=response)

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """Make an embedding call."""
        if self._embedding is None:
            raise self._unsupported("embeddings")
        wire = self._embedding.encode_embed_request(request.request, request.attempt.model)
        response = self._embedding.decode_embed_response(await self._call(wire, request.attempt))
        response.warnings.extend(wire.warnings)
        return pb.EmbedResponse(response=response)

    async def _call(self, wire: WireRequest, attempt: pb.Attempt) -> bytes:
        limits = self._deadlines(attempt)
        limits.whole()
        async with self._post(wire.path, wire.headers, wire.body, limits) as answer:
            await self._refuse_failure(answer)
            return await answer.read()

    def _post(
        self, path: str, headers: Mapping[str, str], body: bytes, limits: Deadlines
    ) -> AbstractAsyncContextManager[Answer]:
        return self._transport.post(self._account.base_url + path, {**headers, **self._headers}, body, limits)

    def _deadlines(self, attempt: pb.Attempt) -> Deadlines:
        if self._account.missing:
            missing = ", ".join(self._account.missing)
            text = f"provider {self._account.name} is not configured: {missing}"
            raise ProviderNotConfigured(text, provider=self._account.name)
        return deadlines(self._account.limits, attempt.limits, asyncio.get_running_loop().time())

    async def _refuse_failure(self, answer: Answer) -> None:
        self._refuse_redirect(answer)
        if answer.status >= 400:
            raise from_message(self._failure(answer, self._erase(await answer.read())))

    def _refuse_redirect(self, answer: Answer) -> None:
        if 300 <= answer.status < 400:
            name = self._account.name
            text = f"{name} sent a redirect, which is not followed: check its base_url"
            raise UpstreamProtocol(text, provider=name)

    def _failure(self, answer: Answer, body: bytes) -> Error:
        failure = to_message(self._chat.decode_error(answer.status, answer.headers, body))
        failure.provider.provider = self._account.name
        failure.metadata.setdefault("provider", self._account.name)
        return failure

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
            started.provider = self._account.name
            if not started.HasField("created_at"):
                started.created_at.GetCurrentTime()
            started.warnings.extend(warnings)
        return pb.GenerateStreamResponse(events=events, progress=progress), progress.output_characters

    def _stamp(self, state: OpaqueState | None, attempt: pb.Attempt) -> None:
        """Write down where opaque state comes from, so that it is only ever sent back there."""
        if state is not None:
            state.provider = self._account.name
            state.model = attempt.model

    def _broken(self, error: Error) -> LlmhubError:
        # An end before the end: whether that interrupts an answer is known to the gateway alone.
        if error.reason not in {
            ErrorReason.ERROR_REASON_UNSPECIFIED,
            ErrorReason.ERROR_REASON_STREAM_INTERRUPTED,
        }:
            return from_message(error)
        text = f"{self._account.name} ended its stream early"
        return UpstreamFailed(text, provider=self._account.name)

    def _unsupported(self, what: str) -> LlmhubError:
        text = f"{self._account.name} has no {what}"
        return OperationUnsupported(text, provider=self._account.name, operation=what)


def _pass(headers: Mapping[str, str], head: pb.RelayHead) -> None:
    for name, value in headers.items():
        lower = name.lower()
        if lower in PASSED_ANSWER_HEADERS or lower.startswith(PASSED_ANSWER_PREFIXES):
            head.headers[lower] = value
        elif lower in {"x-request-id", "request-id"}:
            head.headers["x-upstream-request-id"] = value
