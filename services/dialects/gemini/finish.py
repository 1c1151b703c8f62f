"""Why a candidate ended, both ways."""

from __future__ import annotations

from typing import Any, Final

from llmhub.types.v1.generation_pb2 import (
    FINISH_REASON_CONTENT_FILTER,
    FINISH_REASON_CONTEXT_FULL,
    FINISH_REASON_END,
    FINISH_REASON_ERROR,
    FINISH_REASON_MALFORMED,
    FINISH_REASON_MAX_TOKENS,
    FINISH_REASON_PAUSE,
    FINISH_REASON_REFUSAL,
    FINISH_REASON_STOP_SEQUENCE,
    FINISH_REASON_TOOL_CALL,
    FINISH_REASON_UNSPECIFIED,
    Finish,
)
from services.dialects.gemini.wire import DIALECT
from services.dialects.members import Extension, JsonObject, Members

_REASONS: Final = {
    "STOP": FINISH_REASON_END,
    "MAX_TOKENS": FINISH_REASON_MAX_TOKENS,
    "SAFETY": FINISH_REASON_CONTENT_FILTER,
    "RECITATION": FINISH_REASON_CONTENT_FILTER,
    "BLOCKLIST": FINISH_REASON_CONTENT_FILTER,
    "PROHIBITED_CONTENT": FINISH_REASON_CONTENT_FILTER,
    "SPII": FINISH_REASON_CONTENT_FILTER,
    "MODEL_ARMOR": FINISH_REASON_CONTENT_FILTER,
    "JAILBREAK": FINISH_REASON_CONTENT_FILTER,
    "ESCALATION": FINISH_REASON_CONTENT_FILTER,
    "PUP_LIMITED_DISABLED": FINISH_REASON_CONTENT_FILTER,
    "IMAGE_SAFETY": FINISH_REASON_CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": FINISH_REASON_CONTENT_FILTER,
    "IMAGE_RECITATION": FINISH_REASON_CONTENT_FILTER,
    "IMAGE_OTHER": FINISH_REASON_ERROR,
    "NO_IMAGE": FINISH_REASON_ERROR,
    "LANGUAGE": FINISH_REASON_ERROR,
    "OTHER": FINISH_REASON_ERROR,
    "MALFORMED_FUNCTION_CALL": FINISH_REASON_MALFORMED,
    "UNEXPECTED_TOOL_CALL": FINISH_REASON_MALFORMED,
    "TOO_MANY_TOOL_CALLS": FINISH_REASON_MALFORMED,
    "MISSING_THOUGHT_SIGNATURE": FINISH_REASON_MALFORMED,
    "MALFORMED_RESPONSE": FINISH_REASON_MALFORMED,
    "CONTINUATION": FINISH_REASON_PAUSE,
}
_NUMBERS: Final = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
"""The numbers that mean the same at Vertex and at the Developer API; a client may ask for enums as numbers."""
_WORDS: Final = {
    FINISH_REASON_UNSPECIFIED: "STOP",
    FINISH_REASON_END: "STOP",
    FINISH_REASON_STOP_SEQUENCE: "STOP",
    FINISH_REASON_TOOL_CALL: "STOP",
    FINISH_REASON_PAUSE: "STOP",
    FINISH_REASON_MAX_TOKENS: "MAX_TOKENS",
    FINISH_REASON_CONTEXT_FULL: "MAX_TOKENS",
    FINISH_REASON_REFUSAL: "SAFETY",
    FINISH_REASON_CONTENT_FILTER: "SAFETY",
    FINISH_REASON_MALFORMED: "MALFORMED_FUNCTION_CALL",
    FINISH_REASON_ERROR: "OTHER",
}
_NUMBER: Final = "number"
"""Hint: the reason was a number."""
BLOCKED: Final = "blocked"
"""Hint: there was no candidate; the prompt itself was refused."""
OWN: Final = (
    "finishMessage",
    "safetyRatings",
    "citationMetadata",
    "groundingMetadata",
    "urlContextMetadata",
    "avgLogprobs",
    "tokenCount",
)
"""Members of a candidate that belong to its end, and travel with it."""


def read_finish(members: Members, *, called: bool) -> Finish | None:
    """Take `finishReason` and what belongs to it; None if the candidate has not ended.

    `called` says whether the candidate has function calls: Gemini's reason does not tell.
    """
    reason = members.rest.get("finishReason")
    own = Members({})
    if type(reason) is int:
        own.hint(_NUMBER, reason)
        reason = _NUMBERS.get(reason, str(reason))
    if type(reason) is not str or not reason:
        return None
    del members.rest["finishReason"]
    for name in OWN:
        if name in members.rest:
            own.rest[name] = members.rest.pop(name)
    finish = Finish(reason=_REASONS.get(reason, FINISH_REASON_UNSPECIFIED), provider_reason=reason)
    if finish.reason == FINISH_REASON_END and called:
        finish.reason = FINISH_REASON_TOOL_CALL
    finish.extensions[DIALECT] = own.extension() or "{}"
    return finish


def write_finish(finish: Finish) -> JsonObject:
    """Write `finishReason` and what belongs to it."""
    if DIALECT in finish.extensions:
        extension = Extension(finish.extensions, DIALECT)
        reason: Any = extension.shape.get(_NUMBER, finish.provider_reason)
        return extension.merge({"finishReason": reason})
    written: JsonObject = {"finishReason": _WORDS.get(finish.reason, "OTHER")}
    if finish.refusal_explanation:
        written["finishMessage"] = finish.refusal_explanation
    return written


def read_block(members: Members) -> Finish | None:
    """Take the reason for which a prompt was refused; None if it was not."""
    feedback = members.rest.get("promptFeedback")
    if not isinstance(feedback, dict) or not feedback.get("blockReason"):
        return None
    del members.rest["promptFeedback"]
    own = Members(feedback)
    own.hint(BLOCKED)
    reason = feedback["blockReason"]
    if type(reason) is str:
        del feedback["blockReason"]
    finish = Finish(reason=FINISH_REASON_CONTENT_FILTER, provider_reason=str(reason))
    finish.refusal_explanation = own.word("blockReasonMessage") or ""
    own.save(finish.extensions, DIALECT)
    return finish


def write_block(finish: Finish) -> JsonObject | None:
    """Write `promptFeedback`; None if it was not the prompt that was refused."""
    extension = Extension(finish.extensions, DIALECT)
    if BLOCKED not in extension.shape:
        return None
    feedback: JsonObject = {}
    if "blockReason" not in extension.members:
        feedback["blockReason"] = finish.provider_reason
    if finish.refusal_explanation:
        feedback["blockReasonMessage"] = finish.refusal_explanation
    return extension.merge(feedback)
