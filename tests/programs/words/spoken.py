"""What a scripted model is asked and what it says, whatever the dialect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

INPUT_TOKENS: Final = 21
OUTPUT_TOKENS: Final = 7


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call."""

    name: str
    arguments: dict[str, Any]
    id: str = "call_1"


@dataclass(frozen=True, slots=True)
class Said:
    """One answer: words, or calls."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    number: int = 0
    """Which answer of the model it is: programs join what has the same id."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the tools offered, what earlier calls gave, and whether the answer is streamed."""

    stream: bool
    tools: frozenset[str]
    results: tuple[str, ...]
    body: dict[str, Any]


Script = Callable[[Asked], Said]
"""What a model answers."""


class Words(Protocol):
    """One dialect."""

    def read(self, body: dict[str, Any], path: str) -> Asked:
        """Return what is asked."""
        ...

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        """Return the answer in one piece."""
        ...

    def events(self, said: Said, model: str) -> list[bytes]:
        """Return the answer as a stream of server-sent events."""
        ...


def halves(text: str) -> tuple[str, str]:
    """Split a text, so that a stream has more than one piece of it."""
    middle = len(text) // 2
    return text[:middle], text[middle:]


def plain(content: Any) -> str:
    """Return the text of a tool's result, given as a text or as parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or () if isinstance(part, dict))
