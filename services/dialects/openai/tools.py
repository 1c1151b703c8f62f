"""Tools, tool choice and response format of a request, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import ResponseFormat, Tool, ToolChoice, ToolChoiceMode
from services.dialects.losses import Losses
from services.dialects.members import (
    JSON_FAULTS,
    Extension,
    JsonObject,
    Members,
    decode_json,
    json_text,
    request_json,
)
from services.dialects.openai.parts import decode_cache, encode_cache
from services.dialects.openai.profile import Profile
from services.dialects.openai.wire import DIALECT
from services.runtime.errors import Violation

_CHOICE_MODES = {
    "auto": ToolChoiceMode.TOOL_CHOICE_MODE_AUTO,
    "none": ToolChoiceMode.TOOL_CHOICE_MODE_NONE,
    "required": ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED,
    "any": ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED,
}


def decode_tools(value: list[Any], path: str, request: GenerateRequest, faults: list[Violation]) -> None:
    """Read the tools; each is an object of raw members, so that schemas keep their bytes."""
    for number, raw in enumerate(value):
        where = f"{path}[{number}]"
        members = _shallow(raw)
        if members is None:
            faults.append(Violation(where, "must be an object"))
            continue
        tool = request.tools.add()
        if path == "functions":
            legacy = _function_members(members, where, tool, faults)
            legacy.hint("legacy")
            legacy.save(tool.extensions, DIALECT)
        else:
            _decode_tool(members, where, tool, faults)


def _decode_tool(raw: dict[str, msgspec.Raw], where: str, tool: Tool, faults: list[Violation]) -> None:
    function = raw.pop("function", None)
    members = Members({name: decode_json(each) for name, each in raw.items()}, where, faults)
    kind = members.rest.get("type")
    shallow = _shallow(function)
    if (kind is None or kind == "function") and shallow is not None:
        if kind is None:
            members.hint("untyped")
        else:
            del members.rest["type"]
        rest = _function_members(shallow, where + ".function", tool, faults).rest
        if rest:
            members.rest["function"] = rest
        decode_cache(members, tool.cache)
        members.save(tool.extensions, DIALECT)
        return
    if function is not None:
        members.rest["function"] = decode_json(function)
    custom = members.rest.get("custom")
    if kind == "custom" and isinstance(custom, dict) and _decode_custom(custom, members, tool):
        return
    tool.hosted.dialect = DIALECT
    tool.hosted.type = kind if isinstance(kind, str) else ""
    tool.hosted.json = json_text(members.rest)


def _function_members(
    raw: dict[str, msgspec.Raw], where: str, tool: Tool, faults: list[Violation]
) -> Members:
    schema = raw.get("parameters")
    text = bytes(schema).decode() if schema is not None else ""
    if text.startswith(("{", "true", "false")):
        del raw["parameters"]
    else:
        text = ""
    members = Members({name: decode_json(each) for name, each in raw.items()}, where, faults)
    function = tool.function
    function.name = members.word("name") or ""
    if not function.name:
        faults.append(Violation(members.at("name"), "must be a string that is not empty"))
    function.description = members.word("description") or ""
    function.parameters_json = text
    strict = members.flag("strict")
    if strict is not None:
        function.strict = strict
    return members


def _decode_custom(custom: JsonObject, members: Members, tool: Tool) -> bool:
    inner = Members(custom)
    name = inner.word("name")
    if name is None:
        return False
    tool.custom.name = name
    tool.custom.description = inner.word("description") or ""
    form = inner.mapping("format")
    if form is not None:
        tool.custom.format_json = json_text(form)
    del members.rest["type"]
    if not custom:
        del members.rest["custom"]
    members.save(tool.extensions, DIALECT)
    return True


def encode_tools(tools: Sequence[Tool], losses: Losses, profile: Profile, *, legacy: bool) -> list[Any]:
    """Write the tools; those that only another dialect has are left out."""
    written = []
    for number, tool in enumerate(tools):
        where = f"tools[{number}]"
        losses.foreign(tool.extensions, DIALECT, where)
        extension = Extension(tool.extensions, DIALECT)
        if "legacy" in extension.shape and legacy:
            written.append(extension.merge(_encode_function(tool, where)))
            continue
        match tool.WhichOneof("kind"):
            case "function":
                value = _typed("function", _encode_function(tool, where), extension)
            case "custom":
                value = _typed("custom", _encode_custom(tool, where), extension)
            case "hosted" if tool.hosted.dialect == DIALECT:
                value = request_json(tool.hosted.json, f"{where}.hosted.json")
            case _:
                losses.dropped(where, f"a hosted tool of the dialect {tool.hosted.dialect}")
                continue
        if tool.HasField("cache"):
            if DIALECT in tool.cache.extensions or profile.cache_control:
                encode_cache(tool.cache, value)
            else:
                losses.dropped(f"{where}.cache", "cache marks are not known here")
        written.append(value)
    return written


def _typed(kind: str, inner: JsonObject, extension: Extension) -> JsonObject:
    value: JsonObject = {} if "untyped" in extension.shape else {"type": kind}
    rest = extension.members.pop(kind, None)
    value[kind] = {**rest, **inner} if isinstance(rest, dict) else inner
    return extension.merge(value)


def _encode_function(tool: Tool, where: str) -> JsonObject:
    function = tool.function
    written: JsonObject = {"name": function.name}
    if function.description:
        written["description"] = function.description
    if function.parameters_json:
        written["parameters"] = raw_json(function.parameters_json, f"{where}.function.parameters_json")
    if function.HasField("strict"):
        written["strict"] = function.strict
    return written


def _encode_custom(tool: Tool, where: str) -> JsonObject:
    written: JsonObject = {"name": tool.custom.name}
    if tool.custom.description:
        written["description"] = tool.custom.description
    if tool.custom.format_json:
        written["format"] = raw_json(tool.custom.format_json, f"{where}.custom.format_json")
    return written


def raw_json(text: str, where: str) -> msgspec.Raw:
    """JSON text of a caller to be written to the letter; raise RequestInvalid if it is no JSON."""
    request_json(text, where)
    return msgspec.Raw(text)


def decode_choice(members: Members, request: GenerateRequest) -> None:
    """Read tool_choice, the older function_call, and parallel_tool_calls."""
    parallel = members.flag("parallel_tool_calls")
    if parallel is not None:
        request.tool_choice.parallel = parallel
    for name in ("tool_choice", "function_call"):
        value = members.rest.get(name)
        if value is not None:
            rest = _decode_choice(value, request.tool_choice, legacy=name == "function_call")
            if rest is None:
                members.fault(name, "is no tool choice")
                continue
            del members.rest[name]
            if name == "function_call":
                rest.hint("legacy")
            rest.save(request.tool_choice.extensions, DIALECT)
            return


def _decode_choice(value: Any, choice: ToolChoice, *, legacy: bool) -> Members | None:
    if isinstance(value, str):
        mode = _CHOICE_MODES.get(value)
        if mode is None:
            return None
        choice.mode = mode
        rest = Members({})
        if value == "any":
            rest.hint("any")
        return rest
    if not isinstance(value, dict):
        return None
    rest = Members(value)
    kind = "function" if legacy else rest.rest.get("type")
    if kind == "allowed_tools":
        return rest if _decode_allowed(rest, choice) else None
    inner = value if legacy else value.get(kind) if isinstance(kind, str) else None
    name = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(name, str):
        return None
    choice.mode = ToolChoiceMode.TOOL_CHOICE_MODE_NAMED
    choice.names.append(name)
    del inner["name"]
    if not legacy:
        if not inner:
            del value[kind]
        if kind == "function":
            del value["type"]
    return rest


def _decode_allowed(rest: Members, choice: ToolChoice) -> bool:
    inner = rest.rest.get("allowed_tools")
    tools = inner.get("tools") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(tools, list):
        return False
    names = []
    for tool in tools:
        kind = tool.get("type") if isinstance(tool, dict) else None
        function = tool.get(kind) if isinstance(kind, str) else None
        name = function.pop("name", None) if isinstance(function, dict) else None
        if not isinstance(name, str):
            return False
        names.append(name)
    choice.mode = ToolChoiceMode.TOOL_CHOICE_MODE_ALLOWED
    choice.names.extend(names)
    return True


def encode_choice(request: GenerateRequest, body: JsonObject, losses: Losses, profile: Profile) -> None:
    """Write tool_choice and parallel_tool_calls."""
    choice = request.tool_choice
    losses.foreign(choice.extensions, DIALECT, "tool_choice")
    extension = Extension(choice.extensions, DIALECT)
    if choice.HasField("parallel"):
        body["parallel_tool_calls"] = choice.parallel
    name = "function_call" if "legacy" in extension.shape else "tool_choice"
    match choice.mode:
        case ToolChoiceMode.TOOL_CHOICE_MODE_AUTO:
            body[name] = "auto"
        case ToolChoiceMode.TOOL_CHOICE_MODE_NONE:
            body[name] = "none"
        case ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED:
            body[name] = "any" if "any" in extension.shape else profile.required_choice
        case ToolChoiceMode.TOOL_CHOICE_MODE_NAMED:
            named = choice.names[0] if choice.names else ""
            if name == "function_call":
                body[name] = extension.merge({"name": named})
            else:
                body[name] = extension.merge(_named(named, request, extension))
        case ToolChoiceMode.TOOL_CHOICE_MODE_ALLOWED:
            body[name] = _encode_allowed(request, extension)
        case _:
            pass


def _named(name: str, request: GenerateRequest, extension: Extension) -> JsonObject:
    kind = extension.members.get("type")
    if not isinstance(kind, str):
        customs = {tool.custom.name for tool in request.tools if tool.WhichOneof("kind") == "custom"}
        kind = "custom" if name in customs else "function"
    rest = extension.members.pop(kind, None)
    return {"type": kind, kind: {**(rest if isinstance(rest, dict) else {}), "name": name}}


def _encode_allowed(request: GenerateRequest, extension: Extension) -> JsonObject:
    names = list(request.tool_choice.names)
    inner = extension.members.get("allowed_tools")
    kept = inner.get("tools") if isinstance(inner, dict) else None
    tools = []
    for number, name in enumerate(names):
        tool = kept[number] if isinstance(kept, list) and number < len(kept) else None
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(tool, dict) and isinstance(kind, str) and isinstance(tool.get(kind), dict):
            tools.append({**tool, kind: {**tool[kind], "name": name}})
        else:
            tools.append(_named(name, request, Extension({}, DIALECT)))
    allowed = {"mode": "auto", **(inner if isinstance(inner, dict) else {}), "tools": tools}
    return {**extension.members, "type": "allowed_tools", "allowed_tools": allowed}


def decode_format(raw: msgspec.Raw, request: GenerateRequest) -> bool:
    """Read response_format; false if the contract does not know it."""
    shallow = _shallow(raw)
    if shallow is None or "type" not in shallow:
        return False
    kind = decode_json(shallow.pop("type"))
    form = request.response_format
    inner = Members({})
    if kind == "json_schema":
        schema = _shallow(shallow.pop("json_schema", None))
        if schema is None:
            return False
        inner = _decode_schema(schema, form)
    elif kind == "text":
        form.text = True
    elif kind == "json_object":
        form.json = True
    else:
        return False
    members = Members({name: decode_json(each) for name, each in shallow.items()})
    if kind == "json_schema" and not form.json_schema.name:
        members.hint("nameless")
    if inner.rest:
        members.rest["json_schema"] = inner.rest
    members.save(form.extensions, DIALECT)
    return True


def _decode_schema(raw: dict[str, msgspec.Raw], form: ResponseFormat) -> Members:
    schema = raw.get("schema")
    text = bytes(schema).decode() if schema is not None else ""
    if text.startswith("{"):
        form.json_schema.schema_json = text
        del raw["schema"]
    inner = Members({name: decode_json(each) for name, each in raw.items()})
    form.json_schema.name = inner.word("name") or ""
    form.json_schema.SetInParent()
    form.json_schema.description = inner.word("description") or ""
    strict = inner.flag("strict")
    if strict is not None:
        form.json_schema.strict = strict
    return inner


def encode_format(form: ResponseFormat, losses: Losses) -> JsonObject | None:
    """Write response_format."""
    losses.foreign(form.extensions, DIALECT, "response_format")
    extension = Extension(form.extensions, DIALECT)
    match form.WhichOneof("kind"):
        case "text":
            return extension.merge({"type": "text"})
        case "json":
            return extension.merge({"type": "json_object"})
        case "json_schema":
            schema = form.json_schema
            inner: JsonObject = {}
            if schema.name or DIALECT not in form.extensions:
                inner["name"] = schema.name or "answer"
            if schema.description:
                inner["description"] = schema.description
            if schema.schema_json:
                where = "response_format.json_schema.schema_json"
                inner["schema"] = raw_json(schema.schema_json, where)
            if schema.HasField("strict"):
                inner["strict"] = schema.strict
            rest = extension.members.pop("json_schema", None)
            if isinstance(rest, dict):
                inner = {**rest, **inner}
            return extension.merge({"type": "json_schema", "json_schema": inner})
        case _:
            return None


def _shallow(raw: Any) -> dict[str, msgspec.Raw] | None:
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except JSON_FAULTS:
        return None
