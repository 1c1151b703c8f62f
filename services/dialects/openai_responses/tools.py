"""Tools and tool choice of a request, in both directions."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import Tool, ToolChoice, ToolChoiceMode
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, decode_json, json_text
from services.dialects.openai_responses.wire import DIALECT
from services.dialects.raw_json import caller_json, elements, is_object, object_keeping, raw_text
from services.runtime.errors import Violation

_MODES: Final = {
    "auto": ToolChoiceMode.TOOL_CHOICE_MODE_AUTO,
    "none": ToolChoiceMode.TOOL_CHOICE_MODE_NONE,
    "required": ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED,
}
_WORDS: Final = {mode: word for word, mode in _MODES.items()}
_NAMED: Final = ("function", "custom")


def read_tools(raw: msgspec.Raw, request: GenerateRequest, faults: list[Violation]) -> None:
    """Read the tools; schemas keep their bytes. Raise ValueError for what is no array."""
    for number, each in enumerate(elements(raw)):
        where = f"tools[{number}]"
        if not is_object(each):
            faults.append(Violation(where, "must be an object"))
            continue
        _read_tool(each, where, request.tools.add(), faults)


def _read_tool(raw: msgspec.Raw, where: str, tool: Tool, faults: list[Violation]) -> None:
    members = Members(object_keeping(raw, "parameters", "format"), where, faults)
    kind = members.rest.get("type")
    if kind == "function":
        del members.rest["type"]
        tool.function.name = _name(members)
        tool.function.description = members.word("description") or ""
        tool.function.parameters_json = _take_object(members, "parameters")
        strict = members.flag("strict")
        if strict is not None:
            tool.function.strict = strict
        members.hint("v")
        members.save(tool.extensions, DIALECT)
    elif kind == "custom":
        del members.rest["type"]
        tool.custom.name = _name(members)
        tool.custom.description = members.word("description") or ""
        tool.custom.format_json = _nested(_take_object(members, "format"), members)
        members.hint("v")
        members.save(tool.extensions, DIALECT)
    else:
        if not isinstance(kind, str):
            members.fault("type", "must be a string")
        tool.hosted.dialect = DIALECT
        tool.hosted.type = kind if isinstance(kind, str) else ""
        tool.hosted.json = raw_text(raw)


def _name(members: Members) -> str:
    name = members.word("name")
    if name is None:
        members.fault("name", "must be a string that is not empty")
    return name or ""


def _take_object(members: Members, name: str) -> str:
    """The text of a member that is an object; any other value stays."""
    raw = members.rest.get(name)
    if not isinstance(raw, msgspec.Raw):
        return ""
    if is_object(raw):
        del members.rest[name]
        return raw_text(raw)
    members.rest[name] = decode_json(raw)
    return ""


def write_tools(request: GenerateRequest, losses: Losses) -> list[Any]:
    """Write the tools; those that run at another dialect's providers are left out."""
    written: list[Any] = []
    for number, tool in enumerate(request.tools):
        where = f"tools[{number}]"
        losses.foreign(tool.extensions, DIALECT, where)
        if tool.HasField("cache"):
            losses.dropped(f"{where}.cache", "cache marks are not known here; caching is by prefix")
        match tool.WhichOneof("kind"):
            case "function":
                written.append(_write_function(tool, where))
            case "custom":
                written.append(_write_custom(tool, where))
            case "hosted" if tool.hosted.dialect == DIALECT:
                written.append(caller_json(tool.hosted.json, f"{where}.hosted.json"))
            case _:
                losses.dropped(where, f"a hosted tool of the dialect {tool.hosted.dialect}")
    return written


def _write_function(tool: Tool, where: str) -> JsonObject:
    function = tool.function
    native = DIALECT in tool.extensions
    written: JsonObject = {"type": "function", "name": function.name}
    if function.description:
        written["description"] = function.description
    if function.parameters_json:
        written["parameters"] = caller_json(function.parameters_json, f"{where}.function.parameters_json")
    elif not native:
        written["parameters"] = {"type": "object", "properties": {}}
    if function.HasField("strict"):
        written["strict"] = function.strict
    elif not native:
        # Everywhere else a tool whose maker said nothing is not strict.
        written["strict"] = False
    return Extension(tool.extensions, DIALECT).merge(written)


