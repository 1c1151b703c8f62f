"""Whole answers, in both directions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from llmhub.completion.v1.completion_service_pb2 import UNSUPPORTED_POLICY_WARN, GenerateResponse
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Candidate, Finish, FinishReason
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, Members, decode_json, encode_json, json_text
from services.dialects.ollama.errors import error_in_answer
from services.dialects.ollama.messages_write import write_turn
from services.dialects.ollama.parts import message_members, take_turn
from services.dialects.ollama.target import Target
from services.dialects.ollama.usage import take_usage, write_usage
from services.dialects.ollama.wire import DIALECT, FINISH_REASONS, FINISH_WORDS, read_time, write_time
from services.dialects.raw_json import is_object, object_keeping
from services.runtime.errors import UpstreamProtocol

_NOT_A_DIGIT: Final = re.compile(r"[^0-9]")


def decode_response(body: bytes) -> GenerateResponse:
    """Read an answer; raise UpstreamProtocol for what is none, or the error that it carries."""
    try:
        members = Members(object_keeping(body, "message"))
        error = error_in_answer(members.rest)
        if error is not None:
            raise error
        message = members.rest.pop("message", None)
        if not is_object(message):
            raise ValueError("it has no message")
        inner = Members(message_members(message))
        return _read(members, inner)
    except ValueError as error:
        raise UpstreamProtocol(f"the provider's answer is no chat answer: {error}") from None


def _read(members: Members, inner: Members) -> GenerateResponse:
    response = GenerateResponse(provider_model=members.word("model") or "")
    candidate = response.candidates.add()
    take_role(inner)
    take_turn(inner, candidate.parts, call_prefix(members.rest.get("created_at")))
    inner.save(candidate.extensions, DIALECT)
    created = members.rest.get("created_at")
    instant = read_time(created) if isinstance(created, str) else None
    if instant is not None:
        response.created_at.CopyFrom(instant)
        del members.rest["created_at"]
    finish = take_finish(members, any(part.HasField("tool_call") for part in candidate.parts))
    if finish is not None:
        candidate.finish.CopyFrom(finish)
    candidate.logprobs_json = take_logprobs(members)
    usage = take_usage(members)
    if usage is not None:
        response.usage.CopyFrom(usage)
    response.extensions[DIALECT] = members.extension() or "{}"
    return response


def take_role(message: Members) -> None:
    """Take the usual role."""
    if message.rest.get("role") == "assistant":
        del message.rest["role"]
    else:
        message.hint("role")


def call_prefix(created: object) -> str:
    """What the ids of an answer's calls begin with that have none: answers have no id, but a time."""
    digits = _NOT_A_DIGIT.sub("", created) if isinstance(created, str) else ""
    return f"call_{digits[:24] or '0'}_"


def take_finish(members: Members, called: bool) -> Finish | None:  # noqa: FBT001 -- an inner step
    """Take `done` and `done_reason`; None if the answer is not done. The word is the same with and without calls."""
    if members.rest.get("done") is not True:
        members.hint("undone")
        return None
    del members.rest["done"]
    word = members.word("done_reason") or ""
    reason = FINISH_REASONS.get(word or "stop", FinishReason.FINISH_REASON_UNSPECIFIED)
    if called and reason == FinishReason.FINISH_REASON_END:
        reason = FinishReason.FINISH_REASON_TOOL_CALL
    return Finish(reason=reason, provider_reason=word)


def take_logprobs(members: Members) -> str:
    """Take the log-probabilities as one object; empty if there are none."""
    logprobs = members.rest.get("logprobs")
    if not isinstance(logprobs, list) or not logprobs:
        return ""
    del members.rest["logprobs"]
    return json_text({"logprobs": logprobs})


def encode_response(response: GenerateResponse) -> bytes:
    """Write an answer from the first candidate; its warnings gain what is lost."""
    native = DIALECT in response.extensions
    extension = Extension(response.extensions, DIALECT)
    candidate = response.candidates[0] if response.candidates else Candidate()
    losses = Losses(UNSUPPORTED_POLICY_WARN)
    value: JsonObject = {}
    if response.provider_model or not native:
        value["model"] = response.provider_model or response.model
    if response.HasField("created_at") or not native:
        value["created_at"] = write_time(response.created_at)
    value["message"] = answer_message(
        candidate.parts, Extension(candidate.extensions, DIALECT), losses, native
    )
    items = logprob_items(candidate.logprobs_json)
    if items:
        value["logprobs"] = items
    value.update(write_finish(candidate.finish, extension, native=native))
    if response.HasField("usage"):
        value.update(write_usage(response.usage))
    response.warnings.extend(losses.warnings)
    return encode_json(extension.merge(value))


def answer_message(
    parts: Iterable[Part],
    extension: Extension,
    losses: Losses,
    native: bool,  # noqa: FBT001 -- an inner step
) -> JsonObject:
    """Write the message of an answer, or of a line of a stream."""
    shown = parts if native else map(_stateless, parts)
    turn = write_turn(list(shown), "candidates[0]", Target("", extension, losses, native))
    written: JsonObject = {} if "role" in extension.shape else {"role": "assistant"}
    if not native:
        written["content"] = ""
    written.update(turn)
    return extension.merge(written)


def _stateless(part: Part) -> Part:
    """The part without the state of its provider, which has no form in an answer."""
    if not part.HasField("state"):
        return part
    copy = Part()
    copy.CopyFrom(part)
    copy.ClearField("state")
    return copy


def write_finish(finish: Finish, extension: Extension, *, native: bool) -> JsonObject:
    """Write `done` and `done_reason`."""
    written: JsonObject = {}
    if not native or "undone" not in extension.shape:
        written["done"] = True
    if finish.provider_reason and (native or finish.provider_reason in FINISH_REASONS):
        written["done_reason"] = finish.provider_reason
    elif not native:
        written["done_reason"] = FINISH_WORDS.get(finish.reason, "stop")
    return written


def logprob_items(text: str) -> list[Any]:
    """The items of a log-probability object of Ollama's form; none for any other."""
    if not text:
        return []
    try:
        value = decode_json(text)
    except ValueError:
        return []
    items = value.get("logprobs") if isinstance(value, dict) else None
    return items if isinstance(items, list) else []
