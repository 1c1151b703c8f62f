"""Whole answers, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import CountTokensResponse, GenerateResponse
from llmhub.types.v1.generation_pb2 import Candidate
from llmhub.types.v1.usage_pb2 import Measure, Usage
from services.dialects.answer_losses import AnswerLosses
from services.dialects.members import (
    Extension,
    JsonObject,
    Members,
    answer_object,
    decode_json,
    encode_json,
    json_text,
)
from services.dialects.openai_responses.answer_items import output_items
from services.dialects.openai_responses.answer_losses import note_answer, note_media
from services.dialects.openai_responses.errors import failure_of, failure_of_response
from services.dialects.openai_responses.finish import kind_of, read_finish, write_status
from services.dialects.openai_responses.read_items import Reading
from services.dialects.openai_responses.usage import read_usage, usage_text, write_usage
from services.dialects.openai_responses.wire import DIALECT, HOLE, RESPONSE, response_id_of
from services.dialects.openai_responses.write_items import Logprobs
from services.dialects.surrogates import mended
from services.runtime.errors import UpstreamProtocol

KEPT: Final = "response"
"""Hint with the members of a response that repeat the request or say how it was served."""
_REPEATED: Final = frozenset(
    {
        "background",
        "completed_at",
        "created_at",
        "error",
        "frequency_penalty",
        "id",
        "incomplete_details",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "object",
        "output",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "status",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "usage",
        "user",
        "billing",
        "conversation",
        "content_filters",
        "moderation",
        "tool_usage",
        "input",
    }
)
_SERVICE_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority"})


def decode_response(body: bytes) -> GenerateResponse:
    """Read an answer; raise UpstreamProtocol for what is none, or the error that it carries."""
    body = mended(body)
    value = answer_object(body)
    output = value.get("output")
    if not isinstance(output, list):
        if value.get("error"):
            raise failure_of(value)
        raise UpstreamProtocol("the provider's answer has no output")
    if value.get("status") == "failed":
        raise failure_of_response(value)
    try:
        return read_response(value, usage_text(body))
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise UpstreamProtocol(f"the provider's answer is no response: {error}") from None


def read_response(value: JsonObject, usage_json: str) -> GenerateResponse:
    """Read a response object, which is taken apart."""
    response = GenerateResponse()
    candidate = response.candidates.add()
    reading = read_output(value["output"], candidate)
    if reading.logprobs:
        candidate.logprobs_json = json_text({"content": reading.logprobs})
    finish = read_finish(value, (kind_of(part) for part in candidate.parts))
    if finish is not None:
        candidate.finish.CopyFrom(finish)
    usage = value.get("usage")
    if isinstance(usage, dict):
        response.usage.CopyFrom(read_usage(usage, usage_json, value))
        value["usage"] = HOLE
    read_head(value, response)
    members = Members(value)
    kept = {name: members.rest.pop(name) for name in list(members.rest) if name in _REPEATED}
    members.hint(KEPT, kept)
    members.save(response.extensions, DIALECT)
    return response


def read_output(output: list[Any], candidate: Candidate) -> Reading:
    """Add the parts of the output; leave holes where its items were."""
    reading = Reading(answer=True)
    for number, item in enumerate(output):
        if isinstance(item, dict):
            candidate.parts.extend(reading.parts_of(item))
            if candidate.parts:
                reading.last = candidate.parts[-1]
            output[number] = HOLE
    return reading


def read_head(value: JsonObject, response: GenerateResponse) -> None:
    """Take id, model and time of creation, with holes in their place."""
    for name, field in (("id", "response_id"), ("model", "provider_model")):
        word = value.get(name)
        if isinstance(word, str) and word:
            setattr(response, field, word)
            value[name] = HOLE
    created = value.get("created_at")
    if type(created) is float and created.is_integer():
        created = int(created)
    if type(created) is int and 0 < created < 1 << 37:
        response.created_at.seconds = created
        value["created_at"] = HOLE


def encode_response(response: GenerateResponse) -> bytes:
    """Write an answer, in the shape it had if it came in this dialect; its warnings gain what is lost."""
    try:
        return encode_json(write_response(response))
    except RecursionError:
        raise UpstreamProtocol("the provider's answer nests too deep") from None


def write_response(response: GenerateResponse, echoed: Mapping[str, Any] | None = None) -> JsonObject:
    """The response object, as encode_response; `echoed` are members of the request that it repeats."""
    extension = Extension(response.extensions, DIALECT)
    candidate = response.candidates[0] if response.candidates else Candidate()
    kept = extension.shape.get(KEPT)
    logprobs = Logprobs(candidate.logprobs_json, candidate.parts)
    if isinstance(kept, dict):
        written = _native(response, candidate, kept, logprobs)
        return extension.merge(written)
    losses = AnswerLosses()
    note_answer(response, losses)
    for number, part in enumerate(candidate.parts):
        if part.HasField("media"):
            note_media(part, f"candidates[{candidate.index}].parts[{number}]", losses)
    response.warnings.extend(losses.warnings)
    response_id = response_id_of(response.response_id, response.request_id)
    written = bare_response(
        response_id, response.provider_model or response.model, response.created_at.seconds, echoed or {}
    )
    written["output"] = output_items(candidate.parts, response_id, logprobs)
    close_response(written, candidate, response.usage if response.HasField("usage") else None)
    return extension.merge(written)


def bare_response(response_id: str, model: str, created_at: int, echoed: Mapping[str, Any]) -> JsonObject:
    """A response that has begun, with every member that the vendor's SDKs want."""
    return {
        "id": response_id,
        "object": RESPONSE,
        "created_at": created_at,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        **echoed,
        "model": model,
        "output": [],
        "usage": None,
    }


