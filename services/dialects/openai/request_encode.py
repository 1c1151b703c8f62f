"""Writes a chat completion request for a server's profile."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Message, Part, Role
from services.dialects.codec import WireRequest
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, encode_json
from services.dialects.openai.adapt import adapt
from services.dialects.openai.fill import complete_request, fill
from services.dialects.openai.options import encode_options
from services.dialects.openai.profile import Profile
from services.dialects.openai.reasoning import encode_reasoning
from services.dialects.openai.target import Target
from services.dialects.openai.tools import encode_choice, encode_format, encode_tools
from services.dialects.openai.wire import CHAT_PATH, DIALECT, HOLE, ROLE_WORDS

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def encode_request(request: GenerateRequest, model: str, profile: Profile, *, stream: bool) -> WireRequest:
    """Write a request; raise ParameterUnsupported when policy says refuse."""
    losses = Losses(request.unsupported)
    losses.foreign(request.extensions, DIALECT)
    target = Target(profile, model, Extension(request.extensions, DIALECT), losses)
    shape = target.extension.shape
    body: JsonObject = {"model": model, "messages": _Messages(request, target).write()}
    if request.tools:
        legacy = "functions" in shape
        tools = encode_tools(request.tools, losses, profile, legacy=legacy)
        if tools:
            body["functions" if legacy else "tools"] = tools
    if request.HasField("tool_choice"):
        encode_choice(request, body, losses, profile)
    if request.HasField("response_format"):
        form = encode_format(request.response_format, losses)
        if form is not None:
            body["response_format"] = form
    encode_options(request, body, target)
    encode_reasoning(request, body, target)
    _encode_stream(body, target, stream=stream)
    target.extension.merge(body)
    return WireRequest(CHAT_PATH, encode_json(body), warnings=losses.warnings)


def _encode_stream(body: JsonObject, target: Target, *, stream: bool) -> None:
    options = target.extension.members.pop("stream_options", None)
    if not stream:
        if target.extension.shape.get("stream") is False:
            body["stream"] = False
        return
    body["stream"] = True
    written = dict(options) if isinstance(options, dict) else {}
    if target.profile.stream_usage:
        written["include_usage"] = True
    if written:
        body["stream_options"] = written


class _Messages:
    """Writes the messages; what a tool's result cannot hold follows the run of results as a user message."""

    def __init__(self, request: GenerateRequest, target: Target) -> None:
        self._request = request
        self._target = target
        self._written: list[JsonObject] = []
        self._held: list[Part] = []

    def write(self) -> list[JsonObject]:
        for number, message in enumerate(self._request.messages):
            where = f"messages[{number}]"
            self._target.losses.foreign(message.extensions, DIALECT, where)
            results = [part for part in message.parts if part.WhichOneof("kind") == "tool_result"]
            for part in results:
                self._result(part, message, where)
            rest = [part for part in message.parts if part.WhichOneof("kind") != "tool_result"]
            if rest or not results:
                if self._held and message.role != Role.ROLE_USER:
                    self._release()
                self._turn(message, rest, where)
        self._release()
        return self._written

    def _turn(self, message: Message, parts: list[Part], where: str) -> None:
        extension = Extension(message.extensions, DIALECT)
        native = DIALECT in message.extensions
        parts = adapt(parts, where, self._target, native=native)
        parts = self._held + parts
        self._held = []
        written: JsonObject = {"role": ROLE_WORDS.get(message.role, "user")}
        if message.name:
            written["name"] = message.name
        filled, buckets = fill(extension.members, [self._with_call_id(part) for part in parts])
        for name, value in filled.items():
            written.setdefault(name, value)
        if not parts and not native and message.parts:
            # Everything in it was dropped; an empty message would be refused.
            return
        complete_request(written, buckets, self._target.profile.reasoning_member, native=native)
        self._written.append(written)

    def _result(self, part: Part, message: Message, where: str) -> None:
        losses = self._target.losses
        result = part.tool_result
        extension = Extension(message.extensions, DIALECT) if len(message.parts) == 1 else Extension({}, "")
        native = DIALECT in message.extensions
        legacy = extension.members.pop("role", None) == "function"
        if part.HasField("cache") and not self._target.profile.cache_control:
            losses.dropped(f"{where}.cache", "cache marks are not known here; caching is by prefix")
        if result.is_error:
            losses.dropped(f"{where}.tool_result.is_error", "a tool's failure is told by its text only")
        parts = adapt(result.parts, f"{where}.tool_result", self._target, native=native)
        if not native:
            other = [each for each in parts if each.WhichOneof("kind") != "text"]
            if other:
                losses.emulated(
                    f"{where}.tool_result", "a tool's result is text here; the rest follows as a user message"
                )
                self._held.append(Part(text=f"From the result of tool call {result.call_id}:"))
                self._held.extend(other)
            parts = [each for each in parts if each.WhichOneof("kind") == "text"]
        written: JsonObject = {"role": "function" if legacy else "tool"}
        call_id = self._call_id(result.call_id)
        for name, value in (("tool_call_id", call_id), ("name", result.name)):
            if extension.members.get(name) == HOLE:
                extension.members[name] = value
        if not native:
            written["tool_call_id"] = call_id
        filled, buckets = fill(extension.members, parts)
        written.update(filled)
        complete_request(written, buckets, "", native=native)
        self._written.append(written)

    def _release(self) -> None:
        if self._held:
            written: JsonObject = {"role": "user"}
            complete_request(written, fill({}, self._held)[1], "")
            self._written.append(written)
            self._held = []

    def _with_call_id(self, part: Part) -> Part:
        if part.WhichOneof("kind") != "tool_call" or self._call_id(part.tool_call.id) == part.tool_call.id:
            return part
        copy = Part()
        copy.CopyFrom(part)
        copy.tool_call.id = self._call_id(part.tool_call.id)
        return copy

    def _call_id(self, call_id: str) -> str:
        """The id in the form that the server takes; the same id gives the same form."""
        length = self._target.profile.call_id_length
        if not length or re.fullmatch(rf"[0-9A-Za-z]{{{length}}}", call_id):
            return call_id
        number = int.from_bytes(hashlib.sha256(call_id.encode()).digest()[:8])
        letters = []
        for _ in range(length):
            number, digit = divmod(number, len(_ALPHABET))
            letters.append(_ALPHABET[digit])
        return "".join(letters)
