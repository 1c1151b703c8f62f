"""What a provider may do wrong, and what must be seen of it on every door and in the books."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.support import faults
from tests.support.exchanges import named, sse_events
from tests.support.faults import Cut, Head, Pause, Program, Send, Stall

WHOLE: Final = {"openai": named("openai/018").answer, "anthropic": named("anthropic/051").answer}
_LONG: Final = sse_events(named("openai/026").answer)
STREAM: Final = {
    "openai": [*_LONG[:8], *_LONG[-3:]],
    "anthropic": sse_events(named("anthropic/043").answer),
}
"""Short recorded answers; the OpenAI one without most of its middle."""

# The status of a translated error, by reason. The contract's doors use the code.
CODE: Final = {
    "UPSTREAM_REJECTED": "INVALID_ARGUMENT",
    "UPSTREAM_AUTH_FAILED": "UNAVAILABLE",
    "MODEL_NOT_FOUND": "NOT_FOUND",
    "UPSTREAM_TIMEOUT": "DEADLINE_EXCEEDED",
    "REQUEST_TOO_LARGE": "INVALID_ARGUMENT",
    "UPSTREAM_RATE_LIMITED": "RESOURCE_EXHAUSTED",
    "UPSTREAM_FAILED": "UNAVAILABLE",
    "UPSTREAM_OVERLOADED": "UNAVAILABLE",
    "UPSTREAM_PROTOCOL": "UNAVAILABLE",
    "UPSTREAM_UNREACHABLE": "UNAVAILABLE",
    "STREAM_INTERRUPTED": "UNAVAILABLE",
}
OPENAI_STATUS: Final = {
    "UPSTREAM_REJECTED": 400,
    "MODEL_NOT_FOUND": 404,
    "UPSTREAM_TIMEOUT": 504,
    "REQUEST_TOO_LARGE": 413,
    "UPSTREAM_RATE_LIMITED": 429,
}
"""Others are 503."""
ANTHROPIC_STATUS: Final = {**OPENAI_STATUS, "UPSTREAM_OVERLOADED": 529}
"""Others are 500."""

FINAL: Final = frozenset({"UPSTREAM_REJECTED", "REQUEST_TOO_LARGE"})
"""Refusals of the request: another target is not tried."""

Make = Callable[[str, bool], Program | None]
"""From the provider's dialect and whether a stream was asked for to a program; None: does not happen there."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One misbehaviour."""

    name: str
    reason: str
    """What is booked, and what the contract's doors say as long as no content went out."""
    make: Make
    provider: str = ""
    """brief: has short time limits; closed: nobody listens."""
    status: int | None = None
    """What the provider says; a relayed refusal goes through as it is."""
    event: bool = False
    """The provider says it as an event of a stream; relayed, the event goes through as it is."""
    content: bool = False
    """Content goes out first: doors say that the answer broke off."""
    retry_after: float | None = None
    other_reason: str = ""
    """Where two words are equally right."""

    def __str__(self) -> str:
        return self.name

    def target(self, dialect: str, model: str) -> tuple[str, str]:
        """Return provider and model for a call that meets this fault."""
        return (f"{self.provider}-{dialect}" if self.provider else dialect), model


def refusal(dialect: str, kind: str, message: str = "as told") -> dict[str, Any]:
    """Return an error body of a dialect."""
    if dialect == "anthropic":
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def error_event(dialect: str) -> bytes:
    """Return the event by which a provider says in a stream that it failed."""
    if dialect == "anthropic":
        return b"event: error\ndata: " + json.dumps(refusal(dialect, "overloaded_error")).encode() + b"\n\n"
    return b"data: " + json.dumps(refusal(dialect, "engine_overloaded")).encode() + b"\n\n"


def good(dialect: str, *, stream: bool) -> Program:
    """Return a whole answer as recorded."""
    return faults.events(STREAM[dialect]) if stream else faults.answer(200, WHOLE[dialect])


