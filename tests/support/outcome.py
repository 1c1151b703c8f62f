"""What a caller saw of a call, in one form for every door."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """One call as its caller saw it."""

    text: str = ""
    tool_calls: list[tuple[str, str]] = field(default_factory=list)
    """Names with arguments as text."""
    finish: str = ""
    """The door's own word."""
    clean: bool = False
    """The door said that the answer is whole."""
    status: int = 200
    """HTTP status; for gRPC the one that Envoy would give."""
    error: str = ""
    """Name of the SDK's exception, or of the gRPC code."""
    reason: str = ""
    """llmhub's reason, where the door shows it."""
    message: str = ""
    retry_after: float | None = None
    request_id: str = ""
    body: object = None
    """The error as the door wrote it."""
