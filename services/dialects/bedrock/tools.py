"""Tools and the choice among them, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from llmhub.types.v1.content_pb2 import Message
from llmhub.types.v1.generation_pb2 import (
    TOOL_CHOICE_MODE_ALLOWED,
    TOOL_CHOICE_MODE_AUTO,
    TOOL_CHOICE_MODE_NAMED,
    TOOL_CHOICE_MODE_NONE,
    TOOL_CHOICE_MODE_REQUIRED,
    Tool,
    ToolChoice,
)
from services.dialects.bedrock.read_blocks import Faults, read_cache
from services.dialects.bedrock.wire import DIALECT, Block
from services.dialects.bedrock.write_blocks import write_cache
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.quiet import merge_back, take_word
from services.dialects.raw_json import (
    caller_json,
    caller_json_read,
    elements,
    object_keeping,
    raw_members,
    raw_text,
    take_raw,
)
from services.dialects.text_tools import TEXT_SUFFIX, function_name, is_text_tool, offered_name, text_schema
from services.runtime.errors import Violation

_MODES: Final = {
    "auto": TOOL_CHOICE_MODE_AUTO,
    "any": TOOL_CHOICE_MODE_REQUIRED,
    "tool": TOOL_CHOICE_MODE_NAMED,
}
_WORDS: Final = {mode: word for word, mode in _MODES.items()}


def read_tools(raw: msgspec.Raw, faults: Faults) -> list[Tool]:
    """Read `tools`; raise ValueError unless it is an array of objects. A cachePoint marks the tool before it."""
    tools: list[Tool] = []
    for index, element in enumerate(elements(raw)):
        block = raw_members(element)
        path = f"toolConfig.tools[{index}]"
        if faults is not None and len(block) != 1:
            faults.append(Violation(path, "must have exactly one member"))
        name = next(iter(block), "")
        if name == "cachePoint" and tools and not tools[-1].HasField("cache"):
            read_cache(block[name], tools[-1].cache)
            continue
        read = _read_function(block[name], path, faults) if list(block) == ["toolSpec"] else None
        tools.append(read if read is not None else _hosted(name, raw_text(element)))
    return tools


def read_tool_choice(value: JsonObject) -> ToolChoice | None:
    """Read `toolChoice`; None for a kind that is not known, which leaves `value` as it was."""
    word = next(iter(value), "")
    inner = value.get(word)
    mode = _MODES.get(word)
    if len(value) != 1 or mode is None or type(inner) is not dict:
        return None
    choice = ToolChoice(mode=mode)
    members = Members(inner)
    if mode == TOOL_CHOICE_MODE_NAMED and (name := take_word(members, "name")):
        choice.names.append(name)
    members.save(choice.extensions, DIALECT)
    return choice


def write_tools(tools: Sequence[Tool], choice: ToolChoice, losses: Losses) -> list[Block]:
    """Write the tools; those that the choice does not allow are left out."""
    allowed = set(choice.names) if choice.mode == TOOL_CHOICE_MODE_ALLOWED else None
    if allowed is not None:
        losses.emulated("tool_choice", "Bedrock knows no list of allowed tools: the others are not offered")
    blocks: list[Block] = []
    for index, tool in enumerate(tools):
        if allowed is not None and (tool.function.name or tool.custom.name) not in allowed:
            continue
        path = f"tools[{index}]"
        block = _write_tool(tool, path, losses)
        if block is not None:
            blocks.append(block)
        if tool.HasField("cache") and blocks:
            blocks.append(write_cache(tool.cache, losses, f"{path}.cache"))
    return blocks


def tools_used(messages: Sequence[Message]) -> list[str]:
    """Names of the tools that were called or answered: Bedrock wants tools declared where they appear."""
    names: dict[str, None] = {}
    results = False
    for message in messages:
        for part in message.parts:
            if part.HasField("tool_call"):
                names[function_name(part.tool_call)] = None
            results = results or part.HasField("tool_result")
    return list(names) or (["unknown"] if results else [])


def undeclared_tool(name: str) -> JsonObject:
    """A tool of which only the name is known."""
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}}


def write_tool_choice(choice: ToolChoice, tools: Sequence[Tool], losses: Losses) -> JsonObject | None:
    """Write the choice among tools that are offered; None if there is nothing to say."""
    losses.foreign(choice.extensions, DIALECT, "tool_choice")
    word = _WORDS.get(choice.mode)
    if word is None:
        return None
    inner: JsonObject = {}
    if choice.mode == TOOL_CHOICE_MODE_NAMED and choice.names:
        inner["name"] = offered_name(choice.names[0], tools)
        if len(choice.names) > 1:
            losses.altered("tool_choice.names", "Bedrock can be made to call one tool only: the first")
    return {word: merge_back(inner, Extension(choice.extensions, DIALECT))}


def is_none(choice: ToolChoice) -> bool:
    """Tell whether no tool may be called, for which Bedrock has no word."""
    return choice.mode == TOOL_CHOICE_MODE_NONE


def _hosted(name: str, text: str) -> Tool:
    tool = Tool()
    tool.hosted.dialect = DIALECT
    tool.hosted.type = name
    tool.hosted.json = text
    return tool


def _read_function(raw: msgspec.Raw, path: str, faults: Faults) -> Tool | None:
    members = Members(object_keeping(raw, "inputSchema"), path, faults)
    schema = members.rest.get("inputSchema")
    held = raw_members(schema) if type(schema) is msgspec.Raw else {}
    if list(held) != ["json"]:
        return None
    take_raw(members, "inputSchema")
    tool = Tool()
    name = take_word(members, "name")
    description = take_word(members, "description")
    if is_text_tool(name):
        tool.custom.name = name.removesuffix(TEXT_SUFFIX)
        tool.custom.description = description
    else:
        tool.function.name = name
        tool.function.description = description
        tool.function.parameters_json = raw_text(held["json"])
        if (strict := members.flag("strict")) is not None:
            tool.function.strict = strict
    members.save(tool.extensions, DIALECT)
    return tool


def _write_tool(tool: Tool, path: str, losses: Losses) -> Block | None:
    spec: JsonObject
    match tool.WhichOneof("kind"):
        case "function":
            spec = _function(tool, path)
        case "custom":
            losses.emulated(path, "a free-text tool is offered as a function with one text argument")
            if tool.custom.format_json:
                losses.dropped(f"{path}.custom.format_json", "Bedrock cannot hold an answer to a grammar")
            spec = _custom(tool)
        case "hosted" if tool.hosted.dialect == DIALECT:
            return caller_json(tool.hosted.json, f"{path}.hosted.json")
        case "hosted":
            losses.dropped(path, f"the tool {tool.hosted.type} runs at {tool.hosted.dialect} providers only")
            return None
        case _:
            return None
    losses.foreign(tool.extensions, DIALECT, path)
    return {"toolSpec": merge_back(spec, Extension(tool.extensions, DIALECT))}


def _function(tool: Tool, path: str) -> JsonObject:
    function = tool.function
    spec: JsonObject = {"name": function.name}
    if function.description:
        spec["description"] = function.description
    schema = _schema(function.parameters_json, f"{path}.function.parameters_json")
    spec["inputSchema"] = {"json": schema}
    if function.HasField("strict"):
        spec["strict"] = function.strict
    return spec


def _schema(text: str, field: str) -> msgspec.Raw | JsonObject:
    """The schema to the letter; models want it to say `object`."""
    if not text:
        return {"type": "object", "properties": {}}
    raw, value = caller_json_read(text, field)
    return {"type": "object", **value} if type(value) is dict and "type" not in value else raw


def _custom(tool: Tool) -> JsonObject:
    custom = tool.custom
    spec: JsonObject = {"name": custom.name + TEXT_SUFFIX}
    if custom.description:
        spec["description"] = custom.description
    spec["inputSchema"] = {"json": text_schema()}
    return spec