_KINDS: Final = {
    400: ("invalid_request_error", "invalid_request_error"),
    401: ("invalid_request_error", "authentication_error"),
    404: ("invalid_request_error", "not_found_error"),
    408: ("server_error", "timeout_error"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("requests", "rate_limit_error"),
    500: ("server_error", "api_error"),
    503: ("server_error", "overloaded_error"),
    529: ("server_error", "overloaded_error"),
}


def _status(status: int, headers: dict[str, str] | None = None) -> Make:
    def make(dialect: str, stream: bool) -> Program:
        body = refusal(dialect, _KINDS[status][dialect == "anthropic"], "model: unknown-model")
        return faults.answer(status, body, headers)

    return make


def _always(program: Program) -> Make:
    return lambda _dialect, _stream: program


def _streams(make: Callable[[str], Program]) -> Make:
    return lambda dialect, stream: make(dialect) if stream else None


def _wholes(make: Callable[[str], Program]) -> Make:
    return lambda dialect, stream: None if stream else make(dialect)


def _begun(dialect: str) -> list[bytes]:
    """Return the recorded stream up to some content."""
    return STREAM[dialect][:5]


_SSE: Final = Head(200, (("content-type", "text/event-stream"),))
# Content and what follows must not come in one read, or nothing has gone out yet when the fault is seen.
_APART: Final = Pause(0.15)
_NONSENSE: Final = b"data: {nonsense\n\n"

FAULTS: Final = (
    Fault("400", "UPSTREAM_REJECTED", _status(400), status=400),
    Fault("401", "UPSTREAM_AUTH_FAILED", _status(401), status=401),
    Fault("404", "MODEL_NOT_FOUND", _status(404), status=404),
    Fault("408", "UPSTREAM_TIMEOUT", _status(408), status=408),
    Fault("413", "REQUEST_TOO_LARGE", _status(413), status=413),
    Fault("429", "UPSTREAM_RATE_LIMITED", _status(429, {"retry-after": "7"}), status=429, retry_after=7.0),
    Fault("500", "UPSTREAM_FAILED", _status(500), status=500),
    Fault("503", "UPSTREAM_OVERLOADED", _status(503), status=503),
    Fault("529", "UPSTREAM_OVERLOADED", _status(529), status=529),
    Fault("refused", "UPSTREAM_UNREACHABLE", _always(()), provider="closed"),
    Fault("hang-up", "UPSTREAM_FAILED", _always(faults.hang_up())),
    Fault("not-http", "UPSTREAM_PROTOCOL", _always(faults.not_http())),
    Fault("redirect", "UPSTREAM_PROTOCOL", _always(faults.redirect("http://127.0.0.1:9/"))),
    Fault("huge-header", "UPSTREAM_PROTOCOL", _always(faults.huge_header(100_000))),
    Fault("stall-before-headers", "UPSTREAM_TIMEOUT", _always(faults.silent()), provider="brief"),
    Fault("dripping-headers", "UPSTREAM_TIMEOUT", _always(faults.dripping_head(0.2)), provider="brief"),
    Fault("stall-before-token", "UPSTREAM_TIMEOUT", _streams(lambda _: (_SSE, Stall())), provider="brief"),
    Fault(
        "stall-in-body",
        "UPSTREAM_TIMEOUT",
        _wholes(lambda d: (Head(length=len(WHOLE[d])), Send(WHOLE[d][:50]), Stall())),
        provider="brief",
    ),
    Fault("not-json", "UPSTREAM_PROTOCOL", _always(faults.answer(200, b'{"nonsense": '))),
    Fault("html", "UPSTREAM_PROTOCOL", _always(faults.answer(200, b"<html>", content_type="text/html"))),
    Fault(
        "other-json",
        "UPSTREAM_PROTOCOL",
        _always(faults.answer(200, {"hello": 1})),
        other_reason="UPSTREAM_FAILED",
    ),
    Fault("empty", "UPSTREAM_PROTOCOL", _wholes(lambda _: faults.answer(200, b""))),
    Fault("short-body", "UPSTREAM_FAILED", _wholes(lambda d: faults.short_body(WHOLE[d], 5))),
    Fault(
        "error-in-200", "UPSTREAM_FAILED", _wholes(lambda d: faults.answer(200, refusal(d, "server_error")))
    ),
    Fault("nonsense-event", "UPSTREAM_PROTOCOL", _streams(lambda _: faults.events([_NONSENSE]))),
    Fault(
        "error-event",
        "UPSTREAM_OVERLOADED",
        _streams(lambda d: faults.events([error_event(d)])),
        event=True,
    ),
    Fault(
        "error-event-in-stream",
        "UPSTREAM_OVERLOADED",
        _streams(lambda d: faults.events(_begun(d), _APART, Send(error_event(d)), faults.End())),
        event=True,
        content=True,
    ),
    Fault(
        "stall-in-stream",
        "UPSTREAM_TIMEOUT",
        _streams(lambda d: faults.events(_begun(d), Stall())),
        provider="brief",
        content=True,
    ),
    Fault(
        "cut-in-stream",
        "UPSTREAM_FAILED",
        _streams(lambda d: faults.events(_begun(d), _APART, Cut())),
        content=True,
    ),
    Fault(
        "nonsense-in-stream",
        "UPSTREAM_PROTOCOL",
        _streams(lambda d: faults.events(_begun(d), _APART, Send(_NONSENSE), faults.End())),
        content=True,
    ),
)
