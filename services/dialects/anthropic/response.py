"""Whole answers, both ways."""

from __future__ import annotations

from typing import Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import CountTokensResponse, GenerateResponse
from llmhub.types.v1.generation_pb2 import Candidate
from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR
from services.dialects.answer_losses import AnswerLosses
from services.dialects.anthropic.answer_losses import note_answer, note_finish, note_usage
from services.dialects.anthropic.errors import error_of
from services.dialects.anthropic.finish import read_finish, write_finish
from services.dialects.anthropic.read_blocks import read_blocks
from services.dialects.anthropic.usage import read_usage, write_usage
from services.dialects.anthropic.wire import DIALECT, object_keeping, take_type
from services.dialects.anthropic.write_blocks import BlockWriter
from services.dialects.members import Extension, JsonObject, Members, decode_json, encode_json
from services.dialects.quiet import merge_back, take_word
from services.dialects.raw_json import raw_text, take_raw
from services.dialects.surrogates import mended
from services.runtime.errors import UpstreamProtocol

OWN_USAGE: Final = "usage"
"""Hint: the usage object is Anthropic's own, and its text can be written as it is."""


def decode_response(body: bytes) -> GenerateResponse:
    """Read a messages answer; raise UpstreamProtocol for anything else, or the error inside it."""
    body = mended(body)
    try:
        members = Members(object_keeping(body, "content", "usage"))
        if members.rest.get("type") == "error":
            raise error_of(200, {}, body)
        return _read(members)
    except (ValueError, RecursionError) as error:
        raise UpstreamProtocol(f"the provider's answer is no message: {error}") from None


def encode_response(response: GenerateResponse) -> bytes:
    """Write a messages answer from the first candidate; the answer's warnings gain what is lost."""
    losses = AnswerLosses()
    extension = Extension(response.extensions, DIALECT)
    own = DIALECT in response.extensions
    body: JsonObject = {
        "id": response.response_id or made_id(response.request_id),
        "type": "message",
        "role": "assistant",
        "model": response.provider_model or response.model,
    }
    candidate = response.candidates[0] if response.candidates else Candidate()
    body["content"] = BlockWriter(losses, answer=True).write_all(candidate.parts, "candidates[0]")
    if candidate.HasField("finish") or not own:
        finish = write_finish(candidate.finish, candidate.parts)
        note_finish(candidate.finish, finish["stop_reason"], losses)
        body.update(finish)
    if OWN_USAGE in extension.shape:
        body["usage"] = msgspec.Raw(response.usage.provider_json)
    elif not own or response.HasField("usage"):
        note_usage(response.usage, losses)
        body["usage"] = write_usage(response.usage)
    note_answer(response, losses)
    response.warnings.extend(losses.warnings)
    return encode_json(merge_back(body, extension))


def made_id(request_id: str) -> str:
    """An id for an answer whose provider gave it none."""
    return f"msg_{request_id.replace('-', '') or 'llmhub'}"


def decode_count_response(body: bytes) -> CountTokensResponse:
    """Read a count_tokens answer."""
    try:
        members = Members(object_keeping(body))
        if members.rest.get("type") == "error":
            raise error_of(200, {}, body)
        tokens = members.integer("input_tokens")
    except ValueError as error:
        raise UpstreamProtocol(f"the provider's answer is no token count: {error}") from None
    if tokens is None:
        raise UpstreamProtocol("the provider's answer has no input_tokens")
    response = CountTokensResponse(input_tokens=tokens, measure=MEASURE_VENDOR)
    members.save(response.extensions, DIALECT)
    return response


def encode_count_response(response: CountTokensResponse) -> bytes:
    """Write a count_tokens answer."""
    body: JsonObject = {"input_tokens": response.input_tokens}
    return encode_json(merge_back(body, Extension(response.extensions, DIALECT)))


def _read(members: Members) -> GenerateResponse:
    response = GenerateResponse(
        response_id=take_word(members, "id"), provider_model=take_word(members, "model")
    )
    content = take_raw(members, "content")
    if content is None:
        raise ValueError("it has no content")
    candidate = response.candidates.add()
    candidate.parts.extend(read_blocks(content, "content", None))
    take_type(members, "message")
    if members.rest.get("role") == "assistant":
        del members.rest["role"]
    finish = read_finish(members)
    if finish is not None:
        candidate.finish.CopyFrom(finish)
    usage = take_raw(members, "usage")
    if usage is not None and type(value := decode_json(usage)) is dict:
        response.usage.CopyFrom(read_usage(value, raw_text(usage)))
        members.hint(OWN_USAGE)
    elif usage is not None:
        members.rest["usage"] = usage
    response.extensions[DIALECT] = members.extension() or "{}"
    return response