def close_response(written: JsonObject, candidate: Candidate, usage: Usage | None) -> None:
    """Say how it ended and what it took."""
    written.update(write_status(candidate.finish))
    if usage is not None:
        written["usage"] = write_usage(usage)
        if usage.service_tier in _SERVICE_TIERS:
            written["service_tier"] = usage.service_tier


def _native(
    response: GenerateResponse, candidate: Candidate, kept: JsonObject, logprobs: Logprobs
) -> JsonObject:
    written: JsonObject = dict(kept)
    head: dict[str, Any] = {
        "id": response.response_id,
        "model": response.provider_model,
        "created_at": response.created_at.seconds,
    }
    if response.HasField("usage"):
        text = response.usage.provider_json
        head["usage"] = msgspec.Raw(text) if _is_json(text) else write_usage(response.usage)
    for name in ("id", "model", "created_at", "usage"):
        if kept.get(name) == HOLE:
            if head.get(name):
                written[name] = head[name]
            else:
                del written[name]
    items = output_items(candidate.parts, response.response_id, logprobs)
    output: list[Any] = []
    for each in kept.get("output") or ():
        if each != HOLE:
            output.append(each)
        elif items:
            output.append(items.pop(0))
    written["output"] = [*output, *items]
    return written


def _is_json(text: str) -> bool:
    try:
        decode_json(text)
    except ValueError:
        return False
    return True


def decode_count_response(body: bytes) -> CountTokensResponse:
    """Read a count."""
    members = Members(answer_object(body))
    if members.rest.get("error"):
        raise failure_of(members.rest)
    tokens = members.integer("input_tokens")
    if tokens is None:
        raise UpstreamProtocol("the provider's answer has no input_tokens")
    response = CountTokensResponse(input_tokens=tokens, measure=Measure.MEASURE_VENDOR)
    if members.rest.get("object") == "response.input_tokens":
        del members.rest["object"]
    else:
        members.hint("object")
    members.save(response.extensions, DIALECT)
    return response


def encode_count_response(response: CountTokensResponse) -> bytes:
    """Write a count."""
    extension = Extension(response.extensions, DIALECT)
    body: JsonObject = {"input_tokens": response.input_tokens}
    if "object" not in extension.shape:
        body["object"] = "response.input_tokens"
    return encode_json(extension.merge(body))
