"""A server that plays providers: it answers with recordings and faults, and checks what it is asked."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

from tests.support.faults import Program, answer
from tests.support.journal import Arrival, Journal, arrival
from tests.support.ports import free_port
from tests.support.wire import Incoming, Wire

UPSTREAM_KEY: Final = "upstream-secret-of-{provider}"
"""The credential that configurations of tests give to a provider."""

ANTHROPIC_PATHS: Final = ("/v1/messages", "/v1/messages/count_tokens")
GEMINI_PREFIXES: Final = ("/v1beta/models/",)
FORM_PATH: Final = "/v1/audio/transcriptions"
_INTERNAL_PREFIXES: Final = ("x-llmhub-", "x-envoy-", "x-forwarded-", "grpc-", "x-request-id", "cookie")
_NO_SCRIPT: Final = answer(
    418, {"error": {"type": "no_script", "message": "the replay server has no answer for this request"}}
)


def upstream_key(provider: str) -> str:
    """Return the credential a provider must be shown."""
    return UPSTREAM_KEY.format(provider=provider)


Complaints = Callable[[Arrival], Iterable[str]]
"""Says what is wrong with the credentials of a request."""


Chooser = Callable[[Arrival], Program]
"""Chooses the answer to a request."""


def anyone(seen: Arrival) -> Iterable[str]:
    """Find nothing wrong with a request's credentials."""
    return ()


class Replay:
    """One server for every provider: the first segment of a path names the provider.

    A test gives the answers by provider and model, so tests that use models of their own do not disturb each other.
    `faults` collects what was wrong with any request; whoever owns the server asserts that it is empty.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.journal = Journal()
        self.faults: list[str] = []
        self._secrets: set[bytes] = set()
        self._credentials: dict[str, Complaints] = {}
        self._scripts: dict[tuple[str, str], deque[Program]] = {}
        self._choosers: dict[tuple[str, str], Chooser] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)
        self._ready = threading.Event()
        self._wires = 0
        self._open: weakref.WeakSet[Wire] = weakref.WeakSet()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            message = "the replay server did not start"
            raise RuntimeError(message)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # ------------------------------------------------------------------ the test's side

    def base_url(self, provider: str, dialect: str = "openai") -> str:
        """Return the address to configure for a provider."""
        suffix = "" if dialect in {"anthropic", "gemini"} else "/v1"
        return f"http://127.0.0.1:{self.port}/{provider}{suffix}"

    def answer(self, provider: str, model: str, *programs: Program) -> None:
        """Answer requests for a model with these programs in turn; the last one stays."""
        with self._lock:
            self._scripts[provider, model] = deque(programs)

    def choose(self, provider: str, model: str, chooser: Chooser) -> None:
        """Answer requests for a model with what is chosen for each."""
        with self._lock:
            self._choosers[provider, model] = chooser

    def expect(self, provider: str, credentials: Complaints) -> None:
        """Judge a provider's credentials so, and not by the dialect of the path."""
        self._credentials[provider] = credentials

    def keep_out(self, *secrets: str) -> None:
        """Report every request that has one of these texts in its head or body."""
        self._secrets.update(secret.encode() for secret in secrets)

    # ------------------------------------------------------------------ the server's side

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._shut())
            self._loop.close()

    async def _shut(self) -> None:
        self._server.close()
        for wire in self._open:
            wire.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(self._wire, "127.0.0.1", self.port, backlog=512)

    def _wire(self) -> Wire:
        self._wires += 1
        wire = Wire(self._serve, self._wires)
        self._open.add(wire)
        return wire

    async def _serve(self, wire: Wire, request: Incoming) -> None:
        seen = arrival(self.journal.mark(), request, wire.number)
        seen.faults += self._complaints(seen)
        self.faults += [f"{seen.method} /{seen.provider}{seen.path}: {fault}" for fault in seen.faults]
        program = self._program(seen)
        self.journal.add(seen)
        try:
            for step in program:
                await step.play(wire)
            if wire.left_at is None:
                seen.answered_at = time.monotonic()
        finally:
            if seen.answered_at is None:
                seen.left_at = wire.left_at
            self.journal.touch()

    def _program(self, seen: Arrival) -> Program:
        with self._lock:
            chooser = self._choosers.get((seen.provider, seen.model))
            if chooser is not None:
                return chooser(seen)
            programs = self._scripts.get((seen.provider, seen.model))
            if programs is None:
                return _NO_SCRIPT
            return programs.popleft() if len(programs) > 1 else programs[0]

    def _complaints(self, seen: Arrival) -> Iterable[str]:
        for secret in self._secrets:
            if secret in seen.raw_head or secret in seen.body:
                yield "the caller's key came along"
        for name in seen.headers:
            if name.startswith(_INTERNAL_PREFIXES):
                yield f"the header {name} is none of a provider's business"
        yield from self._credentials.get(seen.provider, _credential_complaints)(seen)
        if seen.query and any(secret in seen.query for secret in ("key=", "token=")):
            yield "there is a credential in the query"
        wanted = "multipart/form-data" if seen.path == FORM_PATH else "application/json"
        if seen.method == "POST" and wanted not in seen.headers.get("content-type", ""):
            yield f"content-type is {seen.headers.get('content-type')!r}"


def _credential_complaints(seen: Arrival) -> Iterable[str]:
    key = upstream_key(seen.provider)
    if seen.path in ANTHROPIC_PATHS:
        if seen.headers.get("x-api-key") != key or "authorization" in seen.headers:
            yield "the credential is not the configured one"
        if "anthropic-version" not in seen.headers:
            yield "anthropic-version is missing"
    elif any(seen.path.startswith(prefix) for prefix in GEMINI_PREFIXES):
        if seen.headers.get("x-goog-api-key") != key or "authorization" in seen.headers:
            yield "the credential is not the configured one"
    elif seen.headers.get("authorization") != f"Bearer {key}" or "x-api-key" in seen.headers:
        yield "the credential is not the configured one"
