"""Whole answers, in both directions."""

from __future__ import annotations

from typing import Any

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.generation_pb2 import Candidate, Finish, FinishReason
from services.dialects.answer_losses import AnswerLosses
from services.dialects.members import Extension, JsonObject, Members, answer_object, decode_json, encode_json
from services.dialects.openai.answer_losses import FOREIGN_LOGPROBS, note_answer, note_finish
from services.dialects.openai.errors import error_in_answer
from services.dialects.openai.fill import complete_answer, fill
from services.dialects.openai.messages import take_parts
from services.dialects.openai.usage import decode_usage, encode_usage, usage_text
from services.dialects.openai.wire import DIALECT, FINISH_REASONS, FINISH_WORDS, HOLE, STANDARD_FINISHES
from services.dialects.surrogates import mended
from services.runtime.errors import UpstreamProtocol

_OBJECT = "chat.completion"


def decode_response(body: bytes) -> GenerateResponse:
    """Read an answer; raise UpstreamProtocol for what is none, or the error that it carries."""
    body = mended(body)
    value = answer_object(body)
    choices = value.pop("choices", None)
    if not isinstance(choices, list):
        raise error_in_answer(value) or UpstreamProtocol("the provider's answer has no choices")
    if not choices and value.get("error"):
        raise error_in_answer(value) or UpstreamProtocol("the provider's answer has no choices")
    members = Members(value)
    response = GenerateResponse(
        response_id=members.word("id") or "", provider_model=members.word("model") or ""
    )
    created = value.get("created")
    if type(created) is int and 0 < created < 1 << 37:
        response.created_at.seconds = created
        del value["created"]
    if value.get("object") == _OBJECT:
        del value["object"]
    else:
        members.hint("object")
    usage = value.get("usage")
    if isinstance(usage, dict):
        response.usage.CopyFrom(decode_usage(usage, usage_text(body)))
        value["usage"] = HOLE
        tier = value.get("service_tier")
        if isinstance(tier, str) and tier:
            response.usage.service_tier = tier
            value["service_tier"] = HOLE
    for number, choice in enumerate(choices):
        if isinstance(choice, dict):
            _decode_choice(choice, response.candidates.add(), number, response.response_id)
    members.save(response.extensions, DIALECT)
    return response


def _decode_choice(choice: JsonObject, candidate: Candidate, number: int, response_id: str) -> None:
    members = Members(choice)
    index = members.integer("index", 31)
    if index is None:
        members.hint("unnumbered")
    candidate.index = number if index is None else index
    message = choice.get("message")
    if isinstance(message, dict):
        take_parts(message, candidate.parts, f"call_{response_id}_{candidate.index}_")
    logprobs = choice.get("logprobs")
    if isinstance(logprobs, dict):
        candidate.logprobs_json = encode_json(logprobs).decode()
        choice["logprobs"] = HOLE
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and reason:
        candidate.finish.CopyFrom(decode_finish(reason, candidate.parts))
        choice["finish_reason"] = HOLE
    members.save(candidate.extensions, DIALECT)


def decode_finish(word: str, parts: Any = ()) -> Finish:
    """Read a finish reason; the refusal among the parts makes a stop a refusal."""
    reason = FINISH_REASONS.get(word, FinishReason.FINISH_REASON_UNSPECIFIED)
    if reason == FinishReason.FINISH_REASON_END and any(
        part.WhichOneof("kind") == "refusal" for part in parts
    ):
        reason = FinishReason.FINISH_REASON_REFUSAL
    return Finish(reason=reason, provider_reason=word)


def encode_finish(finish: Finish, *, native: bool, refused: bool = False) -> str:
    """Write a finish reason: the provider's word in its own dialect or where OpenAI means the same by it."""
    word = finish.provider_reason
    if word and (native or (word in STANDARD_FINISHES and FINISH_REASONS[word] == finish.reason)):
        return word
    if refused and finish.reason == FinishReason.FINISH_REASON_REFUSAL:
        return "stop"
    return FINISH_WORDS.get(finish.reason, "stop")


def encode_response(response: GenerateResponse) -> bytes:
    """Write an answer, in the shape it had if it came in this dialect; its warnings gain what is lost."""
    losses = AnswerLosses()
    extension = Extension(response.extensions, DIALECT)
    value: JsonObject = {
        "id": response.response_id or response.request_id,
        "object": _OBJECT,
        "created": response.created_at.seconds,
        "model": response.provider_model or response.model,
        "choices": [_encode_choice(candidate, losses) for candidate in response.candidates],
    }
    note_answer(response, losses)
    native = DIALECT in response.extensions
    if native:
        _drop_untold(value, response, extension)
    members = extension.members
    if response.HasField("usage") and (not native or members.get("usage") == HOLE):
        value["usage"] = encode_usage(response.usage)
    if members.get("service_tier") == HOLE:
        if response.usage.service_tier:
            value["service_tier"] = response.usage.service_tier
        else:
            del members["service_tier"]
    if members.get("usage") == HOLE and "usage" not in value:
        del members["usage"]
    response.warnings.extend(losses.warnings)
    return encode_json(extension.merge(value))


def _drop_untold(value: JsonObject, response: GenerateResponse, extension: Extension) -> None:
    if "object" in extension.shape:
        del value["object"]
    if not response.response_id:
        del value["id"]
    if not response.provider_model:
        del value["model"]
    if not response.HasField("created_at"):
        del value["created"]


def _encode_choice(candidate: Candidate, losses: AnswerLosses) -> JsonObject:
    extension = Extension(candidate.extensions, DIALECT)
    native = DIALECT in candidate.extensions
    members = extension.members
    choice: JsonObject = {} if "unnumbered" in extension.shape else {"index": candidate.index}
    skeleton = members.get("message")
    if isinstance(skeleton, dict) or not native:
        base = skeleton if isinstance(skeleton, dict) else {"role": "assistant"}
        message, buckets = fill(base, candidate.parts)
        complete_answer(message, buckets)
        if not native:
            message.setdefault("content", None)
        choice["message"] = message
    if candidate.logprobs_json and (not native or members.get("logprobs") == HOLE):
        logprobs = own_logprobs(candidate.logprobs_json)
        if logprobs is not None:
            choice["logprobs"] = logprobs
        else:
            losses.dropped(f"candidates[{candidate.index}].logprobs_json", FOREIGN_LOGPROBS)
    if candidate.HasField("finish") and (not native or members.get("finish_reason") == HOLE):
        refused = any(part.WhichOneof("kind") == "refusal" for part in candidate.parts)
        word = encode_finish(candidate.finish, native=native, refused=refused)
        choice["finish_reason"] = word
        if not native:
            note_finish(candidate.finish, word, f"candidates[{candidate.index}]", losses)
    for name in ("logprobs", "finish_reason"):
        if members.get(name) == HOLE:
            members[name] = None
    if not native:
        choice.setdefault("finish_reason", "stop")
    return extension.merge(choice)


def own_logprobs(text: str) -> JsonObject | None:
    """The object, if it is one of OpenAI's form."""
    try:
        value = decode_json(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) and value.keys() & {"content", "refusal"} else None
