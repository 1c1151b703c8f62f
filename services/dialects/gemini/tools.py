"""Tools and the choice among them, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from llmhub.types.v1.generation_pb2 import (
    TOOL_CHOICE_MODE_ALLOWED,
    TOOL_CHOICE_MODE_AUTO,
    TOOL_CHOICE_MODE_NAMED,
    TOOL_CHOICE_MODE_NONE,
    TOOL_CHOICE_MODE_REQUIRED,
    TOOL_CHOICE_MODE_UNSPECIFIED,
    Tool,
    ToolChoice,
)
from services.dialects.gemini.read_parts import Faults
from services.dialects.gemini.schema import read_schema, write_schema
from services.dialects.gemini.wire import (
    DIALECT,
    caller_json,
    canonical,
    elements,
    merge_back,
    object_keeping,
    opens,
    save_spelling,
    take_raw,
)
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, json_text
from services.dialects.text_tools import TEXT_SUFFIX, is_text_tool, offered_name, text_schema

_SCHEMAS: Final = ("parametersJsonSchema", "parameters")
_WRITTEN: Final = "schema"
"""Hint of a function: the member its schema stood in, and the schema if it was no JSON Schema."""
_APART: Final = "apart"
"""Hint of a tool: it began another object of `tools`."""
_TOGETHER: Final = "together"
"""Hint of a tool: it stood in one object of `tools` with the one before."""
_SNAKE_LIST: Final = "function_declarations"


def read_tools(raw: msgspec.Raw, faults: Faults) -> list[Tool]:
    """Read `tools`; raise ValueError unless it is an array of objects."""
    tools: list[Tool] = []
    for index, element in enumerate(elements(raw)):
        tools.extend(_read_object(element, f"tools[{index}]", faults))
    return tools


def write_tools(tools: Sequence[Tool], losses: Losses) -> list[JsonObject]:
    """Write the tools: functions that stand together in one object, every other tool in its own."""
    written: list[JsonObject] = []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        extension = Extension(tool.extensions, DIALECT)
        if tool.HasField("cache"):
            losses.dropped(f"{path}.cache", "Gemini caches by itself, or by cachedContent; it takes no marks")
        if tool.HasField("hosted"):
            _write_hosted(tool, extension, written, losses, path)
            continue
        losses.foreign(tool.extensions, DIALECT, path)
        declaration = _write_function(tool, extension, losses, path)
        if declaration is None:
            continue
        name = _SNAKE_LIST if _SNAKE_LIST in extension.shape else "functionDeclarations"
        last = written[-1] if written else None
        if last is not None and name in last and _APART not in extension.shape:
            last[name].append(declaration)
        else:
            written.append({name: [declaration]})
    return written


def read_choice(value: JsonObject) -> ToolChoice | None:
    """Read `functionCallingConfig`; None for a mode that is not known, which leaves `value` as it was."""
    mode, names = value.get("mode"), value.get("allowedFunctionNames")
    if names is not None and not (isinstance(names, list) and all(type(name) is str for name in names)):
        return None
    choice = ToolChoice(names=names or ())
    match mode:
        case "AUTO" if not names:
            choice.mode = TOOL_CHOICE_MODE_AUTO
        case "NONE" if not names:
            choice.mode = TOOL_CHOICE_MODE_NONE
        case "ANY":
            one = names is not None and len(names) == 1
            choice.mode = TOOL_CHOICE_MODE_NAMED if one else TOOL_CHOICE_MODE_REQUIRED
        case "VALIDATED" if names:
            choice.mode = TOOL_CHOICE_MODE_ALLOWED
        case _:
            return None
    members = Members(value)
    del value["mode"]
    if names:
        del value["allowedFunctionNames"]
    members.save(choice.extensions, DIALECT)
    return choice


def write_choice(choice: ToolChoice, tools: Sequence[Tool], losses: Losses) -> JsonObject | None:
    """Write `functionCallingConfig`; None if there is nothing to say."""
    losses.foreign(choice.extensions, DIALECT, "tool_choice")
    if choice.HasField("parallel") and not choice.parallel:
        losses.dropped("tool_choice.parallel", "Gemini cannot be held to one call an answer")
    if choice.mode == TOOL_CHOICE_MODE_UNSPECIFIED:
        return None
    config: JsonObject = {"mode": "AUTO"}
    names = [offered_name(name, tools) for name in choice.names]
    match choice.mode:
        case mode if mode in {TOOL_CHOICE_MODE_REQUIRED, TOOL_CHOICE_MODE_NAMED}:
            config["mode"] = "ANY"
        case mode if mode == TOOL_CHOICE_MODE_ALLOWED:
            config["mode"] = "VALIDATED"
        case mode if mode == TOOL_CHOICE_MODE_NONE:
            config["mode"] = "NONE"
    if names and config["mode"] in {"ANY", "VALIDATED"}:
        config["allowedFunctionNames"] = names
    return merge_back(config, Extension(choice.extensions, DIALECT))


def _read_object(raw: msgspec.Raw, path: str, faults: Faults) -> Iterator[Tool]:
    """The tools of one object: its functions, and each of its other members."""
    value = object_keeping(raw, "functionDeclarations")
    first = True
    name = "functionDeclarations" if "functionDeclarations" in value else _SNAKE_LIST
    declared = value.get(name)
    if type(declared) is msgspec.Raw and opens(declared, b"[") and (functions := elements(declared)):
        del value[name]
        for number, each in enumerate(functions):
            at = f"{path}.functionDeclarations[{number}]"
            tool, members = _read_function(each, at, faults)
            if first:
                members.hint(_APART)
            if name == _SNAKE_LIST:
                members.hint(_SNAKE_LIST)
            members.save(tool.extensions, DIALECT)
            first = False
            yield tool
    for kind, config in value.items() or ([("", {})] if first else ()):
        tool = Tool()
        tool.hosted.dialect = DIALECT
        tool.hosted.type = kind
        tool.hosted.json = json_text({kind: config} if kind else {})
        if not first:
            hinted = Members({})
            hinted.hint(_TOGETHER)
            hinted.save(tool.extensions, DIALECT)
        first = False
        yield tool


def _read_function(raw: msgspec.Raw, path: str, faults: Faults) -> tuple[Tool, Members]:
    spelled: list[str] = []
    members = Members(canonical(object_keeping(raw, *_SCHEMAS), spelled), path, faults)
    tool = Tool()
    name = members.word("name") or ""
    description = members.word("description") or ""
    save_spelling(members, spelled)
    if is_text_tool(name):
        tool.custom.name = name.removesuffix(TEXT_SUFFIX)
        tool.custom.description = description
        for schema in _SCHEMAS:
            members.rest.pop(schema, None)
        return tool, members
    tool.function.name = name
    tool.function.description = description
    if not name:
        members.fault("name", "is required")
    found = [schema for schema in _SCHEMAS if members.rest.get(schema) is not None]
    if len(found) == 1 and (written := take_raw(members, found[0])) is not None:
        if not opens(written, b"{"):
            members.rest[found[0]] = written
        elif found[0] == "parameters":
            tool.function.parameters_json, original = read_schema(written)
            members.hint(_WRITTEN, original)
        else:
            tool.function.parameters_json = str(written, "utf-8")
    return tool, members


def _write_function(tool: Tool, extension: Extension, losses: Losses, path: str) -> JsonObject | None:
    if tool.HasField("custom"):
        losses.emulated(path, "a free-text tool is offered as a function with one text argument")
        if tool.custom.format_json:
            losses.dropped(f"{path}.custom.format_json", "Gemini cannot hold an answer to a grammar")
        return merge_back(_custom(tool), extension)
    if not tool.HasField("function"):
        return None
    function = tool.function
    declaration: JsonObject = {"name": function.name}
    if function.description:
        declaration["description"] = function.description
    if function.HasField("strict") and function.strict:
        losses.dropped(f"{path}.function.strict", "Gemini has no strictness of a single function")
    if function.parameters_json:
        raw, _ = caller_json(function.parameters_json, f"{path}.function.parameters_json")
        if _WRITTEN not in extension.shape:
            declaration["parametersJsonSchema"] = raw
        elif extension.shape[_WRITTEN] is None:
            declaration["parameters"] = raw
        else:
            own = write_schema(function.parameters_json, extension.shape[_WRITTEN])
            declaration["parametersJsonSchema" if own is None else "parameters"] = raw if own is None else own
    return merge_back(declaration, extension)


def _custom(tool: Tool) -> JsonObject:
    declaration: JsonObject = {"name": tool.custom.name + TEXT_SUFFIX}
    if tool.custom.description:
        declaration["description"] = tool.custom.description
    declaration["parametersJsonSchema"] = text_schema()
    return declaration


def _write_hosted(
    tool: Tool, extension: Extension, written: list[JsonObject], losses: Losses, path: str
) -> None:
    if tool.hosted.dialect != DIALECT:
        losses.dropped(path, f"the tool {tool.hosted.type} runs at {tool.hosted.dialect} providers only")
        return
    _, value = caller_json(tool.hosted.json, f"{path}.hosted.json")
    if not isinstance(value, dict):
        return
    if _TOGETHER in extension.shape and written:
        written[-1].update(value)
    else:
        written.append(value)
