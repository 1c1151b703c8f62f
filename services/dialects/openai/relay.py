"""Relaying: the body's bytes go through; usage, finish and length are read in passing."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from services.dialects.codec import Passed, RelayBody
from services.dialects.members import JSON_FAULTS, request_object
from services.dialects.openai.profile import Profile
from services.dialects.openai.seen import Seen
from services.dialects.openai_media import MEDIA, read_answer, relay_form
from services.dialects.sse import MAX_EVENT_BYTES, SseParser
from services.dialects.surrogates import mended
from services.runtime.errors import (
    RequestInvalid,
    StreamInterrupted,
    UpstreamProtocol,
    Violation,
)

_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_NULL: Final = b"null"


_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def relay_request(body: bytes, model: str, endpoint: Endpoint.ValueType, profile: Profile) -> RelayBody:
    """Replace the model, and ask for usage in a stream that does not; every other member keeps its bytes.

    Where usage was not asked for, chunks may come with `"usage": null`; that is left, only the chunk that holds
    nothing but usage is taken out again.
    """
    if endpoint == Endpoint.ENDPOINT_OPENAI_TRANSCRIPTIONS:
        return relay_form(body, model)
    try:
        members = _members(body)
    except JSON_FAULTS:
        request_object(body)
        raise RequestInvalid(
            "the body is not valid JSON", violations=(Violation("", "not valid JSON"),)
        ) from None
    members["model"] = msgspec.Raw(msgspec.json.encode(model))
    hide = False
    if endpoint == Endpoint.ENDPOINT_OPENAI_CHAT and profile.stream_usage and _is_true(members.get("stream")):
        options = members.get("stream_options")
        try:
            inner = {} if options is None or bytes(options) == _NULL else _members(options)
        except JSON_FAULTS:
            raise RequestInvalid(
                "stream_options: must be an object",
                violations=(Violation("stream_options", "must be an object"),),
            ) from None
        if not _is_true(inner.get("include_usage")):
            hide = True
            inner["include_usage"] = msgspec.Raw(b"true")
            members["stream_options"] = msgspec.Raw(msgspec.json.encode(inner))
    return RelayBody(msgspec.json.encode(members), hide_usage=hide)


def _is_true(raw: msgspec.Raw | None) -> bool:
    return raw is not None and bytes(raw) == b"true"


def relay_answer(body: bytes, endpoint: Endpoint.ValueType) -> Progress:
    """Read a whole answer."""
    if endpoint in MEDIA:
        return read_answer(body, endpoint)
    seen = Seen(whole=True)
    if endpoint == Endpoint.ENDPOINT_OPENAI_EMBEDDINGS:
        seen.content = True
        seen.started = True
    seen.read(mended(body))
    return seen.progress(complete=seen.failure is None and seen.started)


class OpenAIRelayTap:
    """Watches one relayed stream; implements services.dialects.codec.RelayTap.

    Without hidden usage every byte is passed on at once. With it an event is passed on when it is complete, because
    only then is it known whether it is the one to hide.
    """

    __slots__ = ("_hide", "_kept", "_kept_size", "_parser", "_seen")

    def __init__(self, *, hide_usage: bool) -> None:
        self._parser = SseParser()
        self._seen = Seen()
        self._hide = hide_usage
        self._kept: list[bytes] = []
        self._kept_size = 0

    def feed(self, data: bytes) -> Passed:
        """Pass bytes on, less what is hidden; progress if they changed it."""
        seen = self._seen
        before = seen.characters
        if self._hide:
            data = self._without_usage(data)
        else:
            for event in self._parser.feed(data):
                seen.event(event.data)
        if seen.news:
            seen.news = False
            return Passed(data, seen.progress(complete=seen.done and seen.failure is None))
        if seen.characters == before:
            return Passed(data, None)
        return Passed(data, Progress(content=True, output_characters=seen.characters))

    def close(self) -> Passed:
        """Pass the rest on; say whether the stream was whole."""
        seen = self._seen
        rest = b"".join(self._kept)
        self._kept.clear()
        for event in self._parser.feed(rest):
            if seen.event(event.data):
                rest = b""
        complete = seen.failure is None and (seen.done or seen.finished())
        if not complete and seen.failure is None:
            seen.failure = (
                StreamInterrupted(
                    "the provider's stream ended before the answer did", events=str(seen.frames)
                )
                if seen.frames
                else UpstreamProtocol("the provider's stream ended before it began")
            )
        return Passed(rest, seen.progress(complete=complete))

    def _without_usage(self, data: bytes) -> bytes:
        """Pass on whole events only, without those that hold nothing but usage."""
        if b"\n" not in data and b"\r" not in data:
            self._keep(data)
            return b""
        if self._kept:
            data = b"".join([*self._kept, data])
            self._kept.clear()
            self._kept_size = 0
        end = _end_of_events(data)
        if end < len(data):
            self._keep(data[end:])
            data = data[:end]
        hidden = [self._seen.event(event.data) for event in self._parser.feed(data)]
        return _without(data, hidden) if True in hidden else data

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._kept_size += len(data)
        if self._kept_size > MAX_EVENT_BYTES:
            raise UpstreamProtocol(f"the provider sent a stream event larger than {MAX_EVENT_BYTES} bytes")


def _end_of_events(data: bytes) -> int:
    """Where the last whole event ends."""
    if b"\r" not in data:
        return data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
    # A split CR LF must not be taken for two line ends: a CR at the end waits.
    end = len(data) - 1 if data.endswith(b"\r") else len(data)
    found = 0
    for match in _EVENT_END.finditer(data, 0, end):
        found = match.end()
    return found


def _without(data: bytes, hidden: list[bool]) -> bytes:
    """Whole events, less the hidden ones."""
    passed: list[bytes] = []
    position = number = 0
    for match in _EVENT_END.finditer(data):
        block = data[position : match.end()]
        position = match.end()
        count = len(SseParser().feed(block))
        if not (count and hidden[number]):
            passed.append(block)
        number += count
    return b"".join(passed)
