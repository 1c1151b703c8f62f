"""Whole answers, both ways."""

from __future__ import annotations

from typing import Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import (
    UNSUPPORTED_POLICY_WARN,
    CountTokensResponse,
    GenerateResponse,
)
from llmhub.types.v1.generation_pb2 import Candidate
from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR
from services.dialects.bedrock.finish import read_finish, write_finish
from services.dialects.bedrock.read_blocks import is_call, read_blocks
from services.dialects.bedrock.usage import read_usage, write_usage
from services.dialects.bedrock.wire import DIALECT
from services.dialects.bedrock.write_blocks import BlockWriter
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, decode_json, encode_json
from services.dialects.quiet import merge_back
from services.dialects.raw_json import object_keeping, raw_text, take_raw
from services.runtime.errors import UpstreamProtocol

_NO_ROLE: Final = "roleless"
"""Hint: the message did not say whose it is."""
OWN_USAGE: Final = "usage"
"""Hint: the usage object is Bedrock's own, and its text can be written as it is."""


def decode_response(body: bytes) -> GenerateResponse:
    """Read a Converse answer; raise UpstreamProtocol for anything else."""
    try:
        return _read(Members(object_keeping(body, "output", "usage")))
    except (ValueError, RecursionError) as error:
        raise UpstreamProtocol(f"the provider's answer is no Converse answer: {error}") from None


def encode_response(response: GenerateResponse) -> bytes:
    """Write a Converse answer from the first candidate."""
    extension = Extension(response.extensions, DIALECT)
    own = DIALECT in response.extensions
    candidate = response.candidates[0] if response.candidates else Candidate()
    # A door's caller sees losses in response.warnings, which the gateway reports; none is refused here.
    writer = BlockWriter(Losses(UNSUPPORTED_POLICY_WARN), answer=True)
    message: JsonObject = {"content": writer.write_all(candidate.parts, "candidates[0]")}
    body: JsonObject = {"output": {"message": message}}
    if candidate.HasField("finish") or not own:
        calls = any(part.HasField("tool_call") for part in candidate.parts)
        body.update(write_finish(candidate.finish, calls=calls))
    if OWN_USAGE in extension.shape:
        body["usage"] = msgspec.Raw(response.usage.provider_json)
    elif not own or response.HasField("usage"):
        body["usage"] = write_usage(response.usage)
    if response.usage.service_tier:
        body["serviceTier"] = {"type": response.usage.service_tier}
    if not own:
        body["metrics"] = {"latencyMs": 0}
    merge_back(body, extension)
    if _NO_ROLE not in extension.shape:
        message.setdefault("role", "assistant")
    return encode_json(body)


def decode_count_response(body: bytes) -> CountTokensResponse:
    """Read a CountTokens answer."""
    try:
        members = Members(object_keeping(body))
    except ValueError as error:
        raise UpstreamProtocol(f"the provider's answer is no token count: {error}") from None
    tokens = members.integer("inputTokens")
    if tokens is None:
        raise UpstreamProtocol("the provider's answer has no inputTokens")
    response = CountTokensResponse(input_tokens=tokens, measure=MEASURE_VENDOR)
    members.save(response.extensions, DIALECT)
    return response


def encode_count_response(response: CountTokensResponse) -> bytes:
    """Write a CountTokens answer."""
    body: JsonObject = {"inputTokens": response.input_tokens}
    return encode_json(merge_back(body, Extension(response.extensions, DIALECT)))


def take_tier(members: Members) -> str:
    """Take the type out of serviceTier."""
    tier = members.rest.get("serviceTier")
    if type(tier) is not dict or type(word := tier.get("type")) is not str or not word:
        return ""
    del tier["type"]
    if not tier:
        del members.rest["serviceTier"]
    return word


def invoked_model(members: Members) -> str:
    """The model that a prompt router chose, as the trace says; the trace keeps it."""
    trace = members.rest.get("trace")
    router = trace.get("promptRouter") if type(trace) is dict else None
    model = router.get("invokedModelId") if type(router) is dict else None
    return model if type(model) is str else ""


def _read(members: Members) -> GenerateResponse:
    response = GenerateResponse(provider_model=invoked_model(members))
    candidate = response.candidates.add()
    _read_message(members, candidate)
    finish = read_finish(members, calls=any(is_call(part) for part in candidate.parts))
    if finish is not None:
        candidate.finish.CopyFrom(finish)
    usage = take_raw(members, "usage")
    if usage is not None and type(value := decode_json(usage)) is dict:
        response.usage.CopyFrom(read_usage(value, raw_text(usage)))
        members.hint(OWN_USAGE)
    elif usage is not None:
        members.rest["usage"] = usage
    if tier := take_tier(members):
        response.usage.service_tier = tier
    response.extensions[DIALECT] = members.extension() or "{}"
    return response


def _read_message(members: Members, candidate: Candidate) -> None:
    output = take_raw(members, "output")
    held = object_keeping(output, "message") if output is not None else {}
    if type(raw := held.pop("message", None)) is not msgspec.Raw:
        raise ValueError("it has no message")
    message = Members(object_keeping(raw, "content"))
    content = take_raw(message, "content")
    if content is None:
        raise ValueError("it has no content")
    candidate.parts.extend(read_blocks(content, "content", None))
    if message.rest.get("role") == "assistant":
        del message.rest["role"]
    elif "role" not in message.rest:
        members.hint(_NO_ROLE)
    if message.rest:
        held["message"] = message.rest
    if held:
        members.rest["output"] = held
