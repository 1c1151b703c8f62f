"""Vendor calls: a body in, the pipeline's pieces out, in the caller's own dialect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import GenerateStreamResponse, RelayResponse
from llmhub.route.v1.route_service_pb2 import Target
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.generation_pb2 import WarningKind
from llmhub.types.v1.stream_pb2 import Finished, StreamEvent
from services.dialects.codec import DecodedRequest, StreamEncoder
from services.gateway.domain.call import Ask
from services.gateway.domain.payload import Payload, Relay, Whole, WholeAnswer
from services.gateway.domain.pipeline import Pipeline
from services.gateway.http import ids
from services.gateway.http.default_model import DefaultModels
from services.gateway.http.endpoints import Decoded, VendorEndpoint
from services.gateway.http.exchange import Exchange
from services.gateway.http.keys import without_secrets
from services.gateway.http.question import Asked, Question
from services.gateway.http.timeout import grpc_timeout
from services.gateway.ports import Piece
from services.gateway.servicers.completion import header_text, served_model
from services.runtime.context import Principal
from services.runtime.errors import LlmhubError
from services.runtime.status import to_message

_MAX_WARNINGS_HEADER = 4096
_FORM = "multipart/"
_EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, with which key, and the id of the call."""

    principal: Principal
    token: str
    request_id: str


class VendorCall:
    """One call at a vendor endpoint; `model` is what its path names, where it does."""

    def __init__(self, exchange: Exchange, endpoint: VendorEndpoint, model: str, caller: Caller) -> None:
        self._exchange = exchange
        self._endpoint = endpoint
        self._model = model
        self._caller = caller
        self._can_tell = False
        """The answer has begun and is a stream in which a failure has its place."""
        self._encoder: StreamEncoder | None = None
        self._ask: Ask | None = None
        self._decoded: Decoded | None = None

    async def serve(self, pipeline: Pipeline, defaults: DefaultModels, max_body_bytes: int) -> None:
        """Run the call to its end.

        Raises LlmhubError as long as nothing was sent. After that a stream tells it in its own way; any other answer
        is left unfinished, which whoever holds the connection has to make visible.
        """
        exchange = self._exchange
        body = await exchange.body(max_body_bytes)
        question = self._endpoint.read(Asked(body, exchange.headers.get("content-type", ""), self._model))
        await self._prepare(body)
        if not question.model:
            model = await defaults.resolve(self._endpoint, self._caller.principal, self._caller.token)
            question = replace(question, model=model)
        ask = self._ask = self._call(body, question)
        exchange.watch()
        try:
            async with aclosing(pipeline.run(ask)) as pieces:
                async for piece in pieces:
                    await self._write(piece)
            await exchange.end()
        except LlmhubError as error:
            if not self._can_tell:
                raise
            await exchange.write(self._broken(error))
            await exchange.end()
        finally:
            exchange.unwatch()

    async def _prepare(self, body: bytes) -> None:
        """Find out what the call needs besides its body. Raises LlmhubError."""

    def _call(self, body: bytes, question: Question) -> Ask:
        endpoint, headers = self._endpoint, self._exchange.headers
        request_id = self._caller.request_id
        relay = Relay(
            endpoint.endpoint,
            body,
            stream=question.stream,
            headers={name: headers[name] for name in endpoint.relayed_headers if name in headers},
            query=without_secrets(self._exchange.query),
        )
        decoded = self._decoded = Decoded(endpoint, body, request_id, question)

        def payload(target: Target) -> Payload:
            return self._payload(target, relay, decoded)

        seconds = grpc_timeout(headers.get("grpc-timeout"))
        # The bytes of a recording say nothing about tokens.
        size = 0 if headers.get("content-type", "").lower().startswith(_FORM) else len(body)
        return Ask(
            request_id=request_id,
            principal=self._caller.principal,
            model=question.model,
            operation=endpoint.operation,
            door=endpoint.codec.name,
            needs=endpoint.needs(question),
            input_size=size,
            payload=payload,
            deadline=None if seconds is None else asyncio.get_running_loop().time() + seconds,
        )

    def _payload(self, target: Target, relay: Relay, decoded: Decoded) -> Payload:
        """Return the form of the call that a target takes."""
        return relay if self._endpoint.endpoint in target.relays else decoded.payload(target)

    async def _write(self, piece: Piece) -> None:
        exchange = self._exchange
        match piece:
            case RelayResponse():
                if not exchange.started:
                    headers = {**piece.head.headers, **self._attribution(())}
                    self._can_tell = headers.get("content-type", "").startswith(_EVENTS)
                    await exchange.start(piece.head.status, headers)
                await self._pass(piece.data)
            case GenerateStreamResponse():
                if self._encoder is None:
                    warnings = piece.events[0].started.warnings if piece.events else ()
                    headers = {"content-type": self._endpoint.stream_type, "cache-control": "no-cache"}
                    self._can_tell = True
                    await exchange.start(200, {**headers, **self._attribution(warnings)})
                    self._encoder = self._endpoint.codec.stream_encoder(self._request())
                await self._pass(self._encoder.encode(piece.events))
            case Whole(answer=answer):
                body = self._encode(answer)
                headers = {"content-type": "application/json", **self._attribution(answer.warnings)}
                await exchange.start(200, {**headers, "content-length": str(len(body))})
                await self._pass(body)

    async def _pass(self, data: bytes) -> None:
        """Send a piece of the answer's body."""
        await self._exchange.write(data)

    def _encode(self, answer: WholeAnswer) -> bytes:
        """Write a whole answer in the caller's dialect."""
        if self._endpoint.encode is None:
            message = "a translated answer to a call that was to be relayed"
            raise TypeError(message)
        return self._endpoint.encode(answer)

    def _request(self) -> DecodedRequest:
        if self._decoded is None:
            return DecodedRequest(GenerateRequest(), stream=True)
        return self._decoded.generation()

    def _broken(self, error: LlmhubError) -> bytes:
        """Return the dialect's own way to say that a stream broke off."""
        if self._encoder is None:
            self._encoder = self._endpoint.codec.stream_encoder(
                DecodedRequest(GenerateRequest(), stream=True)
            )
        finished = Finished(complete=False, error=to_message(error))
        return self._encoder.encode([StreamEvent(finished=finished)])

    def _attribution(self, warnings: Iterable[LossWarning]) -> dict[str, str]:
        """Return the headers that say who answered and what was lost on the way."""
        headers = ids.headers(self._endpoint.codec.name, self._caller.request_id)
        if self._ask is not None:
            headers["x-llmhub-model"] = header_text(served_model(self._ask) or self._ask.model)
        if text := _warnings(warnings):
            headers["x-llmhub-warnings"] = text
        return headers


def _warnings(warnings: Iterable[LossWarning]) -> str:
    rows: list[dict[str, str]] = []
    size = 0
    for warning in warnings:
        kind = WarningKind.Name(warning.kind).removeprefix("WARNING_KIND_").lower()
        row = {"kind": kind, "field": warning.field, "message": warning.message}
        size += len(json.dumps(row)) + 2
        if size > _MAX_WARNINGS_HEADER:
            break
        rows.append(row)
    return json.dumps(rows) if rows else ""
