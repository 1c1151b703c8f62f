"""Events to a stream of chunks."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import msgspec

from llmhub.completion.v1.completion_service_pb2 import UNSUPPORTED_POLICY_WARN
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.stream_pb2 import Finished, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.failure import message_error
from services.dialects.gemini.errors import error_object
from services.dialects.gemini.finish import write_block, write_finish
from services.dialects.gemini.foreign_parts import ForeignParts
from services.dialects.gemini.logprobs import write_logprobs
from services.dialects.gemini.response import OWN_USAGE, UNNUMBERED, write_content
from services.dialects.gemini.stream_decode import CANDIDATES, EVENTS, MADE_AT, SAME
from services.dialects.gemini.usage import write_usage
from services.dialects.gemini.wire import DIALECT
from services.dialects.gemini.write_parts import PartWriter
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, encode_json
from services.runtime.errors import StreamInterrupted


class Framing(Enum):
    """How chunks are put one after the other: as a client asks with `alt=sse`, or without."""

    SSE = "sse"
    ARRAY = "array"


class GeminiStreamEncoder:
    """Writes one stream: chunks of Gemini's own as they were, events of others as Gemini would send them."""

    __slots__ = (
        "_begun",
        "_done",
        "_foreign",
        "_framing",
        "_held",
        "_hints",
        "_kinds",
        "_made",
        "_model",
        "_out",
        "_own",
        "_request_id",
        "_response_id",
        "_same",
        "_usage",
        "_wanted",
        "_writer",
    )

    def __init__(self, model: str, request_id: str, framing: Framing) -> None:
        self._model = model
        self._request_id = request_id
        self._response_id = request_id.replace("-", "") or "llmhub"
        self._framing = framing
        self._writer = PartWriter(Losses(UNSUPPORTED_POLICY_WARN), answer=True, native=True)
        self._foreign = ForeignParts(self._writer)
        self._kinds: dict[tuple[int, int], bool] = {}
        self._same: JsonObject = {}
        self._held: list[StreamEvent] = []
        self._hints = Extension({}, DIALECT)
        self._wanted = 0
        self._usage: Usage | None = None
        self._out: list[bytes] = []
        self._own = self._begun = self._done = False

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the bytes for these events; nothing after the terminal one."""
        for event in events:
            if self._done:
                break
            kind = event.WhichOneof("event")
            if kind == "finished":
                self._finish(event.finished)
                continue
            if kind == "started":
                self._start(event)
            if self._own:
                self._hold(event)
            else:
                self._translate(kind, event)
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _start(self, event: StreamEvent) -> None:
        self._own = DIALECT in event.extensions
        started = event.started
        self._model = started.model or self._model
        self._response_id = started.response_id or self._response_id

    def _send(self, chunk: JsonObject | bytes) -> None:
        data = chunk if isinstance(chunk, bytes) else encode_json(chunk)
        if self._framing is Framing.SSE:
            if b"\n" in data or b"\r" in data:
                # Texts that are kept to the letter may have line ends; clients want one line an event.
                data = msgspec.json.format(data, indent=-1)
            self._out.append(b"data: %b\r\n\r\n" % data)
        else:
            self._out.append((b",\r\n" if self._begun else b"[") + data)
        self._begun = True

    def _finish(self, finished: Finished) -> None:
        self._flush()
        self._done = True
        if finished.HasField("usage"):
            self._usage = finished.usage
        if not finished.complete:
            if finished.HasField("error"):
                error = message_error(finished.error)
            else:
                error = StreamInterrupted("the provider's answer broke off")
            self._send({"error": error_object(error, self._request_id)})
        elif not self._own:
            self._last()
        if self._framing is Framing.ARRAY:
            self._out.append(b"]" if self._begun else b"[]")

    def _last(self) -> None:
        """The chunk with which every candidate ends, and the totals."""
        chunk = self._chunk([*self._foreign.endings()] or [{"finishReason": "STOP", "index": 0}])
        if self._usage is not None:
            chunk["usageMetadata"] = write_usage(self._usage)
        self._send(chunk)

    def _chunk(self, candidates: list[JsonObject]) -> JsonObject:
        return {"candidates": candidates, "modelVersion": self._model, "responseId": self._response_id}

    def _translate(self, kind: str | None, event: StreamEvent) -> None:
        if kind == "usage":
            self._usage = event.usage
            return
        for index, parts, logprobs in self._foreign.take(kind, event):
            candidate: JsonObject = {"content": {"parts": parts, "role": "model"}, "index": index}
            if logprobs and (written := write_logprobs(logprobs)) is not None:
                candidate["logprobsResult"] = written
            self._send(self._chunk([candidate]))

    def _hold(self, event: StreamEvent) -> None:
        """Hold the events of one chunk together until it is whole."""
        if self._held and self._held[0].frame != event.frame:
            self._flush()
        if not self._held:
            self._hints = Extension(event.extensions, DIALECT)
            wanted = self._hints.shape.get(EVENTS)
            self._wanted = wanted if type(wanted) is int else 0
        self._held.append(event)
        if len(self._held) == self._wanted:
            self._flush()

    def _flush(self) -> None:
        """Write the chunk whose events are held."""
        held, self._held = self._held, []
        if not held:
            return
        extension = self._hints
        if held[0].HasField("started"):
            self._learn(held[0], extension)
        content = _Content(self._kinds)
        chunk: JsonObject = {}
        for event in held:
            self._add(event, content, chunk, extension)
        specs = extension.shape.get(CANDIDATES)
        if not isinstance(specs, list):
            specs = [{"i": index} for index in sorted({*content.parts, *content.ends})]
        rests = extension.members.pop("candidates", None)
        written = [self._candidate(spec, content) for spec in specs if isinstance(spec, dict)]
        for candidate, rest in zip(written, rests if isinstance(rests, list) else (), strict=False):
            candidate.update(rest)
        if written:
            chunk["candidates"] = written
        for name in extension.shape.get(SAME, ()):
            if name in self._same:
                chunk[name] = self._same[name]
        self._send(extension.merge(chunk))

    def _learn(self, event: StreamEvent, extension: Extension) -> None:
        started = event.started
        self._same["responseId"] = started.response_id
        self._same["modelVersion"] = started.model
        made = extension.shape.get(MADE_AT)
        if isinstance(made, str):
            self._same["createTime"] = made

    def _add(self, event: StreamEvent, content: _Content, chunk: JsonObject, extension: Extension) -> None:
        match event.WhichOneof("event"):
            case "candidate_finish":
                end = event.candidate_finish
                feedback = write_block(end.finish)
                if feedback is not None:
                    chunk["promptFeedback"] = feedback
                else:
                    content.ends[end.candidate] = write_finish(end.finish)
            case "usage" if OWN_USAGE in extension.shape:
                chunk["usageMetadata"] = msgspec.Raw(event.usage.provider_json)
            case "usage":
                chunk["usageMetadata"] = write_usage(event.usage)
            case _:
                content.add(event)

    def _candidate(self, spec: JsonObject, content: _Content) -> JsonObject:
        index = spec.get("i")
        index = index if type(index) is int else 0
        candidate: JsonObject = {}
        whole = spec.get("whole")
        # Once: a chunk may have several candidates of one number.
        parts = self._writer.write_all(content.parts.pop(index, ()), "")
        written = whole if isinstance(whole, dict) else write_content(parts, spec)
        if written is not None:
            candidate["content"] = written
        if UNNUMBERED not in spec:
            candidate["index"] = index
        if index in content.logprobs:
            candidate["logprobsResult"] = msgspec.Raw(content.logprobs[index])
        return candidate | content.ends.get(index, {})


class _Content:
    """The parts of one chunk, put together from its events."""

    __slots__ = ("_kinds", "_started", "ends", "logprobs", "parts")

    def __init__(self, kinds: dict[tuple[int, int], bool]) -> None:
        self._kinds = kinds
        self._started: dict[tuple[int, int], Part] = {}
        self.parts: dict[int, list[Part]] = {}
        self.ends: dict[int, JsonObject] = {}
        self.logprobs: dict[int, str] = {}

    def add(self, event: StreamEvent) -> None:
        """Take a block's event."""
        if event.HasField("block_start"):
            start = event.block_start
            part = Part()
            part.CopyFrom(start.part)
            place = (start.candidate, start.block)
            self._kinds[place] = part.HasField("reasoning")
            self._started[place] = part
            self.parts.setdefault(start.candidate, []).append(part)
        elif event.HasField("block_delta"):
            self._delta(event.block_delta)
        elif event.HasField("block_stop"):
            self._kinds.pop((event.block_stop.candidate, event.block_stop.block), None)

    def _delta(self, delta: Any) -> None:
        place = (delta.candidate, delta.block)
        if delta.logprobs_json:
            self.logprobs[delta.candidate] = delta.logprobs_json
        which = delta.WhichOneof("delta")
        if which == "arguments" and place in self._started:
            self._started[place].tool_call.arguments += delta.arguments
        elif which == "text":
            part = self._started.pop(place, None)
            if part is None:
                part = Part()
                self.parts.setdefault(delta.candidate, []).append(part)
            if part.HasField("reasoning") or self._kinds.get(place):
                part.reasoning.text = delta.text
            else:
                part.text = delta.text
