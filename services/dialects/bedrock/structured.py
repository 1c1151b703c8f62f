"""Structured output, both ways: outputConfig where the model keeps to a schema, else a function or an instruction."""

from __future__ import annotations

from typing import Any, Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import JsonSchemaFormat
from services.dialects.bedrock.family import Family
from services.dialects.bedrock.wire import DIALECT, Block, format_tool_name
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.quiet import merge_back
from services.dialects.raw_json import caller_json_read

_JSON_INSTRUCTION: Final = "Answer with one valid JSON object and nothing else: no prose, no code fence."
_SCHEMA_INSTRUCTION: Final = (
    "Answer with one valid JSON value and nothing else: no prose, no code fence. "
    "It must match this JSON Schema:\n"
)
_FIELD: Final = "response_format.json_schema.schema_json"


def read_output(members: Members, request: GenerateRequest) -> None:
    """Take effort and format out of outputConfig."""
    config = members.mapping("outputConfig")
    if config is None:
        return
    inner = Members(config, "outputConfig")
    taken = False
    if effort := inner.word("effort"):
        request.reasoning.effort = effort
        taken = True
    wanted = config.get("textFormat")
    if type(wanted) is dict and _read_format(wanted, request):
        del config["textFormat"]
        taken = True
    if config or not taken:
        members.rest["outputConfig"] = config


def write_format(
    request: GenerateRequest,
    body: JsonObject,
    output: JsonObject,
    family: Family,
    losses: Losses,
    *,
    own: bool,
) -> None:
    """Write the wanted format in the way the model knows."""
    wanted = request.response_format
    if wanted.WhichOneof("kind") == "json" and wanted.json:
        losses.emulated("response_format.json", "Converse has no JSON mode: an instruction asks for it")
        _instruct(body, _JSON_INSTRUCTION)
    if wanted.WhichOneof("kind") != "json_schema":
        return
    losses.foreign(wanted.extensions, DIALECT, "response_format")
    schema = wanted.json_schema
    if own:
        output["textFormat"] = _text_format(request)
        return
    raw, value = caller_json_read(schema.schema_json or "{}", _FIELD)
    if family.structured == "native":
        if schema.HasField("strict") and not schema.strict:
            losses.altered("response_format.json_schema.strict", "Bedrock always keeps to the schema")
        output["textFormat"] = _text_format(request)
    elif family.structured == "tool" and "thinking" not in body.get("additionalModelRequestFields", ()):
        losses.emulated(
            "response_format", f"{family.name} at Bedrock answer in a form as a function's arguments"
        )
        _offer(schema, raw, value, body, losses)
    else:
        losses.emulated("response_format", f"{family.name} at Bedrock are asked for the form in words")
        if schema.description:
            losses.dropped("response_format.json_schema.description", "there is no place for it")
        _instruct(body, _SCHEMA_INSTRUCTION + (schema.schema_json or "{}"))


def _read_format(wanted: JsonObject, request: GenerateRequest) -> bool:
    structure = wanted.get("structure")
    held = structure.get("jsonSchema") if type(structure) is dict and len(structure) == 1 else None
    if wanted.get("type") != "json_schema" or type(held) is not dict or type(held.get("schema")) is not str:
        return False
    schema = Members(held)
    written = request.response_format.json_schema
    written.schema_json = schema.text("schema") or ""
    written.name = schema.word("name") or ""
    written.description = schema.word("description") or ""
    del wanted["type"], wanted["structure"]
    if held:
        wanted["schema"] = held
    Members(wanted).save(request.response_format.extensions, DIALECT)
    return True


def _text_format(request: GenerateRequest) -> JsonObject:
    wanted = request.response_format
    schema = wanted.json_schema
    definition: JsonObject = {"schema": schema.schema_json}
    if schema.name:
        definition["name"] = schema.name
    if schema.description:
        definition["description"] = schema.description
    extension = Extension(wanted.extensions, DIALECT)
    kept = extension.members.pop("schema", None)
    if type(kept) is dict:
        definition = {**kept, **definition}
    return merge_back({"type": "json_schema", "structure": {"jsonSchema": definition}}, extension)


def _offer(schema: JsonSchemaFormat, raw: Any, value: Any, body: JsonObject, losses: Losses) -> None:
    """Offer a function that takes the answer; it must be called, or, among other tools, one of them."""
    config = body.setdefault("toolConfig", {"tools": []})
    spec: JsonObject = {"name": format_tool_name(schema.name)}
    spec["description"] = schema.description or "Gives the final answer."
    if type(value) is not dict or value.get("type", "object") != "object":
        losses.altered("response_format", "a function takes an object only")
    spec["inputSchema"] = {
        "json": {"type": "object", **value} if type(value) is dict and "type" not in value else raw
    }
    alone = not config["tools"]
    config["tools"] = [*config["tools"], {"toolSpec": spec}]
    config["toolChoice"] = {"tool": {"name": spec["name"]}} if alone else {"any": {}}


def _instruct(body: JsonObject, instruction: str) -> None:
    """Add an instruction behind those that are there."""
    blocks: list[Block] = [*body.get("system", []), {"text": instruction}]
    body["system"] = blocks
