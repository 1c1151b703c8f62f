"""Recorded exchanges as the replay server plays them: a request to expect, and an answer in pieces."""

from __future__ import annotations

import functools
import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.faults import End, Head, Program, Send

FOLDER: Final = Path(os.environ.get("LLMHUB_RECORDINGS", Path(__file__).parents[1] / "recordings"))
PATHS: Final = {
    "openai.chat": "/v1/chat/completions",
    "openai.embeddings": "/v1/embeddings",
    "anthropic.messages": "/v1/messages",
    "anthropic.count_tokens": "/v1/messages/count_tokens",
}
"""Endpoints that have a door of their own dialect, with the door's path."""

_CONNECTION_HEADERS: Final = frozenset(
    {"content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive"}
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recording. `body` is the request by value, None where the source kept only the answer."""

    name: str
    provider: str
    endpoint: str
    model: str
    features: frozenset[str]
    body: dict[str, Any] | None
    request_headers: dict[str, str]
    target: str
    """The recorded path with its query."""
    status: int
    headers: tuple[tuple[str, str], ...]
    streaming: bool
    exact: bool
    answer: bytes

    def __str__(self) -> str:
        return self.name

    @property
    def dialect(self) -> str:
        """The wire dialect."""
        return self.endpoint.partition(".")[0]

    @property
    def path(self) -> str:
        """The door's path for it."""
        return PATHS[self.endpoint]

    @property
    def question(self) -> dict[str, Any]:
        """The recorded request, or a stand-in where none was kept; it names the model as recorded."""
        stand_in: dict[str, Any] = {
            "max_tokens": 16,
            "messages": [{"role": "user", "content": "the question was not recorded"}],
            "stream": self.streaming,
        }
        return {**(stand_in if self.body is None else self.body), "model": self.model}

    @property
    def wants_stream(self) -> bool:
        """Whether the request asks for a stream; the answer to it may be an error all the same."""
        return bool(self.question.get("stream"))

    def program(self, pieces: Sequence[bytes] | None = None) -> Program:
        """Return the answer as steps, in the given pieces."""
        length = None if self.streaming else len(self.answer)
        sends = (Send(piece) for piece in ([self.answer] if pieces is None else pieces))
        return (Head(self.status, self.headers, length), *sends, End())


@functools.cache
def recorded(*endpoints: str) -> tuple[Exchange, ...]:
    """Return the recordings of these endpoints in the order of their names."""
    found = []
    for file in sorted(FOLDER.glob("*/*.json")):
        raw = json.loads(file.read_bytes())
        if raw.get("endpoint") in endpoints:
            found.append(_exchange(f"{file.parent.name}/{file.stem}", raw))
    return tuple(found)


def named(name: str) -> Exchange:
    """Return one recording by provider and the beginning of its file name, as `openai/018`."""
    (found,) = (each for each in recorded(*PATHS) if each.name.startswith(f"{name}-"))
    return found


def random_pieces(data: bytes, seed: int) -> list[bytes]:
    """Cut bytes at random places; short ones also into single bytes, one time in three."""
    dice = random.Random(seed)
    if len(data) < 1024 and seed % 3 == 0:
        return [bytes([byte]) for byte in data]
    cuts = (
        sorted(dice.sample(range(1, len(data)), min(len(data) - 1, dice.randint(1, 24))))
        if len(data) > 1
        else []
    )
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def sse_events(data: bytes) -> list[bytes]:
    """Cut a stream after each event, its blank line included."""
    separator = b"\r\n\r\n" if b"\r\n\r\n" in data else b"\n\n"
    parts = data.split(separator)
    return [part + separator for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _exchange(name: str, raw: dict[str, Any]) -> Exchange:
    response, request = raw["response"], raw["request"] or {"headers": {}}
    body = request.get("body")
    text = response["body"]
    streaming = response["framing"] == "sse" or response["framing"] == "data-lines"
    if response["framing"] == "data-lines":
        text = _events_of_lines(text)
    data = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    headers = tuple(
        (key.lower(), value)
        for key, value in response["headers"].items()
        if key.lower() not in _CONNECTION_HEADERS
    )
    if "content-type" not in dict(headers):
        headers += (("content-type", "text/event-stream" if streaming else "application/json"),)
    return Exchange(
        name=name,
        provider=raw["provider"],
        endpoint=raw["endpoint"],
        model=raw["model"] or "recorded-model",
        features=frozenset(raw["features"]),
        body=body if isinstance(body, dict) else None,
        request_headers={key.lower(): value for key, value in request["headers"].items()},
        target=request.get("path") or "",
        status=response["status"],
        headers=headers,
        streaming=streaming,
        exact=response["fidelity"] == "exact",
        answer=data.encode(),
    )


def _events_of_lines(text: str) -> str:
    """Frame payloads, a line each, as the events they were: Anthropic names an event after its payload's type."""
    framed = []
    for line in filter(None, text.split("\n")):
        kind = json.loads(line).get("type") if line.startswith("{") else None
        framed.append((f"event: {kind}\n" if kind else "") + f"data: {line}\n\n")
    return "".join(framed)
