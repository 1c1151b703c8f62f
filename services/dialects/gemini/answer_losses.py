"""What a whole answer of another origin says that Gemini's cannot.

A stream has no room for such a report: Google's own client takes every line of it for data.
"""

from __future__ import annotations

from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Finish, FinishReason
from services.dialects.answer_losses import AnswerLosses
from services.dialects.gemini.wire import DIALECT

_TOLD_OTHERWISE: Final = frozenset(
    {
        FinishReason.FINISH_REASON_UNSPECIFIED,
        FinishReason.FINISH_REASON_PAUSE,
        FinishReason.FINISH_REASON_ERROR,
    }
)


def note_answer(response: GenerateResponse, losses: AnswerLosses) -> None:
    """Report the losses that writing the parts does not meet."""
    losses.foreign(response.extensions, DIALECT)
    if any(response.usage.server_tool_calls.values()) and DIALECT not in response.extensions:
        losses.dropped("usage.server_tool_calls", "calls of the provider's own tools are not counted here")
    for candidate in response.candidates:
        where = f"candidates[{candidate.index}]"
        losses.foreign(candidate.extensions, DIALECT, where)
        for number, part in enumerate(candidate.parts):
            _note_part(part, f"{where}.parts[{number}]", losses)
        _note_finish(candidate.finish, f"{where}.finish", losses)


def _note_part(part: Part, path: str, losses: AnswerLosses) -> None:
    losses.part(part, DIALECT, path)
    if part.HasField("opaque") and part.opaque.dialect != DIALECT:
        losses.dropped(path, f"a {part.opaque.type} block of the dialect {part.opaque.dialect}")
    if any(not (each.url or each.title) and DIALECT not in each.extensions for each in part.citations):
        losses.dropped(f"{path}.citations", "citations into documents have no form here")


def _note_finish(finish: Finish, path: str, losses: AnswerLosses) -> None:
    losses.foreign(finish.extensions, DIALECT, path)
    if finish.stop_sequence:
        losses.dropped(f"{path}.stop_sequence", "which stop sequence was hit is not told here")
    if finish.reason in _TOLD_OTHERWISE and DIALECT not in finish.extensions and finish.provider_reason:
        losses.altered(f"{path}.reason", f"{finish.provider_reason} has no word of its own here")
