"""Writes a streamed answer: frames of this dialect as they were, events of any origin as OpenAI would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from llmhub.types.v1.content_pb2 import Part, ToolKind
from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStart, Finished, Started, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.answer_losses import AnswerLosses
from services.dialects.codec import DecodedRequest
from services.dialects.data_urls import encode_base64
from services.dialects.failure import message_error
from services.dialects.members import Extension, JsonObject, decode_json, encode_json
from services.dialects.openai.answer_losses import (
    FOREIGN_LOGPROBS,
    ONE_SOUND,
    TEXT_FIRST,
    note_citations,
    note_finish,
    note_part,
    note_usage,
)
from services.dialects.openai.errors import error_object
from services.dialects.openai.fill import merge_details
from services.dialects.openai.frame import Values, fill_choice
from services.dialects.openai.media import takes_image, takes_sound
from services.dialects.openai.parts import encode_annotation, encode_content_part
from services.dialects.openai.response import encode_finish, own_logprobs
from services.dialects.openai.usage import encode_usage
from services.dialects.openai.wire import DIALECT, HOLE, REASONING_DETAILS
from services.dialects.sse import encode_event
from services.runtime.errors import LlmhubError, StreamInterrupted

_OBJECT: Final = "chat.completion.chunk"
_KEEP_ALIVE: Final = b": keep-alive\n\n"
_DONE: Final = b"data: [DONE]\n\n"


class OpenAIStreamEncoder:
    """Writes one stream; implements services.dialects.codec.StreamEncoder."""

    def __init__(self, request: DecodedRequest) -> None:
        self._include_usage = request.include_usage
        self._native = False
        self._skeleton: JsonObject = {}
        self._event_name = ""
        self._envelope: JsonObject = {"id": "", "object": _OBJECT, "created": 0, "model": ""}
        self._written_frame = -1
        self._kinds: dict[tuple[int, int], str] = {}
        self._calls: dict[int, dict[int, int]] = {}
        self._annotations: Counter[int] = Counter()
        self._usage: Usage | None = None
        self._failed = False
        self._losses = AnswerLosses()
        self._sounds: dict[int, int] = {}
        """The block of each candidate's sound."""

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the bytes for these events; a frame's events should come in one call."""
        written: list[bytes] = []
        position, count = 0, len(events)
        while position < count:
            frame = events[position].frame
            end = position + 1
            while end < count and events[end].frame == frame:
                end += 1
            self._frame(events[position:end], frame, written)
            position = end
        return b"".join(written)

    def _frame(self, events: Sequence[StreamEvent], number: int, written: list[bytes]) -> None:
        told = any(DIALECT in event.extensions for event in events if event.extensions)
        self._native = self._native or told
        for event in events:
            self._note(event)
        if not self._native:
            for event in events:
                self._canonical(event, written)
        elif told or (number != self._written_frame and not events[-1].HasField("finished")):
            self._written_frame = number
            self._restored(events, written)
        elif number == self._written_frame:
            # The rest of a frame that came in an earlier call.
            for event in events:
                self._canonical(event, written)
        if events[-1].HasField("finished"):
            self._finish(events[-1].finished, written)

    def _note(self, event: StreamEvent) -> None:
        """Keep what later events refer to."""
        match event.WhichOneof("event"):
            case "started":
                self._start(event.started)
                self._losses.announced(event.started)
            case "block_start":
                start = event.block_start
                kind = start.part.WhichOneof("kind") or "text"
                self._kinds[start.candidate, start.block] = kind
                if kind == "tool_call":
                    calls = self._calls.setdefault(start.candidate, {})
                    calls[start.block] = len(calls)
            case "usage":
                self._usage = event.usage
            case _:
                pass

    def _start(self, started: Started) -> None:
        self._envelope = {
            "id": started.response_id,
            "object": _OBJECT,
            "created": started.created_at.seconds,
            "model": started.model,
        }

    def _restored(self, events: Sequence[StreamEvent], written: list[bytes]) -> None:
        """Write the frame that these events were read from."""
        for event in events:
            if event.extensions:
                self._change(Extension(event.extensions, DIALECT))
        values = Values(events, self._kinds)
        chunk: JsonObject = dict(self._envelope)
        for member, value in self._skeleton.items():
            if member == "choices" and isinstance(value, list):
                chunk["choices"] = [fill_choice(choice, values) for choice in value]
            elif value == HOLE:
                chunk.pop(member, None)
            else:
                chunk[member] = value
        hidden = self._fill_usage(chunk, values.usage) and not chunk.get("choices")
        if chunk.get("error"):
            self._failed = True
        if not hidden:
            written.append(encode_event(encode_json(chunk), self._event_name))
        for event in values.left():
            self._canonical(event, written)

    def _fill_usage(self, chunk: JsonObject, usage: Usage | None) -> bool:
        """Put the usage where the frame had it; true if it is hidden because the caller did not ask for it."""
        groq = chunk.get("x_groq")
        if isinstance(groq, dict) and groq.get("usage") == HOLE:
            chunk["x_groq"] = {name: each for name, each in groq.items() if name != "usage"}
            if usage is not None and self._include_usage:
                chunk["x_groq"]["usage"] = encode_usage(usage)
        if self._skeleton.get("usage") != HOLE or usage is None:
            return False
        if self._include_usage:
            chunk["usage"] = encode_usage(usage)
        return not self._include_usage

    def _change(self, extension: Extension) -> None:
        gone = extension.shape.get("gone")
        for member in gone if isinstance(gone, list) else ():
            if isinstance(member, str):
                self._skeleton.pop(member, None)
        name = extension.shape.get("event")
        if isinstance(name, str) or self._event_name:
            self._skeleton = {}
        self._event_name = name if isinstance(name, str) else ""
        self._skeleton.update(extension.members)

    def _chunk(
        self,
        candidate: int,
        delta: JsonObject,
        finish: str | None = None,
        logprobs: JsonObject | None = None,
    ) -> bytes:
        choice = {"index": candidate, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return encode_event(encode_json({**self._envelope, "choices": [choice]}))

    def _canonical(self, event: StreamEvent, written: list[bytes]) -> None:
        """Write one event as OpenAI would."""
        if event.extensions:
            self._losses.foreign(event.extensions, DIALECT)
        match event.WhichOneof("event"):
            case "started":
                written.append(self._chunk(0, {"role": "assistant", "content": ""}))
            case "block_start":
                delta = self._opening(event.block_start)
                if delta:
                    written.append(self._chunk(event.block_start.candidate, delta))
            case "block_delta":
                piece = event.block_delta
                delta = self._continuation(piece)
                logprobs = self._logprobs(piece) if piece.logprobs_json else None
                if delta:
                    written.append(self._chunk(piece.candidate, delta, logprobs=logprobs))
            case "candidate_finish":
                end = event.candidate_finish
                refused = "refusal" in self._kinds.values()
                word = encode_finish(end.finish, native=False, refused=refused)
                note_finish(end.finish, word, f"candidates[{end.candidate}]", self._losses)
                written.append(self._chunk(end.candidate, {}, word))
            case "keep_alive":
                written.append(_KEEP_ALIVE)
            case _:
                pass

    def _opening(self, start: BlockStart) -> JsonObject:
        part: Part = start.part
        path = _path(start)
        note_part(part, path, self._losses, native=self._native)
        match part.WhichOneof("kind"):
            case "text":
                if self._calls.get(start.candidate):
                    self._losses.altered(path, TEXT_FIRST)
                return {"content": part.text} if part.text else {}
            case "refusal":
                return {"refusal": part.refusal} if part.refusal else {}
            case "reasoning":
                return {"reasoning_content": part.reasoning.text} if part.reasoning.text else {}
            case "tool_call":
                call = part.tool_call
                custom = call.kind == ToolKind.TOOL_KIND_CUSTOM
                kind, argument = ("custom", "input") if custom else ("function", "arguments")
                index = self._calls[start.candidate][start.block]
                inner = {"name": call.name, argument: call.arguments}
                return {"tool_calls": [{"index": index, "id": call.id, "type": kind, kind: inner}]}
            case "media" if takes_image(part.media):
                return {"images": [encode_content_part(part)]}
            case "media" if takes_sound(part.media):
                return self._sound(start, path)
            case _:
                return {}

    def _sound(self, start: BlockStart, path: str) -> JsonObject:
        if self._sounds.setdefault(start.candidate, start.block) != start.block:
            self._losses.dropped(path, ONE_SOUND)
            return {}
        media = start.part.media
        audio: JsonObject = {"data": encode_base64(media.data)} if media.data else {}
        if media.transcript:
            audio["transcript"] = media.transcript
        return {"audio": audio} if audio else {}

    def _continuation(self, delta: BlockDelta) -> JsonObject:
        kind = self._kinds.get((delta.candidate, delta.block), "text")
        match delta.WhichOneof("delta"):
            case "text":
                member = {"reasoning": "reasoning_content", "refusal": "refusal"}.get(kind, "content")
                return {member: delta.text}
            case "arguments":
                index = self._calls.get(delta.candidate, {}).get(delta.block, 0)
                return {"tool_calls": [{"index": index, "function": {"arguments": delta.arguments}}]}
            case "citation":
                note_citations((delta.citation,), _path(delta), self._losses)
                annotation = encode_annotation(delta.citation)
                if annotation is None:
                    return {}
                # OpenAI's SDK adds list entries of deltas up by their index and fails without one.
                index = self._annotations[delta.candidate]
                self._annotations[delta.candidate] += 1
                return {"annotations": [{"index": index, **annotation}]}
            case "data" | "transcript" if self._sounds.get(delta.candidate, delta.block) != delta.block:
                return {}
            case "data":
                return {"audio": {"data": encode_base64(delta.data)}}
            case "transcript":
                return {"audio": {"transcript": delta.transcript}}
            case "state" if delta.state.dialect == DIALECT and delta.state.kind == REASONING_DETAILS:
                return {REASONING_DETAILS: merge_details([delta.state.data])}
            case "state":
                self._losses.state(delta.state, _path(delta))
                return {}
            case _:
                return {}

    def _logprobs(self, delta: BlockDelta) -> JsonObject | None:
        value = own_logprobs(delta.logprobs_json)
        if value is None:
            self._losses.dropped(f"candidates[{delta.candidate}].logprobs_json", FOREIGN_LOGPROBS)
        return value

    def _finish(self, finished: Finished, written: list[bytes]) -> None:
        if not finished.complete:
            written.append(self._losses.comments(finished))
            if not self._failed:
                written.append(encode_event(self._failure(finished)))
            return
        usage = finished.usage if finished.HasField("usage") else self._usage
        if usage is not None and not self._native:
            note_usage(usage, self._losses)
            if self._include_usage:
                chunk: Any = {**self._envelope, "choices": [], "usage": encode_usage(usage)}
                written.append(encode_event(encode_json(chunk)))
        written.append(self._losses.comments(finished))
        written.append(_DONE)

    def _failure(self, finished: Finished) -> bytes:
        """The error object, in the provider's words if they are of this dialect."""
        provider = finished.error.provider
        error: LlmhubError = (
            message_error(finished.error)
            if finished.HasField("error")
            else StreamInterrupted("the answer broke off")
        )
        if provider.dialect == DIALECT and provider.body and error.reason != "UPSTREAM_AUTH_FAILED":
            try:
                value = decode_json(provider.body)
            except ValueError:
                value = None
            if isinstance(value, dict) and value.get("error"):
                return encode_json({"error": value["error"]})
        return encode_json({"error": error_object(error)})


def _path(place: BlockStart | BlockDelta) -> str:
    return f"candidates[{place.candidate}].parts[{place.block}]"
