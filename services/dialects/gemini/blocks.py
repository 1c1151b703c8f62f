"""One candidate's parts as blocks: pieces of text that follow each other are one block, all else stands alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from llmhub.types.v1.content_pb2 import Citation, Part
from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStart, BlockStop, StreamEvent
from services.dialects.gemini.grounding import has_citations, read_citations
from services.dialects.gemini.ids import CallIds
from services.dialects.gemini.partial_calls import PartialArguments, is_partial
from services.dialects.gemini.read_parts import read_part
from services.dialects.gemini.wire import DIALECT
from services.dialects.gemini.write_parts import MADE_UP
from services.dialects.members import JsonObject, decode_json, json_text

_MADE: Final = json_text({"$shape": {MADE_UP: 1}})
_CITED: Final = frozenset({"text", "signed"})


class Blocks:
    """The blocks of one candidate; `emit` takes the events."""

    __slots__ = (
        "_arguments",
        "_cited",
        "_emit",
        "_index",
        "_kind",
        "_last",
        "_next",
        "_open",
        "_text",
        "called",
        "finished",
        "ids",
    )

    def __init__(self, index: int, seed: str, emit: Callable[..., StreamEvent]) -> None:
        self._index = index
        self._emit = emit
        self._next = 0
        self._open = False
        self._kind = ""
        self._text: list[str] = []
        self._cited: set[bytes] = set()
        self._arguments: PartialArguments | None = None
        self._last: StreamEvent | None = None
        self.ids = CallIds(seed)
        self.called = self.finished = False

    def add(self, parts: Sequence[Part], grounding: JsonObject) -> None:
        """Add the parts of a chunk; `grounding` cites the text that may be closed by one of them."""
        self._last = None
        for part in parts:
            kind = part.WhichOneof("kind")
            if kind in {"text", "reasoning"} and not part.HasField("state") and not part.extensions:
                text = part.text if kind == "text" else part.reasoning.text
                self.add_text(text, thought=kind == "reasoning")
                continue
            if self._open and self._kind in _CITED:
                self.cite(grounding, made=False)
            self._close()
            self._whole(part, kind)

    def add_text(self, text: str, *, thought: bool) -> None:
        """Add a piece of text, to the open block if it is of that kind."""
        kind = "reasoning" if thought else "text"
        if self._arguments is not None:
            raise _broken_into()
        if not self._open or self._kind != kind:
            self._close()
            part = Part()
            if thought:
                part.reasoning.SetInParent()
            else:
                part.text = ""
                self._text.clear()
            self._kind = kind
            self._start(part)
        if not thought:
            self._text.append(text)
        self._last = self._delta(BlockDelta(candidate=self._index, block=self._next, text=text))

    def add_pieces(self, content: msgspec.Raw) -> bool:
        """Add a chunk that has pieces of a call; false, and nothing added, if it has none."""
        data = bytes(content)
        if self._arguments is None and b"partialArgs" not in data and b"willContinue" not in data:
            return False
        value = decode_json(content)
        parts = value.get("parts") if isinstance(value, dict) else None
        found = parts if isinstance(parts, list) else []
        calls = [_call(part) for part in found]
        if self._arguments is None and not any(is_partial(call) for call in calls):
            return False
        for part, call in zip(found, calls, strict=True):
            if self._arguments is None and not is_partial(call):
                self.add([read_part(msgspec.Raw(json_text(part)), "", None, self.ids)], {})
            else:
                self._piece(part, call)
        return True

    def cite(self, grounding: JsonObject, *, made: bool = True) -> None:
        """Add what the metadata newly cite to the open text; to one made for them, if it is closed already."""
        if not has_citations(grounding):
            return
        citations = [each for each in read_citations(grounding, "".join(self._text)) if self._is_new(each)]
        alone = not self._open or self._kind not in _CITED
        if not citations or (alone and not made):
            return
        if alone:
            self._close()
            part = Part(text="")
            part.extensions[DIALECT] = _MADE
            self._start(part)
        for citation in citations:
            self._delta(BlockDelta(candidate=self._index, block=self._next, citation=citation))
        if alone:
            self._close()

    def attach_logprobs(self, text: str) -> bool:
        """Put log-probabilities to the last text of the chunk; false if it has none."""
        if self._last is None:
            return False
        self._last.block_delta.logprobs_json = text
        return True

    def finish(self) -> None:
        """Close what is open: the candidate has ended."""
        self._end_call()
        self._close()
        self.finished = True

    def _whole(self, part: Part, kind: str | None) -> None:
        text = arguments = ""
        if kind == "text":
            text, part.text = part.text, ""
        elif kind == "reasoning":
            text, part.reasoning.text = part.reasoning.text, ""
        elif kind == "tool_call":
            arguments, part.tool_call.arguments = part.tool_call.arguments, ""
            self.called = True
        self._kind = ""
        if kind == "text" and text:
            # Text that is signed takes no more; it is closed by what follows, since it may be cited yet.
            self._kind = "signed"
            self._text = [text]
        self._start(part)
        if text:
            self._last = self._delta(BlockDelta(candidate=self._index, block=self._next, text=text))
        if arguments:
            self._delta(BlockDelta(candidate=self._index, block=self._next, arguments=arguments))
        if self._kind != "signed":
            self._close()

    def _piece(self, part: JsonObject, call: JsonObject | None) -> None:
        """Add a piece of a call, the first of which opens it and the last of which closes it."""
        if call is None:
            raise _broken_into()
        if self._arguments is None:
            self._close()
            opening = {**part, "functionCall": {k: call[k] for k in ("id", "name") if k in call}}
            self._kind = ""
            self._start(read_part(msgspec.Raw(json_text(opening)), "", None, self.ids))
            self._arguments = PartialArguments()
            self.called = True
        self._arguments.add(call.get("partialArgs"))
        if not call.get("willContinue"):
            self._end_call()

    def _end_call(self) -> None:
        if self._arguments is not None:
            text, self._arguments = self._arguments.text(), None
            self._delta(BlockDelta(candidate=self._index, block=self._next, arguments=text))
            self._close()

    def _is_new(self, citation: Citation) -> bool:
        key = citation.SerializeToString(deterministic=True)
        new = key not in self._cited
        self._cited.add(key)
        return new

    def _start(self, part: Part) -> None:
        self._open = True
        self._emit(block_start=BlockStart(candidate=self._index, block=self._next, part=part))

    def _delta(self, delta: BlockDelta) -> StreamEvent:
        return self._emit(block_delta=delta)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._emit(block_stop=BlockStop(candidate=self._index, block=self._next))
            self._next += 1


def _call(part: object) -> JsonObject | None:
    call = part.get("functionCall") if isinstance(part, dict) else None
    return call if isinstance(call, dict) else None


def _broken_into() -> ValueError:
    return ValueError("a call is followed by something else before it ends")
