"""What is read off a relayed answer, whole or streamed, without taking it apart."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.provider.v1.provider_service_pb2 import Progress
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.failure import error_message
from services.dialects.members import JSON_FAULTS, JsonObject, decode_json
from services.dialects.openai.errors import error_in_answer
from services.dialects.openai.response import decode_finish
from services.dialects.openai.usage import decode_usage
from services.dialects.surrogates import mended
from services.runtime.errors import LlmhubError, UpstreamProtocol

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


class Seen:
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
        "news",
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
        self.news = False
        """Something besides the number of characters changed."""
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
            self.news = True
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
        except JSON_FAULTS:
            fixed = mended(data)
            if fixed is not data:
                self.frames -= 1
                return self.read(fixed)
            try:
                chunk = _lenient(decode_json(data))
            except ValueError:
                self.news = True
                self.failure = UpstreamProtocol("the provider sent what is not valid JSON")
                return False
        if not self.started:
            self.news = True
            self.response_id = self.response_id or chunk.id or ""
            self.model = self.model or chunk.model or ""
        choices = chunk.choices
        if choices:
            self.started = True
            for choice in choices:
                self._choice(choice)
        if chunk.usage is _NONE and chunk.x_groq is _NONE and chunk.error is _NONE:
            return False
        try:
            return self._rest(chunk)
        except ValueError:
            self.news = True
            self.failure = UpstreamProtocol("the provider sent what is not valid JSON")
            return False

    def _rest(self, chunk: _Chunk) -> bool:
        told = chunk.usage is not _NONE and bytes(chunk.usage) != _NULL
        if told:
            self._usage = bytes(chunk.usage)
            self.news = True
        elif chunk.x_groq is not _NONE:
            inner = decode_json(chunk.x_groq)
            if isinstance(inner, dict) and isinstance(inner.get("usage"), dict):
                self._usage = msgspec.json.encode(inner["usage"])
                self.news = True
        if chunk.error is _NONE or bytes(chunk.error) == _NULL:
            return told and not chunk.choices
        self.failure = error_in_answer({"error": decode_json(chunk.error)}) or self.failure
        self.news = True
        return False

    def _choice(self, choice: _Choice) -> None:
        index = choice.index or 0
        self._open.add(index)
        # Perplexity repeats the whole message so far beside the delta of a chunk, and an empty delta beside a message.
        said = choice.message if self._whole and choice.message else choice.delta or choice.message
        if said is not None:
            self._said(said)
        if choice.finish_reason:
            self.news = True
            self._word = choice.finish_reason
            self._ended.add(index)

    def _said(self, said: _Said) -> None:
        content = said.content
        if content:
            self.content = True
            if type(content) is str:
                self.characters += len(content)
            else:
                self.characters += _length(content)
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
        try:
            value = decode_json(self._usage)
        except ValueError:
            return None
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
