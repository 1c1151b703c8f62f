"""Relaying: a body the provider takes as it is goes out, and the answer's bytes come back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from llmhub.provider.v1 import provider_service_pb2 as pb
from services.dialects.codec import ChatCodec
from services.providers import credentials
from services.providers.adapters.upstream import Upstream
from services.providers.domain.endpoints import (
    PASSED_ANSWER_HEADERS,
    PASSED_ANSWER_PREFIXES,
    REQUEST_ID_HEADERS,
    RelayRoute,
)
from services.providers.domain.limits import Deadlines
from services.providers.domain.whole_events import WholeEvents
from services.providers.ports import Answer
from services.runtime.errors import OperationUnsupported, UpstreamFailed
from services.runtime.offload import by_size

_JSON: Final = "application/json"
_GEMINI: Final = pb.Endpoint.ENDPOINT_GEMINI_GENERATE
_SPEECH: Final = pb.Endpoint.ENDPOINT_OPENAI_SPEECH
"""Its answers are sound, which goes on as it arrives although no stream was asked for."""
_EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class RelayWay:
    """How one endpoint is relayed: where it is, and the codec that knows its bodies."""

    route: RelayRoute
    codec: ChatCodec


class Relay:
    """Relays to one account; see domain.adapter.Adapter.relay."""

    __slots__ = ("_upstream", "_ways")

    def __init__(self, upstream: Upstream, ways: Mapping[int, RelayWay]) -> None:
        self._upstream = upstream
        self._ways = ways

    async def run(self, request: pb.RelayRequest) -> AsyncGenerator[pb.RelayResponse, None]:
        """Send a body and pass the answer on."""
        upstream = self._upstream
        endpoint, streaming = request.endpoint, request.stream
        way = self._ways.get(endpoint)
        if way is None:
            text = f"{upstream.name} does not speak the dialect of this endpoint"
            raise OperationUnsupported(text, provider=upstream.name)
        route, codec, model = way.route, way.codec, request.attempt.model
        body = codec.relay_request(request.body, model, endpoint)
        limits = upstream.deadlines(request.attempt.limits)
        if not streaming:
            limits.whole()
        path = route.path if route.locate is None else route.locate(request)
        headers = route.taken(request.headers)
        async with upstream.post(path, model, headers, body.body, limits, stream=streaming) as answer:
            upstream.refuse_redirect(answer)
            first = pb.RelayResponse()
            first.head.status = answer.status
            _pass(answer.headers, first.head)
            if answer.status >= 400:
                # The caller's SDK could take a failure of the operator's account for one of his own.
                first.head.headers["x-llmhub-error-source"] = "upstream"
                first.head.headers["x-llmhub-upstream-status"] = str(answer.status)
                first.data = data = upstream.erase(await answer.read())
                first.head.error.CopyFrom(upstream.failure(answer, data, codec))
                yield first
                return
            if endpoint == _SPEECH or (streaming and _is_stream(endpoint, answer)):
                stream = self._stream(answer, first, request, limits, codec, hide=body.hide_usage)
                async with aclosing(stream) as messages:
                    async for piece in messages:
                        yield piece
                return
            first.data = data = await answer.read()
            first.progress.CopyFrom(await by_size(len(data), codec.relay_answer, data, endpoint))
            if first.progress.HasField("error"):
                self._erase(first)
            yield first

    async def _stream(
        self,
        answer: Answer,
        message: pb.RelayResponse,
        request: pb.RelayRequest,
        limits: Deadlines,
        codec: ChatCodec,
        *,
        hide: bool,
    ) -> AsyncGenerator[pb.RelayResponse, None]:
        """Yield the stream's pieces; `message` is the first one, with the head."""
        tap = codec.relay_tap(request.endpoint, hide_usage=hide)
        complete = failed = False
        # A failure must be seen before any of its event is out.
        events = WholeEvents() if _EVENTS in answer.headers.get("content-type", "") else None
        async for data in answer.chunks():
            if events is not None and not (data := events.feed(data)):
                continue
            passed = tap.feed(data)
            message.data = passed.data
            if passed.progress is not None:
                message.progress.CopyFrom(passed.progress)
                limits.first_token_seen = limits.first_token_seen or passed.progress.content
                complete = passed.progress.complete
                failed = failed or passed.progress.HasField("error")
            if failed:
                # Some quote the key that they refuse; nothing that comes after a failure is in a hurry.
                self._erase(message)
            yield message
            message = pb.RelayResponse()
        rest = events.close() if events is not None else b""
        held = tap.feed(rest).data if rest else b""
        last = tap.close()
        if last.progress is not None and (last.progress.complete or complete):
            # Still the one with the head, if the whole stream was held.
            message.data = held + last.data
            message.progress.CopyFrom(last.progress)
            if failed:
                self._erase(message)
            yield message
            return
        name = self._upstream.name
        raise UpstreamFailed(f"{name} ended its stream early", provider=name)

    def _erase(self, message: pb.RelayResponse) -> None:
        message.data = self._upstream.erase(message.data)
        if message.progress.HasField("error"):
            credentials.scrub(message.progress.error, self._upstream.erase)


def _is_stream(endpoint: pb.Endpoint.ValueType, answer: Answer) -> bool:
    """Tell whether what was to be a stream is one; Gemini's may be events or one JSON array."""
    content_type = answer.headers.get("content-type", "")
    return _EVENTS in content_type or (endpoint == _GEMINI and _JSON in content_type)


def _pass(headers: Mapping[str, str], head: pb.RelayHead) -> None:
    for name, value in headers.items():
        lower = name.lower()
        if not (value.isascii() and value.isprintable()):
            # It could not be written again, and is not worth the answer.
            continue
        if lower in PASSED_ANSWER_HEADERS or lower.startswith(PASSED_ANSWER_PREFIXES):
            head.headers[lower] = value
        elif lower in REQUEST_ID_HEADERS:
            head.headers["x-upstream-request-id"] = value
