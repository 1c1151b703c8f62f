"""Requests, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from services.dialects.bedrock.family import family_of
from services.dialects.bedrock.messages import read_messages, read_system, write_conversation
from services.dialects.bedrock.options import read_options, write_options, write_reasoning, write_top_k
from services.dialects.bedrock.structured import read_output, write_format
from services.dialects.bedrock.tools import (
    is_none,
    read_tool_choice,
    read_tools,
    tools_used,
    undeclared_tool,
    write_tool_choice,
    write_tools,
)
from services.dialects.bedrock.wire import DIALECT, base_model, model_path
from services.dialects.codec import DecodedRequest, WireRequest
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, encode_json, request_object
from services.dialects.quiet import merge_back
from services.dialects.raw_json import merge_deep, object_keeping, raw_text, take_raw
from services.runtime.errors import RequestInvalid, Violation

_INPUT: Final = "input"
"""Member of the extension: what a CountTokens request counts, where that is not a conversation."""
OWN: Final = "own"
"""Hint: the request was one of Bedrock's, and is written as it was. A caller's own extension has no such hint."""
_PATHS: Final = "additionalModelResponseFieldPaths"
_STOP_SEQUENCE: Final = "/stop_sequence"
_COUNTED: Final = ("messages", "system", "toolConfig", "additionalModelRequestFields")


def decode_request(body: bytes) -> DecodedRequest:
    """Read a Converse request; raise RequestInvalid with violations. The model and streaming are in the path."""
    return DecodedRequest(request=_decoded(body))


def decode_count_request(body: bytes) -> GenerateRequest:
    """Read a CountTokens request; raise RequestInvalid with violations."""
    outer = Members(request_object(body))
    counted = outer.rest.get(_INPUT)
    if type(counted) is dict and type(conversation := counted.get("converse")) is dict and len(counted) == 1:
        del outer.rest[_INPUT]
        # The body is read again, so that arguments and schemas keep their letters.
        converse = object_keeping(object_keeping(body, _INPUT)[_INPUT], "converse")["converse"]
        request = _decoded(raw_text(converse).encode()) if conversation else _empty()
    else:
        if type(counted) is not dict:
            violation = Violation(_INPUT, "must be an object")
            raise RequestInvalid("input: must be an object", violations=(violation,))
        request = _empty()
    if outer.rest:
        inner = Extension(request.extensions, DIALECT)
        kept = Members({**inner.members, "count": outer.rest})
        for name, hint in inner.shape.items():
            kept.hint(name, hint)
        request.extensions[DIALECT] = kept.extension()
    return request


def encode_request(request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
    """Write a Converse or ConverseStream request."""
    losses = Losses(request.unsupported)
    body = _written(request, model, losses)
    path = model_path(model, "converse-stream" if stream else "converse")
    return WireRequest(path, encode_json(body), _headers(stream=stream), losses.warnings)


def encode_count_request(request: GenerateRequest, model: str) -> WireRequest:
    """Write a CountTokens request: what only steers the answer is left out."""
    losses = Losses(request.unsupported)
    path = model_path(base_model(model), "count-tokens")
    rest = Extension(request.extensions, DIALECT).members.get("count")
    outer: JsonObject = rest if type(rest) is dict else {}
    if _INPUT not in outer:
        written = _written(request, model, losses)
        converse = {name: written[name] for name in _COUNTED if name in written}
        outer = {**outer, _INPUT: {"converse": converse}}
    return WireRequest(path, encode_json(outer), _headers(stream=False), losses.warnings)


def _headers(*, stream: bool) -> dict[str, str]:
    accept = "application/vnd.amazon.eventstream" if stream else "application/json"
    return {"content-type": "application/json", "accept": accept}


def _empty() -> GenerateRequest:
    return _decoded(b"{}")


def _decoded(body: bytes) -> GenerateRequest:
    faults: list[Violation] = []
    request = GenerateRequest()
    try:
        members = Members(object_keeping(body, "system", "messages", "toolConfig"), "", faults)
        _read(members, request, faults)
        members.hint(OWN)
        request.extensions[DIALECT] = members.extension()
    except (ValueError, RecursionError) as error:
        faults.append(Violation("", f"not a Converse request: {error}"))
    if faults:
        first = faults[0]
        raise RequestInvalid(f"{first.field}: {first.message}".lstrip(": "), violations=tuple(faults))
    return request


def _read(members: Members, request: GenerateRequest, faults: list[Violation]) -> None:
    _at("system", faults, members, lambda raw: _add_system(raw, members, request, faults))
    _at("messages", faults, members, lambda raw: _add_messages(raw, members, request, faults))
    _at("toolConfig", faults, members, lambda raw: _add_tools(raw, members, request, faults))
    read_output(members, request)
    read_options(members, request)


def _at(name: str, faults: list[Violation], members: Members, read: Callable[[msgspec.Raw], None]) -> None:
    """Take a member as text and read it; what is wrong with it is noted under its name."""
    raw = take_raw(members, name)
    if raw is None:
        return
    try:
        read(raw)
    except ValueError as error:
        faults.append(Violation(name, str(error)))


def _add_system(
    raw: msgspec.Raw, members: Members, request: GenerateRequest, faults: list[Violation]
) -> None:
    message = read_system(raw, faults)
    if message is None:
        members.hint("=system", raw)
    else:
        request.messages.append(message)


def _add_messages(
    raw: msgspec.Raw, members: Members, request: GenerateRequest, faults: list[Violation]
) -> None:
    messages = list(read_messages(raw, faults))
    request.messages.extend(messages)
    if not messages:
        members.hint("=messages", raw)


def _add_tools(raw: msgspec.Raw, members: Members, request: GenerateRequest, faults: list[Violation]) -> None:
    config = Members(object_keeping(raw, "tools"), "toolConfig", faults)
    tools = take_raw(config, "tools")
    if tools is not None:
        request.tools.extend(read_tools(tools, faults))
        if not request.tools:
            config.rest["tools"] = []
    choice = config.mapping("toolChoice")
    if choice is not None:
        read = read_tool_choice(choice)
        if read is None:
            config.rest["toolChoice"] = choice
        else:
            request.tool_choice.CopyFrom(read)
    if config.rest or (tools is None and choice is None):
        members.rest["toolConfig"] = config.rest


def _written(request: GenerateRequest, model: str, losses: Losses) -> JsonObject:
    family = family_of(model)
    extension = Extension(request.extensions, DIALECT)
    own = OWN in extension.shape
    extension.members.pop("count", None)
    losses.foreign(request.extensions, DIALECT)
    body = write_conversation(request.messages, losses, own=own)
    config = _tool_config(request, losses, own=own)
    if config:
        body["toolConfig"] = config
    fields: JsonObject = {}
    output: JsonObject = {}
    write_top_k(request.options, fields, family, losses)
    write_reasoning(request, fields, output, family, losses, own=own)
    _write_parallel(request, fields, config, single_call=family.single_call, losses=losses)
    if fields:
        body["additionalModelRequestFields"] = fields
    write_format(request, body, output, family, losses, own=own)
    if output:
        body["outputConfig"] = output
    write_options(request, body, losses)
    if request.options.stop_sequences and not own and _PATHS not in extension.members:
        # Without it nobody learns which sequence was hit; models that do not say it ignore the path.
        body[_PATHS] = [_STOP_SEQUENCE]
    return merge_deep(body, merge_back({}, extension))


def _tool_config(request: GenerateRequest, losses: Losses, *, own: bool) -> JsonObject:
    """Tools and choice; Bedrock has no word for `none`, and wants tools declared where they were used."""
    choice = request.tool_choice
    used = [] if own else tools_used(request.messages)
    config: JsonObject = {}
    if is_none(choice) and not used:
        if request.tools:
            losses.emulated("tool_choice", "Bedrock has no choice of none: the tools are not offered")
        return config
    if tools := write_tools(request.tools, choice, losses):
        config["tools"] = tools
    if is_none(choice):
        losses.dropped("tool_choice", "Bedrock has no choice of none, and tools were used before")
    if used and not tools:
        losses.emulated("tools", "tools that were used before must be declared: sent with empty schemas")
        config["tools"] = [undeclared_tool(name) for name in used]
    if request.HasField("tool_choice") and not is_none(choice):
        written = write_tool_choice(choice, request.tools, losses)
        if written is not None and (config or own):
            config["toolChoice"] = written
    return config


def _write_parallel(
    request: GenerateRequest, fields: JsonObject, config: JsonObject, *, single_call: bool, losses: Losses
) -> None:
    """Ask for one call at most, which only Claude can be asked, and only where the choice is left to it."""
    choice = request.tool_choice
    if not choice.HasField("parallel") or choice.parallel:
        return
    word = next(iter(config.get("toolChoice", {"auto": {}})))
    if single_call and config and word == "auto":
        config.pop("toolChoice", None)
        fields["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
    else:
        losses.dropped(
            "tool_choice.parallel", "this model at Bedrock cannot be kept from parallel calls here"
        )
