"""Same dialect in and out: bytes pass as they are, and what they say is noted in passing."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.provider.v1.provider_service_pb2 import (
    ENDPOINT_GEMINI_BATCH_EMBED,
    ENDPOINT_GEMINI_COUNT_TOKENS,
    ENDPOINT_GEMINI_EMBED,
    ENDPOINT_GEMINI_GENERATE,
    Endpoint,
    Progress,
)
from services.dialects.codec import Passed, RelayBody
from services.dialects.failure import error_message
from services.dialects.gemini.errors import error_of
from services.dialects.gemini.finish import read_block, read_finish
from services.dialects.gemini.framing import ArrayParser, ChunkReader
from services.dialects.gemini.grounding import queries
from services.dialects.gemini.hot import HotChunk, hot_chunk, same_in
from services.dialects.gemini.paths import resource
from services.dialects.gemini.response import read_own_usage
from services.dialects.gemini.usage import running_usage
from services.dialects.gemini.wire import elements, object_keeping, opens, take_raw
from services.dialects.members import JsonObject, Members, answer_object, encode_json
from services.runtime.errors import LlmhubError, RequestInvalid, UpstreamProtocol, Violation

_EVIDENCE: Final = ("candidates", "promptFeedback", "usageMetadata")
_ANSWERS: Final = ("totalTokens", "embedding", "embeddings", "predictions")


_members_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Call(msgspec.Struct, gc=False):
    name: str = ""
    args: msgspec.Raw = msgspec.Raw(b"")


class _Part(msgspec.Struct, gc=False):
    """As much of a part as a meter wants to know."""

    text: str = ""
    functionCall: _Call | None = None  # noqa: N815 - Gemini's own name


_part = msgspec.json.Decoder(_Part).decode


def relay_request(body: bytes, model: str, endpoint: Endpoint.ValueType) -> RelayBody:
    """Put the model where a body names it; all else keeps its bytes. Raise RequestInvalid for no JSON object."""
    try:
        members = _members_of(body)
        name = msgspec.Raw(encode_json(resource(model)))
        if endpoint == ENDPOINT_GEMINI_BATCH_EMBED and "requests" in members:
            requests = [_named(each, name) for each in elements(members["requests"])]
            members["requests"] = msgspec.Raw(encode_json(requests))
        elif endpoint == ENDPOINT_GEMINI_COUNT_TOKENS and (key := _wrapper(members)):
            members[key] = msgspec.Raw(encode_json(_named(members[key], name)))
        elif endpoint == ENDPOINT_GEMINI_EMBED and "model" in members:
            members["model"] = name
        else:
            return RelayBody(body)
        return RelayBody(encode_json(members))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"must be a JSON object: {error}"
        raise RequestInvalid(f"the body {message}", violations=(Violation("", message),)) from None


def _named(raw: msgspec.Raw, name: msgspec.Raw) -> dict[str, msgspec.Raw]:
    return {**_members_of(raw), "model": name}


def _wrapper(members: dict[str, msgspec.Raw]) -> str:
    names = ("generateContentRequest", "generate_content_request")
    return next((name for name in names if name in members and opens(members[name], b"{")), "")


def relay_answer(body: bytes, endpoint: Endpoint.ValueType) -> Progress:
    """Read what a whole answer says, or a stream's array that came whole; raise UpstreamProtocol for neither."""
    meter = _Meter()
    try:
        if endpoint != ENDPOINT_GEMINI_GENERATE:
            return _counted(body)
        if body.lstrip()[:1] != b"[":
            meter.note(body, whole=True)
            return meter.end(whole=True)
        parser = ArrayParser()
        for chunk in parser.feed(body):
            meter.note(chunk)
    except ValueError as error:
        raise UpstreamProtocol(f"the provider's answer is no generated content: {error}") from None
    return meter.end(whole=parser.ended)


class GeminiRelayTap:
    """Watches a stream in passing; every byte goes on as it came."""

    __slots__ = ("_bad", "_meter", "_reader", "_same")

    def __init__(self) -> None:
        self._reader = ChunkReader()
        self._meter = _Meter()
        self._same: JsonObject = {}
        self._bad = False

    def feed(self, data: bytes) -> Passed:
        """Note what these bytes say."""
        if self._bad:
            return Passed(data, None)
        chunks = 0
        try:
            for chunk in self._reader.feed(data):
                chunks += 1
                if not self._meter.begun:
                    self._same = same_in(chunk)
                elif (hot := hot_chunk(chunk, self._same)) is not None and self._meter.note_hot(hot):
                    continue
                self._meter.note(chunk)
        except (ValueError, RecursionError, LlmhubError) as error:
            # What cannot be read still passes, but the answer is no longer one that ended properly.
            self._bad = True
            self._meter.fail(UpstreamProtocol(f"the provider sent a chunk that is none: {error}"))
        return Passed(data, self._meter.shown() if chunks or self._bad else None)

    def close(self) -> Passed:
        """Everything that was learnt; complete only if the bytes were whole and every candidate had ended."""
        return Passed(b"", self._meter.end(whole=self._reader.close() and not self._bad))


