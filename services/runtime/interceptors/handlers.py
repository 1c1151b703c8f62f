"""RPC handlers as interceptors hand them on; what works for one of the four kinds works for all."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError

from services.runtime import context as ambient
from services.runtime.errors import LlmhubError, RequestInvalid
from services.runtime.status import RpcStatus, to_rpc_status

if TYPE_CHECKING:
    RpcMethodHandler = grpc.RpcMethodHandler[Any, Any]
else:
    RpcMethodHandler = grpc.RpcMethodHandler

Behaviour = Callable[[Any, Any], Any]

REQUEST_ID_KEY = "x-request-id"


class Handler(RpcMethodHandler):
    """A handler like another one with another behaviour."""

    def __init__(self, like: Any, behaviour: Behaviour) -> None:
        self.request_streaming = like.request_streaming
        self.response_streaming = like.response_streaming
        self.request_deserializer = _tolerant(like)
        self.response_serializer = like.response_serializer
        self.unary_unary = self.unary_stream = self.stream_unary = self.stream_stream = None
        setattr(self, _kind(like), behaviour)


class Undecodable:
    """Stands for a request whose bytes are no such message: the server itself would tell the caller about Python."""


UNDECODABLE: Final = Undecodable()


class Refusal(RpcMethodHandler):
    """Ends a call of any kind with an error, before a request is read."""

    def __init__(self, error: LlmhubError) -> None:
        async def refuse(_request: Any, context: Any) -> None:
            await abort(context, error)

        # A real server takes this for a stream both ways, whose requests nobody has to wait for;
        # the in-process server takes the attribute of the call's own kind.
        self.request_streaming = self.response_streaming = True
        self.request_deserializer = self.response_serializer = None
        behaviour: Any = refuse
        self.unary_unary = self.unary_stream = self.stream_unary = self.stream_stream = behaviour


def behaviour_of(handler: Any) -> Behaviour:
    """The function that serves the call."""
    behaviour: Behaviour = getattr(handler, _kind(handler))
    return behaviour


def yields(behaviour: Behaviour) -> bool:
    """Whether it is an async generator; else it is awaited, and writes a stream's messages to the context."""
    if inspect.isasyncgenfunction(behaviour):
        return True
    if inspect.iscoroutinefunction(behaviour):
        return False
    raise TypeError(f"{behaviour!r} is not async")


def require_message(request: Any) -> None:
    """Raise RequestInvalid for what could not be decoded."""
    if request is UNDECODABLE:
        raise RequestInvalid("the request is not the message that this method takes")


async def abort(context: Any, error: LlmhubError) -> None:
    """End the call with the error; trailers set before stay, and the request id is one. Always raises."""
    status = to_rpc_status(error)
    trailers = (*(context.trailing_metadata() or ()), *status.trailing_metadata)
    request_id = ambient.request_id.get()
    if request_id:
        trailers += ((REQUEST_ID_KEY, request_id),)
    await context.abort_with_status(RpcStatus(status.code, status.details, trailers))


def _tolerant(like: Any) -> Any:
    """The handler's deserializer, with UNDECODABLE for garbage; streams of requests are the mesh's own."""
    read = like.request_deserializer
    if read is None or like.request_streaming or isinstance(like, Handler):
        return read

    def decoded(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return UNDECODABLE

    return decoded


def _kind(handler: Any) -> str:
    request = "stream" if handler.request_streaming else "unary"
    response = "stream" if handler.response_streaming else "unary"
    return f"{request}_{response}"
