"""CompletionService over the pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import quote

import grpc.aio

from llmhub.completion.v1 import completion_service_pb2 as pb
from llmhub.completion.v1.completion_service_pb2_grpc import CompletionServiceServicer
from llmhub.provider.v1.provider_service_pb2 import GenerateStreamResponse
from llmhub.route.v1.route_service_pb2 import Operation, Target
from llmhub.types.v1.stream_pb2 import Finished, StreamEvent
from services.gateway.domain import needs
from services.gateway.domain.call import Ask
from services.gateway.domain.calls import Calls
from services.gateway.domain.extensions import refuse_state
from services.gateway.domain.payload import CountTokens, Generate, Payload, Whole
from services.gateway.domain.pipeline import Pipeline
from services.gateway.ports import Peers
from services.runtime import context as ambient
from services.runtime.errors import InternalError, KeyMissing, LlmhubError
from services.runtime.interceptors.handlers import REQUEST_ID_KEY
from services.runtime.status import to_message

Context = grpc.aio.ServicerContext[Any, Any]
_TRANSCODED: Final = "x-envoy-original-path"
"""Left by the edge on calls that came over REST; a caller's own is stripped there."""
_PLAIN: Final = "".join(map(chr, range(0x20, 0x7F)))


class CompletionServicer(CompletionServiceServicer):
    """Turns requests into calls and pieces into answers."""

    def __init__(self, pipeline: Pipeline, peers: Peers) -> None:
        self._pipeline = pipeline
        self._calls: Calls = pipeline.calls
        self._peers = peers

    async def Generate(self, request: pb.GenerateRequest, context: Context) -> pb.GenerateResponse:
        """Return the whole answer."""
        refuse_state(request)
        ask = ask_of(request, context, "generate", lambda _: Generate(request, stream=False))
        answer = await self._whole(ask, context)
        if not isinstance(answer, pb.GenerateResponse):
            raise _unexpected()
        answer.request_id = ask.request_id
        answer.model = served_model(ask)
        answer.decision.CopyFrom(ask.decision)
        return answer

    async def GenerateStream(
        self, request: pb.GenerateStreamRequest, context: Context
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Yield the answer's events; see the contract for how a broken answer ends."""
        wanted = request.request
        refuse_state(wanted)
        ask = ask_of(wanted, context, "generate", lambda _: Generate(wanted, stream=True))
        sent = 0
        async with aclosing(self._pipeline.run(ask)) as pieces:
            try:
                async for piece in pieces:
                    if not isinstance(piece, GenerateStreamResponse):
                        raise _unexpected()
                    if piece.progress.complete:
                        piece.events[-1].finished.decision.CopyFrom(ask.decision)
                    if not sent:
                        await head(context, ask)
                    sent += len(piece.events)
                    yield pb.GenerateStreamResponse(events=piece.events)
            except LlmhubError as error:
                if sent:
                    yield pb.GenerateStreamResponse(events=[_broken(sent, error, ask)])
                raise
        trail(context, ask)

    async def CountTokens(self, request: pb.CountTokensRequest, context: Context) -> pb.CountTokensResponse:
        """Count input tokens."""
        wanted = request.request
        refuse_state(wanted)
        ask = ask_of(wanted, context, "count_tokens", lambda _: CountTokens(wanted))
        answer = await self._whole(ask, context)
        if not isinstance(answer, pb.CountTokensResponse):
            raise _unexpected()
        answer.model = served_model(ask)
        return answer

    async def Cancel(self, request: pb.CancelRequest, context: Context) -> pb.CancelResponse:
        """End a running call, wherever in the mesh it runs."""
        principal = caller()
        try:
            self._calls.cancel(request.request_id, principal)
        except LlmhubError:
            await self._peers.cancel(request, tuple(context.invocation_metadata() or ()))
        return pb.CancelResponse()

    async def GetDecision(self, request: pb.GetDecisionRequest, context: Context) -> pb.GetDecisionResponse:
        """Return how a call was routed."""
        try:
            decision = self._calls.decision(request.request_id, caller())
        except LlmhubError:
            return await self._peers.decision(request, tuple(context.invocation_metadata() or ()))
        return pb.GetDecisionResponse(decision=decision)

    async def _whole(self, ask: Ask, context: Context) -> object:
        answer = None
        async with aclosing(self._pipeline.run(ask)) as pieces:
            async for piece in pieces:
                answer = piece
        await head(context, ask)
        trail(context, ask)
        return answer.answer if isinstance(answer, Whole) else None


def caller() -> ambient.Principal:
    """Return who calls. The identity interceptor has set it for every method that needs a key."""
    principal = ambient.principal.get()
    if principal is None:
        message = "no API key was sent"
        raise KeyMissing(message)
    return principal


def ask_of(
    request: pb.GenerateRequest, context: Context, operation: str, payload: Callable[[Target], Payload]
) -> Ask:
    """Build the pipeline's question out of a gRPC request."""
    kind = Operation.OPERATION_GENERATE if operation == "generate" else Operation.OPERATION_COUNT_TOKENS
    return Ask(
        request_id=request_id_of(request.request_id),
        principal=caller(),
        model=request.model,
        operation=operation,
        door="grpc",
        needs=needs.of_request(request, kind),
        input_size=request.ByteSize(),
        payload=payload,
        deadline=deadline_of(context),
    )


def request_id_of(chosen: str) -> str:
    """Return the id the caller chose in the request, else the call's; logs and refusals name the same one."""
    if chosen:
        ambient.request_id.set(chosen)
    return chosen or ambient.request_id.get()


def deadline_of(context: Context) -> float | None:
    """Return the caller's deadline on the loop's clock."""
    remaining = context.time_remaining()
    return None if remaining is None else asyncio.get_running_loop().time() + remaining


def served_model(ask: Ask) -> str:
    """Return provider/model of the last attempt, which is the one that answered."""
    return ask.trace.served_by()


def header_text(text: str) -> str:
    """Return text that may stand in a header: what is not printable ASCII is percent-encoded, as in an address."""
    return text if text.isascii() and text.isprintable() else quote(text, safe=_PLAIN)


def _broken(sequence: int, error: LlmhubError, ask: Ask) -> StreamEvent:
    finished = Finished(complete=False, error=to_message(error), decision=ask.decision)
    return StreamEvent(sequence=sequence, frame=sequence, finished=finished)


async def head(context: Context, ask: Ask) -> None:
    """Name a REST call in its answer's headers: the transcoder drops trailers. Other calls are spared the cost."""
    if any(name == _TRANSCODED for name, _ in context.invocation_metadata() or ()):
        named = {REQUEST_ID_KEY: ask.request_id}
        if model := served_model(ask):
            named["x-llmhub-model"] = header_text(model)
        await context.send_initial_metadata(tuple(named.items()))


def trail(context: Context, ask: Ask) -> None:
    """Name the call in the trailers, as refused calls are named by the interceptors."""
    model = header_text(served_model(ask))
    context.set_trailing_metadata(((REQUEST_ID_KEY, ask.request_id), ("x-llmhub-model", model)))


def _unexpected() -> LlmhubError:
    return InternalError("a provider answered in another form than was asked for")
