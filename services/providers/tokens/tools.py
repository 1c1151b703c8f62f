"""Tools as OpenAI's models are shown them: TypeScript declarations, as published with gpt-oss."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from llmhub.types.v1.generation_pb2 import Tool

_DEEPEST: Final = 20
_HEAD: Final = "# Tools\n\n## functions\n\nnamespace functions {\n\n"
_TAIL: Final = "} // namespace functions"


def declarations(tools: Iterable[Tool]) -> str:
    """Return the text in which functions are declared to the model."""
    return _HEAD + "".join(_declaration(each) for each in tools) + _TAIL


def shape(schema_json: str) -> str:
    """Return a JSON Schema as the same models are shown it."""
    return _type(_schema(schema_json), _DEEPEST)


def as_json(tool: Tool) -> str:
    """Return a tool as it stands in a request."""
    match tool.WhichOneof("kind"):
        case "function":
            function = tool.function
            head = f'{{"name":"{function.name}","description":"{function.description}","parameters":'
            return head + function.parameters_json + "}"
        case "custom":
            return f"{tool.custom.name} {tool.custom.description} {tool.custom.format_json}"
        case _:
            return tool.hosted.json


def _declaration(tool: Tool) -> str:
    if tool.WhichOneof("kind") != "function":
        return as_json(tool) + "\n\n"
    function = tool.function
    schema = _schema(function.parameters_json)
    comment = "".join(f"// {line}\n" for line in function.description.splitlines())
    if not schema.get("properties"):
        return f"{comment}type {function.name} = () => any;\n\n"
    members = "".join(_members(schema, _DEEPEST))
    return f"{comment}type {function.name} = (_: {{\n{members}}}) => any;\n\n"


def _schema(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _members(schema: dict[str, Any], depth: int) -> Iterator[str]:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not depth:
        return
    required = schema.get("required")
    for name, value in properties.items():
        if not isinstance(value, dict):
            continue
        if description := value.get("description"):
            yield f"// {description}\n"
        optional = "" if isinstance(required, list) and name in required else "?"
        default = f" // default: {json.dumps(value['default'])}" if "default" in value else ""
        yield f"{name}{optional}: {_type(value, depth)},{default}\n"


def _type(schema: Any, depth: int) -> str:
    if not isinstance(schema, dict) or not depth:
        return "any"
    if isinstance(choices := schema.get("enum"), list):
        return " | ".join(json.dumps(each) for each in choices)
    if isinstance(branches := schema.get("anyOf") or schema.get("oneOf"), list):
        return " | ".join(_type(each, depth - 1) for each in branches)
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": each}, depth - 1) for each in kind)
    if kind == "object" or "properties" in schema:
        return "{\n" + "".join(_members(schema, depth - 1)) + "}"
    if kind == "array":
        return _type(schema.get("items"), depth - 1) + "[]"
    return "number" if kind == "integer" else str(kind or "any")
