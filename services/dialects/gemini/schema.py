"""Gemini's subset of OpenAPI's schemas, as JSON Schema."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from services.dialects.gemini.wire import raw_text
from services.dialects.members import JsonObject, decode_json, json_text

_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS: Final = frozenset({"properties", "defs", "$defs"})
_SINGLE: Final = frozenset({"items", "additionalProperties"})
_NAMES: Final = {"defs": "$defs", "ref": "$ref", "example": "examples"}
_COUNTS: Final = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
_LEFT_OUT: Final = frozenset({"propertyOrdering", "property_ordering", "nullable"})


def read_schema(raw: msgspec.Raw) -> tuple[str, JsonObject | None]:
    """JSON Schema as text, and the schema as it was written if that says it in other words."""
    value = decode_json(raw)
    schema = _convert(value)
    if schema == value:
        return raw_text(raw), None
    return json_text(schema), value


def write_schema(text: str, original: object) -> JsonObject | None:
    """The schema as it was written, if it still says the same as the text; None if it does not."""
    if isinstance(original, dict) and json_text(_convert(original)) == text:
        return original
    return None


def _convert(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    schema: JsonObject = {}
    for name, each in value.items():
        if name == "type":
            _put_type(schema, each)
        elif name not in _LEFT_OUT:
            schema[_NAMES.get(str(name), str(name))] = _member(name, each)
    if value.get("nullable") is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


def _member(name: str, value: Any) -> Any:
    if name in _MAPS and isinstance(value, dict):
        return {key: _convert(inner) for key, inner in value.items()}
    if name in _LISTS and isinstance(value, list):
        return [_convert(inner) for inner in value]
    if name in _SINGLE:
        return _convert(value)
    if name == "example":
        return [value]
    if name in _COUNTS and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    return value


def _put_type(schema: JsonObject, value: Any) -> None:
    if not isinstance(value, str):
        schema["type"] = value
    elif value != "TYPE_UNSPECIFIED":
        schema["type"] = value.lower()
