"""Tools in the shape that vendors took over from OpenAI: {"type": "function", "function": {…}}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import Tool, ToolChoiceMode
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, decode_json
from services.dialects.raw_json import caller_json, elements, is_object, merge_deep, raw_members, raw_text
from services.dialects.text_tools import TEXT_SUFFIX, is_text_tool, text_schema
from services.runtime.errors import Violation

_NAMED: Final = frozenset({ToolChoiceMode.TOOL_CHOICE_MODE_NAMED, ToolChoiceMode.TOOL_CHOICE_MODE_ALLOWED})


def read_tools(raw: msgspec.Raw, request: GenerateRequest, dialect: str, faults: list[Violation]) -> None:
    """Read an array of tools; schemas keep their bytes. Raise ValueError for what is no array."""
    for number, each in enumerate(elements(raw)):
        where = f"tools[{number}]"
        if not is_object(each):
            faults.append(Violation(where, "must be an object"))
            continue
        _read_tool(each, where, request.tools.add(), dialect, faults)


def _read_tool(raw: msgspec.Raw, where: str, tool: Tool, dialect: str, faults: list[Violation]) -> None:
    outer = raw_members(raw)
    function = outer.pop("function", None)
    members = Members({name: decode_json(each) for name, each in outer.items()}, where, faults)
    kind = members.rest.get("type")
    if (kind is not None and kind != "function") or function is None or not is_object(function):
        tool.hosted.dialect = dialect
        tool.hosted.type = kind if isinstance(kind, str) else ""
        tool.hosted.json = raw_text(raw)
        return
    if kind is None:
        members.hint("untyped")
    else:
        del members.rest["type"]
    inner_raw = raw_members(function)
    schema = inner_raw.get("parameters")
    if schema is not None and is_object(schema):
        del inner_raw["parameters"]
    else:
        schema = None
        members.hint("bare")
    inner = Members(
        {name: decode_json(each) for name, each in inner_raw.items()}, f"{where}.function", faults
    )
    name = inner.word("name") or ""
    if not name:
        inner.fault("name", "must be a string that is not empty")
    description = inner.word("description") or ""
    if is_text_tool(name):
        tool.custom.name = name.removesuffix(TEXT_SUFFIX)
        tool.custom.description = description
    else:
        tool.function.name = name
        tool.function.description = description
        tool.function.parameters_json = "" if schema is None else raw_text(schema)
    if inner.rest:
        members.rest["function"] = inner.rest
    members.save(tool.extensions, dialect)


def write_tools(
    tools: Sequence[Tool], dialect: str, losses: Losses, chosen: frozenset[str] | None = None
) -> list[Any]:
    """Write the tools, or those of the chosen names; a hosted tool of another dialect is left out."""
    written: list[Any] = []
    for number, tool in enumerate(tools):
        where = f"tools[{number}]"
        if chosen is not None and tool.function.name not in chosen and tool.custom.name not in chosen:
            continue
        losses.foreign(tool.extensions, dialect, where)
        if tool.HasField("cache"):
            losses.dropped(f"{where}.cache", "cache marks are not known here")
        match tool.WhichOneof("kind"):
            case "function":
                written.append(_write_function(tool, where, dialect))
            case "custom":
                losses.emulated(where, "a free-text tool is offered as a function with one text argument")
                if tool.custom.format_json:
                    losses.dropped(
                        f"{where}.custom.format_json", "an answer cannot be held to a grammar here"
                    )
                written.append(_write_text_tool(tool))
            case "hosted" if tool.hosted.dialect == dialect:
                written.append(caller_json(tool.hosted.json, f"{where}.hosted.json"))
            case "hosted":
                losses.dropped(
                    where, f"the tool {tool.hosted.type} runs at {tool.hosted.dialect} providers only"
                )
            case _:
                pass
    return written


def _write_function(tool: Tool, where: str, dialect: str) -> JsonObject:
    extension = Extension(tool.extensions, dialect)
    function: JsonObject = {"name": tool.function.name}
    if tool.function.description:
        function["description"] = tool.function.description
    if tool.function.parameters_json:
        function["parameters"] = caller_json(
            tool.function.parameters_json, f"{where}.function.parameters_json"
        )
    elif "bare" not in extension.shape:
        function["parameters"] = {"type": "object", "properties": {}}
    written: JsonObject = {} if "untyped" in extension.shape else {"type": "function"}
    written["function"] = function
    return merge_deep(written, extension.members)


def _write_text_tool(tool: Tool) -> JsonObject:
    function: JsonObject = {"name": tool.custom.name + TEXT_SUFFIX}
    if tool.custom.description:
        function["description"] = tool.custom.description
    function["parameters"] = text_schema()
    return {"type": "function", "function": function}


def chosen_names(request: GenerateRequest, losses: Losses) -> frozenset[str] | None:
    """The names of the only tools that a named or allowed choice leaves, which is how the choice is emulated."""
    choice = request.tool_choice
    if choice.mode not in _NAMED or not choice.names or not request.tools:
        return None
    losses.emulated("tool_choice.names", "tools that were not chosen are left out of the request")
    return frozenset(choice.names)
