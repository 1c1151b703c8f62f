"""Relaying: the body's bytes go through; usage, finish and length are read in passing."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from llmhub.types.v1.generation_pb2 import Finish, FinishReason
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.codec import Passed, RelayBody
from services.dialects.failure import error_message
from services.dialects.members import JsonObject, decode_json, encode_json, request_object
from services.dialects.openai_responses.errors import failure_of, failure_of_response
from services.dialects.openai_responses.finish import kinds_of, read_finish
from services.dialects.openai_responses.frames import DELTAS, TERMINAL
from services.dialects.openai_responses.hot import lone_delta
from services.dialects.openai_responses.state import MARKS, without_marks
from services.dialects.openai_responses.usage import framed_usage_text, read_usage, usage_text
from services.dialects.openai_responses.wire import CALLS
from services.dialects.raw_json import raw_members
from services.dialects.sse import SseParser
from services.dialects.surrogates import mended
from services.runtime.errors import (
    LlmhubError,
    RequestInvalid,
    StreamInterrupted,
    UpstreamProtocol,
    Violation,
)

_NULL: Final = b"null"
_NONE: Final = msgspec.Raw(_NULL)
_PROSE: Final = frozenset({"message", "reasoning"})
"""Items whose words come before they are complete."""
_NAMES: Final = frozenset({"type", "id", "status", "role", "call_id", "encrypted_content"})


class _Frame(msgspec.Struct, gc=False):
    type: str = ""
    delta: Any = None
    response: msgspec.Raw = _NONE
    item: msgspec.Raw = _NONE
    error: msgspec.Raw = _NONE


_frame = msgspec.json.Decoder(_Frame).decode


def relay_request(body: bytes, model: str) -> RelayBody:
    """Replace the model; every other member keeps its bytes, but for what this gateway put into an earlier answer.

    Ids of ours, and other vendors' state that a door kept, mean nothing to the provider, and are refused by it.
    """
    try:
        members = raw_members(body)
    except ValueError:
        request_object(body)
        raise RequestInvalid(
            "the body is not valid JSON", violations=(Violation("", "not valid JSON"),)
        ) from None
    members["model"] = msgspec.Raw(msgspec.json.encode(model))
    given = members.get("input")
    if given is not None and any(mark in bytes(given) for mark in MARKS):
        try:
            items = decode_json(given)
        except ValueError:
            items = None
        if isinstance(items, list):
            members["input"] = msgspec.Raw(encode_json(without_marks(items)))
    return RelayBody(msgspec.json.encode(members))


def relay_answer(body: bytes, endpoint: Endpoint.ValueType) -> Progress:
    """Read a whole answer: a response, a compaction or a count."""
    body = mended(body)
    try:
        value = decode_json(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        return Progress(error=error_message(UpstreamProtocol("the provider sent what is not valid JSON")))
    if endpoint == Endpoint.ENDPOINT_OPENAI_INPUT_TOKENS and "input_tokens" in value:
        # Counting is free: what was counted is not what was used.
        return Progress(content=True, complete=True)
    output = value.get("output")
    if not isinstance(output, list):
        failure = failure_of(value) if value.get("error") else None
        failure = failure or UpstreamProtocol("the provider's answer has no output")
        return Progress(error=error_message(failure))
    seen = Seen()
    seen.head(value)
    seen.content = bool(output)
    seen.end(value, usage_text(body))
    return seen.progress(complete=seen.failure is None)


class Seen:
    """What was read off an answer so far."""

    def __init__(self) -> None:
        self.characters = 0
        self.content = False
        self.frames = 0
        self.news = False
        """Something besides the number of characters changed."""
        self.done = False
        self.failure: LlmhubError | None = None
        self._id = ""
        self._model = ""
        self._usage: Usage | None = None
        self._finish: Finish | None = None

    def event(self, data: bytes) -> None:
        """Read one event."""
        if not data or data.isspace() or data == b"[DONE]" or self.done:
            return
        self.frames += 1
        try:
            self._read(data)
        except RecursionError:
            self.news = True
            self.failure = UpstreamProtocol("the provider sent an event that nests too deep")

    def _read(self, data: bytes) -> None:
        try:
            frame = _frame(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            fixed = mended(data)
            try:
                frame = _frame(fixed)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                self.news = True
                self.failure = UpstreamProtocol("the provider sent what is no event of a response")
                return
            data = fixed
        kind = frame.type
        if kind in DELTAS:
            if isinstance(frame.delta, str) and frame.delta:
                self.content = True
                self.characters += len(frame.delta)
        elif frame.response is not _NONE:
            self._response(frame, data)
        elif frame.item is not _NONE:
            self._item(frame)
        elif kind == "error" or (not kind and bytes(frame.error) != _NULL):
            self.news = True
            self.failure = failure_of(_object(data))

    def _response(self, frame: _Frame, data: bytes) -> None:
        if self._id and frame.type not in TERMINAL:
            return
        self.news = True
        response = _object(frame.response)
        self.head(response)
        if frame.type in TERMINAL:
            self.done = True
            self.end({"status": frame.type.removeprefix("response."), **response}, framed_usage_text(data))

    def _item(self, frame: _Frame) -> None:
        item = _object(frame.item)
        kind = item.get("type")
        begun = frame.type == "response.output_item.added"
        if isinstance(kind, str) and kind in CALLS:
            if begun:
                self.news = self.content = True
                self.characters += length(item.get("name"))
        elif not begun and not (isinstance(kind, str) and kind in _PROSE):
            self.news = self.content = True

    def head(self, response: JsonObject) -> None:
        """Read who answers."""
        for name in ("id", "model"):
            word = response.get(name)
            if isinstance(word, str):
                setattr(self, f"_{name}", word)

    def end(self, response: JsonObject, usage_json: str) -> None:
        """Read how it ended."""
        output = response.get("output")
        self.characters = max(self.characters, length(output))
        usage = response.get("usage")
        if isinstance(usage, dict):
            self._usage = read_usage(usage, usage_json, response)
        if response.get("status") == "failed":
            self.failure = self.failure or failure_of_response(response)
            return
        finish = read_finish(response, kinds_of(output))
        # A compaction has no status.
        self._finish = finish or Finish(reason=FinishReason.FINISH_REASON_END)

    def progress(self, *, complete: bool) -> Progress:
        """What is known now."""
        progress = Progress(
            content=self.content,
            output_characters=self.characters,
            response_id=self._id,
            provider_model=self._model,
            complete=complete,
        )
        if self._usage is not None:
            progress.usage.CopyFrom(self._usage)
        if self._finish is not None:
            progress.finish.CopyFrom(self._finish)
        if self.failure is not None:
            progress.error.CopyFrom(error_message(self.failure))
        return progress


class ResponsesRelayTap:
    """Watches one relayed stream; implements services.dialects.codec.RelayTap. Every byte is passed on at once."""

    __slots__ = ("_aligned", "_parser", "_seen")

    def __init__(self) -> None:
        self._parser = SseParser()
        self._seen = Seen()
        self._aligned = False

    def feed(self, data: bytes) -> Passed:
        """Pass bytes on; progress if they changed it."""
        seen = self._seen
        before = seen.characters
        if self._aligned and (lone := lone_delta(data)) is not None:
            seen.event(lone[1])
        else:
            if data:
                self._aligned = data.endswith(b"\n\n")
            for event in self._parser.feed(data):
                seen.event(event.data)
        if seen.news:
            seen.news = False
            return Passed(data, seen.progress(complete=seen.done and seen.failure is None))
        if seen.characters == before:
            return Passed(data, None)
        return Passed(data, Progress(content=True, output_characters=seen.characters))

    def close(self) -> Passed:
        """Say whether the stream was whole."""
        seen = self._seen
        if not seen.done and seen.failure is None:
            seen.failure = (
                StreamInterrupted(
                    "the provider's stream ended before the answer did", events=str(seen.frames)
                )
                if seen.frames
                else UpstreamProtocol("the provider's stream ended before it began")
            )
        return Passed(b"", seen.progress(complete=seen.done and seen.failure is None))


def length(value: object) -> int:
    """Characters of all strings in a value, without the names, types and state in its objects."""
    total, left = 0, [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            total += len(each)
        elif isinstance(each, list):
            left.extend(each)
        elif isinstance(each, dict):
            left.extend(inner for name, inner in each.items() if name not in _NAMES)
    return total


def _object(data: bytes | msgspec.Raw) -> JsonObject:
    """The object in these bytes; empty for anything else."""
    try:
        value = decode_json(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
