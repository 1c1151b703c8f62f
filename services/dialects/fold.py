"""The whole of a stream: what an answer would have been, had it not been streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Candidate
from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStart, Finished, StreamEvent
from services.dialects.failure import message_error
from services.dialects.members import decode_json, json_text
from services.runtime.errors import StreamInterrupted, UpstreamProtocol

MOST_CANDIDATES: Final = 128
MOST_BLOCKS: Final = 65_536


WholeBlock = Callable[[str, Iterable[str]], str]
"""Makes the JSON of a whole opaque block out of its start's and its deltas'; raises ValueError for junk."""


def fold(
    events: Iterable[StreamEvent], opaque: Mapping[str, WholeBlock] = MappingProxyType({})
) -> GenerateResponse:
    """Return the whole answer; raise the stream's own error, or StreamInterrupted if it has no proper end.

    `opaque` knows by dialect how its opaque blocks grow; one of another dialect stays as it started.
    """
    folding = Folding(opaque)
    for event in events:
        folding.add(event)
    return folding.whole()


class Folding:
    """A stream being folded, event by event."""

    def __init__(self, opaque: Mapping[str, WholeBlock] = MappingProxyType({})) -> None:
        self._opaque = opaque
        self._response = GenerateResponse()
        self._candidates: dict[int, Candidate] = {}
        self._parts: dict[tuple[int, int], Part] = {}
        self._pieces: dict[tuple[int, int, str], list[Any]] = {}
        self._grown: dict[tuple[int, int], tuple[str, list[str]]] = {}
        """Opaque blocks with deltas: how they started, and the deltas."""
        self._logprobs: dict[int, list[str]] = {}
        self._finished: Finished | None = None

    def add(self, event: StreamEvent) -> None:
        """Take the next event; raise UpstreamProtocol for indexes that no answer has."""
        match event.WhichOneof("event"):
            case "started":
                started = event.started
                self._response.response_id = started.response_id
                self._response.provider_model = started.model
                if started.HasField("created_at"):
                    self._response.created_at.CopyFrom(started.created_at)
            case "block_start":
                self._start(event.block_start)
            case "block_delta":
                self._delta(event.block_delta)
            case "candidate_finish":
                end = event.candidate_finish
                self._candidate(end.candidate).finish.CopyFrom(end.finish)
            case "usage":
                self._response.usage.CopyFrom(event.usage)
            case "finished":
                self._finished = event.finished
            case _:
                pass

    def whole(self) -> GenerateResponse:
        """Return the answer; raise if the stream did not end properly."""
        finished = self._finished
        if finished is None:
            raise StreamInterrupted("the stream has no end")
        if not finished.complete:
            raise message_error(finished.error)
        return self.fragment()

    def fragment(self) -> GenerateResponse:
        """Return what was received so far, whole or not."""
        self._join()
        response = GenerateResponse()
        response.CopyFrom(self._response)
        for index in sorted(self._candidates):
            candidate = response.candidates.add()
            candidate.CopyFrom(self._candidates[index])
            if index in self._logprobs:
                candidate.logprobs_json = _joined_lists(self._logprobs[index])
            blocks = sorted(block for owner, block in self._parts if owner == index)
            candidate.parts.extend(self._parts[index, block] for block in blocks)
        finished = self._finished
        if finished is not None:
            if finished.HasField("usage"):
                response.usage.CopyFrom(finished.usage)
            if finished.HasField("decision"):
                response.decision.CopyFrom(finished.decision)
            response.warnings.extend(finished.warnings)
        return response

    def _candidate(self, index: int) -> Candidate:
        candidate = self._candidates.get(index)
        if candidate is None:
            if not 0 <= index < MOST_CANDIDATES:
                raise UpstreamProtocol(f"a stream has no candidate {index}")
            candidate = self._candidates[index] = Candidate(index=index)
        return candidate

    def _start(self, start: BlockStart) -> None:
        self._candidate(start.candidate)
        if not 0 <= start.block < MOST_BLOCKS or len(self._parts) >= MOST_BLOCKS:
            raise UpstreamProtocol(f"a stream has no block {start.block}")
        part = Part()
        part.CopyFrom(start.part)
        self._parts[start.candidate, start.block] = part

    def _delta(self, delta: BlockDelta) -> None:
        key = (delta.candidate, delta.block)
        part = self._parts.get(key)
        if part is None:
            raise UpstreamProtocol(f"a delta of block {delta.block}, which was not opened")
        which = delta.WhichOneof("delta")
        if which == "citation":
            part.citations.append(delta.citation)
        elif which == "state":
            state = delta.state
            for name in ("dialect", "provider", "model", "kind"):
                if getattr(state, name):
                    setattr(part.state, name, getattr(state, name))
            self._pieces.setdefault((*key, which), []).append(state.data)
        elif which == "opaque_json":
            self._grown.setdefault(key, (part.opaque.json, []))[1].append(delta.opaque_json)
        elif which is not None:
            self._pieces.setdefault((*key, which), []).append(getattr(delta, which))
        if delta.logprobs_json:
            self._logprobs.setdefault(delta.candidate, []).append(delta.logprobs_json)

    def _join(self) -> None:
        """Put the collected pieces into their parts, once: adding to a field piece by piece is quadratic."""
        for (candidate, block, which), pieces in self._pieces.items():
            part = self._parts[candidate, block]
            match which:
                case "text":
                    _add_text(part, "".join(pieces))
                case "arguments":
                    part.tool_call.arguments += "".join(pieces)
                case "state":
                    part.state.data += b"".join(pieces)
                case "data":
                    part.media.data += b"".join(pieces)
                case "transcript":
                    part.media.transcript += "".join(pieces)
                case _:
                    pass
        self._pieces.clear()
        for key, (start, deltas) in self._grown.items():
            self._grow(self._parts[key], start, deltas)

    def _grow(self, part: Part, start: str, deltas: list[str]) -> None:
        join = self._opaque.get(part.opaque.dialect)
        if join is None:
            return
        try:
            part.opaque.json = join(start, deltas)
        except ValueError as error:
            # Half a block need not make sense.
            if self._finished is not None and self._finished.complete:
                message = f"a {part.opaque.type} block that makes no sense: {error}"
                raise UpstreamProtocol(message) from None


def _add_text(part: Part, text: str) -> None:
    match part.WhichOneof("kind"):
        case "reasoning" if part.reasoning.summaries and not part.reasoning.text:
            # A block that was opened with a summary goes on with it.
            part.reasoning.summaries[-1] += text
        case "reasoning":
            part.reasoning.text += text
        case "refusal":
            part.refusal += text
        case _:
            part.text += text


def _joined_lists(pieces: list[str]) -> str:
    """JSON objects of lists as one: the lists one after the other."""
    joined: dict[str, Any] = {}
    for piece in pieces:
        try:
            value = decode_json(piece)
        except ValueError:
            continue
        if isinstance(value, dict):
            for name, each in value.items():
                known = joined.get(name)
                if isinstance(known, list) and isinstance(each, list):
                    known.extend(each)
                elif known is None:
                    joined[name] = each
    return json_text(joined)
