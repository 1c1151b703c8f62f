"""Reads a streamed answer.

Each frame's JSON object, with holes where typed values stood, is its skeleton. Top-level members of the skeleton that
differ from the frame before travel in the extension of the frame's first event, so that a run of like frames
carries nothing twice and the encoder can still write every frame as it was.
"""

from __future__ import annotations

from typing import Any, Final

from llmhub.types.v1.generation_pb2 import Finish
from llmhub.types.v1.stream_pb2 import CandidateFinish, Finished, KeepAlive, Started, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.failure import error_message
from services.dialects.members import SHAPE, JsonObject, decode_json, json_text
from services.dialects.openai.blocks import Blocks
from services.dialects.openai.errors import error_in_answer
from services.dialects.openai.response import decode_finish
from services.dialects.openai.usage import decode_usage, groq_usage_text, usage_text
from services.dialects.openai.wire import DIALECT, HOLE
from services.dialects.sse import SseEvent, SseParser
from services.runtime.errors import LlmhubError, StreamInterrupted, UpstreamProtocol

_OBJECT: Final = "chat.completion.chunk"
_MOST_CANDIDATES: Final = 128
_MISSING: Final = object()


class OpenAIStreamDecoder:
    """Reads one stream; implements services.dialects.codec.StreamDecoder."""

    def __init__(self) -> None:
        self._parser = SseParser()
        self._sequence = 0
        self._frame = -1
        self._skeleton: JsonObject = {}
        self._held: JsonObject | None = None
        self._started: Started | None = None
        self._envelope: JsonObject = {}
        self._candidates: dict[int, Blocks] = {}
        self._usage: Usage | None = None
        self._failure: LlmhubError | None = None
        self._ended = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete; raise UpstreamProtocol for what is no such stream."""
        events: list[StreamEvent] = []
        for event in self._parser.feed(data):
            if self._ended:
                break
            self._event(event, events)
        return events

    def close(self) -> list[StreamEvent]:
        """Return the terminal event if there was none: complete if every candidate seen had finished."""
        events: list[StreamEvent] = []
        if self._ended:
            return events
        self._release(events)
        if self._failure is None and not self._finished():
            self._failure = self._cut()
        self._end(events)
        return events

    def _event(self, event: SseEvent, events: list[StreamEvent]) -> None:
        data = event.data
        if data == b"[DONE]":
            self._release(events)
            if self._started is None and self._failure is None:
                self._failure = UpstreamProtocol("the provider's stream ended before it began")
            self._end(events)
            return
        if not data or data.isspace():
            return
        try:
            value = decode_json(data)
        except ValueError as error:
            raise UpstreamProtocol(
                f"the provider's stream has a frame that is not valid JSON: {error}"
            ) from None
        if not isinstance(value, dict):
            raise UpstreamProtocol("the provider's stream has a frame that is not a JSON object")
        value.pop(SHAPE, None)
        if (
            self._started is None
            and self._held is None
            and not value.get("id")
            and value.get("choices") == []
        ):
            # Azure's frame about the prompt comes before the answer has a name.
            self._held = value
            return
        self._read(value, data, event.event, events)

    def _read(self, value: JsonObject, data: bytes, name: str, events: list[StreamEvent]) -> None:
        """Read one frame."""
        if value.get("error"):
            self._failure = error_in_answer(value)
        choices = value.get("choices")
        started: StreamEvent | None = None
        if self._started is None and (self._failure is None or isinstance(choices, list)):
            started = self._start(value)
            if self._held is not None:
                held, self._held = self._held, None
                self._number([started], 0, self._changes(held, ""), events)
                started = None
        frame: list[StreamEvent] = [] if started is None else [started]
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict):
                    self._choice(choice, frame)
        self._usage_of(value, data, frame)
        if not frame:
            frame.append(StreamEvent(keep_alive=KeepAlive()))
        self._number(frame, self._frame + 1, self._changes(value, name), events)
        if self._failure is not None and not isinstance(choices, list):
            self._end(events)

    def _number(
        self, frame: list[StreamEvent], number: int, extension: str, events: list[StreamEvent]
    ) -> None:
        """Give the events of one frame their numbers."""
        self._frame = number
        sequence = self._sequence
        for event in frame:
            event.sequence = sequence
            event.frame = number
            sequence += 1
        self._sequence = sequence
        if extension:
            frame[0].extensions[DIALECT] = extension
        events.extend(frame)

    def _start(self, value: JsonObject) -> StreamEvent:
        started = self._started = Started()
        for member, field in (("id", "response_id"), ("model", "model")):
            text = value.get(member)
            if isinstance(text, str) and text:
                setattr(started, field, text)
                self._envelope[member] = text
        created = value.get("created")
        if type(created) is int and 0 < created < 1 << 37:
            started.created_at.seconds = created
            self._envelope["created"] = created
        self._envelope["object"] = _OBJECT
        return StreamEvent(started=started)

    def _release(self, events: list[StreamEvent]) -> None:
        """Read the held frame when nothing comes after it."""
        if self._held is not None:
            held, self._held = self._held, None
            self._read(held, b"{}", "", events)

    def _choice(self, choice: JsonObject, events: list[StreamEvent]) -> None:
        index = choice.get("index") or 0
        if type(index) is not int or not 0 <= index < _MOST_CANDIDATES:
            raise UpstreamProtocol("the provider's stream has a choice with an impossible index")
        blocks = self._candidates.get(index)
        if blocks is None:
            response_id = self._started.response_id if self._started is not None else ""
            blocks = self._candidates[index] = Blocks(index, f"call_{response_id}_{index}_")
        delta = choice.get("delta")
        if isinstance(delta, dict):
            begin = len(events)
            blocks.take(delta, events)
            logprobs = choice.get("logprobs")
            if isinstance(logprobs, dict):
                for event in events[begin:]:
                    if event.HasField("block_delta") and event.block_delta.text:
                        event.block_delta.logprobs_json = json_text(logprobs)
                        choice["logprobs"] = HOLE
                        break
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason and not blocks.finished:
            self._finish(blocks, reason, events)
            choice["finish_reason"] = HOLE

    def _finish(self, blocks: Blocks, reason: str, events: list[StreamEvent]) -> None:
        blocks.stop_all(events)
        blocks.finished = True
        finish = decode_finish(reason, blocks.refusal_parts())
        events.append(
            StreamEvent(candidate_finish=CandidateFinish(candidate=blocks.candidate, finish=finish))
        )

    def _usage_of(self, value: JsonObject, data: bytes, events: list[StreamEvent]) -> None:
        holder: Any = value
        usage = value.get("usage")
        text = usage_text
        if not isinstance(usage, dict):
            holder = value.get("x_groq")
            usage = holder.get("usage") if isinstance(holder, dict) else None
            text = groq_usage_text
            if not isinstance(usage, dict):
                return
        self._usage = decode_usage(usage, text(data))
        holder["usage"] = HOLE
        tier = value.get("service_tier")
        if isinstance(tier, str):
            self._usage.service_tier = tier
        events.append(StreamEvent(usage=self._usage))

    def _changes(self, value: JsonObject, name: str) -> str:
        """JSON text of what differs from the frame before; empty if nothing does."""
        envelope = self._envelope
        for member, known in envelope.items():
            if value.get(member) == known:
                del value[member]
            elif member not in value:
                value[member] = HOLE
        before, self._skeleton = self._skeleton, value
        if name:
            changed = dict(value)
            changed[SHAPE] = {"event": name}
            self._skeleton = {}
            return json_text(changed)
        if value == before:
            return ""
        changed = {member: each for member, each in value.items() if before.get(member, _MISSING) != each}
        gone = [member for member in before if member not in value]
        if gone:
            changed[SHAPE] = {"gone": gone}
        return json_text(changed)

    def _finished(self) -> bool:
        return bool(self._candidates) and all(blocks.finished for blocks in self._candidates.values())

    def _cut(self) -> LlmhubError:
        if self._started is None:
            return UpstreamProtocol("the provider's stream ended before it began")
        return StreamInterrupted(
            "the provider's stream ended before the answer did", events=str(self._sequence)
        )

    def _end(self, events: list[StreamEvent]) -> None:
        """Close what is open and give the terminal event."""
        self._ended = True
        tail: list[StreamEvent] = []
        for blocks in self._candidates.values():
            if not blocks.finished:
                blocks.stop_all(tail)
                if self._failure is None:
                    finish = Finish(reason=blocks.natural_end())
                    blocks.finished = True
                    tail.append(
                        StreamEvent(
                            candidate_finish=CandidateFinish(candidate=blocks.candidate, finish=finish)
                        )
                    )
        finished = Finished(complete=self._failure is None)
        if self._failure is not None:
            finished.error.CopyFrom(error_message(self._failure))
            if finished.error.HasField("provider"):
                finished.error.provider.events_delivered = self._sequence
        if self._usage is not None:
            finished.usage.CopyFrom(self._usage)
        tail.append(StreamEvent(finished=finished))
        self._number(tail, self._frame + 1, "", events)
