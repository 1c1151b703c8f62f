"""A stream of chunks to events."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmhub.types.v1.stream_pb2 import (
    CandidateFinish,
    Finished,
    KeepAlive,
    Started,
    StreamEvent,
)
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.failure import error_message
from services.dialects.gemini.blocks import Blocks
from services.dialects.gemini.errors import error_of
from services.dialects.gemini.finish import read_block, read_finish
from services.dialects.gemini.framing import ChunkReader
from services.dialects.gemini.grounding import queries
from services.dialects.gemini.hot import HotChunk, hot_chunk
from services.dialects.gemini.response import (
    CONTENT,
    MOST_CANDIDATES,
    OWN_USAGE,
    UNNUMBERED,
    read_content,
    read_made,
    read_own_usage,
)
from services.dialects.gemini.usage import running_usage
from services.dialects.gemini.wire import DIALECT, elements, object_keeping, raw_text, take_raw
from services.dialects.members import JsonObject, Members
from services.runtime.errors import LlmhubError, StreamInterrupted, UpstreamProtocol

EVENTS: Final = "n"
"""Hint of a chunk's first event: how many events the chunk gave."""
CANDIDATES: Final = "c"
"""Hint of a chunk's first event: its candidates, with the index and what was unusual."""
SAME: Final = "same"
"""Hint of a chunk's first event: which members were as in the first chunk."""
MADE_AT: Final = "made_at"
"""Hint of the first chunk: its createTime, to the letter."""
_SAME: Final = ("responseId", "modelVersion", "createTime")


