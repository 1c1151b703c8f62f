"""Answers in the contract's words for property tests: whole, told as streams of events, and what they say."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import Citation, OpaqueState, Part, Reasoning, ToolCall, ToolKind
from llmhub.types.v1.generation_pb2 import Candidate, Finish, FinishReason
from llmhub.types.v1.stream_pb2 import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CandidateFinish,
    Finished,
    Started,
    StreamEvent,
)
from llmhub.types.v1.usage_pb2 import Measure, Usage

_WORDS: Final = (
    "a",
    " ",
    "Hällo",
    "👋🏽",
    "日本",
    "\n",
    "\r\n",
    '"',
    "\\",
    "\\u00e9",
    "{",
    "data: x",
    "\u2028",
    "\x7f",
    "0",
)
_CALL: Final = FinishReason.FINISH_REASON_TOOL_CALL
_ENDS: Final = (
    FinishReason.FINISH_REASON_END,
    FinishReason.FINISH_REASON_STOP_SEQUENCE,
    FinishReason.FINISH_REASON_MAX_TOKENS,
    FinishReason.FINISH_REASON_CONTENT_FILTER,
    FinishReason.FINISH_REASON_CONTEXT_FULL,
    FinishReason.FINISH_REASON_REFUSAL,
)
STATES: Final = {
    "anthropic": "signature",
    "bedrock": "signature",
    "openai-responses": "encrypted_content",
}
"""Dialects with state of reasoning of its own, and its kind; Gemini's hangs on other parts and needs its own frames."""
_CLASSES: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


def _text(dice: random.Random, least: int = 1) -> str:
    return "".join(dice.choice(_WORDS) for _ in range(dice.randint(least, 5)))


def _arguments(dice: random.Random) -> str:
    value: Any = {
        _text(dice): dice.choice((1, -0.5, True, None, _text(dice), [1, {"b": []}], {}, 10**20))
        for _ in range(dice.randrange(3))
    }
    return "" if not value and dice.randrange(2) else json.dumps(value, ensure_ascii=not dice.randrange(2))


def _call(dice: random.Random, number: int) -> Part:
    name = "".join(dice.choice(string.ascii_lowercase + "_") for _ in range(dice.randint(1, 6)))
    return Part(
        tool_call=ToolCall(
            id=f"call_{number}", name=name, arguments=_arguments(dice), kind=ToolKind.TOOL_KIND_FUNCTION
        )
    )


def _thought(dice: random.Random, origin: str) -> Part:
    part = Part(reasoning=Reasoning(text=_text(dice)))
    if dice.randrange(2):
        kind = STATES.get(origin)
        part.state.CopyFrom(
            OpaqueState(
                data=b"c2lnbmF0dXJl", dialect=origin if kind else "elsewhere", kind=kind or "signature"
            )
        )
    return part


def _words(dice: random.Random) -> Part:
    part = Part(text=_text(dice))
    if not dice.randrange(4):
        part.citations.add(
            kind="web_search_result_location", url="https://a.example/b", title="T", cited_text="c"
        )
    return part


def _usage(dice: random.Random) -> Usage:
    usage = Usage(
        measure=Measure.MEASURE_VENDOR, input_tokens=dice.randrange(1000), output_tokens=dice.randrange(1000)
    )
    for name in _CLASSES[2:]:
        if not dice.randrange(3):
            setattr(usage, name, dice.randrange(100))
    return usage


def make_answer(seed: int, origin: str) -> GenerateResponse:
    """An answer as a provider of the dialect `origin` might give, the same for the same seed."""
    dice = random.Random(seed)
    parts: list[Part] = [_thought(dice, origin)] if not dice.randrange(3) else []
    parts += [_words(dice) for _ in range(dice.choice((0, 1, 1, 2)))]
    calls = dice.choice((0, 0, 1, 2, 3))
    if not calls and not dice.randrange(6):
        parts.append(Part(refusal=_text(dice)))
    parts += [_call(dice, number) for number in range(calls)]
    reason = _CALL if calls and dice.randrange(6) else dice.choice(_ENDS)
    answer = GenerateResponse(response_id="resp-1", provider_model="model-1")
    answer.created_at.seconds = 1_700_000_000
    answer.candidates.append(
        Candidate(parts=parts, finish=Finish(reason=reason, provider_reason=f"word_{reason}"))
    )
    if dice.randrange(8):
        answer.usage.CopyFrom(_usage(dice))
    return answer


