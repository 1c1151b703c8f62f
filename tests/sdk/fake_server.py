"""A gRPC server that says whatever a test wants, right or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import grpc
import grpc.aio
from google.protobuf.message import Message

from llmhub.completion.v1.completion_service_pb2 import GenerateStreamResponse
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Finish, FinishReason
from llmhub.types.v1.stream_pb2 import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CandidateFinish,
    Finished,
    Started,
    StreamEvent,
)
from services.runtime.errors import LlmhubError
from services.runtime.status import RpcStatus, to_rpc_status
from tests.support.ports import free_port


class Hang:
    """Silence until the client leaves."""


Step = Message | bytes | LlmhubError | RpcStatus | Hang


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came in."""

    method: str
    request: bytes
    metadata: dict[str, str | bytes]
    seconds: float | None
    """What was left of the deadline."""


class FakeServer:
    """Answers every method with the steps in `script`."""

    def __init__(self, script: Sequence[Step] = ()) -> None:
        self.script = list(script)
        self.port = free_port()
        self.calls: list[Call] = []
        self.arrived = asyncio.Event()
        self.left = asyncio.Event()
        """Set when a client leaves during a Hang."""
        self._credentials: grpc.ServerCredentials | None = None
        self._server: grpc.aio.Server | None = None

    @property
    def url(self) -> str:
        """Its address as the SDK takes it."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, credentials: grpc.ServerCredentials | None = None) -> Self:
        """Listen."""
        server = self._server = grpc.aio.server()
        server.add_generic_rpc_handlers((_Everything(self),))
        address = f"127.0.0.1:{self.port}"
        if credentials is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, credentials)
        await server.start()
        return self

    async def stop(self) -> None:
        """Cut every connection."""
        if self._server is not None:
            await self._server.stop(None)

    async def play(self, method: str, request: bytes, context: Any) -> AsyncGenerator[bytes]:
        """Follow the script."""
        metadata = dict(context.invocation_metadata())
        self.calls.append(Call(method, request, metadata, context.time_remaining()))
        self.arrived.set()
        for step in self.script:
            match step:
                case Hang():
                    try:
                        await asyncio.Event().wait()
                    finally:
                        self.left.set()
                case LlmhubError():
                    await context.abort_with_status(to_rpc_status(step))
                case RpcStatus():
                    await context.abort_with_status(step)
                case bytes():
                    yield step
                case Message():
                    yield step.SerializeToString()


class _Everything(grpc.GenericRpcHandler):
    """Serves any method; what ends in Stream is a stream."""

    def __init__(self, fake: FakeServer) -> None:
        self._fake = fake

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method

        async def one(request: bytes, context: Any) -> bytes:
            return await anext(self._fake.play(method, request, context))

        async def many(request: bytes, context: Any) -> AsyncGenerator[bytes]:
            async for answer in self._fake.play(method, request, context):
                yield answer

        handler: Any = grpc
        if method.endswith("Stream"):
            return handler.unary_stream_rpc_method_handler(many)
        return handler.unary_unary_rpc_method_handler(one)


def whole(*words: str) -> list[StreamEvent]:
    """Return the events of a complete answer of these words."""
    events = [
        StreamEvent(started=Started(response_id="r1", provider="fake", model="m")),
        StreamEvent(block_start=BlockStart(part=Part(text=""))),
        *(StreamEvent(block_delta=BlockDelta(text=word)) for word in words),
        StreamEvent(block_stop=BlockStop()),
        StreamEvent(candidate_finish=CandidateFinish(finish=Finish(reason=FinishReason.FINISH_REASON_END))),
        StreamEvent(finished=Finished(complete=True)),
    ]
    for number, event in enumerate(events):
        event.sequence = number
    return events


def sent(*events: StreamEvent) -> GenerateStreamResponse:
    """Return events as one message."""
    return GenerateStreamResponse(events=events)
