"""The whole of a stream: what the answer would have been, had it not been streamed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from typing import Any, Final, cast

import betterproto2

from llmhub_client import messages
from llmhub_client.errors import interrupted
from llmhub_client.messages import (
    BlockDelta,
    Candidate,
    Decision,
    Finish,
    Finished,
    GenerateResponse,
    Media,
    OpaqueState,
    Part,
    StreamEvent,
    ToolCall,
    Usage,
)

_FIRST: Final = 0


class Fold:
    """An answer as far as it has come."""

    def __init__(self) -> None:
        self.finished: Finished | None = None
        """The terminal event, when it has come."""
        self._head = GenerateResponse()
        self._usage: Usage | None = None
        self._parts: dict[tuple[int, int], Part] = {}
        self._deltas: dict[tuple[int, int], list[BlockDelta]] = {}
        self._finishes: dict[int, Finish | None] = {}

    def add(self, event: StreamEvent) -> str:
        """Take the next event; return what it adds to the first candidate's text."""
        if (start := event.block_start) is not None:
            self._finishes.setdefault(start.candidate, None)
            part = self._parts[start.candidate, start.block] = start.part or Part()
            return part.text or "" if start.candidate == _FIRST else ""
        if (delta := event.block_delta) is not None:
            return self._delta(delta)
        if (end := event.candidate_finish) is not None:
            self._finishes[end.candidate] = end.finish
        elif (started := event.started) is not None:
            self._head.response_id = started.response_id
            self._head.provider_model = started.model
            self._head.created_at = started.created_at
        elif event.usage is not None:
            self._usage = event.usage
        elif event.finished is not None:
            self.finished = event.finished
        return ""

    def answer(self) -> GenerateResponse:
        """Return what has come. Deltas of opaque blocks are not in it: only their dialect can fold them."""
        finished = self.finished or Finished()
        decision = finished.decision or Decision()
        last = decision.attempts[-1] if decision.attempts else None
        answer: GenerateResponse = deepcopy(self._head)
        answer.request_id = decision.request_id
        answer.model = f"{last.provider}/{last.model}" if last else ""
        answer.candidates = [self._candidate(index) for index in sorted(self._finishes)]
        answer.usage = finished.usage or self._usage
        # mypy takes Warning in that module for the builtin one.
        answer.warnings = cast("list[messages.Warning]", finished.warnings)
        answer.decision = finished.decision
        return answer

    def _delta(self, delta: BlockDelta) -> str:
        key = (delta.candidate, delta.block)
        part = self._parts.get(key)
        if part is None:
            raise interrupted(f"a delta of block {delta.block}, which was not opened")
        self._deltas.setdefault(key, []).append(delta)
        return delta.text or "" if delta.candidate == _FIRST and part.text is not None else ""

    def _candidate(self, index: int) -> Candidate:
        blocks = sorted(block for owner, block in self._parts if owner == index)
        logprobs = [
            d.logprobs_json for b in blocks for d in self._deltas.get((index, b), ()) if d.logprobs_json
        ]
        return Candidate(
            index=index,
            parts=[_joined(self._parts[index, b], self._deltas.get((index, b), ())) for b in blocks],
            finish=self._finishes[index],
            logprobs_json=_joined_lists(logprobs),
        )


def _joined(start: Part, deltas: Iterable[BlockDelta]) -> Part:
    """Return a block's part with its deltas in it. Pieces are joined once: one by one would be quadratic."""
    part: Part = deepcopy(start)
    pieces: dict[str, list[Any]] = {}
    for delta in deltas:
        name, piece = betterproto2.which_one_of(delta, "delta")
        pieces.setdefault(name, []).append(piece)
    text = "".join(pieces.get("text", ()))
    if part.reasoning is not None:
        part.reasoning.text += text
    elif part.refusal is not None:
        part.refusal += text
    elif text:
        part.text = (part.text or "") + text
    if arguments := pieces.get("arguments"):
        part.tool_call = part.tool_call or ToolCall()
        part.tool_call.arguments += "".join(arguments)
    if "data" in pieces or "transcript" in pieces:
        part.media = part.media or Media()
        if data := b"".join(pieces.get("data", ())):
            part.media.data = (part.media.data or b"") + data
        part.media.transcript += "".join(pieces.get("transcript", ()))
    part.citations += pieces.get("citation", ())
    for state in pieces.get("state", ()):
        part.state = _with_state(part.state, state)
    return part


def _with_state(known: OpaqueState | None, more: OpaqueState) -> OpaqueState:
    known = known or OpaqueState()
    return OpaqueState(
        data=known.data + more.data,
        dialect=more.dialect or known.dialect,
        provider=more.provider or known.provider,
        model=more.model or known.model,
        kind=more.kind or known.kind,
    )


def _joined_lists(texts: list[str]) -> str:
    """Return JSON objects of lists as one: the lists one after the other."""
    joined: dict[str, Any] = {}
    for text in texts:
        for name, value in json.loads(text).items():
            if isinstance(joined.get(name), list) and isinstance(value, list):
                joined[name] += value
            elif joined.get(name) is None:
                joined[name] = value
    return json.dumps(joined, ensure_ascii=False, separators=(",", ":")) if joined else ""
