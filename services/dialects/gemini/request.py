"""Requests for content, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from services.dialects.bounds import require_bounded
from services.dialects.codec import DecodedRequest, WireRequest
from services.dialects.gemini.contents import read_contents, read_system, write_conversation
from services.dialects.gemini.family import Family, family_of
from services.dialects.gemini.options import read_config, write_config
from services.dialects.gemini.paths import method_path, resource
from services.dialects.gemini.read_parts import Faults
from services.dialects.gemini.tools import read_choice, read_tools, write_choice, write_tools
from services.dialects.gemini.wire import (
    DIALECT,
    canonical,
    merge_back,
    object_keeping,
    opens,
    put_back,
    save_spelling,
    take_raw,
)
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, encode_json
from services.runtime.errors import RequestInvalid, Violation

_RAW: Final = ("systemInstruction", "contents", "tools", "generationConfig", "generateContentRequest")
_WRAPPED: Final = "wrapped"
"""Hint of a count request: it stood in generateContentRequest."""
_SINGLE: Final = "single"
"""Hint: contents were one turn, not a list of turns."""
_LABELS: Final = "labels"
"""Hint: the labels are the caller's of this dialect (Vertex takes them, the Developer API refuses them)."""
_TIERS: Final = frozenset({"flex", "standard", "priority", "unspecified"})
_TIER_WORDS: Final = {"default": "standard", "flex": "flex", "priority": "priority"}


def decode_request(body: bytes) -> DecodedRequest:
    """Read a request for content; raise RequestInvalid with violations. The model stands in the path."""
    return DecodedRequest(request=_decoded(body, counting=False))


def decode_count_request(body: bytes) -> GenerateRequest:
    """Read a countTokens request, in either of its shapes; raise RequestInvalid with violations."""
    return _decoded(body, counting=True)


