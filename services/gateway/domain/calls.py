"""The calls of this process: running ones by request id, and the decisions of recent ones."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

from llmhub.types.v1.access_pb2 import Scope
from llmhub.types.v1.route_pb2 import Decision
from services.gateway.domain.call import Ask, RunningCall
from services.gateway.domain.trace import Trace
from services.runtime.context import Principal
from services.runtime.errors import (
    Cancelled,
    DeadlineExceeded,
    Overloaded,
    RequestIdConflict,
    RequestNotFound,
    ShuttingDown,
)
from services.runtime.log import get_logger

log = get_logger(__name__)


class Calls:
    """Keeps track of calls, so that they can be cancelled, explained and waited for."""

    def __init__(self, *, max_running: int, kept_decisions: int) -> None:
        self._max_running = max_running
        self._kept_decisions = kept_decisions
        self._running: dict[str, RunningCall] = {}
        self._recent: OrderedDict[str, tuple[str, str, Trace]] = OrderedDict()
        self._background: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._leaving = False
        self._draining = False

    @property
    def leaving(self) -> bool:
        """Whether the process is about to end: new calls should go elsewhere."""
        return self._leaving

    def leave(self) -> None:
        """Let probes say that the process is about to end; calls are still taken."""
        self._leaving = True

    @property
    def running(self) -> int:
        """How many calls run now."""
        return len(self._running)

    def start(self, ask: Ask) -> RunningCall:
        """Register a call of the current task. Raises ShuttingDown, Overloaded, RequestIdConflict."""
        if self._draining:
            message = "this process is shutting down"
            raise ShuttingDown(message, started="false")
        if len(self._running) >= self._max_running:
            message = f"{self._max_running} calls are running"
            raise Overloaded(message, retry_after=1.0, resource="calls")
        if ask.request_id in self._running:
            message = f"a call with request id {ask.request_id} is running"
            raise RequestIdConflict(message, request_id=ask.request_id)
        call = RunningCall(ask, asyncio.current_task())
        self._running[ask.request_id] = call
        self._idle.clear()
        if ask.deadline is not None:
            error = DeadlineExceeded("the caller's deadline passed")
            call.timer = asyncio.get_running_loop().call_at(ask.deadline, call.end, error)
        return call

    def end(self, call: RunningCall) -> None:
        """Take a call out; its decision is kept for a while."""
        if call.timer is not None:
            call.timer.cancel()
        del self._running[call.ask.request_id]
        self._recent[call.ask.request_id] = _notes_of(call.ask)
        if len(self._recent) > self._kept_decisions:
            self._recent.popitem(last=False)
        if not self._running:
            self._idle.set()

    def cancel(self, request_id: str, principal: Principal) -> None:
        """End a running call of this principal. Raises RequestNotFound, for a call of somebody else too."""
        call = self._running.get(request_id)
        if call is None or not _owns(principal, call.ask.principal.key_id):
            raise _not_found(request_id)
        call.end(Cancelled("the call was cancelled"))

    def decision(self, request_id: str, principal: Principal) -> Decision:
        """Return the decision of a running or recent call of this principal. Raises RequestNotFound."""
        call = self._running.get(request_id)
        found = _notes_of(call.ask) if call is not None else self._recent.get(request_id)
        if found is None:
            raise _not_found(request_id)
        owner, model, trace = found
        if not _owns(principal, owner):
            raise _not_found(request_id)
        return trace.decision(request_id, model)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that must outlive its call; drain waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._done)

    @property
    def background(self) -> int:
        """How many pieces of such work run now."""
        return len(self._background)

    async def drain(self) -> None:
        """Refuse new calls and return when the running ones and their remains have ended."""
        self._leaving = self._draining = True
        await self._idle.wait()
        while self._background:
            await asyncio.wait(tuple(self._background))

    def abort(self) -> None:
        """End every running call: the grace is over."""
        for call in tuple(self._running.values()):
            call.end(ShuttingDown("this process is shutting down"))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("work after a call failed", exc_info=error)


def _notes_of(ask: Ask) -> tuple[str, str, Trace]:
    """Whose call it is, the model asked for, and its trace: what is kept of a call without its payload."""
    return ask.principal.key_id, ask.model, ask.trace


def _owns(principal: Principal, key_id: str) -> bool:
    return principal.key_id == key_id or Scope.SCOPE_ADMIN in principal.scopes


def _not_found(request_id: str) -> RequestNotFound:
    return RequestNotFound(f"no running or recent call has request id {request_id}", request_id=request_id)
