"""What an answer of another origin says that a message of Anthropic's cannot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import MEDIA_KIND_DOCUMENT, MEDIA_KIND_IMAGE, Citation, Part
from llmhub.types.v1.generation_pb2 import (
    FINISH_REASON_CONTENT_FILTER,
    FINISH_REASON_ERROR,
    FINISH_REASON_MALFORMED,
    FINISH_REASON_STOP_SEQUENCE,
    FINISH_REASON_UNSPECIFIED,
    Finish,
)
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.answer_losses import AnswerLosses
from services.dialects.anthropic.wire import DIALECT

LOGPROBS: Final = "Anthropic's answers have no log-probabilities"
ONE_CANDIDATE: Final = "Anthropic gives one answer"
_TOLD_OTHERWISE: Final = frozenset(
    {
        FINISH_REASON_CONTENT_FILTER,
        FINISH_REASON_ERROR,
        FINISH_REASON_MALFORMED,
        FINISH_REASON_STOP_SEQUENCE,
        FINISH_REASON_UNSPECIFIED,
    }
)
_SHOWN: Final = frozenset({MEDIA_KIND_IMAGE, MEDIA_KIND_DOCUMENT})
_COUNTED: Final = frozenset({"web_search_requests", "web_fetch_requests"})
_USUAL_TIERS: Final = frozenset({"", "auto", "default", "standard"})


def note_answer(response: GenerateResponse, losses: AnswerLosses) -> None:
    """Report the losses of a whole answer, but those that its blocks report when they are written."""
    if response.extensions:
        losses.foreign(response.extensions, DIALECT)
    for number, candidate in enumerate(response.candidates):
        path = f"candidates[{candidate.index}]"
        if number:
            losses.dropped(path, ONE_CANDIDATE)
            continue
        if candidate.extensions:
            losses.foreign(candidate.extensions, DIALECT, path)
        if candidate.logprobs_json:
            losses.dropped(f"{path}.logprobs_json", LOGPROBS)
        for position, part in enumerate(candidate.parts):
            note_part(part, f"{path}.parts[{position}]", losses)


def note_part(part: Part, path: str, losses: AnswerLosses) -> None:
    """Report the losses of one part, or of the start of a block, besides those of writing its block."""
    losses.part(part, DIALECT, path)
    if part.media.kind in _SHOWN:
        losses.emulated(path, "Anthropic's answers have no media: not every client knows this block")
    note_places(part.citations, path, losses)


def note_places(citations: Iterable[Citation], path: str, losses: AnswerLosses) -> None:
    """Report citations that are written without the range they stand for."""
    for citation in citations:
        if citation.kind == "url_citation" and citation.HasField("start"):
            losses.dropped(f"{path}.citations", "which words of the answer a citation is for")


def note_finish(finish: Finish, word: str | None, losses: AnswerLosses) -> None:
    """Report what is lost of the reason why an answer ended, which is told as `word`."""
    if DIALECT in finish.extensions:
        return
    if finish.extensions:
        losses.foreign(finish.extensions, DIALECT, "candidates[0].finish")
    if finish.reason in _TOLD_OTHERWISE and finish.provider_reason and finish.provider_reason != word:
        losses.altered("candidates[0].finish.reason", f"{finish.provider_reason} is told as {word or 'null'}")


def note_usage(usage: Usage, losses: AnswerLosses) -> None:
    """Report what is lost of usage from elsewhere; the sums of tokens are always told."""
    if usage.modalities:
        losses.dropped("usage.modalities", "Anthropic's usage is not split by modality")
    if usage.service_tier not in _USUAL_TIERS:
        losses.dropped("usage.service_tier", f"Anthropic has no service tier {usage.service_tier}")
    calls = usage.server_tool_calls
    if any(count and name not in _COUNTED for name, count in calls.items()):
        losses.dropped("usage.server_tool_calls", "of calls only web searches and fetches are counted")
