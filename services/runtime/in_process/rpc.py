"""The life of one RPC, shared by the client's call and the servicer's context."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from services.runtime.in_process.metadata import RawMetadata
from services.runtime.in_process.pipe import NO_PIPE, Pipe

Waiters = tuple[asyncio.Future[None], ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the four shapes of an RPC; `name` is the handler's attribute for it."""

    name: str
    streams_requests: bool
    streams_responses: bool


UNARY_UNARY = Kind("unary_unary", streams_requests=False, streams_responses=False)
UNARY_STREAM = Kind("unary_stream", streams_requests=False, streams_responses=True)
STREAM_UNARY = Kind("stream_unary", streams_requests=True, streams_responses=False)
STREAM_STREAM = Kind("stream_stream", streams_requests=True, streams_responses=True)


@dataclass(frozen=True, slots=True)
class Status:
    """How an RPC ended."""

    code: grpc.StatusCode
    details: str = ""
    trailing_metadata: RawMetadata = ()


OK = Status(grpc.StatusCode.OK)
CANCELLED_LOCALLY = Status(grpc.StatusCode.CANCELLED, "Locally cancelled by application!")
DEADLINE_EXCEEDED = Status(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


class Rpc:
    """One RPC: metadata, messages on their way, the handler's task, and how it ended.

    It ends twice: for the server when it sets the `status` (`ended`), for the client when every message before
    that is read (`completed`). Cancellation, deadline and shutdown end it for both at once (`interrupted`).
    """

    # Defaults live in the class: most calls need few of them, and a call has to be cheap to make.
    requests = NO_PIPE
    responses = NO_PIPE
    response: Any = None
    task: asyncio.Task[None] | None = None
    request_feeder: asyncio.Task[None] | None = None
    deadline: float | None = None
    initial_metadata: RawMetadata | None = None
    status = OK
    started = False
    ended = False
    interrupted = False
    completed = False
    _timer: asyncio.TimerHandle | None = None
    _waiters: Waiters = ()
    _initial_metadata_waiters: Waiters = ()
    _callbacks: tuple[Callable[[], object], ...] = ()

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        channel: object,
        kind: Kind,
        method: str,
        metadata: RawMetadata,
    ) -> None:
        self.loop = loop
        self.channel = channel
        self.kind = kind
        self.method = method
        self.metadata = metadata
        if kind.streams_requests:
            self.requests = Pipe()
        if kind.streams_responses:
            self.responses = Pipe()

    def expire_at(self, deadline: float) -> None:
        """Ends the RPC with DEADLINE_EXCEEDED at this time of the loop's clock."""
        self.deadline = deadline
        self._timer = self.loop.call_at(deadline, self.interrupt, DEADLINE_EXCEEDED)

    def time_remaining(self) -> float | None:
        """Seconds to the deadline, never negative; None without one."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - self.loop.time())

    def send_initial_metadata(self, metadata: RawMetadata) -> None:
        self.initial_metadata = metadata
        _wake(self._initial_metadata_waiters)

    def finish(self, status: Status) -> None:
        """The server's end: the client gets this status after the messages sent before; the first counts."""
        if self.ended:
            return
        self._end(status)
        if self.kind.streams_responses:
            self.responses.close(discard=False)
            if self.responses.messages:
                return
        self.complete()

    def interrupt(self, status: Status) -> bool:
        """Ends the RPC at once for both ends and cancels its handler; False if it was completed."""
        if self.completed:
            return False
        self.interrupted = True
        self._end(status)
        if self.kind.streams_responses:
            self.responses.close(discard=True)
        if self.task is not None and self.started:
            self.task.cancel()
        self.complete()
        return True

    def _end(self, status: Status) -> None:
        self.ended = True
        self.status = status
        if self._timer is not None:
            self._timer.cancel()
        if self.kind.streams_requests:
            self.requests.close(discard=True)

    def complete(self) -> None:
        """The client's end: nothing is left to read."""
        if self.completed:
            return
        self.completed = True
        if self.initial_metadata is None:
            self.initial_metadata = ()
        _wake(self._initial_metadata_waiters)
        if self.request_feeder is not None:
            self.request_feeder.cancel()
        _wake(self._waiters)
        for callback in self._callbacks:
            self._call(callback)

    def on_completion(self, callback: Callable[[], object]) -> None:
        """Calls back when completed, at once if it is."""
        if self.completed:
            self._call(callback)
        else:
            self._callbacks += (callback,)

    def _call(self, callback: Callable[[], object]) -> None:
        """One side's faulty callback must not disturb the other side."""
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - foreign code, reported to the loop
            self.loop.call_exception_handler(
                {"message": f"done callback of {self.method} failed", "exception": error}
            )

    def completion(self) -> asyncio.Future[None]:
        """A future of the caller's own that is done when the RPC is completed."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        if self.completed:
            waiter.set_result(None)
        else:
            self._waiters = (*_waiting(self._waiters), waiter)
        return waiter

    def arrival_of_initial_metadata(self) -> asyncio.Future[None]:
        """A future of the caller's own that is done when `initial_metadata` is set."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        if self.initial_metadata is not None:
            waiter.set_result(None)
        else:
            self._initial_metadata_waiters = (*_waiting(self._initial_metadata_waiters), waiter)
        return waiter


def _waiting(waiters: Waiters) -> Waiters:
    """Without those whose task gave up."""
    return tuple(waiter for waiter in waiters if not waiter.done()) if waiters else waiters


def _wake(waiters: Waiters) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