def _write_custom(tool: Tool, where: str) -> JsonObject:
    custom = tool.custom
    extension = Extension(tool.extensions, DIALECT)
    written: JsonObject = {"type": "custom", "name": custom.name}
    if custom.description:
        written["description"] = custom.description
    if custom.format_json:
        native = DIALECT in tool.extensions
        where = f"{where}.custom.format_json"
        written["format"] = _flat(custom.format_json, where, extension, native=native)
    return extension.merge(written)


def _nested(text: str, members: Members) -> str:
    """A format as the contract has it: a grammar's members one level down, as chat has them, not beside its type."""
    value = decode_json(text) if text else {}
    if value.get("type") != "grammar" or "grammar" in value:
        return text
    members.hint("flat")
    return json_text({"type": "grammar", "grammar": {each: value[each] for each in value if each != "type"}})


def _flat(text: str, where: str, extension: Extension, *, native: bool) -> Any:
    """The reverse, unless it stood here in the contract's way."""
    raw = caller_json(text, where)
    value = decode_json(raw)
    grammar = value.get("grammar") if isinstance(value, dict) else None
    if isinstance(grammar, dict) and ("flat" in extension.shape or not native):
        return {"type": "grammar", **grammar}
    return raw


def read_choice(members: Members, choice: ToolChoice) -> bool:
    """Read tool_choice; false if there is none that the contract knows. What it does not know stays."""
    value = members.rest.get("tool_choice")
    if isinstance(value, str) and value in _MODES:
        choice.mode = _MODES[value]
    elif not isinstance(value, dict):
        if value is not None:
            members.fault("tool_choice", "is no tool choice")
        return False
    elif value.get("type") == "allowed_tools":
        if not _read_allowed(value, choice):
            return False
    elif value.get("type") in _NAMED and isinstance(value.get("name"), str) and value["name"]:
        choice.mode = ToolChoiceMode.TOOL_CHOICE_MODE_NAMED
        choice.names.append(value.pop("name"))
        Members(value).save(choice.extensions, DIALECT)
    else:
        # A hosted tool: only this dialect has it.
        return False
    del members.rest["tool_choice"]
    return True


def _read_allowed(value: JsonObject, choice: ToolChoice) -> bool:
    tools = value.get("tools")
    if not isinstance(tools, list):
        return False
    names = [tool.get("name") if isinstance(tool, dict) else None for tool in tools]
    found = [name for name in names if isinstance(name, str) and name]
    if not found:
        return False
    choice.mode = ToolChoiceMode.TOOL_CHOICE_MODE_ALLOWED
    choice.names.extend(found)
    members = Members(value)
    if "mode" not in value:
        members.hint("modeless")
    members.save(choice.extensions, DIALECT)
    return True


def write_choice(request: GenerateRequest, body: JsonObject, losses: Losses) -> None:
    """Write tool_choice and parallel_tool_calls."""
    choice = request.tool_choice
    losses.foreign(choice.extensions, DIALECT, "tool_choice")
    extension = Extension(choice.extensions, DIALECT)
    customs = {tool.custom.name for tool in request.tools if tool.HasField("custom")}
    if choice.HasField("parallel"):
        body["parallel_tool_calls"] = choice.parallel
    if choice.mode in _WORDS:
        body["tool_choice"] = _WORDS[choice.mode]
    elif choice.mode == ToolChoiceMode.TOOL_CHOICE_MODE_NAMED:
        named = _named(choice.names[0] if choice.names else "", customs)
        body["tool_choice"] = {**named, **extension.members}
    elif choice.mode == ToolChoiceMode.TOOL_CHOICE_MODE_ALLOWED:
        tools = [_named(name, customs) for name in choice.names]
        body["tool_choice"] = {
            "type": "allowed_tools",
            **({} if "modeless" in extension.shape else {"mode": "auto"}),
            "tools": tools,
            **extension.members,
        }


def _named(name: str, customs: set[str]) -> JsonObject:
    return {"type": "custom" if name in customs else "function", "name": name}
