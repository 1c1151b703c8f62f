"""Relaying: the body's bytes go through; usage, finish and length are read in passing."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.codec import Passed, RelayBody
from services.dialects.failure import error_message
from services.dialects.members import JsonObject, decode_json, request_object
from services.dialects.openai.errors import error_in_answer
from services.dialects.openai.profile import Profile
from services.dialects.openai.response import decode_finish
from services.dialects.openai.usage import decode_usage
from services.dialects.sse import MAX_EVENT_BYTES, SseParser
from services.runtime.errors import (
    LlmhubError,
    RequestInvalid,
    StreamInterrupted,
    UpstreamProtocol,
    Violation,
)

_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_NULL: Final = b"null"
_NONE: Final = msgspec.Raw(_NULL)


class _Function(msgspec.Struct, gc=False):
    arguments: Any = None
    name: Any = None


class _Call(msgspec.Struct, gc=False):
    function: _Function | None = None
    custom: Any = None


class _Said(msgspec.Struct, gc=False):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    audio: Any = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = 0
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _NONE
    error: msgspec.Raw = _NONE
    x_groq: msgspec.Raw = _NONE


_decode = msgspec.json.Decoder(_Chunk).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def relay_request(body: bytes, model: str, endpoint: Endpoint.ValueType, profile: Profile) -> RelayBody:
    """Replace the model, and ask for usage in a stream that does not; every other member keeps its bytes.

    Where usage was not asked for, chunks may come with `"usage": null`; that is left, only the chunk that holds
    nothing but usage is taken out again.
    """
    try:
        members = _members(body)
    except (msgspec.MsgspecError, RecursionError):
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
        except msgspec.MsgspecError:
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
    """Read a whole answer of chat or embeddings."""
    seen = _Seen(whole=True)
    if endpoint == Endpoint.ENDPOINT_OPENAI_EMBEDDINGS:
        seen.content = True
        seen.started = True
    seen.read(body)
    return seen.progress(complete=seen.failure is None and seen.started)


class OpenAIRelayTap:
    """Watches one relayed stream; implements services.dialects.codec.RelayTap.

    Without hidden usage every byte is passed on at once. With it an event is passed on when it is complete, because
    only then is it known whether it is the one to hide.
    """

    __slots__ = ("_hide", "_kept", "_kept_size", "_parser", "_seen")

    def __init__(self, *, hide_usage: bool) -> None:
        self._parser = SseParser()
        self._seen = _Seen()
        self._hide = hide_usage
        self._kept: list[bytes] = []
        self._kept_size = 0

    def feed(self, data: bytes) -> Passed:
        """Pass bytes on, less what is hidden; progress if they changed it."""
        seen = self._seen
        before = (seen.characters, seen.frames)
        if self._hide:
            data = self._without_usage(data)
        else:
            for event in self._parser.feed(data):
                seen.event(event.data)
        if before == (seen.characters, seen.frames):
            return Passed(data, None)
        return Passed(data, seen.progress(complete=seen.done and seen.failure is None))

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
        passed: list[bytes] = []
        position = 0
        # A split CR LF must not be taken for two line ends: what ends in CR waits.
        if (not data.endswith(b"\r") and b"\n" in data) or b"\r" in data:
            data = b"".join([*self._kept, data])
            self._kept.clear()
            self._kept_size = 0
            # A split CR LF must not be taken for two line ends: a CR at the end waits.
            end_of_known = len(data) - 1 if data.endswith(b"\r") else len(data)
            for match in _EVENT_END.finditer(data, 0, end_of_known):
                block = data[position : match.end()]
                position = match.end()
                hidden = False
                for event in self._parser.feed(block):
                    hidden = self._seen.event(event.data)
                if not hidden:
                    passed.append(block)
        rest = data[position:]
        if rest:
            self._kept.append(rest)
            self._kept_size += len(rest)
            if self._kept_size > MAX_EVENT_BYTES:
                raise UpstreamProtocol(
                    f"the provider sent a stream event larger than {MAX_EVENT_BYTES} bytes"
                )
        return b"".join(passed)


class _Seen:
    """What was read off an answer so far."""

    __slots__ = (
        "_ended",
        "_open",
        "_usage",
        "_whole",
        "_word",
        "characters",
        "content",
        "done",
        "failure",
        "frames",
        "model",
        "response_id",
        "started",
    )

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self.characters = 0
        self.content = False
        self.done = False
        self.failure: LlmhubError | None = None
        self.frames = 0
        self.model = ""
        self.response_id = ""
        self.started = False
        self._usage: bytes | None = None
        self._word = ""
        self._open: set[int] = set()
        self._ended: set[int] = set()

    def event(self, data: bytes) -> bool:
        """Read one event; true if it holds nothing but usage."""
        if data == b"[DONE]":
            self.frames += 1
            self.done = self.started
            return False
        if not data or data.isspace():
            return False
        return self.read(data)

    def read(self, data: bytes) -> bool:
        """Read a chunk or a whole answer; true if it holds nothing but usage."""
        self.frames += 1
        try:
            chunk = _decode(data)
        except (msgspec.MsgspecError, RecursionError):
            try:
                chunk = _lenient(decode_json(data))
            except ValueError:
                self.failure = UpstreamProtocol("the provider sent what is not valid JSON")
                return False
        if not self.response_id:
            self.response_id = chunk.id or ""
        if not self.model:
            self.model = chunk.model or ""
        choices = chunk.choices
        if choices:
            self.started = True
            for choice in choices:
                self._choice(choice)
        return self._rest(chunk)

    def _rest(self, chunk: _Chunk) -> bool:
        usage = bytes(chunk.usage)
        told = usage != _NULL
        if told:
            self._usage = usage
        elif bytes(chunk.x_groq) != _NULL:
            inner = decode_json(chunk.x_groq)
            if isinstance(inner, dict) and isinstance(inner.get("usage"), dict):
                self._usage = msgspec.json.encode(inner["usage"])
        error = bytes(chunk.error)
        if error != _NULL:
            self.failure = error_in_answer({"error": decode_json(error)}) or self.failure
        return told and not chunk.choices and error == _NULL

    def _choice(self, choice: _Choice) -> None:
        index = choice.index or 0
        self._open.add(index)
        # Perplexity repeats the whole message so far beside the delta of a chunk, and an empty delta beside a message.
        said = choice.message if self._whole and choice.message else choice.delta or choice.message
        if said is not None:
            self._said(said)
        if choice.finish_reason:
            self._word = choice.finish_reason
            self._ended.add(index)

    def _said(self, said: _Said) -> None:
        content = said.content
        if content:
            self.content = True
            self.characters += len(content) if isinstance(content, str) else _length(content)
        reasoning = said.reasoning_content or said.reasoning
        if reasoning:
            self.content = True
            self.characters += _length(reasoning)
        if said.refusal or said.audio:
            self.content = True
            self.characters += _length(said.refusal)
        if said.tool_calls or said.function_call:
            self.content = True
            for call in said.tool_calls or (_Call(function=said.function_call),):
                function = call.function
                if function is not None:
                    self.characters += _length(function.arguments) + _length(function.name)
                elif call.custom:
                    self.characters += _length(call.custom)

    def finished(self) -> bool:
        """Whether every candidate seen has ended."""
        return bool(self._ended) and self._open <= self._ended

    def progress(self, *, complete: bool) -> Progress:
        """What is known now."""
        progress = Progress(
            content=self.content,
            output_characters=self.characters,
            response_id=self.response_id,
            provider_model=self.model,
            complete=complete,
        )
        usage = self.usage()
        if usage is not None:
            progress.usage.CopyFrom(usage)
        if self._word:
            progress.finish.CopyFrom(decode_finish(self._word))
        if self.failure is not None:
            progress.error.CopyFrom(error_message(self.failure))
        return progress

    def usage(self) -> Usage | None:
        """The last usage that was told."""
        if self._usage is None:
            return None
        value = decode_json(self._usage)
        return decode_usage(value, self._usage.decode()) if isinstance(value, dict) else None


def _length(value: object) -> int:
    """Characters of all strings in a value, without the names and types of its objects."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(_length(each) for each in value)
    if isinstance(value, dict):
        return sum(_length(each) for name, each in value.items() if name != "type")
    return 0


def _lenient(value: Any) -> _Chunk:
    """A chunk whose members are not all of the expected types."""
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 -- as for what is not JSON
    chunk = _Chunk()
    for name in ("id", "model"):
        if isinstance(value.get(name), str):
            setattr(chunk, name, value[name])
    for name in ("usage", "error", "x_groq"):
        if value.get(name):
            setattr(chunk, name, msgspec.Raw(msgspec.json.encode(value[name])))
    choices = value.get("choices")
    if isinstance(choices, list):
        chunk.choices = [_lenient_choice(each) for each in choices if isinstance(each, dict)]
    return chunk


def _lenient_choice(value: JsonObject) -> _Choice:
    choice = _Choice()
    index, word = value.get("index"), value.get("finish_reason")
    if type(index) is int:
        choice.index = index
    if isinstance(word, str):
        choice.finish_reason = word
    said = value.get("delta") or value.get("message")
    if isinstance(said, dict):
        choice.delta = _Said(content=[said.get(name) for name in ("content", "tool_calls", "function_call")])
        choice.delta.reasoning = said.get("reasoning_content") or said.get("reasoning")
        if not _length(choice.delta.content):
            choice.delta.content = None
    return choice
