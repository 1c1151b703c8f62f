"""Takes typed parts out of one message, of a request or of an answer.

`take_parts` leaves the message with holes where the typed values stood; that skeleton is the extension.
"""

from __future__ import annotations

from typing import Any, Protocol

from llmhub.types.v1.content_pb2 import Part
from services.dialects.members import SHAPE, JsonObject, json_text
from services.dialects.openai.media import decode_answer_audio
from services.dialects.openai.parts import (
    decode_annotation,
    decode_content_part,
    decode_function_call,
    decode_tool_call,
)
from services.dialects.openai.wire import (
    DIALECT,
    HOLE,
    REASONING_DETAILS,
    REASONING_MEMBERS,
)


class Parts(Protocol):
    """protobuf's container of parts."""

    def add(self) -> Part: ...


def take_parts(message: JsonObject, parts: Parts, call_prefix: str) -> None:
    """Take the typed values out of a message; calls without an id get `call_prefix` and their number."""
    message.pop(SHAPE, None)
    _take_reasoning(message, parts)
    first_text = _take_content(message, parts)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.add().refusal = refusal
        message["refusal"] = HOLE
    audio = message.get("audio")
    if isinstance(audio, dict):
        part = Part()
        if decode_answer_audio(audio, part.media, part.extensions):
            parts.add().CopyFrom(part)
            message["audio"] = HOLE
    if first_text is not None:
        take_annotations(message, first_text.citations)
    _take_calls(message, parts, call_prefix)


def take_annotations(message: JsonObject, citations: Any) -> None:
    """Turn annotations into citations."""
    annotations = message.get("annotations")
    if isinstance(annotations, list) and annotations and all(isinstance(each, dict) for each in annotations):
        for each in annotations:
            decode_annotation(each, citations.add())
        message["annotations"] = [HOLE] * len(annotations)


def _take_reasoning(message: JsonObject, parts: Parts) -> None:
    text = ""
    for name in REASONING_MEMBERS:
        value = message.get(name)
        # Some write the same text under both names.
        if isinstance(value, str) and value and value == (text or value):
            text = value
            message[name] = HOLE
    details = message.get(REASONING_DETAILS)
    stateful = isinstance(details, list) and bool(details)
    if not text and not stateful:
        return
    part = parts.add()
    part.reasoning.text = text
    if stateful:
        part.state.dialect = DIALECT
        part.state.kind = REASONING_DETAILS
        part.state.data = json_text(details).encode()
        message[REASONING_DETAILS] = HOLE
        part.reasoning.redacted = not text


def _take_content(message: JsonObject, parts: Parts) -> Part | None:
    """Take the content; return the first text part, which citations belong to."""
    content = message.get("content")
    if isinstance(content, str):
        if not content:
            return None
        part = parts.add()
        part.text = content
        message["content"] = HOLE
        return part
    if not isinstance(content, list):
        return None
    first = None
    for number, element in enumerate(content):
        if isinstance(element, dict):
            part = parts.add()
            content[number] = decode_content_part(element, part)
            if first is None and part.WhichOneof("kind") == "text":
                first = part
    return first


def _take_calls(message: JsonObject, parts: Parts, call_prefix: str) -> None:
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        for number, call in enumerate(calls):
            if isinstance(call, dict):
                decode_tool_call(call, parts.add(), f"{call_prefix}{number}")
                calls[number] = HOLE
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        decode_function_call(legacy, parts.add(), f"{call_prefix}f")
        message["function_call"] = HOLE
