"""Vendor calls: a body in, the pipeline's pieces out, in the caller's own dialect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import aclosing

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import GenerateStreamResponse, RelayResponse
from llmhub.route.v1.route_service_pb2 import Target
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.generation_pb2 import WarningKind
from llmhub.types.v1.stream_pb2 import Finished, StreamEvent
from services.dialects.codec import DecodedRequest, StreamEncoder
from services.gateway.domain.call import Ask
from services.gateway.domain.payload import Payload, Relay, Whole
from services.gateway.domain.pipeline import Pipeline
from services.gateway.http.endpoints import Decoded, VendorEndpoint, sniff
from services.gateway.http.exchange import Exchange
from services.gateway.http.timeout import grpc_timeout
from services.gateway.ports import Piece
from services.gateway.servicers.completion import header_text, served_model
from services.runtime.context import Principal
from services.runtime.errors import LlmhubError
from services.runtime.status import to_message

_MAX_WARNINGS_HEADER = 4096

_SSE_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
}


class VendorCall:
    """One call at a vendor endpoint."""

    def __init__(
        self, exchange: Exchange, endpoint: VendorEndpoint, principal: Principal, request_id: str
    ) -> None:
        self._exchange = exchange
        self._endpoint = endpoint
        self._principal = principal
        self._request_id = request_id
        self._encoder: StreamEncoder | None = None
        self._ask: Ask | None = None
        self._decoded: Decoded | None = None

    async def serve(self, pipeline: Pipeline, max_body_bytes: int) -> None:
        """Run the call to its end. Raises LlmhubError as long as nothing was sent; after that the answer tells it."""
        exchange = self._exchange
        ask = self._ask = self._question(await exchange.body(max_body_bytes))
        exchange.watch()
        try:
            async with aclosing(pipeline.run(ask)) as pieces:
                async for piece in pieces:
                    await self._write(piece)
            await exchange.end()
        except LlmhubError as error:
            if not exchange.started:
                raise
            await exchange.write(self._broken(error))
            await exchange.end()
        finally:
            exchange.unwatch()

    def _question(self, body: bytes) -> Ask:
        endpoint, headers = self._endpoint, self._exchange.headers
        sniffed = sniff(body)
        relay = Relay(
            endpoint.endpoint,
            body,
            stream=bool(sniffed.stream),
            headers={name: headers[name] for name in endpoint.relayed_headers if name in headers},
            query=self._exchange.query,
        )
        decoded = self._decoded = Decoded(endpoint, body, self._request_id, sniffed.model)

        def payload(target: Target) -> Payload:
            return relay if endpoint.endpoint in target.relays else decoded.payload

        seconds = grpc_timeout(headers.get("grpc-timeout"))
        return Ask(
            request_id=self._request_id,
            principal=self._principal,
            model=sniffed.model,
            operation=endpoint.operation,
            door=endpoint.codec.name,
            needs=endpoint.needs(sniffed),
            input_size=len(body),
            payload=payload,
            deadline=None if seconds is None else asyncio.get_running_loop().time() + seconds,
        )

    async def _write(self, piece: Piece) -> None:
        exchange = self._exchange
        match piece:
            case RelayResponse():
                if not exchange.started:
                    await exchange.start(piece.head.status, {**piece.head.headers, **self._attribution(())})
                await exchange.write(piece.data)
            case GenerateStreamResponse():
                if self._encoder is None:
                    warnings = piece.events[0].started.warnings if piece.events else ()
                    await exchange.start(200, {**_SSE_HEADERS, **self._attribution(warnings)})
                    self._encoder = self._endpoint.codec.stream_encoder(self._request())
                await exchange.write(self._encoder.encode(piece.events))
            case Whole(answer=answer):
                body = self._endpoint.encode(answer)
                headers = {"content-type": "application/json", **self._attribution(answer.warnings)}
                await exchange.start(200, {**headers, "content-length": str(len(body))})
                await exchange.write(body)

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
        headers = {"x-request-id": self._request_id, "request-id": self._request_id}
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
