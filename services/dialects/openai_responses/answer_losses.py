"""What an answer of another origin says that a response cannot.

State is never among it where a door can keep it in a reasoning item for its caller to bring back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import Citation, Part
from llmhub.types.v1.generation_pb2 import Finish, FinishReason
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.answer_losses import AnswerLosses
from services.dialects.openai_responses.annotations import write_annotation
from services.dialects.openai_responses.answer_items import shown, spoken
from services.dialects.openai_responses.wire import DIALECT
from services.dialects.openai_responses.write_items import logprobs_of

_TOLD_OTHERWISE: Final = frozenset(
    {
        FinishReason.FINISH_REASON_UNSPECIFIED,
        FinishReason.FINISH_REASON_PAUSE,
        FinishReason.FINISH_REASON_MALFORMED,
        FinishReason.FINISH_REASON_CONTEXT_FULL,
        FinishReason.FINISH_REASON_ERROR,
        FinishReason.FINISH_REASON_REFUSAL,
    }
)
_KEEPS_STATE: Final = frozenset({"text", "refusal", "tool_call", "reasoning"})
_ONE_ANSWER: Final = "a response is one answer"


def note_answer(response: GenerateResponse, losses: AnswerLosses) -> None:
    """Report the losses of a whole answer that did not come in this dialect."""
    losses.foreign(response.extensions, DIALECT)
    if response.HasField("usage"):
        note_usage(response.usage, losses)
    for number, candidate in enumerate(response.candidates):
        where = f"candidates[{candidate.index}]"
        if number:
            losses.dropped(where, _ONE_ANSWER)
            continue
        losses.foreign(candidate.extensions, DIALECT, where)
        for place, part in enumerate(candidate.parts):
            note_part(part, f"{where}.parts[{place}]", losses)
        if candidate.logprobs_json:
            note_logprobs(candidate.logprobs_json, where, losses)
        note_finish(candidate.finish, where, losses)


def note_candidate(number: int, losses: AnswerLosses) -> None:
    """Report a streamed answer besides the first."""
    losses.dropped(f"candidates[{number}]", _ONE_ANSWER)


def note_part(part: Part, path: str, losses: AnswerLosses) -> None:
    """Report the losses of one part, or of the start of a block."""
    losses.foreign(part.extensions, DIALECT, path)
    kind = part.WhichOneof("kind")
    if part.HasField("state") and kind not in _KEEPS_STATE:
        losses.state(part.state, path)
    note_citations(part.citations, path, losses)
    if kind == "opaque" and part.opaque.dialect != DIALECT:
        losses.dropped(path, f"a {part.opaque.type} block of the dialect {part.opaque.dialect}")
    elif kind == "tool_result":
        losses.dropped(path, "an answer has no tool_result here")


def note_media(part: Part, path: str, losses: AnswerLosses) -> None:
    """Report what is lost of a whole piece of media."""
    if spoken(part):
        losses.altered(path, "sound is told by its words here")
    elif not shown(part):
        losses.dropped(path, "an answer holds images by value here")


def note_citations(citations: Iterable[Citation], path: str, losses: AnswerLosses) -> None:
    """Report what is lost of citations."""
    for citation in citations:
        if DIALECT in citation.extensions:
            continue
        losses.foreign(citation.extensions, DIALECT, f"{path}.citations")
        if write_annotation(citation, 0) is None:
            losses.dropped(f"{path}.citations", "citations into documents have no form here")
        elif citation.cited_text or (citation.kind != "url_citation" and citation.HasField("start")):
            losses.altered(
                f"{path}.citations", "a citation is an address and a title here, without its words"
            )


def note_logprobs(text: str, path: str, losses: AnswerLosses) -> None:
    """Report log-probabilities that have another form."""
    if not logprobs_of(text):
        losses.dropped(f"{path}.logprobs_json", "log-probabilities of another dialect's form")


def note_finish(finish: Finish, path: str, losses: AnswerLosses) -> None:
    """Report what is lost of the reason why an answer ended."""
    losses.foreign(finish.extensions, DIALECT, f"{path}.finish")
    if finish.stop_sequence:
        losses.dropped(f"{path}.finish.stop_sequence", "which stop sequence was hit is not told here")
    if finish.refusal_category or finish.refusal_explanation:
        losses.dropped(f"{path}.finish.refusal_category", "why an answer was refused is not told here")
    if finish.reason in _TOLD_OTHERWISE and finish.provider_reason not in {"", "completed"}:
        losses.altered(f"{path}.finish.reason", f"{finish.provider_reason} has no word of its own here")


def note_usage(usage: Usage, losses: AnswerLosses) -> None:
    """Report what is lost of usage from elsewhere; the sums of tokens are always told."""
    if any(usage.server_tool_calls.values()):
        losses.dropped("usage.server_tool_calls", "calls of the provider's own tools are not counted here")
    if usage.cache_write_1h_tokens:
        losses.altered("usage.cache_write_1h_tokens", "how long a cache lives is not told here")