class GeminiStreamDecoder:
    """Reads one stream; any split of its bytes gives the same events."""

    __slots__ = (
        "_candidates",
        "_done",
        "_frame",
        "_hints",
        "_out",
        "_reader",
        "_refused",
        "_same",
        "_searches",
        "_sequence",
        "_started",
        "_usage",
    )

    def __init__(self) -> None:
        self._reader = ChunkReader()
        self._candidates: dict[int, Blocks] = {}
        self._same: JsonObject = {}
        self._hints: dict[tuple[int, bool, bool, bool], str] = {}
        self._usage: Usage | None = None
        self._out: list[StreamEvent] = []
        self._sequence = 0
        self._frame = -1
        self._searches = 0
        self._started = self._refused = self._done = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete."""
        for chunk in self._reader.feed(data):
            if self._done:
                break
            self._frame += 1
            try:
                if not self._started or (hot := hot_chunk(chunk, self._same)) is None:
                    self._read(chunk)
                else:
                    self._hot(hot)
            except (ValueError, RecursionError) as error:
                raise UpstreamProtocol(f"the provider sent a chunk that is none: {error}") from None
        out, self._out = self._out, []
        return out

    def close(self) -> list[StreamEvent]:
        """A stream is whole if its bytes are and every candidate has said why it ended: there is no last event."""
        if self._done:
            return []
        whole = self._reader.close()
        self._frame += 1
        ended = all(blocks.finished for blocks in self._candidates.values())
        if whole and ended and (self._candidates or self._refused):
            self._done = True
            self.emit(finished=self._finished(complete=True))
        elif self._started:
            where = "before its candidates did" if whole else "inside a chunk"
            self._fail(StreamInterrupted(f"the provider's stream ended {where}", events=str(self._sequence)))
        else:
            self._fail(UpstreamProtocol("the provider's stream ended before it began"))
        out, self._out = self._out, []
        return out

    def emit(self, **event: Any) -> StreamEvent:
        """Add an event of the chunk that is being read."""
        emitted = StreamEvent(sequence=self._sequence, frame=self._frame, **event)
        self._sequence += 1
        self._out.append(emitted)
        return emitted

    def _hot(self, chunk: HotChunk) -> None:
        first = len(self._out)
        blocks = self._of(chunk.index)
        blocks.add_text(chunk.text, thought=chunk.thought)
        told = chunk.usage
        if told is not None:
            usage = running_usage(told) if not self._searches else None
            if usage is None:
                self._totals(told)
            else:
                self._usage = usage
                self.emit(usage=usage)
        key = (len(self._out) - first, chunk.numbered, chunk.grounded, told is not None)
        hint = self._hints.get(key)
        if hint is None:
            hint = self._hints[key] = self._hint(key)
        self._out[first].extensions[DIALECT] = hint

    def _hint(self, key: tuple[int, bool, bool, bool]) -> str:
        events, numbered, grounded, has_usage = key
        members = Members({})
        members.hint(EVENTS, events)
        members.hint(SAME, list(self._same))
        members.hint(CANDIDATES, [{"i": 0} if numbered else {"i": 0, UNNUMBERED: 1}])
        if grounded:
            members.rest["candidates"] = [{"groundingMetadata": {}}]
        if has_usage:
            members.hint(OWN_USAGE)
        return members.extension()

    def _read(self, chunk: bytes) -> None:
        members = Members(object_keeping(chunk, "candidates", "usageMetadata"))
        if "error" in members.rest:
            self._fail(error_of(200, {}, chunk))
            return
        first = len(self._out)
        if not self._started:
            self._start(members)
        same = [
            name for name in _SAME if name in members.rest and members.rest[name] == self._same.get(name, ...)
        ]
        for name in same:
            del members.rest[name]
        if same:
            members.hint(SAME, same)
        self._read_candidates(members)
        if (blocked := read_block(members)) is not None:
            self._refused = True
            self.emit(candidate_finish=CandidateFinish(finish=blocked))
        usage = take_raw(members, "usageMetadata")
        if usage is not None:
            if self._totals(usage):
                members.hint(OWN_USAGE)
            else:
                members.rest["usageMetadata"] = usage
        if len(self._out) == first:
            self.emit(keep_alive=KeepAlive())
        members.hint(EVENTS, len(self._out) - first)
        self._out[first].extensions[DIALECT] = members.extension()

    def _start(self, members: Members) -> None:
        self._started = True
        self._same = {name: members.rest[name] for name in _SAME if type(members.rest.get(name)) is str}
        started = Started(
            response_id=self._same.get("responseId", ""), model=self._same.get("modelVersion", "")
        )
        if (made := read_made(self._same.get("createTime"))) is not None:
            started.created_at.FromDatetime(made)
        if "createTime" in self._same:
            members.hint(MADE_AT, self._same["createTime"])
        self.emit(started=started)

    def _read_candidates(self, members: Members) -> None:
        raw = take_raw(members, "candidates")
        if raw is None:
            return
        found = elements(raw)
        if len(found) > MOST_CANDIDATES:
            raise UpstreamProtocol(f"the provider's chunk has {len(found)} candidates")
        specs: list[JsonObject] = []
        rests: list[JsonObject] = []
        for number, element in enumerate(found):
            own = Members(object_keeping(element, "content", "logprobsResult"))
            spec = self._read_candidate(own, number)
            specs.append(spec)
            rests.append(own.rest)
        members.hint(CANDIDATES, specs)
        if any(rests):
            members.rest["candidates"] = rests

    def _read_candidate(self, members: Members, number: int) -> JsonObject:
        """Read a candidate's chunk; return how it was written."""
        index = members.integer("index", 31)
        spec: JsonObject = {"i": number if index is None else index}
        if index is None:
            spec[UNNUMBERED] = 1
        blocks = self._of(spec["i"])
        self._searches = max(self._searches, queries(members.rest))
        content = members.rest.get("content")
        if content is not None and blocks.add_pieces(content):
            # Pieces of calls are written back as they came.
            spec["whole"] = content
            del members.rest["content"]
        else:
            parts, written = read_content(content, blocks.ids)
            members.rest.pop("content", None)
            if written is not False:
                spec[CONTENT] = written
            blocks.add(parts, members.rest)
        blocks.cite(members.rest)
        logprobs = take_raw(members, "logprobsResult")
        if logprobs is not None and not blocks.attach_logprobs(raw_text(logprobs)):
            members.rest["logprobsResult"] = logprobs
        finish = read_finish(members, called=blocks.called)
        if finish is not None:
            blocks.finish()
            self.emit(candidate_finish=CandidateFinish(candidate=spec["i"], finish=finish))
        return spec

    def _of(self, index: int) -> Blocks:
        blocks = self._candidates.get(index)
        if blocks is None:
            if not 0 <= index < MOST_CANDIDATES:
                raise UpstreamProtocol(f"the provider's stream has no candidate {index}")
            seed = f"{self._same.get('responseId', '')}/{index}"
            blocks = self._candidates[index] = Blocks(index, seed, self.emit)
        return blocks

    def _totals(self, raw: msgspec.Raw) -> bool:
        """Emit the totals; false if there are none in it."""
        usage = read_own_usage(raw, self._searches)
        if usage is None:
            return False
        self._usage = usage
        self.emit(usage=usage)
        return True

    def _fail(self, error: LlmhubError) -> None:
        self._done = True
        finished = self._finished(complete=False)
        finished.error.CopyFrom(error_message(error))
        if finished.error.HasField("provider"):
            finished.error.provider.events_delivered = self._sequence
        self.emit(finished=finished)

    def _finished(self, *, complete: bool) -> Finished:
        finished = Finished(complete=complete)
        if self._usage is not None:
            finished.usage.CopyFrom(self._usage)
        return finished
