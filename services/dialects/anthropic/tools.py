"""Tools and the choice among them, both ways."""

from __future__ import annotations

from collections.abc import Sequence
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
from services.dialects.anthropic.read_blocks import Faults, take_cache
from services.dialects.anthropic.wire import DIALECT, Block, object_keeping, type_of
from services.dialects.anthropic.write_blocks import write_cache
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.quiet import merge_back, quiet, take_word
from services.dialects.raw_json import caller_json, caller_json_read, elements, raw_text, take_raw
from services.dialects.text_tools import TEXT_SUFFIX, is_text_tool, offered_name, text_schema

_MODES: Final = {
    "auto": TOOL_CHOICE_MODE_AUTO,
    "any": TOOL_CHOICE_MODE_REQUIRED,
    "tool": TOOL_CHOICE_MODE_NAMED,
    "none": TOOL_CHOICE_MODE_NONE,
}
_WORDS: Final = {
    TOOL_CHOICE_MODE_UNSPECIFIED: "auto",
    TOOL_CHOICE_MODE_AUTO: "auto",
    TOOL_CHOICE_MODE_ALLOWED: "auto",
    TOOL_CHOICE_MODE_REQUIRED: "any",
    TOOL_CHOICE_MODE_NAMED: "tool",
    TOOL_CHOICE_MODE_NONE: "none",
}


def read_tools(raw: msgspec.Raw, faults: Faults) -> list[Tool]:
    """Read `tools`; raise ValueError unless it is an array of objects."""
    return [_read_tool(element, f"tools[{index}]", faults) for index, element in enumerate(elements(raw))]


def read_tool_choice(value: JsonObject) -> ToolChoice | None:
    """Read `tool_choice`; None for a kind that is not known, which leaves `value` as it was."""
    mode = _MODES.get(type_of(value))
    if mode is None:
        return None
    del value["type"]
    members = Members(value)
    choice = ToolChoice(mode=mode)
    if mode == TOOL_CHOICE_MODE_NAMED and (name := take_word(members, "name")):
        choice.names.append(name)
    if (single := members.flag("disable_parallel_tool_use")) is not None:
        choice.parallel = not single
    members.save(choice.extensions, DIALECT)
    return choice


def write_tools(tools: Sequence[Tool], choice: ToolChoice, losses: Losses) -> list[Block]:
    """Write the tools; those that the choice does not allow are left out."""
    allowed = set(choice.names) if choice.mode == TOOL_CHOICE_MODE_ALLOWED else None
    if allowed is not None:
        losses.emulated("tool_choice", "Anthropic knows no list of allowed tools: the others are not offered")
    blocks: list[Block] = []
    for index, tool in enumerate(tools):
        if allowed is not None and (tool.function.name or tool.custom.name) not in allowed:
            continue
        block = _write_tool(tool, f"tools[{index}]", losses)
        if block is not None:
            blocks.append(block)
    return blocks


def write_tool_choice(choice: ToolChoice, tools: Sequence[Tool], losses: Losses) -> JsonObject | None:
    """Write the choice; None if there is nothing to say."""
    own = DIALECT in choice.extensions
    if choice.mode == TOOL_CHOICE_MODE_UNSPECIFIED and not choice.HasField("parallel") and not own:
        return None
    if choice.mode == TOOL_CHOICE_MODE_UNSPECIFIED and not tools:
        losses.dropped("tool_choice.parallel", "there is no tool to call in parallel")
        return None
    losses.foreign(choice.extensions, DIALECT, "tool_choice")
    block: JsonObject = {"type": _WORDS.get(choice.mode, "auto")}
    if choice.mode == TOOL_CHOICE_MODE_NAMED and choice.names:
        block["name"] = offered_name(choice.names[0], tools)
        if len(choice.names) > 1:
            losses.altered("tool_choice.names", "Anthropic can be made to call one tool only: the first")
    if choice.HasField("parallel") and choice.mode != TOOL_CHOICE_MODE_NONE:
        block["disable_parallel_tool_use"] = not choice.parallel
    return merge_back(block, Extension(choice.extensions, DIALECT))


def _read_tool(raw: msgspec.Raw, path: str, faults: Faults) -> Tool:
    value = object_keeping(raw, "input_schema")
    tool = Tool()
    tool_type = type_of(value)
    if tool_type not in {"", "custom"}:
        tool.hosted.dialect = DIALECT
        tool.hosted.type = tool_type
        tool.hosted.json = raw_text(raw)
        return tool
    members = Members(value, path, faults)
    if tool_type == "custom":
        quiet(members, "type")
    name = take_word(members, "name")
    description = take_word(members, "description")
    schema = take_raw(members, "input_schema")
    if is_text_tool(name):
        tool.custom.name = name.removesuffix(TEXT_SUFFIX)
        tool.custom.description = description
    else:
        tool.function.name = name
        tool.function.description = description
        tool.function.parameters_json = raw_text(schema) if schema is not None else ""
        if (strict := members.flag("strict")) is not None:
            tool.function.strict = strict
    if "cache_control" in value:
        take_cache(members, lambda: tool.cache)
    members.save(tool.extensions, DIALECT)
    return tool


def _write_tool(tool: Tool, path: str, losses: Losses) -> Block | None:
    block: JsonObject
    match tool.WhichOneof("kind"):
        case "function":
            block = _function(tool, path)
        case "custom":
            losses.emulated(path, "a free-text tool is offered as a function with one text argument")
            if tool.custom.format_json:
                losses.dropped(f"{path}.custom.format_json", "Anthropic cannot hold an answer to a grammar")
            block = _custom(tool)
        case "hosted" if tool.hosted.dialect == DIALECT:
            return caller_json(tool.hosted.json, f"{path}.hosted.json")
        case "hosted":
            losses.dropped(path, f"the tool {tool.hosted.type} runs at {tool.hosted.dialect} providers only")
            return None
        case _:
            return None
    losses.foreign(tool.extensions, DIALECT, path)
    if tool.HasField("cache"):
        block["cache_control"] = write_cache(tool.cache)
    return merge_back(block, Extension(tool.extensions, DIALECT))


def _function(tool: Tool, path: str) -> JsonObject:
    function = tool.function
    block: JsonObject = {"name": function.name}
    if function.description:
        block["description"] = function.description
    block["input_schema"] = _schema(function.parameters_json, f"{path}.function.parameters_json")
    if function.HasField("strict"):
        block["strict"] = function.strict
    return block


def _schema(text: str, field: str) -> msgspec.Raw | JsonObject:
    """The schema to the letter; Anthropic demands that it says `object`."""
    if not text:
        return {"type": "object", "properties": {}}
    raw, value = caller_json_read(text, field)
    return {"type": "object", **value} if type(value) is dict and "type" not in value else raw


def _custom(tool: Tool) -> JsonObject:
    custom = tool.custom
    block: JsonObject = {"name": custom.name + TEXT_SUFFIX}
    if custom.description:
        block["description"] = custom.description
    block["input_schema"] = {**text_schema(), "additionalProperties": False}
    return block
