"""Why an answer ended, both ways."""

from __future__ import annotations

from typing import Final

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
from services.dialects.bedrock.wire import DIALECT
from services.dialects.members import Extension, JsonObject, Members
from services.dialects.quiet import merge_back

_REASONS: Final = {
    "end_turn": FINISH_REASON_END,
    "tool_use": FINISH_REASON_TOOL_CALL,
    "max_tokens": FINISH_REASON_MAX_TOKENS,
    "stop_sequence": FINISH_REASON_STOP_SEQUENCE,
    "guardrail_intervened": FINISH_REASON_CONTENT_FILTER,
    "content_filtered": FINISH_REASON_CONTENT_FILTER,
    "malformed_model_output": FINISH_REASON_MALFORMED,
    "malformed_tool_use": FINISH_REASON_MALFORMED,
    "model_context_window_exceeded": FINISH_REASON_CONTEXT_FULL,
    # Not in the specification; Anthropic's words, should Bedrock hand them on.
    "refusal": FINISH_REASON_REFUSAL,
    "pause_turn": FINISH_REASON_PAUSE,
}
_WORDS: Final = {
    FINISH_REASON_END: "end_turn",
    FINISH_REASON_STOP_SEQUENCE: "stop_sequence",
    FINISH_REASON_MAX_TOKENS: "max_tokens",
    FINISH_REASON_TOOL_CALL: "tool_use",
    FINISH_REASON_REFUSAL: "content_filtered",
    FINISH_REASON_CONTENT_FILTER: "content_filtered",
    FINISH_REASON_CONTEXT_FULL: "model_context_window_exceeded",
    FINISH_REASON_MALFORMED: "malformed_model_output",
    FINISH_REASON_ERROR: "malformed_model_output",
}
_FIELDS: Final = "additionalModelResponseFields"


def read_finish(members: Members, *, calls: bool) -> Finish | None:
    """Take `stopReason` and the stop sequence among the additional fields; None if the answer has not ended.

    `calls`: the answer holds a call; without one, the only tool used is that which stands for a structured answer.
    What has no field is carried in the finish's extension, which also marks it as Bedrock's own.
    """
    reason = members.text("stopReason")
    if reason is None:
        return None
    finish = Finish(reason=_REASONS.get(reason, FINISH_REASON_UNSPECIFIED), provider_reason=reason)
    if not calls and finish.reason == FINISH_REASON_TOOL_CALL:
        finish.reason = FINISH_REASON_END
    own = Members({_FIELDS: members.rest.pop(_FIELDS)} if _FIELDS in members.rest else {})
    fields = own.rest.get(_FIELDS)
    if type(fields) is dict and type(sequence := fields.get("stop_sequence")) is str and sequence:
        finish.stop_sequence = sequence
        del fields["stop_sequence"]
    finish.extensions[DIALECT] = own.extension() or "{}"
    return finish


def write_finish(finish: Finish, *, calls: bool = False) -> JsonObject:
    """Write `stopReason` and the additional fields."""
    if DIALECT in finish.extensions:
        word = finish.provider_reason
    elif finish.reason == FINISH_REASON_UNSPECIFIED:
        word = "tool_use" if calls else "end_turn"
    else:
        word = _WORDS.get(finish.reason, "end_turn")
    written: JsonObject = {"stopReason": word}
    if finish.stop_sequence:
        written[_FIELDS] = {"stop_sequence": finish.stop_sequence}
    return merge_back(written, Extension(finish.extensions, DIALECT))
