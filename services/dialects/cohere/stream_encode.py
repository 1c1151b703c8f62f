"""Events to a chat stream: frames of this dialect as they were, events of any origin as Cohere would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llmhub.types.v1.generation_pb2 import Finish
from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStart, Finished, Started, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.codec import DecodedRequest
from services.dialects.cohere.citations import is_plan, write_citation
from services.dialects.cohere.parts import write_call
from services.dialects.cohere.response import logprob_items, write_finish
from services.dialects.cohere.stream_log import SILENT
from services.dialects.cohere.usage import write_usage
from services.dialects.cohere.wire import DIALECT
from services.dialects.failure import message_error, told
from services.dialects.members import Extension, JsonObject, encode_json
from services.dialects.raw_json import merge_deep
from services.dialects.sse import encode_event
from services.runtime.errors import StreamInterrupted

_DONE: Final = b"data: [DONE]\n\n"
_PLAN: Final = "plan"
_WORDS: Final = {"text": "text", "refusal": "text", "reasoning": "thinking"}


@dataclass(frozen=True, slots=True)
class _Block:
    """What a block is on the wire, and its index there."""

    kind: str
    index: int


class CohereStreamEncoder:
    """Writes one stream; implements services.dialects.codec.StreamEncoder."""

    def __init__(self, request: DecodedRequest) -> None:
        self._request_id = request.request.request_id
        self._native = False
        self._blocks: dict[int, _Block] = {}
        self._contents = self._calls = self._citations = 0
        self._finish: tuple[Finish | None, Extension] = (None, Extension({}, DIALECT))
        self._usage: Usage | None = None
        self._out: list[bytes] = []

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the bytes for these events; of several candidates the first is written."""
        for event in events:
            self._event(event)
        out, self._out = self._out, []
        return b"".join(out)

    def _event(self, event: StreamEvent) -> None:
        extension = Extension(event.extensions, DIALECT)
        match event.WhichOneof("event"):
            case "started":
                self._start(event.started, extension, native=DIALECT in event.extensions)
            case "block_start" if not event.block_start.candidate:
                self._block_start(event.block_start, extension)
            case "block_delta" if not event.block_delta.candidate:
                self._block_delta(event.block_delta, extension)
            case "block_stop" if not event.block_stop.candidate:
                self._block_stop(event.block_stop.block, extension)
            case "candidate_finish" if not event.candidate_finish.candidate:
                finish = event.candidate_finish.finish
                self._finish = (finish if event.candidate_finish.HasField("finish") else None, extension)
            case "usage":
                self._usage = event.usage
            case "keep_alive":
                frame = extension.members.get("frame")
                if isinstance(frame, dict):
                    kind = frame.get("type")
                    self._write(kind if isinstance(kind, str) else "", frame, Extension({}, DIALECT))
            case "finished":
                self._end(event.finished, extension)
            case _:
                pass

    def _write(self, kind: str, frame: JsonObject, extension: Extension) -> None:
        name = extension.shape.get("event", kind)
        merge_deep(frame, extension.members)
        self._out.append(encode_event(encode_json(frame), name if isinstance(name, str) else kind))

    def _start(self, started: Started, extension: Extension, *, native: bool) -> None:
        self._native = native
        frame: JsonObject = {"type": "message-start"}
        if started.response_id or not native:
            frame["id"] = started.response_id or self._request_id
        if not native:
            message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
            frame["delta"] = {"message": message}
        self._write("message-start", frame, extension)

    def _block_start(self, start: BlockStart, extension: Extension) -> None:
        part = start.part
        kind = part.WhichOneof("kind") or "text"
        if kind == "tool_call":
            index = self._index(extension, self._calls)
            self._calls += 1
            self._blocks[start.block] = _Block(kind, index)
            call = write_call(part, Extension(part.extensions, DIALECT), native=True)
            self._write("tool-call-start", _frame("tool-call-start", index, {"tool_calls": call}), extension)
        elif is_plan(part):
            self._blocks[start.block] = _Block(_PLAN, 0)
            if part.reasoning.text:
                self._plan(part.reasoning.text, extension)
        elif kind in _WORDS:
            index = self._index(extension, self._contents)
            self._contents += 1
            self._blocks[start.block] = _Block(kind, index)
            said = part.reasoning.text if kind == "reasoning" else part.text or part.refusal
            content = {"type": _WORDS[kind]}
            if "mute" not in extension.shape:
                content[_WORDS[kind]] = said
            if SILENT not in extension.shape:
                self._write("content-start", _frame("content-start", index, {"content": content}), extension)

    def _index(self, extension: Extension, usual: int) -> int:
        index = extension.shape.get("index")
        return index if type(index) is int else usual

    def _block_delta(self, delta: BlockDelta, extension: Extension) -> None:
        block = self._blocks.get(delta.block)
        if block is None:
            return
        which = delta.WhichOneof("delta")
        if which == "citation":
            self._citation(delta, extension)
        elif block.kind == "tool_call" and which == "arguments":
            call = {} if "mute" in extension.shape else {"function": {"arguments": delta.arguments}}
            frame = _frame("tool-call-delta", block.index, {"tool_calls": call})
            self._write("tool-call-delta", frame, extension)
        elif which == "text" and block.kind == _PLAN:
            self._plan(delta.text, extension)
        elif which == "text":
            said = {} if "mute" in extension.shape else {_WORDS.get(block.kind, "text"): delta.text}
            frame = _frame("content-delta", block.index, {"content": said})
            items = logprob_items(delta.logprobs_json)
            if items:
                frame["logprobs"] = items[0]
            self._write("content-delta", frame, extension)

    def _plan(self, text: str, extension: Extension) -> None:
        frame: JsonObject = {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": text}}}
        self._write("tool-plan-delta", frame, extension)

    def _citation(self, delta: BlockDelta, extension: Extension) -> None:
        value = write_citation(delta.citation)
        if value is None:
            return
        index = extension.shape.get("n", self._citations)
        self._citations += 1
        frame = _frame("citation-start", index if type(index) is int else 0, {"citations": value})
        self._write("citation-start", frame, extension)
        if not self._native:
            end: JsonObject = {"type": "citation-end", "index": frame["index"]}
            self._write("citation-end", end, Extension({}, DIALECT))

    def _block_stop(self, number: int, extension: Extension) -> None:
        block = self._blocks.get(number)
        if block is None or block.kind == _PLAN or SILENT in extension.shape:
            return
        kind = "tool-call-end" if block.kind == "tool_call" else "content-end"
        self._write(kind, {"type": kind, "index": block.index}, extension)

    def _end(self, finished: Finished, extension: Extension) -> None:
        finish, own = self._finish
        delta: JsonObject = {}
        if finish is not None:
            delta["finish_reason"] = write_finish(finish, native=self._native)
        elif "endless" not in own.shape:
            delta["finish_reason"] = "COMPLETE" if finished.complete else "ERROR"
        if not finished.complete:
            error = message_error(finished.error) if finished.HasField("error") else None
            delta["error"] = told(error or StreamInterrupted("the answer broke off"))
            if finish is None or not self._native:
                delta["finish_reason"] = "ERROR"
        usage = finished.usage if finished.HasField("usage") else self._usage
        if usage is not None:
            delta["usage"] = write_usage(usage)
        self._write("message-end", {"type": "message-end", "delta": delta}, own)
        if "undone" not in extension.shape:
            self._out.append(_DONE)


def _frame(kind: str, index: int, message: JsonObject) -> JsonObject:
    return {"type": kind, "index": index, "delta": {"message": message}}
