"""What a stub calls: one object per method."""

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import Any, Protocol

import grpc

from services.runtime.in_process.calls import (
    StreamStreamCall,
    StreamUnaryCall,
    UnaryStreamCall,
    UnaryUnaryCall,
)
from services.runtime.in_process.interception import (
    InterceptedStreamStreamCall,
    InterceptedStreamUnaryCall,
    InterceptedUnaryStreamCall,
    InterceptedUnaryUnaryCall,
)
from services.runtime.in_process.rpc import Kind, Rpc


class Starter(Protocol):
    """What starts RPCs: the channel."""

    def begin(self, kind: Kind, method: str, request: Any, timeout: float | None, metadata: Any) -> Rpc:
        """Starts an RPC; raises UsageError when the channel is closed."""


class _MultiCallable:
    _call: Any
    _intercepted_call: Any

    def __init__(self, channel: Starter, kind: Kind, method: str, interceptors: Sequence[Any]) -> None:
        self._channel = channel
        self._kind = kind
        self._method = method
        self._interceptors = interceptors

    def _intercept(
        self,
        request: Any,
        timeout: float | None,
        metadata: Any,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,  # noqa: FBT001 - given by grpc.aio
    ) -> Any:
        details: Any = grpc.aio.ClientCallDetails(
            # grpc.aio gives interceptors the encoded name, whatever the types say.
            self._method.encode(),  # type: ignore[arg-type]
            timeout,
            grpc.aio.Metadata.from_tuple(metadata or ()),
            credentials,
            wait_for_ready,
        )
        return self._intercepted_call(
            asyncio.get_running_loop(), self._interceptors, self._start_intercepted, details, request
        )

    def _start_intercepted(self, details: Any, request: Any) -> Any:
        """Starts the RPC as the last interceptor wants it."""
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        return self._start(method, request, details.timeout, details.metadata)

    def _start(self, method: str, request: Any, timeout: float | None, metadata: Any) -> Any:
        raise NotImplementedError


class _UnaryRequest(_MultiCallable):
    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        if self._interceptors:
            return self._intercept(request, timeout, metadata, credentials, wait_for_ready)
        return self._call(self._channel.begin(self._kind, self._method, request, timeout, metadata))

    def _start(self, method: str, request: Any, timeout: float | None, metadata: Any) -> Any:
        return self._call(self._channel.begin(self._kind, method, request, timeout, metadata))


class _StreamRequest(_MultiCallable):
    def __call__(
        self,
        request_iterator: AsyncIterable[Any] | Iterable[Any] | None = None,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,  # noqa: FBT001 - given by grpc.aio
        compression: grpc.Compression | None = None,
    ) -> Any:
        if self._interceptors:
            return self._intercept(request_iterator, timeout, metadata, credentials, wait_for_ready)
        return self._start(self._method, request_iterator, timeout, metadata)

    def _start(self, method: str, request: Any, timeout: float | None, metadata: Any) -> Any:
        return self._call(self._channel.begin(self._kind, method, None, timeout, metadata), request)


class UnaryUnary(_UnaryRequest, grpc.aio.UnaryUnaryMultiCallable[Any, Any]):
    _call = UnaryUnaryCall
    _intercepted_call = InterceptedUnaryUnaryCall


class UnaryStream(_UnaryRequest, grpc.aio.UnaryStreamMultiCallable[Any, Any]):
    _call = UnaryStreamCall
    _intercepted_call = InterceptedUnaryStreamCall


class StreamUnary(_StreamRequest, grpc.aio.StreamUnaryMultiCallable[Any, Any]):
    _call = StreamUnaryCall
    _intercepted_call = InterceptedStreamUnaryCall


class StreamStream(_StreamRequest, grpc.aio.StreamStreamMultiCallable[Any, Any]):
    _call = StreamStreamCall
    _intercepted_call = InterceptedStreamStreamCall
