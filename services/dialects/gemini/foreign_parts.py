"""Blocks of other providers as Gemini's parts: text as it comes, everything else when it is whole."""

from __future__ import annotations

from collections.abc import Iterator

from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Finish
from llmhub.types.v1.stream_pb2 import BlockDelta, StreamEvent
from services.dialects.gemini.finish import write_block, write_finish
from services.dialects.gemini.grounding import write_citations
from services.dialects.gemini.write_parts import PartWriter
from services.dialects.members import JsonObject

Piece = tuple[int, list[JsonObject], str]
"""Candidate, parts and log-probabilities of one chunk."""

_AS_IT_COMES = {"text", "reasoning", "refusal"}


class ForeignParts:
    """Puts one answer's blocks together, as far as they must be."""

    __slots__ = ("_blocks", "_cited", "_ends", "_pieces", "_writer")

    def __init__(self, writer: PartWriter) -> None:
        self._writer = writer
        self._blocks: dict[tuple[int, int], Part] = {}
        self._pieces: dict[tuple[int, int], list[str | bytes]] = {}
        self._cited: dict[int, list[Part]] = {}
        self._ends: dict[int, Finish] = {}

    def take(self, kind: str | None, event: StreamEvent) -> Iterator[Piece]:
        """Take an event; give the parts that may be sent for it."""
        if kind == "block_start":
            start = event.block_start
            yield from self._start(start.candidate, start.block, start.part)
        elif kind == "block_delta":
            yield from self._delta(event.block_delta)
        elif kind == "block_stop":
            yield from self._stop(event.block_stop.candidate, event.block_stop.block)
        elif kind == "candidate_finish":
            self._ends[event.candidate_finish.candidate] = event.candidate_finish.finish

    def endings(self) -> Iterator[JsonObject]:
        """The last words of every candidate: what was left open, citations and why it ended."""
        left: dict[int, list[JsonObject]] = {}
        for place in sorted(self._blocks):
            for index, parts, _ in self._stop(*place):
                left.setdefault(index, []).extend(parts)
        for index in sorted({*self._ends, *self._cited, *left}):
            finish = self._ends.get(index, Finish())
            ending: JsonObject = {} if write_block(finish) is not None else write_finish(finish)
            grounding = write_citations(self._cited.get(index, ()))
            if grounding is not None:
                ending["groundingMetadata"] = grounding
            parts = left.get(index) or [{"text": ""}]
            yield {"content": {"parts": parts, "role": "model"}, **ending, "index": index}

    def _start(self, index: int, block: int, given: Part) -> Iterator[Piece]:
        part = Part()
        part.CopyFrom(given)
        self._blocks[index, block] = part
        self._pieces[index, block] = []
        kind = part.WhichOneof("kind")
        if kind in _AS_IT_COMES:
            text = part.reasoning.text if kind == "reasoning" else getattr(part, str(kind))
            if text:
                yield from self._say(index, block, text)

    def _delta(self, delta: BlockDelta) -> Iterator[Piece]:
        place = (delta.candidate, delta.block)
        part = self._blocks.get(place)
        if part is None:
            return
        match delta.WhichOneof("delta"):
            case "text":
                yield from self._say(*place, delta.text, delta.logprobs_json)
            case "arguments":
                self._pieces[place].append(delta.arguments)
            case "data":
                self._pieces[place].append(delta.data)
            case "transcript":
                part.media.transcript += delta.transcript
            case "citation":
                part.citations.append(delta.citation)
            case _:
                pass

    def _say(self, index: int, block: int, text: str, logprobs: str = "") -> Iterator[Piece]:
        if not text and not logprobs:
            return
        part = self._blocks[index, block]
        said: JsonObject = {"text": text}
        if part.HasField("reasoning"):
            said["thought"] = True
        else:
            self._pieces[index, block].append(text)
        yield index, [said], logprobs

    def _stop(self, index: int, block: int) -> Iterator[Piece]:
        part = self._blocks.pop((index, block), None)
        pieces = self._pieces.pop((index, block), [])
        if part is None:
            return
        kind = part.WhichOneof("kind")
        if kind in _AS_IT_COMES:
            if part.citations:
                self._cite(index, part, pieces)
            return
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        data = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        if kind == "tool_call":
            part.tool_call.arguments += text
        elif kind == "media" and data:
            part.media.data += data
        parts = self._writer.write(part, "")
        if parts:
            yield index, parts, ""

    def _cite(self, index: int, part: Part, pieces: list[str | bytes]) -> None:
        cited = Part(text="".join(piece for piece in pieces if isinstance(piece, str)))
        cited.citations.extend(part.citations)
        self._cited.setdefault(index, []).append(cited)
