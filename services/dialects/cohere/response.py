"""Whole answers, in both directions."""

from __future__ import annotations

from typing import Any

import msgspec

from llmhub.completion.v1.completion_service_pb2 import UNSUPPORTED_POLICY_WARN, GenerateResponse
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Candidate, Finish, FinishReason
from services.dialects.cohere.errors import error_in_answer
from services.dialects.cohere.messages_read import read_turn
from services.dialects.cohere.messages_write import adapt, write_turn
from services.dialects.cohere.target import Target
from services.dialects.cohere.usage import read_usage, write_usage
from services.dialects.cohere.wire import DIALECT, FINISH_REASONS, FINISH_WORDS
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, decode_json, encode_json, json_text
from services.dialects.raw_json import is_object, object_keeping, raw_text
from services.runtime.errors import UpstreamProtocol


def decode_response(body: bytes) -> GenerateResponse:
    """Read an answer; raise UpstreamProtocol for what is none, or the error that it carries."""
    try:
        value = object_keeping(body, "usage")
    except ValueError as error:
        raise UpstreamProtocol(f"the provider's answer is no JSON object: {error}") from None
    message = value.get("message")
    if not isinstance(message, dict):
        raise error_in_answer(value) or UpstreamProtocol("the provider's answer has no message")
    usage = value.pop("usage", None)
    members = Members(value)
    response = GenerateResponse(response_id=members.word("id") or "")
    candidate = response.candidates.add()
    if message.get("role") == "assistant":
        del message["role"]
    else:
        members.hint("role")
    del value["message"]
    inner = Members(message)
    read_turn(inner, candidate.parts, f"call_{response.response_id}_", usual=list)
    inner.save(candidate.extensions, DIALECT)
    word = members.word("finish_reason")
    if word is not None:
        candidate.finish.CopyFrom(read_finish(word))
    logprobs = value.get("logprobs")
    if isinstance(logprobs, list) and logprobs:
        candidate.logprobs_json = json_text({"logprobs": logprobs})
        del value["logprobs"]
    if usage is not None:
        if is_object(usage):
            response.usage.CopyFrom(read_usage(decode_json(usage), raw_text(usage)))
        else:
            value["usage"] = decode_json(usage)
    response.extensions[DIALECT] = members.extension() or "{}"
    return response


def read_finish(word: str) -> Finish:
    """Read a finish reason."""
    return Finish(
        reason=FINISH_REASONS.get(word, FinishReason.FINISH_REASON_UNSPECIFIED), provider_reason=word
    )


def write_finish(finish: Finish, *, native: bool) -> str:
    """Write a finish reason: the provider's word if it is Cohere's."""
    if finish.provider_reason and (native or finish.provider_reason in FINISH_REASONS):
        return finish.provider_reason
    return FINISH_WORDS.get(finish.reason, "COMPLETE")


def encode_response(response: GenerateResponse) -> bytes:
    """Write an answer from the first candidate; its warnings gain what is lost."""
    native = DIALECT in response.extensions
    extension = Extension(response.extensions, DIALECT)
    candidate = response.candidates[0] if response.candidates else Candidate()
    value: JsonObject = {"id": response.response_id or response.request_id}
    if native and not response.response_id:
        del value["id"]
    losses = Losses(UNSUPPORTED_POLICY_WARN)
    value["message"] = _message(candidate, extension, losses, native=native)
    if candidate.HasField("finish") or not native:
        value["finish_reason"] = write_finish(candidate.finish, native=native)
    if response.HasField("usage"):
        value["usage"] = write_usage(response.usage)
    items = logprob_items(candidate.logprobs_json)
    if items:
        value["logprobs"] = items
    response.warnings.extend(losses.warnings)
    return encode_json(extension.merge(value))


def _message(candidate: Candidate, extension: Extension, losses: Losses, *, native: bool) -> JsonObject:
    own = Extension(candidate.extensions, DIALECT)
    target = Target("", own, losses, native=native)
    parts = adapt(map(_stateless, candidate.parts), "candidates[0]", target, native=native, inline=True)
    written: JsonObject = {} if "role" in extension.shape else {"role": "assistant"}
    written.update(write_turn(parts, own, native=native, usual=list))
    if not native:
        written.setdefault("content", [])
    return own.merge(written)


def _stateless(part: Part) -> Part:
    """The part without the state of its provider, which has no form in an answer."""
    if not part.HasField("state"):
        return part
    copy = Part()
    copy.CopyFrom(part)
    copy.ClearField("state")
    return copy


def logprob_items(text: str) -> list[Any]:
    """The items of a log-probability object of Cohere's form; none for any other."""
    if not text:
        return []
    try:
        value = decode_json(text)
    except (ValueError, msgspec.MsgspecError):
        return []
    items = value.get("logprobs") if isinstance(value, dict) else None
    return items if isinstance(items, list) else []
