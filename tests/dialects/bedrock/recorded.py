"""The recordings of Bedrock, whose streams are binary and whose models are in the path."""

from __future__ import annotations

import base64
import functools
import json
from dataclasses import dataclass
from typing import Any

from services.dialects.bedrock import BedrockCodec
from services.dialects.codec import ChatCodec, CountCodec
from services.dialects.eventstream import Frame, FrameReader, encode_frame
from tests.support.exchanges import FOLDER

codec = BedrockCodec()
chat: ChatCodec = codec
count: CountCodec = codec


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording; the answer as bytes."""

    name: str
    endpoint: str
    model: str
    path: str
    body: dict[str, Any]
    status: int
    headers: dict[str, str]
    answer: bytes

    def __str__(self) -> str:
        return self.name

    @property
    def request(self) -> bytes:
        """The request's body as JSON."""
        return json.dumps(self.body).encode()

    @property
    def streaming(self) -> bool:
        """Whether the answer is a stream."""
        return self.status == 200 and self.endpoint.endswith("stream")


@functools.cache
def recordings(*endpoints: str) -> tuple[Recording, ...]:
    """The recordings of these endpoints, by name."""
    found = []
    for folder in ("bedrock", "vertex"):
        for file in sorted((FOLDER / folder).glob("*.json")):
            raw = json.loads(file.read_bytes())
            if raw["endpoint"] in endpoints:
                found.append(_recording(f"{folder}/{file.stem[:3]}", raw))
    return tuple(found)


def _recording(name: str, raw: dict[str, Any]) -> Recording:
    response = raw["response"]
    body = response["body"]
    if response["framing"] == "eventstream":
        answer = base64.b64decode(body)
    else:
        answer = (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
    return Recording(
        name=name,
        endpoint=raw["endpoint"],
        model=raw["model"],
        path=raw["request"]["path"],
        body=raw["request"]["body"],
        status=response["status"],
        headers=response["headers"],
        answer=answer,
    )


def one(name: str) -> Recording:
    """The recording of this name, as `bedrock/024`."""
    found = recordings(
        "bedrock.converse",
        "bedrock.converse-stream",
        "bedrock.count-tokens",
        "bedrock.invoke",
        "bedrock.invoke-with-response-stream",
    )
    return next(each for each in found if each.name == name)


def frames(data: bytes) -> list[Frame]:
    """The frames of a stream."""
    return FrameReader().feed(data)


def payloads(data: bytes) -> list[tuple[str, str, Any]]:
    """The frames of a stream by value, the padding that hides lengths left out."""
    read = [(frame.kind, frame.name, json.loads(frame.payload)) for frame in frames(data)]
    return [(kind, name, {k: v for k, v in value.items() if k != "p"}) for kind, name, value in read]


def stream(*events: tuple[str, dict[str, Any]]) -> bytes:
    """A stream of these events, written as Bedrock would; names ending in Exception are exceptions."""
    return b"".join(
        encode_frame(name, json.dumps(value).encode(), "exception" if name.endswith("Exception") else "event")
        for name, value in events
    )
