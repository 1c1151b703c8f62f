"""Free-text tools at vendors that know functions only.

Such a tool is offered as a function with one text argument, under a name that tells its calls from others without the
request at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from llmhub.types.v1.content_pb2 import ToolCall, ToolKind
from llmhub.types.v1.generation_pb2 import Tool
from services.dialects.members import JsonObject, decode_json, json_text

TEXT_SUFFIX: Final = "__llmhub_text"
"""Marks the function that stands for a free-text tool."""
TEXT_INPUT: Final = "input"
"""Its one argument; also the member that makes an object of arguments that are none."""


def is_text_tool(name: str) -> bool:
    """Whether a function stands for a free-text tool."""
    return name.endswith(TEXT_SUFFIX) and name != TEXT_SUFFIX


def text_schema() -> JsonObject:
    """What the function takes."""
    return {"type": "object", "properties": {TEXT_INPUT: {"type": "string"}}, "required": [TEXT_INPUT]}


def offered_name(name: str, tools: Sequence[Tool]) -> str:
    """The name under which a tool of these was offered."""
    return (
        name + TEXT_SUFFIX
        if any(tool.HasField("custom") and tool.custom.name == name for tool in tools)
        else name
    )


def function_name(call: ToolCall) -> str:
    """The name under which the called tool was offered."""
    return call.name + TEXT_SUFFIX if call.kind == ToolKind.TOOL_KIND_CUSTOM else call.name


def name_call(call: ToolCall, name: str) -> None:
    """Set a call's name and kind from the function's name."""
    if is_text_tool(name):
        call.name = name.removesuffix(TEXT_SUFFIX)
        call.kind = ToolKind.TOOL_KIND_CUSTOM
    else:
        call.name = name
        call.kind = ToolKind.TOOL_KIND_FUNCTION


def function_of(call: ToolCall) -> tuple[str, str]:
    """The function's name and arguments for a call of either kind."""
    if call.kind == ToolKind.TOOL_KIND_CUSTOM:
        return function_name(call), text_arguments(call.arguments)
    return call.name, call.arguments


def text_arguments(text: str) -> str:
    """The function's arguments for a free text."""
    return json_text({TEXT_INPUT: text})


def text_input(arguments: str) -> str:
    """The free text in the function's arguments; the arguments themselves if they are anything but that."""
    try:
        value = decode_json(arguments)
    except ValueError:
        return arguments
    if type(value) is dict and len(value) == 1 and type(text := value.get(TEXT_INPUT)) is str:
        return text
    return arguments


def argument_object(call: ToolCall) -> tuple[msgspec.Raw | None, bool]:
    """A call's arguments as an object, None if it has none, and whether they had to be wrapped to be one."""
    text = call.arguments
    if call.kind == ToolKind.TOOL_KIND_CUSTOM:
        return msgspec.Raw(text_arguments(text)), False
    if not text or text.isspace():
        return None, False
    try:
        value = decode_json(text)
    except ValueError:
        return msgspec.Raw(text_arguments(text)), True
    if type(value) is dict:
        return msgspec.Raw(text), False
    if value is None:
        return None, False
    return msgspec.Raw(json_text({TEXT_INPUT: msgspec.Raw(text)})), True