def seeds() -> st.SearchStrategy[int]:
    """Drawing a seed alone keeps examples quick, and shrinking short."""
    return st.integers(0, 2**48)


def told(answer: GenerateResponse, seed: int) -> list[StreamEvent]:
    """The same answer as a stream, in pieces of any length."""
    dice = random.Random(seed)
    started = Started(response_id=answer.response_id, model=answer.provider_model)
    started.created_at.CopyFrom(answer.created_at)
    events = [StreamEvent(started=started)]
    for candidate in answer.candidates:
        for number, part in enumerate(candidate.parts):
            events += _block(dice, candidate.index, number, part)
        events.append(
            StreamEvent(candidate_finish=CandidateFinish(candidate=candidate.index, finish=candidate.finish))
        )
    finished = Finished(complete=True)
    if answer.HasField("usage"):
        finished.usage.CopyFrom(answer.usage)
        if dice.randrange(2):
            events.append(StreamEvent(usage=answer.usage))
    events.append(StreamEvent(finished=finished))
    for number, event in enumerate(events):
        event.sequence = event.frame = number
    return events


def _block(dice: random.Random, candidate: int, block: int, part: Part) -> list[StreamEvent]:
    start = Part()
    start.CopyFrom(part)
    deltas = [
        BlockDelta(candidate=candidate, block=block, text=text)
        for text in _pieces(dice, part.text or part.refusal or part.reasoning.text)
    ]
    match part.WhichOneof("kind"):
        case "text":
            start.text = ""
        case "refusal":
            start.refusal = ""
        case "reasoning":
            start.reasoning.text = ""
        case _:
            start.tool_call.arguments = ""
            deltas += [
                BlockDelta(candidate=candidate, block=block, arguments=text)
                for text in _pieces(dice, part.tool_call.arguments)
            ]
    for citation in part.citations:
        deltas.append(BlockDelta(candidate=candidate, block=block, citation=citation))
    del start.citations[:]
    if part.HasField("state"):
        start.ClearField("state")
        deltas.append(BlockDelta(candidate=candidate, block=block, state=part.state))
    return [
        StreamEvent(block_start=BlockStart(candidate=candidate, block=block, part=start)),
        *(StreamEvent(block_delta=delta) for delta in deltas),
        StreamEvent(block_stop=BlockStop(candidate=candidate, block=block)),
    ]


def _pieces(dice: random.Random, text: str) -> list[str]:
    cuts = sorted(dice.randint(0, len(text)) for _ in range(dice.randrange(4)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) if a < b]


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer says, whatever the dialect."""

    text: str
    refusal: str
    thought: str
    calls: tuple[tuple[str, Any], ...]
    call_ids: tuple[str, ...]
    """Those that the provider gave."""
    finish: str
    citations: tuple[tuple[str, str], ...]
    states: tuple[bytes, ...]
    given: int | None
    made: int | None
    cached: int | None
    thinking: int | None


def tell(answer: GenerateResponse) -> Told:
    """Read what an answer of one candidate says."""
    (candidate,) = answer.candidates
    parts = candidate.parts
    calls = [part.tool_call for part in parts if part.HasField("tool_call")]
    usage = answer.usage
    return Told(
        text="".join(part.text for part in parts),
        refusal="".join(part.refusal for part in parts),
        thought="".join(part.reasoning.text + "".join(part.reasoning.summaries) for part in parts),
        calls=tuple((call.name, json.loads(call.arguments or "{}")) for call in calls),
        call_ids=tuple(call.id for call in calls if not call.id_generated),
        finish=FinishReason.Name(candidate.finish.reason).removeprefix("FINISH_REASON_"),
        # A source that is named twice is one source: streams repeat what they have told.
        citations=tuple(dict.fromkeys(_source(each) for part in parts for each in part.citations)),
        states=tuple(part.state.data for part in parts if part.HasField("state")),
        given=_sum(usage, "input_tokens", "cache_read_tokens", "cache_write_tokens"),
        made=_sum(usage, "output_tokens", "reasoning_tokens"),
        cached=_sum(usage, "cache_read_tokens"),
        thinking=_sum(usage, "reasoning_tokens"),
    )


def _source(citation: Citation) -> tuple[str, str]:
    return citation.url, citation.title


def _sum(usage: Usage, *names: str) -> int | None:
    present = {field.name: value for field, value in usage.ListFields()}
    known: Sequence[int] = [present[name] for name in names if name in present]
    return sum(known) if known else None
