"""What an answer of another origin says that a chat completion cannot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import Citation, Part
from llmhub.types.v1.generation_pb2 import Candidate, Finish, FinishReason
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.answer_losses import AnswerLosses
from services.dialects.openai.media import takes_image, takes_sound
from services.dialects.openai.parts import encode_annotation
from services.dialects.openai.wire import DIALECT

_TOLD_OTHERWISE: Final = frozenset(
    {
        FinishReason.FINISH_REASON_UNSPECIFIED,
        FinishReason.FINISH_REASON_PAUSE,
        FinishReason.FINISH_REASON_MALFORMED,
    }
)
FOREIGN_LOGPROBS: Final = "log-probabilities of another dialect's form"
ONE_SOUND: Final = "an answer has one sound here"
TEXT_FIRST: Final = "text after a tool call stands before it here"
_KINDS: Final = frozenset({"text", "refusal", "reasoning", "tool_call", "media", "opaque"})


def note_answer(response: GenerateResponse, losses: AnswerLosses) -> None:
    """Report the losses of a whole answer, but those of finish and log-probabilities."""
    if response.extensions:
        losses.foreign(response.extensions, DIALECT)
    if response.HasField("usage") and DIALECT not in response.extensions:
        note_usage(response.usage, losses)
    for candidate in response.candidates:
        if candidate.extensions:
            losses.foreign(candidate.extensions, DIALECT, f"candidates[{candidate.index}]")
        _note_parts(candidate, losses)


def _note_parts(candidate: Candidate, losses: AnswerLosses) -> None:
    native = DIALECT in candidate.extensions
    spoken = called = False
    for number, part in enumerate(candidate.parts):
        path = f"candidates[{candidate.index}].parts[{number}]"
        if part.HasField("media") and takes_sound(part.media):
            if spoken:
                losses.dropped(path, ONE_SOUND)
            spoken = True
        if part.HasField("tool_call"):
            called = True
        elif called and part.text:
            losses.altered(path, TEXT_FIRST)
        note_part(part, path, losses, native=native)


def note_part(part: Part, path: str, losses: AnswerLosses, *, native: bool = False) -> None:
    """Report the losses of one part, or of the start of a block. `native`: the answer came in this dialect."""
    losses.part(part, DIALECT, path)
    kind = part.WhichOneof("kind")
    if part.citations:
        note_citations(part.citations, path, losses)
    if kind == "opaque" and part.opaque.dialect != DIALECT:
        losses.dropped(path, f"a {part.opaque.type} block of the dialect {part.opaque.dialect}")
    elif kind == "media" and not native and not (takes_sound(part.media) or takes_image(part.media)):
        losses.dropped(path, "an answer holds images by value or URL and sound by value here")
    elif kind not in _KINDS and kind is not None:
        losses.dropped(path, f"an answer has no {kind} here")


def note_citations(citations: Iterable[Citation], path: str, losses: AnswerLosses) -> None:
    """Report what is lost of citations."""
    for citation in citations:
        if DIALECT in citation.extensions:
            continue
        if encode_annotation(citation) is None:
            losses.dropped(f"{path}.citations", "citations into documents have no form here")
        elif citation.kind != "url_citation" and (citation.cited_text or citation.HasField("start")):
            losses.altered(
                f"{path}.citations", "a citation is an address and a title here, without its words"
            )


def note_finish(finish: Finish, word: str, path: str, losses: AnswerLosses) -> None:
    """Report what is lost of the reason why an answer ended, which is told as `word`."""
    if finish.extensions:
        losses.foreign(finish.extensions, DIALECT, f"{path}.finish")
    if finish.stop_sequence:
        losses.dropped(f"{path}.finish.stop_sequence", "which stop sequence was hit is not told here")
    if finish.refusal_category or finish.refusal_explanation:
        losses.dropped(f"{path}.finish.refusal_category", "why an answer was refused is not told here")
    if finish.reason in _TOLD_OTHERWISE and finish.provider_reason not in {"", word}:
        losses.altered(f"{path}.finish.reason", f"{finish.provider_reason} is called {word} here")


def note_usage(usage: Usage, losses: AnswerLosses) -> None:
    """Report what is lost of usage from elsewhere; the sums of tokens are always told."""
    if any(usage.server_tool_calls.values()):
        losses.dropped("usage.server_tool_calls", "calls of the provider's own tools are not counted here")
    if usage.cache_write_1h_tokens:
        losses.altered("usage.cache_write_1h_tokens", "how long a cache lives is not told here")
