"""Events to a messages stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from llmhub.types.v1.content_pb2 import TOOL_KIND_CUSTOM
from llmhub.types.v1.generation_pb2 import Finish
from llmhub.types.v1.stream_pb2 import BlockDelta, Finished, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.answer_losses import AnswerLosses
from services.dialects.anthropic.answer_losses import (
    LOGPROBS,
    ONE_CANDIDATE,
    note_finish,
    note_part,
    note_places,
    note_usage,
)
from services.dialects.anthropic.citations import NO_SUCH_CITATION, write_citation
from services.dialects.anthropic.errors import error_object
from services.dialects.anthropic.finish import write_finish
from services.dialects.anthropic.response import made_id
from services.dialects.anthropic.serial import BlockSerializer
from services.dialects.anthropic.usage import write_usage
from services.dialects.anthropic.wire import DIALECT, SIGNATURE, own_state
from services.dialects.anthropic.write_blocks import BlockWriter
from services.dialects.failure import message_error
from services.dialects.members import Extension, JsonObject, encode_json
from services.dialects.quiet import merge_back
from services.dialects.sse import encode_event
from services.dialects.text_tools import text_arguments
from services.runtime.errors import StreamInterrupted

_TEXT_DELTA: Final = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}\n\n'
)
_OF_BLOCKS: Final = frozenset({"block_delta", "block_start", "block_stop"})
_TEXT_OF: Final = {"text": "text", "thinking": "thinking"}


@dataclass(slots=True)
class _Written:
    """A block that was started on the wire."""

    kind: str
    custom: bool = False
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Ending:
    """A message_delta that waits for its usage."""

    finish: Finish
    frame: int
    extension: Extension


class AnthropicStreamEncoder:
    """Writes one stream: frames of Anthropic's own as they were, those of others as Anthropic would send them."""

    __slots__ = (
        "_calls",
        "_done",
        "_ending",
        "_losses",
        "_model",
        "_out",
        "_own",
        "_request_id",
        "_serial",
        "_skipped",
        "_start_frame",
        "_started",
        "_usage",
        "_writer",
        "_written",
    )

    def __init__(self, model: str, request_id: str) -> None:
        self._model = model
        self._request_id = request_id
        self._losses = AnswerLosses()
        self._writer = BlockWriter(self._losses, answer=True)
        self._serial = BlockSerializer()
        self._written: dict[int, _Written] = {}
        self._skipped: set[int] = set()
        self._out: list[bytes] = []
        self._usage = Usage()
        self._ending: _Ending | None = None
        self._start_frame = -1
        self._started = self._own = self._done = self._calls = False

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the bytes for these events; nothing after the terminal one."""
        for position, event in enumerate(events):
            if self._done:
                break
            if event.extensions and not self._own:
                self._losses.foreign(event.extensions, DIALECT)
            kind = event.WhichOneof("event")
            if self._ending is not None and self._own and kind != "usage":
                self._write_ending(None)
            if kind in _OF_BLOCKS:
                self._block(event)
            else:
                self._event(event, kind, events[position + 1 : position + 2])
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _event(self, event: StreamEvent, kind: str | None, following: Sequence[StreamEvent]) -> None:
        match kind:
            case "started":
                self._start(event, following)
            case "usage":
                self._totals(event)
            case "candidate_finish" if event.candidate_finish.candidate == 0:
                extension = Extension(event.extensions, DIALECT)
                self._ending = _Ending(event.candidate_finish.finish, event.frame, extension)
            case "candidate_finish":
                self._other(event.candidate_finish.candidate)
            case "keep_alive":
                self._keep_alive(event)
            case "finished":
                self._finish(event)
            case _:
                pass

    def _send(self, name: str, body: JsonObject) -> None:
        self._out.append(encode_event(encode_json({"type": name, **body}), name))

    def _start(self, event: StreamEvent, following: Sequence[StreamEvent]) -> None:
        self._started = True
        self._losses.announced(event.started)
        self._own = DIALECT in event.extensions
        self._start_frame = event.frame
        started = event.started
        message: JsonObject = {
            "id": started.response_id or made_id(self._request_id),
            "type": "message",
            "role": "assistant",
            "model": started.model or self._model,
            "content": [],
        }
        if not self._own:
            # Clients read the input's size here where it is known; the last frame has it in any case.
            if following and following[0].HasField("usage") and following[0].frame == event.frame:
                self._usage = following[0].usage
            message |= {"stop_reason": None, "stop_sequence": None, "usage": write_usage(self._usage)}
        self._send("message_start", merge_back({"message": message}, Extension(event.extensions, DIALECT)))

    def _totals(self, event: StreamEvent) -> None:
        self._usage = event.usage
        if not self._own or event.frame == self._start_frame:
            return
        if self._ending is not None and self._ending.frame == event.frame:
            self._write_ending(event.usage)
            return
        if self._ending is not None:
            self._write_ending(None)
        body: JsonObject = {"delta": {}, "usage": msgspec.Raw(event.usage.provider_json)}
        self._send("message_delta", merge_back(body, Extension(event.extensions, DIALECT)))

    def _write_ending(self, own_usage: Usage | None) -> None:
        ending, self._ending = self._ending, None
        finish = ending.finish if ending is not None else Finish()
        delta = write_finish(finish)
        note_finish(finish, delta["stop_reason"], self._losses)
        if self._calls and delta["stop_reason"] == "end_turn" and not finish.reason:
            delta["stop_reason"] = "tool_use"
        body: JsonObject = {"delta": delta}
        if own_usage is not None:
            body["usage"] = msgspec.Raw(own_usage.provider_json)
        elif not self._own:
            note_usage(self._usage, self._losses)
            body["usage"] = write_usage(self._usage)
        if ending is not None:
            merge_back(body, ending.extension)
        self._send("message_delta", body)

    def _keep_alive(self, event: StreamEvent) -> None:
        extension = Extension(event.extensions, DIALECT)
        frame = extension.members.get("frame")
        if isinstance(frame, dict):
            # A frame that the contract has no event for.
            self._send(str(frame.pop("type", "ping")), frame)
        else:
            self._send("ping", extension.members)

    def _finish(self, event: StreamEvent) -> None:
        self._done = True
        finished = event.finished
        extension = Extension(event.extensions, DIALECT)
        if not finished.complete:
            self._out.append(self._losses.comments(finished))
            self._fail(finished, extension, own=DIALECT in event.extensions)
            return
        if not self._started:
            self._start(StreamEvent(), ())
        for index, held in self._serial.finish():
            self._write_block(index, held)
        if finished.HasField("usage"):
            self._usage = finished.usage
        if self._ending is not None or not self._own:
            self._write_ending(None)
        self._out.append(self._losses.comments(finished))
        self._send("message_stop", merge_back({}, extension))

    def _fail(self, finished: Finished, extension: Extension, *, own: bool) -> None:
        if own:
            self._send("error", extension.members)
            return
        if finished.HasField("error"):
            error = message_error(finished.error)
        else:
            error = StreamInterrupted("the provider's answer broke off")
        body: JsonObject = {"error": error_object(error)}
        if self._request_id:
            body["request_id"] = self._request_id
        self._send("error", body)

    def _other(self, candidate: int) -> None:
        self._losses.dropped(f"candidates[{candidate}]", ONE_CANDIDATE)

    def _block(self, event: StreamEvent) -> None:
        kind = event.WhichOneof("event")
        if kind == "block_start":
            place, block = event.block_start.candidate, event.block_start.block
            if place:
                self._other(place)
            elif self._writer.write(event.block_start.part, _path(block)) is None:
                self._skipped.add(block)
        elif kind == "block_delta":
            place, block = event.block_delta.candidate, event.block_delta.block
        else:
            place, block = event.block_stop.candidate, event.block_stop.block
        if place != 0 or block in self._skipped:
            return
        for index, ready in self._serial.push(block, event):
            self._write_block(index, ready)

    def _write_block(self, index: int, event: StreamEvent) -> None:
        if event.HasField("block_delta"):
            self._delta(index, event)
        elif event.HasField("block_start"):
            self._block_start(index, event)
        else:
            written = self._written.pop(event.block_stop.block, None)
            if written is not None and written.custom:
                text = text_arguments("".join(written.arguments))
                self._send_delta(index, {"type": "input_json_delta", "partial_json": text}, event)
            body: JsonObject = {"index": index}
            self._send("content_block_stop", merge_back(body, Extension(event.extensions, DIALECT)))

    def _block_start(self, index: int, event: StreamEvent) -> None:
        part = event.block_start.part
        path = _path(event.block_start.block)
        if not self._own:
            note_part(part, path, self._losses)
        block = self._writer.write(part, path)
        if not isinstance(block, dict):
            self._written[event.block_start.block] = _Written("opaque")
            self._send_start(index, block, event)
            return
        kind = block["type"]
        written = self._written[event.block_start.block] = _Written(kind)
        first: JsonObject | None = None
        if kind == "tool_use":
            self._calls = True
            written.custom = part.tool_call.kind == TOOL_KIND_CUSTOM
            if written.custom or not self._own:
                block["input"] = {}
            if written.custom:
                written.arguments.append(part.tool_call.arguments)
            elif not self._own and part.tool_call.arguments:
                first = {"type": "input_json_delta", "partial_json": part.tool_call.arguments}
        elif kind in _TEXT_OF and not self._own and block[kind]:
            # Clients add deltas to what the start has, but many show the deltas only.
            first = {"type": f"{kind}_delta", kind: block[kind]}
            block[kind] = ""
        self._send_start(index, block, event)
        if first is not None:
            self._send_delta(index, first, None)

    def _send_start(self, index: int, block: object, event: StreamEvent) -> None:
        body: JsonObject = {"index": index, "content_block": block}
        self._send("content_block_start", merge_back(body, Extension(event.extensions, DIALECT)))

    def _send_delta(self, index: int, delta: object, event: StreamEvent | None) -> None:
        body: JsonObject = {"index": index, "delta": delta}
        if event is not None and event.HasField("block_delta") and event.extensions:
            merge_back(body, Extension(event.extensions, DIALECT))
        self._send("content_block_delta", body)

    def _delta(self, index: int, event: StreamEvent) -> None:
        delta = event.block_delta
        written = self._written.get(delta.block)
        if written is None:
            return
        kind = delta.WhichOneof("delta")
        if delta.logprobs_json:
            self._losses.dropped("candidates[0].logprobs_json", LOGPROBS)
        if kind == "text" and written.kind == "text" and not event.extensions:
            self._out.append(_TEXT_DELTA % (index, encode_json(delta.text)))
            return
        if kind == "arguments":
            if written.custom:
                written.arguments.append(delta.arguments)
                return
            if event.extensions and "made" in Extension(event.extensions, DIALECT).shape:
                return
        body = _delta_body(delta, kind, written.kind)
        if body is not None:
            self._send_delta(index, body, event)
        if kind == "citation":
            self._citation(delta, written=body is not None)
        elif kind == "state" and body is None:
            self._losses.state(delta.state, _path(delta.block))

    def _citation(self, delta: BlockDelta, *, written: bool) -> None:
        path = _path(delta.block)
        if not written:
            self._losses.dropped(f"{path}.citations", NO_SUCH_CITATION)
        note_places((delta.citation,), path, self._losses)


def _path(block: int) -> str:
    return f"candidates[0].parts[{block}]"


def _delta_body(delta: BlockDelta, kind: str | None, block: str) -> object | None:
    """The `delta` member; None for what Anthropic's streams have no delta for."""
    match kind:
        case "text":
            name = _TEXT_OF.get(block, "text")
            return {"type": f"{name}_delta", name: delta.text}
        case "arguments":
            return {"type": "input_json_delta", "partial_json": delta.arguments}
        case "state":
            signature = own_state(delta.state, SIGNATURE)
            return None if signature is None else {"type": "signature_delta", "signature": signature}
        case "citation":
            citation = write_citation(delta.citation, answer=True)
            return None if citation is None else {"type": "citations_delta", "citation": citation}
        case "opaque_json":
            return msgspec.Raw(delta.opaque_json)
        case _:
            return None
