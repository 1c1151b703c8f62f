"""Same dialect in and out: bytes pass as they are, and what they say is noted in passing."""

from __future__ import annotations

from typing import Final

import msgspec

from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_ANTHROPIC_COUNT_TOKENS, Endpoint, Progress
from services.dialects.anthropic.errors import error_of
from services.dialects.anthropic.finish import read_finish
from services.dialects.anthropic.frames import delta_size, lone_delta
from services.dialects.anthropic.usage import merge_usage, read_usage
from services.dialects.anthropic.wire import object_keeping
from services.dialects.codec import Passed, RelayBody
from services.dialects.failure import error_message
from services.dialects.members import JSON_FAULTS, JsonObject, Members, decode_json, encode_json, json_text
from services.dialects.raw_json import elements, raw_text, take_raw
from services.dialects.sse import SseEvent, SseParser
from services.dialects.surrogates import mended
from services.runtime.errors import LlmhubError, RequestInvalid, UpstreamProtocol, Violation

_members_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Sized(msgspec.Struct, gc=False):
    """As much of a content block as a meter wants to know."""

    type: str
    text: str = ""
    thinking: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"")


_sized = msgspec.json.Decoder(_Sized).decode
_DELTAS_FOLLOW: Final = {"text", "thinking"}


def relay_request(body: bytes, model: str) -> RelayBody:
    """Replace `model`; every other member keeps its bytes. Raise RequestInvalid for what is no JSON object."""
    try:
        members = _members_of(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"must be a JSON object: {error}"
        raise RequestInvalid(f"the body {message}", violations=(Violation("", message),)) from None
    members["model"] = msgspec.Raw(encode_json(model))
    return RelayBody(encode_json(members))


def relay_answer(body: bytes, endpoint: Endpoint.ValueType) -> Progress:
    """Read what a whole answer says; raise UpstreamProtocol for what is no answer."""
    body = mended(body)
    try:
        members = Members(object_keeping(body, "content", "usage"))
        if members.rest.get("type") == "error":
            return Progress(error=error_message(error_of(200, {}, body)))
        if endpoint == ENDPOINT_ANTHROPIC_COUNT_TOKENS:
            if members.integer("input_tokens") is None:
                raise UpstreamProtocol("the provider's answer has no input_tokens")
            # Counting is free: what was counted is not what was used.
            return Progress(content=True, complete=True)
        return _whole(members)
    except ValueError as error:
        raise UpstreamProtocol(f"the provider's answer is no message: {error}") from None


class AnthropicRelayTap:
    """Watches a stream in passing; every byte goes on as it came."""

    __slots__ = ("_aligned", "_bad", "_characters", "_content", "_parser", "_progress", "_totals")

    def __init__(self) -> None:
        self._parser = SseParser()
        self._progress = Progress()
        self._totals: JsonObject = {}
        self._characters = 0
        self._aligned = self._bad = self._content = False

    def feed(self, data: bytes) -> Passed:
        """Note what these bytes say."""
        if self._aligned and (payload := lone_delta(data)) is not None:
            try:
                self._characters += delta_size(payload)
            except ValueError:
                return self._slow(data)
            self._content = True
            progress = Progress()
            progress.content = True
            progress.output_characters = self._characters
            return Passed(data, progress)
        return self._slow(data)

    def close(self) -> Passed:
        """Everything that was learnt; complete only if message_stop came and nothing before it was broken."""
        return Passed(b"", self._snapshot())

    def _snapshot(self) -> Progress:
        shown = Progress()
        shown.CopyFrom(self._progress)
        shown.content = self._content
        shown.output_characters = self._characters
        return shown

    def _slow(self, data: bytes) -> Passed:
        before = self._snapshot()
        try:
            for event in self._parser.feed(data):
                self._note(event)
        except (ValueError, RecursionError, LlmhubError) as error:
            self._break(error)
        if data:
            self._aligned = data.endswith(b"\n\n")
        now = self._snapshot()
        return Passed(data, None if now == before else now)

    def _break(self, error: Exception) -> None:
        """What cannot be read still passes, but the answer is no longer one that ended properly."""
        self._bad = True
        self._progress.complete = False
        if not self._progress.HasField("error"):
            broken = UpstreamProtocol(f"the provider sent an event that is no stream event: {error}")
            self._progress.error.CopyFrom(error_message(broken))

    def _note(self, event: SseEvent) -> None:
        try:
            self._read(event)
        except ValueError:
            fixed = mended(event.data)
            if fixed is event.data:
                raise
            self._read(SseEvent(event.event, fixed))

    def _read(self, event: SseEvent) -> None:
        progress = self._progress
        if event.event == "content_block_delta":
            self._characters += delta_size(event.data)
            self._content = True
            return
        if event.data == b"[DONE]":
            return
        frame = object_keeping(event.data, "message", "content_block", "usage")
        match frame.get("type"):
            case "content_block_delta":
                self._characters += delta_size(event.data)
                self._content = True
            case "content_block_start":
                self._block(frame.get("content_block"))
            case "message_start":
                self._start(frame.get("message"))
            case "message_delta":
                self._ending(frame)
            case "message_stop":
                progress.complete = not self._bad
            case "error":
                self._bad = True
                progress.error.CopyFrom(error_message(error_of(200, {}, event.data)))
            case _:
                pass

    def _start(self, raw: msgspec.Raw | None) -> None:
        if raw is None:
            raise UpstreamProtocol("the provider's stream starts without a message")
        message = Members(object_keeping(raw, "usage"))
        self._progress.response_id = message.text("id") or ""
        self._progress.provider_model = message.text("model") or ""
        self._usage(take_raw(message, "usage"))

    def _block(self, raw: msgspec.Raw | None) -> None:
        if raw is None:
            return
        size, block_type = _block_size(raw)
        self._characters += size
        if size or block_type not in _DELTAS_FOLLOW:
            self._content = True

    def _ending(self, frame: JsonObject) -> None:
        delta = frame.get("delta")
        finish = read_finish(Members(delta)) if isinstance(delta, dict) else None
        if finish is not None:
            self._progress.finish.CopyFrom(finish)
        self._usage(frame.get("usage"))

    def _usage(self, raw: msgspec.Raw | None) -> None:
        value = None if raw is None else decode_json(raw)
        if isinstance(value, dict):
            self._totals = merge_usage(self._totals, value)
            self._progress.usage.CopyFrom(read_usage(self._totals, json_text(self._totals)))


def _whole(members: Members) -> Progress:
    content = take_raw(members, "content")
    if content is None:
        raise UpstreamProtocol("the provider's answer has no content")
    progress = Progress(
        response_id=members.text("id") or "", provider_model=members.text("model") or "", complete=True
    )
    for block in elements(content):
        progress.output_characters += _block_size(block)[0]
        progress.content = True
    finish = read_finish(members)
    if finish is not None:
        progress.finish.CopyFrom(finish)
    raw = take_raw(members, "usage")
    if raw is not None and isinstance(value := decode_json(raw), dict):
        progress.usage.CopyFrom(read_usage(value, raw_text(raw)))
    return progress


def _block_size(raw: msgspec.Raw) -> tuple[int, str]:
    """Characters in a block, and its type."""
    try:
        block = _sized(raw)
    except JSON_FAULTS:
        return len(memoryview(raw)), ""
    size = len(block.text) + len(block.thinking)
    if block.type == "tool_use":
        arguments = len(memoryview(block.input))
        return size + len(block.name) + (arguments if arguments > 2 else 0), block.type
    return size or (0 if block.type in _DELTAS_FOLLOW else len(memoryview(raw))), block.type
