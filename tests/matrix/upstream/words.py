"""What every scripted provider is: a reader of questions and a writer of answers in one dialect."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from tests.matrix.cases import Said
from tests.support.faults import Program, answer


class Words(Protocol):
    """One dialect as a provider speaks it."""

    lacks: frozenset[str]
    """Facts of answers that it has no words for."""
    content_type: str
    """Of a stream."""

    def read(self, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
        """Return the question in the form of `cases.asked`. Raises AssertionError where it is none."""
        ...

    def whole(self, said: Said, model: str) -> dict[str, Any]:
        """Return the body of a whole answer."""
        ...

    def pieces(self, said: Said, model: str) -> list[bytes]:
        """Return a stream, an event apiece."""
        ...

    def refusal(self) -> Program:
        """Return the answer to who asks too often."""
        ...


def refused(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Program:
    """Return an answer with status 429."""
    return answer(429, body, headers)


def halves(text: str) -> list[str]:
    """Cut a text in two, neither empty where there is enough of it."""
    middle = len(text) // 2
    return [part for part in (text[:middle], text[middle:]) if part]


def of_data_url(url: str) -> bytes:
    """Return what a data URL holds."""
    _, _, data = url.partition(";base64,")
    return base64.b64decode(data)


def joined(content: Any) -> str:
    """Return the text of a content that is a text or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content or ())


def parts_of(messages: Iterable[Mapping[str, Any]], role: str) -> list[dict[str, Any]]:
    """Return the parts of all messages of a role; a text is one part."""
    found: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == role:
            content = message.get("content") or []
            found += (
                [{"type": "text", "text": content}]
                if isinstance(content, str)
                else [dict(p) for p in content]
            )
    return found


def sse(frame: Mapping[str, Any], event: str = "") -> bytes:
    """Return an event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(frame, ensure_ascii=False)}\n\n".encode()
