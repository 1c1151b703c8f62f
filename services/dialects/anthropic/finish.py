"""Why an answer ended, both ways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llmhub.types.v1.content_pb2 import Part
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
from services.dialects.anthropic.wire import DIALECT, take_type
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.quiet import merge_back

_REASONS: Final = {
    "end_turn": FINISH_REASON_END,
    "stop_sequence": FINISH_REASON_STOP_SEQUENCE,
    "max_tokens": FINISH_REASON_MAX_TOKENS,
    "tool_use": FINISH_REASON_TOOL_CALL,
    "pause_turn": FINISH_REASON_PAUSE,
    "refusal": FINISH_REASON_REFUSAL,
    "model_context_window_exceeded": FINISH_REASON_CONTEXT_FULL,
    # Compaction with a pause asked for: send the answer back to go on.
    "compaction": FINISH_REASON_PAUSE,
}
_WORDS: Final = {
    FINISH_REASON_END: "end_turn",
    FINISH_REASON_STOP_SEQUENCE: "stop_sequence",
    FINISH_REASON_MAX_TOKENS: "max_tokens",
    FINISH_REASON_TOOL_CALL: "tool_use",
    FINISH_REASON_PAUSE: "pause_turn",
    FINISH_REASON_REFUSAL: "refusal",
    FINISH_REASON_CONTENT_FILTER: "refusal",
    FINISH_REASON_CONTEXT_FULL: "model_context_window_exceeded",
    # No word of Anthropic's says that an answer is broken; null at least says that it did not end well.
    FINISH_REASON_MALFORMED: None,
    FINISH_REASON_ERROR: None,
}


def read_finish(members: Members) -> Finish | None:
    """Take `stop_reason`, `stop_sequence` and `stop_details`; None if the answer has not ended.

    What has no field is carried in the finish's extension, which also marks it as Anthropic's own.
    """
    reason = members.text("stop_reason")
    if reason is None:
        return None
    finish = Finish(reason=_REASONS.get(reason, FINISH_REASON_UNSPECIFIED), provider_reason=reason)
    if sequence := members.text("stop_sequence"):
        finish.stop_sequence = sequence
    elif sequence == "":
        members.rest["stop_sequence"] = ""
    own = Members({name: members.rest.pop(name) for name in _OWN if name in members.rest})
    details = own.mapping("stop_details")
    if details is not None:
        inner = Members(details)
        if category := inner.text("category"):
            finish.refusal_category = category
        if explanation := inner.text("explanation"):
            finish.refusal_explanation = explanation
        if finish.refusal_category or finish.refusal_explanation:
            take_type(inner, "refusal")
        if details:
            own.rest["stop_details"] = details
    finish.extensions[DIALECT] = own.extension() or "{}"
    return finish


def write_finish(finish: Finish, parts: Iterable[Part] = ()) -> JsonObject:
    """Write `stop_reason`, `stop_sequence` and `stop_details`."""
    own = DIALECT in finish.extensions
    word: str | None
    if own:
        word = finish.provider_reason
    elif finish.reason == FINISH_REASON_UNSPECIFIED:
        word = "tool_use" if any(part.HasField("tool_call") for part in parts) else "end_turn"
    else:
        word = _WORDS.get(finish.reason, "end_turn")
    if word == "stop_sequence" and not own and not finish.stop_sequence:
        # Clients read the sequence that was hit; a provider that does not say which told us no more than the end.
        word = "end_turn"
    written: JsonObject = {"stop_reason": word}
    if finish.stop_sequence:
        written["stop_sequence"] = finish.stop_sequence
    elif not own:
        written["stop_sequence"] = None
    if finish.refusal_category or finish.refusal_explanation:
        written["stop_details"] = {
            "type": "refusal",
            **({"category": finish.refusal_category} if finish.refusal_category else {}),
            **({"explanation": finish.refusal_explanation} if finish.refusal_explanation else {}),
        }
        if not own:
            written["stop_details"].setdefault("category", None)
            written["stop_details"].setdefault("explanation", None)
    return merge_back(written, Extension(finish.extensions, DIALECT))


_OWN: Final = ("stop_sequence", "stop_details")
