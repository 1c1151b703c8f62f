"""The `text` member of a request: the answer's format and verbosity."""

from __future__ import annotations

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import ResponseFormat
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, decode_json
from services.dialects.openai_responses.wire import DIALECT
from services.dialects.raw_json import caller_json, is_object, merge_deep, object_keeping, raw_text
from services.runtime.errors import Violation


def read_text(raw: msgspec.Raw, members: Members, request: GenerateRequest, faults: list[Violation]) -> None:
    """Read `text`; what the contract does not know stays among the members."""
    if not is_object(raw):
        value = decode_json(raw)
        members.rest["text"] = value
        if value is not None:
            faults.append(Violation("text", "must be an object"))
        return
    inner = Members(object_keeping(raw, "format"), "text", faults)
    verbosity = inner.word("verbosity")
    if verbosity is not None:
        request.options.verbosity = verbosity
    form = inner.rest.get("format")
    if isinstance(form, msgspec.Raw):
        if is_object(form) and _read_format(form, request.response_format):
            del inner.rest["format"]
        else:
            request.ClearField("response_format")
            inner.rest["format"] = decode_json(form)
    if inner.rest or not (request.options.verbosity or request.HasField("response_format")):
        members.rest["text"] = inner.rest


def write_text(request: GenerateRequest, body: JsonObject, losses: Losses) -> None:
    """Write `text`, unless nothing is asked of it."""
    text: JsonObject = {}
    if request.options.verbosity:
        text["verbosity"] = request.options.verbosity
    if request.HasField("response_format"):
        losses.foreign(request.response_format.extensions, DIALECT, "response_format")
        form = _write_format(request.response_format)
        if form is not None:
            text["format"] = form
    if text:
        body["text"] = text


def merge_text(body: JsonObject, kept: JsonObject) -> None:
    """Add what `text` had beside."""
    rest = kept.get("text")
    if isinstance(rest, dict) and isinstance(body.get("text"), dict):
        merge_deep(body["text"], rest)


def _read_format(raw: msgspec.Raw, form: ResponseFormat) -> bool:
    value = object_keeping(raw, "schema")
    kind = value.pop("type", None)
    members = Members(value)
    if kind == "text":
        form.text = True
    elif kind == "json_object":
        form.json = True
    elif kind == "json_schema":
        schema = value.get("schema")
        form.json_schema.SetInParent()
        if is_object(schema):
            form.json_schema.schema_json = raw_text(value.pop("schema"))
        elif isinstance(schema, msgspec.Raw):
            value["schema"] = decode_json(schema)
        form.json_schema.name = members.word("name") or ""
        form.json_schema.description = members.word("description") or ""
        strict = members.flag("strict")
        if strict is not None:
            form.json_schema.strict = strict
    else:
        return False
    members.hint("v")
    members.save(form.extensions, DIALECT)
    return True


def _write_format(form: ResponseFormat) -> JsonObject | None:
    extension = Extension(form.extensions, DIALECT)
    match form.WhichOneof("kind"):
        case "text":
            return extension.merge({"type": "text"})
        case "json":
            return extension.merge({"type": "json_object"})
        case "json_schema":
            schema = form.json_schema
            native = DIALECT in form.extensions
            written: JsonObject = {"type": "json_schema"}
            if schema.name or not native:
                written["name"] = schema.name or "answer"
            if schema.description:
                written["description"] = schema.description
            if schema.schema_json:
                where = "response_format.json_schema.schema_json"
                written["schema"] = caller_json(schema.schema_json, where)
            elif not native:
                written["schema"] = {}
            if schema.HasField("strict"):
                written["strict"] = schema.strict
            return extension.merge(written)
        case _:
            return None
