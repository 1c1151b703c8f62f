"""How an answer ended: from its status, its incomplete_details and what is in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Finish, FinishReason
from services.dialects.members import JsonObject
from services.dialects.openai_responses.wire import CALLS, WAITING

_UNKNOWN: Final = FinishReason.FINISH_REASON_UNSPECIFIED
_INCOMPLETE: Final = {
    "max_output_tokens": FinishReason.FINISH_REASON_MAX_TOKENS,
    "max_tokens": FinishReason.FINISH_REASON_MAX_TOKENS,
    "content_filter": FinishReason.FINISH_REASON_CONTENT_FILTER,
}
_STATUSES: Final = {
    "failed": FinishReason.FINISH_REASON_ERROR,
    "cancelled": FinishReason.FINISH_REASON_ERROR,
}
_CUT: Final = {
    FinishReason.FINISH_REASON_MAX_TOKENS: "max_output_tokens",
    FinishReason.FINISH_REASON_CONTEXT_FULL: "max_output_tokens",
    FinishReason.FINISH_REASON_CONTENT_FILTER: "content_filter",
}
_BROKEN: Final = frozenset({FinishReason.FINISH_REASON_ERROR, FinishReason.FINISH_REASON_MALFORMED})


def read_finish(response: JsonObject, kinds: Iterable[str]) -> Finish | None:
    """Read the end of a response object; None if it says nothing. `kinds` are those of its parts (kind_of)."""
    status = response.get("status")
    if not isinstance(status, str) or not status:
        return None
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    if status == "incomplete" and isinstance(reason, str) and reason:
        return Finish(reason=_INCOMPLETE.get(reason, _UNKNOWN), provider_reason=reason)
    if status != "completed":
        return Finish(reason=_STATUSES.get(status, _UNKNOWN), provider_reason=status)
    found = set(kinds)
    if "tool_call" in found:
        ended = FinishReason.FINISH_REASON_TOOL_CALL
    elif "refusal" in found:
        ended = FinishReason.FINISH_REASON_REFUSAL
    else:
        ended = FinishReason.FINISH_REASON_END
    return Finish(reason=ended, provider_reason=status)


def kind_of(part: Part) -> str:
    """What a part means for the end: a call of the caller's tools, a refusal, or something else."""
    kind = part.WhichOneof("kind") or ""
    return "tool_call" if kind == "opaque" and part.opaque.type in WAITING else kind


def write_status(finish: Finish) -> JsonObject:
    """The members that say how an answer of any origin ended."""
    word = _CUT.get(finish.reason)
    if finish.reason in _BROKEN:
        message = f"the provider ended the answer with {finish.provider_reason or 'an error'}"
        return {
            "status": "failed",
            "error": {"code": "server_error", "message": message},
            "incomplete_details": None,
        }
    return {
        "status": "completed" if word is None else "incomplete",
        "error": None,
        "incomplete_details": None if word is None else {"reason": word},
    }


def kinds_of(output: object) -> Iterable[str]:
    """As kind_of, of the items of an answer that is not taken apart."""
    for item in output if isinstance(output, list) else ():
        kind = item.get("type") if isinstance(item, dict) else None
        if isinstance(kind, str) and (kind in CALLS or kind in WAITING):
            yield "tool_call"
        content = item.get("content") if kind == "message" else None
        for element in content if isinstance(content, list) else ():
            if isinstance(element, dict) and element.get("type") == "refusal":
                yield "refusal"
