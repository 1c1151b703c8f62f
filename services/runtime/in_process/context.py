"""What a handler sees of its RPC."""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, NoReturn

import grpc

from services.runtime.in_process.metadata import RawMetadata, checked
from services.runtime.in_process.rpc import Rpc, Status

_LOGGER = logging.getLogger(__name__)

PEER = "inproc"
_AUTH_CONTEXT: Mapping[str, Iterable[bytes]] = {"transport_security_type": [b"inproc"]}


class Context(grpc.aio.ServicerContext[Any, Any]):
    """The servicer context of one in-process RPC; `peer()` is "inproc"."""

    # Defaults live in the class: most calls need none of them, and a call has to be cheap to make.
    _code: grpc.StatusCode | None = None
    _details = ""
    _trailing_metadata: RawMetadata = ()
    _callbacks: tuple[Callable[[Any], object], ...] = ()
    abort_error: grpc.aio.AbortError | None = None

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def read(self) -> Any:
        """The next request, or EOF after the last."""
        pipe = self._rpc.requests
        if not self._rpc.kind.streams_requests:
            raise grpc.aio.UsageError("a unary request is passed to the handler, there is nothing to read")
        if not pipe.messages:
            self.raise_if_ended()
            await pipe.arrival()
            self.raise_if_ended()
        return pipe.pull() if pipe.messages else grpc.aio.EOF

    async def write(self, message: Any) -> None:
        """Sends one response; waits while the client is too far behind."""
        pipe = self._rpc.responses
        if not self._rpc.kind.streams_responses:
            raise grpc.aio.UsageError("a unary response is returned by the handler, not written")
        self.raise_if_ended()
        if message is None:
            raise TypeError(f"handler of {self._rpc.method} sent None instead of a message")
        if self._rpc.initial_metadata is None:
            self._rpc.send_initial_metadata(())
        if pipe.is_full():
            await pipe.room()
            self.raise_if_ended()
        pipe.push(message)

    def raise_if_ended(self) -> None:
        """Raises what a handler that goes on after its RPC's end has to see."""
        if self.abort_error is not None:
            raise self.abort_error
        if self._rpc.interrupted:
            raise grpc.aio.InternalError(f"RPC ended early: {self._rpc.status}")
        if self._rpc.ended:
            raise grpc.aio.UsageError("RPC already finished.")

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        self.raise_if_ended()
        if self._rpc.initial_metadata is not None:
            raise grpc.aio.UsageError("Send initial metadata failed: already sent")
        self._rpc.send_initial_metadata(checked(initial_metadata))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        """Ends the RPC with this status now; always raises, AbortError when it worked."""
        if self.abort_error is not None:
            raise grpc.aio.UsageError("Abort already called!")
        self.raise_if_ended()
        if code is grpc.StatusCode.OK:
            raise grpc.aio.UsageError("an RPC cannot be aborted with status OK")
        self._code = code
        self._details = details or self._details
        self._trailing_metadata = checked(trailing_metadata) or self._trailing_metadata
        self.abort_error = grpc.aio.AbortError("Locally aborted.")
        self._rpc.finish(Status(code, self._details, self._trailing_metadata))
        raise self.abort_error

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailing_metadata = checked(trailing_metadata)

    def invocation_metadata(self) -> Any:
        return self._rpc.metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Accepted and without effect: nothing is serialised."""

    def disable_next_message_compression(self) -> None:
        """Accepted and without effect: nothing is serialised."""

    def peer(self) -> str:
        return PEER

    def peer_identities(self) -> Iterable[bytes] | None:
        return None

    def peer_identity_key(self) -> str | None:
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return _AUTH_CONTEXT

    def time_remaining(self) -> Any:
        return self._rpc.time_remaining()

    def trailing_metadata(self) -> Any:
        return self._trailing_metadata

    def code(self) -> Any:
        """The code set so far; None if the handler has set none."""
        return self._code

    def details(self) -> str:
        return self._details

    def cancelled(self) -> bool:
        return self._rpc.interrupted

    def done(self) -> bool:
        return self._rpc.ended

    def add_done_callback(self, callback: Any) -> None:
        """Calls back with this context once the handler has ended."""
        self._callbacks += (callback,)

    def close(self) -> None:
        """The handler has ended: tells who asked for it, and lets go of what would keep its frames alive."""
        for callback in self._callbacks:
            try:
                callback(self)
            except Exception:
                _LOGGER.exception("done callback of %s failed", self._rpc.method)
        self.abort_error = None


class RequestIterator:
    """The requests of a client stream, as the handler's first argument."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        message = await self._context.read()
        if message is grpc.aio.EOF:
            raise StopAsyncIteration
        return message
