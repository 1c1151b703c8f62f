"""Requests, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import WARNING_KIND_EMULATED
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from services.dialects.anthropic.generations import usual_bound
from services.dialects.anthropic.messages import read_messages, read_system, write_conversation
from services.dialects.anthropic.options import (
    EFFORT,
    read_options,
    write_options,
    write_thinking,
)
from services.dialects.anthropic.tools import read_tool_choice, read_tools, write_tool_choice, write_tools
from services.dialects.anthropic.wire import (
    COUNT_TOKENS_PATH,
    DIALECT,
    MESSAGES_PATH,
    VERSION,
    object_keeping,
)
from services.dialects.bounds import MOST_TOOLS, require_bounded
from services.dialects.codec import DecodedRequest, WireRequest
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, encode_json
from services.dialects.quiet import merge_back, quiet, take_word
from services.dialects.raw_json import caller_json, take_raw
from services.runtime.errors import RequestInvalid, Violation

_OUTPUT_FORMAT: Final = "output_format"
"""Hint: the format stood in the older member `output_format`."""
_JSON_INSTRUCTION: Final = "Answer with one valid JSON object and nothing else: no prose, no code fence."


def decode_request(body: bytes) -> DecodedRequest:
    """Read a messages request; raise RequestInvalid with violations."""
    return _decoded(body, needs_max_tokens=True)


def decode_count_request(body: bytes) -> GenerateRequest:
    """Read a count_tokens request; raise RequestInvalid with violations."""
    return _decoded(body, needs_max_tokens=False).request


def encode_request(request: GenerateRequest, model: str, *, stream: bool) -> WireRequest:
    """Write a messages request."""
    losses = Losses(request.unsupported)
    supplied: tuple[LossWarning, ...] = ()
    extension = Extension(request.extensions, DIALECT)
    body: JsonObject = {"model": model}
    if request.options.HasField("max_output_tokens"):
        body["max_tokens"] = request.options.max_output_tokens
    elif "max_tokens" not in extension.members:
        body["max_tokens"] = usual_bound(model) + request.reasoning.budget_tokens
        supplied = (_supplied_bound(body["max_tokens"]),)
    _write_prompt(request, body, losses)
    write_options(request, body, losses)
    losses.foreign(request.extensions, DIALECT)
    headers = _headers(extension)
    if stream:
        body["stream"] = True
    merge_back(body, extension)
    return WireRequest(MESSAGES_PATH, encode_json(body), headers, (*losses.warnings, *supplied))


def encode_count_request(request: GenerateRequest, model: str) -> WireRequest:
    """Write a count_tokens request: what only steers the answer is left out."""
    losses = Losses(request.unsupported)
    extension = Extension(request.extensions, DIALECT)
    body: JsonObject = {"model": model}
    _write_prompt(request, body, losses)
    headers = _headers(extension)
    merge_back(body, extension)
    return WireRequest(COUNT_TOKENS_PATH, encode_json(body), headers, losses.warnings)


def _decoded(body: bytes, *, needs_max_tokens: bool) -> DecodedRequest:
    faults: list[Violation] = []
    request = GenerateRequest()
    stream = False
    require_bounded(body)
    try:
        members = Members(object_keeping(body, "system", "messages", "tools"), "", faults)
        _read(members, request, faults)
        if (
            needs_max_tokens
            and members.rest.get("max_tokens") is None
            and not request.options.max_output_tokens
        ):
            faults.append(Violation("max_tokens", "is required"))
        if members.rest.get("stream") is False:
            quiet(members, "stream")
        else:
            stream = members.flag("stream") or False
        members.save(request.extensions, DIALECT)
    except (ValueError, RecursionError) as error:
        faults.append(Violation("", f"not a messages request: {error}"))
    if faults:
        first = faults[0]
        raise RequestInvalid(f"{first.field}: {first.message}".lstrip(": "), violations=tuple(faults))
    return DecodedRequest(request=request, stream=stream)


def _read(members: Members, request: GenerateRequest, faults: list[Violation]) -> None:
    request.model = members.text("model") or ""
    if not request.model:
        faults.append(Violation("model", "is required"))
    _at("system", faults, members, lambda raw: _add_system(raw, members, request, faults))
    if members.rest.get("messages") is None:
        faults.append(Violation("messages", "is required"))
    _at("messages", faults, members, lambda raw: _add_messages(raw, request, faults))
    _at("tools", faults, members, lambda raw: _add_tools(raw, members, request, faults))
    choice = members.mapping("tool_choice")
    if choice is not None:
        read = read_tool_choice(choice)
        if read is None:
            members.rest["tool_choice"] = choice
        else:
            request.tool_choice.CopyFrom(read)
    _read_output(members, request)
    read_options(members, request)


def _at(name: str, faults: list[Violation], members: Members, read: Callable[[msgspec.Raw], None]) -> None:
    """Take a member as text and read it; what is wrong with it is noted under its name."""
    raw = take_raw(members, name)
    if raw is None:
        return
    try:
        read(raw)
    except ValueError as error:
        faults.append(Violation(name, str(error)))


def _add_system(
    raw: msgspec.Raw, members: Members, request: GenerateRequest, faults: list[Violation]
) -> None:
    message = read_system(raw, faults)
    if message is None:
        members.hint("=system", raw)
    else:
        request.messages.append(message)


def _add_messages(raw: msgspec.Raw, request: GenerateRequest, faults: list[Violation]) -> None:
    before = len(request.messages)
    request.messages.extend(read_messages(raw, faults))
    if len(request.messages) == before and not faults:
        faults.append(Violation("messages", "must hold at least one message"))


def _add_tools(raw: msgspec.Raw, members: Members, request: GenerateRequest, faults: list[Violation]) -> None:
    tools = read_tools(raw, faults)
    if len(tools) > MOST_TOOLS:
        raise ValueError(f"must hold at most {MOST_TOOLS}")
    if tools:
        request.tools.extend(tools)
    else:
        members.hint("=tools", raw)


def _read_output(members: Members, request: GenerateRequest) -> None:
    """Take effort and format; the format may also stand in the older `output_format`."""
    config = members.mapping("output_config")
    if config is not None:
        inner = Members(config, "output_config")
        if effort := take_word(inner, "effort"):
            request.reasoning.effort = effort
            members.hint(EFFORT)
        took = _read_format(config, "format", request)
        if config or not (effort or took):
            members.rest["output_config"] = config
    if not request.HasField("response_format") and _read_format(members.rest, "output_format", request):
        members.hint(_OUTPUT_FORMAT)


def _read_format(holder: JsonObject, name: str, request: GenerateRequest) -> bool:
    value = holder.get(name)
    if type(value) is not dict or value.get("type") != "json_schema" or type(value.get("schema")) is not dict:
        return False
    del holder[name]
    members = Members(value, name)
    del value["type"]
    request.response_format.json_schema.schema_json = encode_json(value.pop("schema")).decode()
    members.save(request.response_format.extensions, DIALECT)
    return True


def _write_prompt(request: GenerateRequest, body: JsonObject, losses: Losses) -> None:
    """Write what counts as input: conversation, tools, thinking, output format."""
    body.update(write_conversation(request.messages, losses))
    if request.tools and (tools := write_tools(request.tools, request.tool_choice, losses)):
        body["tools"] = tools
    if request.HasField("tool_choice"):
        choice = write_tool_choice(request.tool_choice, request.tools, losses)
        if choice is not None:
            body["tool_choice"] = choice
    config = write_thinking(request, body, losses)
    _write_format(request, body, config, losses)
    if config:
        body["output_config"] = config


def _write_format(request: GenerateRequest, body: JsonObject, config: JsonObject, losses: Losses) -> None:
    wanted = request.response_format
    if wanted.WhichOneof("kind") == "json" and wanted.json:
        losses.emulated("response_format.json", "Anthropic has no JSON mode: an instruction asks for it")
        _instruct(body, _JSON_INSTRUCTION)
    if wanted.WhichOneof("kind") != "json_schema":
        return
    if not wanted.json_schema.schema_json:
        losses.emulated(
            "response_format.json_schema.schema_json", "there is no schema: an instruction asks for JSON"
        )
        _instruct(body, _JSON_INSTRUCTION)
        return
    # The schema's name is a label only, and Anthropic always keeps to the schema.
    if wanted.json_schema.HasField("strict") and not wanted.json_schema.strict:
        losses.altered("response_format.json_schema.strict", "Anthropic always keeps to the schema")
    if wanted.json_schema.description:
        losses.dropped("response_format.json_schema.description", "Anthropic has no place for it")
    losses.foreign(wanted.extensions, DIALECT, "response_format")
    schema = caller_json(wanted.json_schema.schema_json, "response_format.json_schema.schema_json")
    written = merge_back({"type": "json_schema", "schema": schema}, Extension(wanted.extensions, DIALECT))
    if _OUTPUT_FORMAT in Extension(request.extensions, DIALECT).shape:
        body["output_format"] = written
    else:
        config["format"] = written


def _instruct(body: JsonObject, instruction: str) -> None:
    """Add an instruction behind those that are there."""
    system = body.get("system", [])
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else list(system)
    body["system"] = [*blocks, {"type": "text", "text": instruction}]


def _headers(extension: Extension) -> dict[str, str]:
    headers = {"content-type": "application/json", "anthropic-version": VERSION}
    betas = extension.members.pop("betas", None)
    if isinstance(betas, list) and betas and all(isinstance(beta, str) for beta in betas):
        headers["anthropic-beta"] = ",".join(betas)
    return headers


def _supplied_bound(bound: int) -> LossWarning:
    return LossWarning(
        kind=WARNING_KIND_EMULATED,
        field="options.max_output_tokens",
        message=f"Anthropic demands a bound: {bound} was sent; set it, or extensions[anthropic].max_tokens",
    )
