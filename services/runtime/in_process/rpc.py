"""The life of one RPC, shared by the client's call and the servicer's context."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from services.runtime.in_process.metadata import RawMetadata
from services.runtime.in_process.pipe import NO_PIPE, Pipe


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

    __slots__ = (
        "_callbacks",
        "_initial_metadata_waiters",
        "_timer",
        "_waiters",
        "channel",
        "completed",
        "deadline",
        "ended",
        "initial_metadata",
        "interrupted",
        "kind",
        "loop",
        "metadata",
        "method",
        "request_feeder",
        "requests",
        "response",
        "responses",
        "status",
        "task",
    )

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
        self.requests = Pipe() if kind.streams_requests else NO_PIPE
        self.responses = Pipe() if kind.streams_responses else NO_PIPE
        self.response: Any = None
        self.task: asyncio.Task[None] | None = None
        self.request_feeder: asyncio.Task[None] | None = None
        self.deadline: float | None = None
        self.initial_metadata: RawMetadata | None = None
        self.status = OK
        self.ended = False
        self.interrupted = False
        self.completed = False
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._initial_metadata_waiters: list[asyncio.Future[None]] = []
        self._callbacks: list[Callable[[], object]] = []

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
        if self.task is not None:
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
            self.send_initial_metadata(())
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
            self._callbacks.append(callback)

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
        return self._waiter(self._waiters, done=self.completed)

    def arrival_of_initial_metadata(self) -> asyncio.Future[None]:
        """A future of the caller's own that is done when `initial_metadata` is set."""
        return self._waiter(self._initial_metadata_waiters, done=self.initial_metadata is not None)

    def _waiter(self, waiters: list[asyncio.Future[None]], *, done: bool) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = self.loop.create_future()
        if done:
            waiter.set_result(None)
        else:
            waiters.append(waiter)
        return waiter


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()
