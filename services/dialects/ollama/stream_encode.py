"""Events to a chat stream: lines of this dialect as they were, events of any origin as Ollama would."""

from __future__ import annotations

from collections.abc import Sequence

from llmhub.completion.v1.completion_service_pb2 import UNSUPPORTED_POLICY_WARN
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Finish
from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStart, Finished, Started, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.codec import DecodedRequest
from services.dialects.failure import message_error, told
from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject, encode_json
from services.dialects.ndjson import encode_line
from services.dialects.ollama.response import answer_message, logprob_items, write_finish
from services.dialects.ollama.usage import write_usage
from services.dialects.ollama.wire import DIALECT, write_time
from services.runtime.errors import StreamInterrupted

_NOTHING = Extension({}, DIALECT)


class OllamaStreamEncoder:
    """Writes one stream; implements services.dialects.codec.StreamEncoder.

    A line of Ollama's own is written with the event that carries what is left of it; everything else at once. Calls are
    whole in a line, so those of other origins wait for their end.
    """

    def __init__(self, request: DecodedRequest) -> None:
        self._model = request.request.model
        self._created = "1970-01-01T00:00:00Z"
        self._native = False
        self._parts: list[Part] = []
        self._kinds: dict[int, str] = {}
        self._calls: dict[int, Part] = {}
        self._arguments: dict[int, list[str]] = {}
        self._logprobs = ""
        self._finish: tuple[Finish, Extension] | None = None
        self._usage: Usage | None = None
        self._out: list[bytes] = []

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the bytes for these events; of several candidates the first is written."""
        for event in events:
            self._event(event)
        out, self._out = self._out, []
        return b"".join(out)

    def _event(self, event: StreamEvent) -> None:
        carried = DIALECT in event.extensions
        match event.WhichOneof("event"):
            case "started":
                self._start(event.started, native=carried)
                return
            case "block_start" if not event.block_start.candidate:
                self._block_start(event.block_start)
            case "block_delta" if not event.block_delta.candidate:
                self._block_delta(event.block_delta)
            case "block_stop" if not event.block_stop.candidate:
                self._block_stop(event.block_stop.block)
            case "candidate_finish" if not event.candidate_finish.candidate:
                self._finish = (event.candidate_finish.finish, Extension(event.extensions, DIALECT))
                return
            case "usage":
                self._usage = event.usage
            case "finished":
                self._end(event.finished, Extension(event.extensions, DIALECT))
                return
            case _:
                pass
        if carried:
            self._line(Extension(event.extensions, DIALECT))
        elif self._parts and not self._native:
            self._line(_NOTHING)

    def _start(self, started: Started, *, native: bool) -> None:
        self._native = native
        self._model = started.model or self._model
        if started.HasField("created_at"):
            self._created = write_time(started.created_at)

    def _block_start(self, start: BlockStart) -> None:
        kind = start.part.WhichOneof("kind") or "text"
        self._kinds[start.block] = kind
        if kind == "tool_call":
            part = Part()
            part.CopyFrom(start.part)
            self._calls[start.block] = part
            self._arguments[start.block] = [part.tool_call.arguments]
        elif kind == "media":
            self._parts.append(start.part)
        elif start.part.text or start.part.refusal:
            self._parts.append(Part(text=start.part.text or start.part.refusal))
        elif start.part.reasoning.text:
            self._think(start.part.reasoning.text)

    def _think(self, text: str) -> None:
        part = Part()
        part.reasoning.text = text
        self._parts.append(part)

    def _block_delta(self, delta: BlockDelta) -> None:
        kind = self._kinds.get(delta.block, "")
        if delta.logprobs_json:
            self._logprobs = delta.logprobs_json
        match delta.WhichOneof("delta"):
            case "text" if kind == "reasoning":
                self._think(delta.text)
            case "text" if kind in {"text", "refusal"} and delta.text:
                self._parts.append(Part(text=delta.text))
            case "arguments" if delta.block in self._arguments:
                self._arguments[delta.block].append(delta.arguments)
            case _:
                pass

    def _block_stop(self, block: int) -> None:
        part = self._calls.pop(block, None)
        if part is not None:
            part.tool_call.arguments = "".join(self._arguments.pop(block))
            self._parts.append(part)

    def _line(self, carried: Extension, end: JsonObject | None = None) -> None:
        """Write what has gathered as one line."""
        parts, self._parts = self._parts, []
        logprobs, self._logprobs = self._logprobs, ""
        line: JsonObject = {} if "unnamed" in carried.shape else {"model": self._model}
        if not self._native:
            line["created_at"] = self._created
        rest = carried.members.pop("message", None)
        inner = Extension({DIALECT: encode_json(rest).decode()} if isinstance(rest, dict) else {}, DIALECT)
        message = answer_message(parts, inner, Losses(UNSUPPORTED_POLICY_WARN), self._native)
        if "mute" not in inner.shape:
            message.setdefault("content", "")
        line["message"] = message
        items = logprob_items(logprobs)
        if items:
            line["logprobs"] = items
        line.update(end or {"done": False})
        line.update(carried.members)
        self._out.append(encode_line(encode_json(line)))

    def _end(self, finished: Finished, extension: Extension) -> None:
        if not finished.complete:
            if self._parts:
                self._line(_NOTHING)
            error = message_error(finished.error) if finished.HasField("error") else None
            failure: JsonObject = {"error": told(error or StreamInterrupted("the answer broke off"))}
            self._out.append(encode_line(encode_json(extension.merge(failure))))
            return
        for block in sorted(self._calls):
            self._block_stop(block)
        finish, carried = self._finish or (Finish(), _NOTHING)
        end = write_finish(finish, carried, native=self._native)
        usage = finished.usage if finished.HasField("usage") else self._usage
        if usage is not None:
            end.update(write_usage(usage))
        self._line(carried, end)