def encode_request(request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
    """Write a request for content; a stream is asked for as server-sent events."""
    losses = Losses(request.unsupported)
    body = _body(request, family_of(model), losses)
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    headers = {"content-type": "application/json"}
    return WireRequest(method_path(model, method), encode_json(body), headers, losses.warnings)


def encode_count_request(request: GenerateRequest, model: str) -> WireRequest:
    """Write a countTokens request: wrapped, since only so the Developer API counts instructions and tools."""
    losses = Losses(request.unsupported)
    native = DIALECT in request.extensions
    extension = Extension(request.extensions, DIALECT)
    body = _body(request, family_of(model), losses)
    if _WRAPPED in extension.shape or not (native or set(body) == {"contents"}):
        if not native:
            body.pop("generationConfig", None)
        body = {"generateContentRequest": {"model": resource(model), **body}}
    headers = {"content-type": "application/json"}
    return WireRequest(method_path(model, "countTokens"), encode_json(body), headers, losses.warnings)


def _decoded(body: bytes, *, counting: bool) -> GenerateRequest:
    require_bounded(body)
    faults: list[Violation] = []
    request = GenerateRequest()
    try:
        value = object_keeping(body, *_RAW)
        spelled: list[str] = []
        canonical(value, spelled)
        wrapped = value.get("generateContentRequest")
        hint = counting and type(wrapped) is msgspec.Raw and opens(wrapped, b"{") and len(value) == 1
        if hint and wrapped is not None:
            spelled = []
            value = canonical(object_keeping(wrapped, *_RAW), spelled)
            # The path names the model, which is written here again for the one that is called.
            value.pop("model", None)
        members = Members(value, "", faults)
        if hint:
            members.hint(_WRAPPED)
        _read(members, request, faults, spelled)
        save_spelling(members, spelled)
        request.extensions[DIALECT] = members.extension() or "{}"
    except (ValueError, RecursionError) as error:
        faults.append(Violation("", f"not a request for content: {error}"))
    if faults:
        first = faults[0]
        raise RequestInvalid(f"{first.field}: {first.message}".lstrip(": "), violations=tuple(faults))
    return request


def _read(members: Members, request: GenerateRequest, faults: list[Violation], spelled: list[str]) -> None:
    _at(members, "systemInstruction", faults, lambda raw: _add_system(raw, request, faults))
    if members.rest.get("contents") is None:
        faults.append(Violation("contents", "is required"))
    contents = members.rest.get("contents")
    if type(contents) is msgspec.Raw and opens(contents, b"{"):
        members.hint(_SINGLE)
    _at(members, "contents", faults, lambda raw: _add_contents(raw, request, faults))
    _at(members, "tools", faults, lambda raw: _add_tools(raw, request, faults))
    _read_choice(members, request, spelled)
    _at(members, "generationConfig", faults, lambda raw: _add_config(raw, members, request, faults, spelled))
    tier = members.rest.get("serviceTier")
    if type(tier) is str and tier in _TIERS:
        del members.rest["serviceTier"]
        request.options.service_tier = tier
    labels = members.rest.get("labels")
    if isinstance(labels, dict) and 0 < len(labels) <= 64 and all(type(v) is str for v in labels.values()):
        del members.rest["labels"]
        members.hint(_LABELS)
        request.metadata.update(labels)


def _at(members: Members, name: str, faults: list[Violation], read: Callable[[msgspec.Raw], bool]) -> None:
    """Take a member as text and read it, unless it says nothing; what is wrong with it is noted under its name."""
    raw = take_raw(members, name)
    if raw is None:
        return
    try:
        if not read(raw):
            members.rest[name] = raw
    except ValueError as error:
        faults.append(Violation(name, str(error)))


def _add_system(raw: msgspec.Raw, request: GenerateRequest, faults: Faults) -> bool:
    message = read_system(raw, faults)
    if message is None:
        raise ValueError("must be an object with parts")
    request.messages.append(message)
    return True


def _add_contents(raw: msgspec.Raw, request: GenerateRequest, faults: list[Violation]) -> bool:
    before = len(request.messages)
    request.messages.extend(read_contents(raw, faults))
    if len(request.messages) == before and not faults:
        raise ValueError("must hold at least one turn")
    return True


def _add_tools(raw: msgspec.Raw, request: GenerateRequest, faults: Faults) -> bool:
    if opens(raw, b"{"):
        raise ValueError("must be an array of tools")
    request.tools.extend(read_tools(raw, faults))
    return bool(request.tools)


def _add_config(
    raw: msgspec.Raw, members: Members, request: GenerateRequest, faults: Faults, spelled: list[str]
) -> bool:
    if not opens(raw, b"{"):
        raise ValueError("must be an object")
    rest = read_config(raw, request, faults, spelled)
    put_back(members, "generationConfig", rest, empty=not object_keeping(raw))
    return True


def _read_choice(members: Members, request: GenerateRequest, spelled: list[str]) -> None:
    config = members.mapping("toolConfig")
    if config is None:
        return
    canonical(config, spelled, "toolConfig.")
    calling = config.get("functionCallingConfig")
    if isinstance(calling, dict):
        choice = read_choice(canonical(calling, spelled, "toolConfig.functionCallingConfig."))
        if choice is not None:
            request.tool_choice.CopyFrom(choice)
            del config["functionCallingConfig"]
            put_back(members, "toolConfig", config)
            return
    members.rest["toolConfig"] = config


def _body(request: GenerateRequest, family: Family, losses: Losses) -> JsonObject:
    native = DIALECT in request.extensions
    extension = Extension(request.extensions, DIALECT)
    body = write_conversation(request.messages, losses, family, native=native)
    if _SINGLE in extension.shape and len(body["contents"]) == 1:
        body["contents"] = body["contents"][0]
    if request.tools and (tools := write_tools(request.tools, losses)):
        body["tools"] = tools
    if request.HasField("tool_choice"):
        choice = write_choice(request.tool_choice, request.tools, losses)
        if choice is not None:
            body["toolConfig"] = {"functionCallingConfig": choice}
    if config := write_config(request, family, losses):
        body["generationConfig"] = config
    if tier := request.options.service_tier:
        word = tier if native else _TIER_WORDS.get(tier)
        if word is None:
            losses.dropped("options.service_tier", f"Gemini has no service tier {tier}")
        else:
            body["serviceTier"] = word
    if request.metadata and _LABELS in extension.shape:
        body["labels"] = dict(request.metadata)
    elif request.metadata:
        losses.dropped("metadata", "the Gemini Developer API takes no labels")
    losses.foreign(request.extensions, DIALECT)
    return merge_back(body, extension)