class _Meter:
    """What chunks tell, added up."""

    __slots__ = ("_called", "_ended", "_failed", "_open", "_progress", "_searches", "begun")

    def __init__(self) -> None:
        self._progress = Progress()
        self._open: set[int] = set()
        self._ended: set[int] = set()
        self._called: set[int] = set()
        self._searches = 0
        self._failed = self.begun = False

    def note(self, chunk: bytes, *, whole: bool = False) -> None:
        """Read one chunk; raise ValueError for what is none."""
        self.begun = True
        members = Members(object_keeping(chunk, "candidates", "usageMetadata"))
        if "error" in members.rest:
            self.fail(error_of(200, {}, chunk))
            return
        if whole and not any(name in members.rest for name in _EVIDENCE):
            raise ValueError("it has neither candidates nor feedback")
        progress = self._progress
        for name, field in (("responseId", "response_id"), ("modelVersion", "provider_model")):
            if type(value := members.rest.get(name)) is str:
                setattr(progress, field, value)
        raw = take_raw(members, "candidates")
        for number, element in enumerate(elements(raw) if raw is not None else ()):
            self._candidate(object_keeping(element, "content", "logprobsResult"), number)
        if (blocked := read_block(members)) is not None:
            progress.finish.CopyFrom(blocked)
            self._ended.add(-1)
        usage = take_raw(members, "usageMetadata")
        if usage is not None and (read := read_own_usage(usage, self._searches)) is not None:
            progress.usage.CopyFrom(read)

    def note_hot(self, chunk: HotChunk) -> bool:
        """Read a piece of text; false if its totals take more care."""
        usage = running_usage(chunk.usage) if chunk.usage is not None and not self._searches else None
        if usage is None and chunk.usage is not None:
            return False
        self._open.add(0)
        progress = self._progress
        if chunk.text:
            progress.content = True
            progress.output_characters += len(chunk.text)
        if usage is not None:
            progress.usage.CopyFrom(usage)
        return True

    def fail(self, error: LlmhubError) -> None:
        """The answer broke off, or told of an error."""
        self._failed = True
        if not self._progress.HasField("error"):
            self._progress.error.CopyFrom(error_message(error))

    def shown(self) -> Progress:
        """What is known so far."""
        shown = Progress()
        shown.CopyFrom(self._progress)
        return shown

    def end(self, *, whole: bool) -> Progress:
        """What is known at the end."""
        ended = bool(self._ended) and self._open <= self._ended
        self._progress.complete = whole and ended and not self._failed
        return self.shown()

    def _candidate(self, value: JsonObject, number: int) -> None:
        index = value.get("index")
        place = index if type(index) is int else number
        self._open.add(place)
        content: Any = value.get("content")
        if content is not None and opens(content, b"{"):
            self._parts(object_keeping(content, "parts").get("parts"), place)
        self._searches = max(self._searches, queries(value))
        finish = read_finish(Members(value), called=place in self._called)
        if finish is not None:
            self._ended.add(place)
            if place == 0 or not self._progress.HasField("finish"):
                self._progress.finish.CopyFrom(finish)

    def _parts(self, raw: msgspec.Raw | None, place: int) -> None:
        if raw is None or not opens(raw, b"["):
            return
        for element in elements(raw):
            try:
                part = _part(element)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise ValueError(str(error)) from None
            size = len(part.text)
            if (call := part.functionCall) is not None:
                self._called.add(place)
                size += len(call.name) + len(memoryview(call.args))
            elif not size:
                size = len(memoryview(element)) if b'"text"' not in bytes(element) else 0
            self._progress.output_characters += size
            self._progress.content = self._progress.content or size > 0


def _counted(body: bytes) -> Progress:
    """Counting is free: what was counted is not what was used. Embeddings tell their tokens."""
    value = answer_object(body)
    if "error" in value:
        return Progress(error=error_message(error_of(200, {}, body)))
    if not any(name in value for name in _ANSWERS):
        raise UpstreamProtocol("the provider's answer has neither tokens nor embeddings")
    progress = Progress(content=True, complete=True)
    usage = value.get("usageMetadata")
    if isinstance(usage, dict):
        raw = object_keeping(body, "usageMetadata")["usageMetadata"]
        read = read_own_usage(raw, 0)
        if read is not None:
            progress.usage.CopyFrom(read)
    return progress
