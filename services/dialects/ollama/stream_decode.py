"""A chat stream to events: a line is a frame, and what is left of it travels with its last event."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.stream_pb2 import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CandidateFinish,
    Finished,
    KeepAlive,
    Started,
    StreamEvent,
)
from services.dialects.failure import error_message
from services.dialects.members import Members
from services.dialects.ndjson import LineParser
from services.dialects.ollama.errors import error_in_answer
from services.dialects.ollama.parts import message_members, take_turn
from services.dialects.ollama.response import call_prefix, take_finish, take_logprobs, take_role
from services.dialects.ollama.usage import take_usage
from services.dialects.ollama.wire import DIALECT, read_time
from services.dialects.raw_json import is_object, object_keeping
from services.runtime.errors import LlmhubError, StreamInterrupted, UpstreamProtocol


class _Said(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: str
    content: str
    thinking: str | None = None


class _Line(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Most lines of a stream."""

    model: str
    created_at: str
    message: _Said
    done: bool


class _Created(msgspec.Struct, gc=False):
    created_at: str


_hot = msgspec.json.Decoder(_Line).decode
_write = msgspec.json.Encoder().encode
_MOST_BLOCKS = 65_536


class OllamaStreamDecoder:
    """Reads one stream; implements services.dialects.codec.StreamDecoder."""

    def __init__(self) -> None:
        self._parser = LineParser()
        self._out: list[StreamEvent] = []
        self._sequence = 0
        self._frame = -1
        self._model: str | None = None
        self._prefix = ""
        self._open = ""
        self._block = -1
        self._calls = 0
        self._ended = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete; raise UpstreamProtocol for what is no such stream."""
        for line in self._parser.feed(data):
            if self._ended:
                break
            self._line(line)
        return self._take()

    def close(self) -> list[StreamEvent]:
        """Return the terminal event if there was none; a last line without a line end counts if it is whole."""
        rest = b"" if self._ended else self._parser.close()
        if rest:
            # What cannot be read is a line that was cut.
            with contextlib.suppress(UpstreamProtocol):
                self._line(rest)
        if not self._ended:
            self._frame += 1
            self._fail(self._cut(), None)
        return self._take()

    def _cut(self) -> LlmhubError:
        if self._model is None:
            return UpstreamProtocol("the provider's stream ended before it began")
        return StreamInterrupted("the provider's stream ended before it was done", events=str(self._sequence))

    def _take(self) -> list[StreamEvent]:
        out, self._out = self._out, []
        return out

    def _line(self, line: bytes) -> None:
        self._frame += 1
        if self._model is not None and self._hot_line(line):
            return
        try:
            members = Members(object_keeping(line, "message"))
            failure = error_in_answer(members.rest)
            if failure is not None:
                members.rest = {name: each for name, each in members.rest.items() if name != "message"}
                self._fail(failure, members)
                return
            message = members.rest.pop("message", None)
            if not is_object(message):
                raise ValueError("a line without a message")
            inner = Members(message_members(message))
        except ValueError as error:
            raise UpstreamProtocol(f"the provider's stream has a line that is none: {error}") from None
        self._read(members, inner)

    def _hot_line(self, line: bytes) -> bool:
        """Read a line that says one piece of text or thinking, and nothing else."""
        try:
            value = _hot(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return False
        said = value.message
        if value.done or value.model != self._model or said.role != "assistant":
            return False
        # An empty content beside thinking is written by default.
        kind, text = ("reasoning", said.thinking) if said.thinking is not None else ("text", said.content)
        if not text or (kind == "reasoning" and said.content):
            return False
        event = self._say(kind, text)
        event.extensions[DIALECT] = _write(_Created(value.created_at)).decode()
        return True

    def _read(self, members: Members, inner: Members) -> None:
        if self._model is None:
            self._start(members)
        if "model" not in members.rest:
            members.hint("unnamed")
        elif members.rest["model"] == self._model:
            del members.rest["model"]
        take_role(inner)
        if inner.rest.get("content") == "":
            del inner.rest["content"]
        elif "content" not in inner.rest or inner.rest["content"] is None:
            inner.hint("mute")
        logprobs = take_logprobs(members)
        parts = _Parts()
        take_turn(inner, parts, self._prefix, self._calls)
        for part in parts.taken:
            self._part(part)
        if logprobs:
            self._logprobs(logprobs)
        rest = inner.extension()
        if rest:
            members.rest["message"] = msgspec.Raw(rest.encode())
        if members.rest.get("done") is False:
            self._carry(members)
        else:
            self._finish(members)

    def _carry(self, members: Members) -> None:
        """Give what is left of a line to its last event; a line that says nothing keeps alive."""
        del members.rest["done"]
        last = self._out[-1] if self._out and self._out[-1].frame == self._frame else None
        if last is None or last.HasField("started"):
            last = self._emit(keep_alive=KeepAlive())
        last.extensions[DIALECT] = members.extension() or "{}"

    def _start(self, members: Members) -> None:
        model, created = members.rest.get("model"), members.rest.get("created_at")
        self._model = model if isinstance(model, str) else ""
        self._prefix = call_prefix(created)
        started = Started(model=self._model)
        instant = read_time(created) if isinstance(created, str) else None
        if instant is not None:
            started.created_at.CopyFrom(instant)
        self._emit(started=started).extensions[DIALECT] = "{}"

    def _part(self, part: Part) -> None:
        kind = part.WhichOneof("kind")
        if kind == "text":
            self._say("text", part.text)
        elif kind == "reasoning":
            self._say("reasoning", part.reasoning.text)
        else:
            self._stop()
            arguments = part.tool_call.arguments
            self._calls += kind == "tool_call"
            if kind == "tool_call":
                part.tool_call.arguments = ""
            self._begin(part)
            if kind == "tool_call" and arguments:
                self._emit(block_delta=BlockDelta(block=self._block, arguments=arguments))
            self._emit(block_stop=BlockStop(block=self._block))

    def _say(self, kind: str, text: str) -> StreamEvent:
        if self._open != kind:
            self._stop()
            part = Part()
            if kind == "text":
                part.text = ""
            else:
                part.reasoning.SetInParent()
                part.extensions[DIALECT] = "{}"
            self._begin(part)
            self._open = kind
        # Setting fields one by one is three times as fast as construction.
        event = StreamEvent(sequence=self._sequence, frame=self._frame)
        event.block_delta.block = self._block
        event.block_delta.text = text
        self._sequence += 1
        self._out.append(event)
        return event

    def _begin(self, part: Part) -> None:
        self._block += 1
        if self._block >= _MOST_BLOCKS:
            raise UpstreamProtocol("the provider's stream has too many blocks")
        self._emit(block_start=BlockStart(block=self._block, part=part))

    def _stop(self) -> None:
        if self._open:
            self._open = ""
            self._emit(block_stop=BlockStop(block=self._block))

    def _logprobs(self, logprobs: str) -> None:
        """Give them to the text of this line; a line without text has a delta for them alone."""
        for event in reversed(self._out):
            if event.frame != self._frame:
                break
            if event.HasField("block_delta") and event.block_delta.WhichOneof("delta") == "text":
                event.block_delta.logprobs_json = logprobs
                return
        self._say("text", "").block_delta.logprobs_json = logprobs

    def _finish(self, members: Members) -> None:
        self._stop()
        finish = take_finish(members, bool(self._calls))
        if finish is None:
            raise UpstreamProtocol(
                "the provider's stream has a line that does not say whether it is the last"
            )
        usage = take_usage(members)
        end = self._emit(candidate_finish=CandidateFinish(finish=finish))
        end.extensions[DIALECT] = members.extension() or "{}"
        finished = Finished(complete=True)
        if usage is not None:
            self._emit(usage=usage)
            finished.usage.CopyFrom(usage)
        self._ended = True
        self._emit(finished=finished)

    def _fail(self, error: LlmhubError, members: Members | None) -> None:
        self._ended = True
        finished = Finished(complete=False, error=error_message(error))
        finished.error.provider.events_delivered = self._sequence
        event = self._emit(finished=finished)
        if members is not None:
            members.rest.pop("error", None)
            event.extensions[DIALECT] = members.extension() or "{}"

    def _emit(self, **event: Any) -> StreamEvent:
        emitted = StreamEvent(sequence=self._sequence, frame=self._frame, **event)
        self._sequence += 1
        self._out.append(emitted)
        return emitted


class _Parts:
    """Parts of one line."""

    def __init__(self) -> None:
        self.taken: list[Part] = []

    def add(self) -> Part:
        self.taken.append(Part())
        return self.taken[-1]
