"""The channel that generated stubs are given."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import grpc

from services.runtime.in_process.metadata import checked
from services.runtime.in_process.multicallables import StreamStream, StreamUnary, UnaryStream, UnaryUnary
from services.runtime.in_process.rpc import (
    CANCELLED_LOCALLY,
    STREAM_STREAM,
    STREAM_UNARY,
    UNARY_STREAM,
    UNARY_UNARY,
    Kind,
    Rpc,
)

_KINDS_OF_INTERCEPTOR = (
    (grpc.aio.UnaryUnaryClientInterceptor, UNARY_UNARY),
    (grpc.aio.UnaryStreamClientInterceptor, UNARY_STREAM),
    (grpc.aio.StreamUnaryClientInterceptor, STREAM_UNARY),
    (grpc.aio.StreamStreamClientInterceptor, STREAM_STREAM),
)


class Acceptor(Protocol):
    """The server's side of a channel."""

    def accept(self, rpc: Rpc, request: Any, timeout: float | None) -> None:
        """Starts the RPC's handler, or ends the RPC at once."""

    def calls_of(self, channel: object) -> list[Rpc]:
        """The channel's calls whose handlers are running."""


class InProcessChannel(grpc.aio.Channel):
    """A grpc.aio channel to an InProcessServer: same calls, same errors, no serialisation."""

    def __init__(self, server: Acceptor, interceptors: Sequence[grpc.aio.ClientInterceptor] = ()) -> None:
        self._server = server
        self._interceptors: dict[Kind, list[Any]] = {kind: [] for _, kind in _KINDS_OF_INTERCEPTOR}
        for interceptor in interceptors:
            self._interceptors[_kind_of(interceptor)].append(interceptor)
        self._closed = asyncio.Event()

    # Stubs pass serialisers and flags besides the method; nothing here needs them.

    def unary_unary(self, method: str, *_: Any, **__: Any) -> Any:
        return UnaryUnary(self, UNARY_UNARY, method, self._interceptors[UNARY_UNARY])

    def unary_stream(self, method: str, *_: Any, **__: Any) -> Any:
        return UnaryStream(self, UNARY_STREAM, method, self._interceptors[UNARY_STREAM])

    def stream_unary(self, method: str, *_: Any, **__: Any) -> Any:
        return StreamUnary(self, STREAM_UNARY, method, self._interceptors[STREAM_UNARY])

    def stream_stream(self, method: str, *_: Any, **__: Any) -> Any:
        return StreamStream(self, STREAM_STREAM, method, self._interceptors[STREAM_STREAM])

    def begin(self, kind: Kind, method: str, request: Any, timeout: float | None, metadata: Any) -> Rpc:
        """Starts an RPC; raises UsageError when the channel is closed."""
        if self._closed.is_set():
            raise grpc.aio.UsageError("Channel is closed.")
        rpc = Rpc(asyncio.get_running_loop(), self, kind, method, checked(metadata))
        self._server.accept(rpc, request, timeout)
        return rpc

    async def close(self, grace: float | None = None) -> None:
        """Refuses new calls, waits up to `grace` seconds for running ones, then cancels them."""
        self._closed.set()
        if grace:
            completions = [rpc.completion() for rpc in self._server.calls_of(self)]
            if completions:
                await asyncio.wait(completions, timeout=grace)
        for rpc in self._server.calls_of(self):
            rpc.interrupt(CANCELLED_LOCALLY)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - given
        if self._closed.is_set():
            return grpc.ChannelConnectivity.SHUTDOWN
        return grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        if self.get_state() is last_observed_state:
            await self._closed.wait()

    async def channel_ready(self) -> None:
        """Returns at once: there is nothing to connect."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()


def _kind_of(interceptor: grpc.aio.ClientInterceptor) -> Kind:
    """The first kind that fits, as in grpc.aio: one object intercepts one kind."""
    for interface, kind in _KINDS_OF_INTERCEPTOR:
        if isinstance(interceptor, interface):
            return kind
    raise TypeError(f"{interceptor!r} is no client interceptor of grpc.aio")
