"""Events to a ConverseStream answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from llmhub.types.v1.content_pb2 import MEDIA_KIND_IMAGE, TOOL_KIND_CUSTOM, Part
from llmhub.types.v1.stream_pb2 import BlockDelta, Finished, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.bedrock.citations import write_citation
from services.dialects.bedrock.errors import error_object, stream_error_type
from services.dialects.bedrock.finish import write_finish
from services.dialects.bedrock.formats import format_of
from services.dialects.bedrock.usage import write_usage
from services.dialects.bedrock.wire import DIALECT, REDACTED, SIGNATURE, own_state
from services.dialects.data_urls import encode_base64
from services.dialects.eventstream import encode_frame
from services.dialects.failure import message_error
from services.dialects.members import Extension, JsonObject, encode_json
from services.dialects.quiet import merge_back
from services.dialects.text_tools import function_name, text_arguments
from services.runtime.errors import StreamInterrupted

_OF_CANDIDATES: Final = {"block_start", "block_delta", "block_stop", "candidate_finish"}


@dataclass(slots=True)
class _Written:
    """A block that was begun on the wire."""

    kind: str
    custom: bool = False
    arguments: list[str] = field(default_factory=list)


class BedrockStreamEncoder:
    """Writes one stream: frames of Bedrock's own as they were, those of others as Bedrock would send them."""

    __slots__ = ("_calls", "_done", "_out", "_own", "_started", "_stopped", "_usage", "_written")

    def __init__(self) -> None:
        self._written: dict[int, _Written] = {}
        self._out: list[bytes] = []
        self._usage = Usage()
        self._started = self._own = self._done = self._calls = self._stopped = False

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        """Return the bytes for these events; nothing after the terminal one."""
        for event in events:
            if self._done:
                break
            kind = event.WhichOneof("event") or ""
            if kind in _OF_CANDIDATES and getattr(event, kind).candidate != 0:
                continue
            match kind:
                case "block_delta":
                    self._delta(event)
                case "block_start":
                    self._block_start(event)
                case "block_stop":
                    self._block_stop(event)
                case "candidate_finish":
                    self._stop(event)
                case _:
                    self._rest(kind, event)
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _rest(self, kind: str, event: StreamEvent) -> None:
        match kind:
            case "started":
                self._start(event)
            case "usage":
                self._totals(event)
            case "keep_alive":
                self._keep_alive(event)
            case "finished":
                self._finish(event)
            case _:
                pass

    def _stop(self, event: StreamEvent) -> None:
        self._stopped = True
        self._send("messageStop", write_finish(event.candidate_finish.finish, calls=self._calls), event)

    def _send(self, name: str, body: JsonObject, event: StreamEvent | None = None) -> None:
        if event is not None and event.extensions:
            merge_back(body, Extension(event.extensions, DIALECT))
        self._out.append(encode_frame(name, encode_json(body)))

    def _start(self, event: StreamEvent) -> None:
        self._started = True
        self._own = DIALECT in event.extensions
        body = merge_back({}, Extension(event.extensions, DIALECT))
        self._send("messageStart", {"role": "assistant", **body})

    def _totals(self, event: StreamEvent) -> None:
        self._usage = event.usage
        if not self._own:
            return
        body: JsonObject = {"usage": msgspec.Raw(event.usage.provider_json)}
        if event.usage.service_tier:
            body["serviceTier"] = {"type": event.usage.service_tier}
        self._send("metadata", body, event)

    def _keep_alive(self, event: StreamEvent) -> None:
        frame = Extension(event.extensions, DIALECT).members.get("frame")
        if isinstance(frame, dict):
            # A frame that the contract has no event for.
            self._out.append(encode_frame(str(frame.get("name", "")), encode_json(frame.get("payload"))))

    def _finish(self, event: StreamEvent) -> None:
        self._done = True
        finished = event.finished
        if not finished.complete:
            self._fail(finished, event)
            return
        if self._own:
            return
        if not self._started:
            self._start(StreamEvent())
        if not self._stopped:
            self._send("messageStop", {"stopReason": "tool_use" if self._calls else "end_turn"})
        usage = finished.usage if finished.HasField("usage") else self._usage
        self._send("metadata", {"usage": write_usage(usage), "metrics": {"latencyMs": 0}})

    def _fail(self, finished: Finished, event: StreamEvent) -> None:
        frame = Extension(event.extensions, DIALECT).members.get("frame")
        if isinstance(frame, dict) and frame.get("kind") == "exception":
            payload = encode_json(frame.get("payload"))
            self._out.append(encode_frame(str(frame.get("name", "")), payload, "exception"))
            return
        if finished.HasField("error"):
            error = message_error(finished.error)
        else:
            error = StreamInterrupted("the provider's answer broke off")
        self._out.append(
            encode_frame(stream_error_type(error), encode_json(error_object(error)), "exception")
        )

    def _block_start(self, event: StreamEvent) -> None:
        index, part = event.block_start.block, event.block_start.part
        kind = part.WhichOneof("kind") or ""
        start: JsonObject | msgspec.Raw | None = None
        written = _Written(kind)
        match kind:
            case "tool_call":
                self._calls = True
                written.custom = part.tool_call.kind == TOOL_KIND_CUSTOM
                call: JsonObject = {"toolUseId": part.tool_call.id, "name": function_name(part.tool_call)}
                start = {"toolUse": merge_back(call, Extension(part.extensions, DIALECT))}
            case "media" if part.media.kind == MEDIA_KIND_IMAGE:
                image: JsonObject = {"format": format_of(part.media)} if part.media.mime_type else {}
                start = {"image": merge_back(image, Extension(part.extensions, DIALECT))}
            case "opaque" if part.opaque.dialect == DIALECT:
                start = None if _is_made_up(event) else msgspec.Raw(part.opaque.json)
            case "media" | "opaque" | "tool_result" | "":
                # Nothing of Bedrock's streams can hold it.
                return
            case _:
                pass
        self._written[index] = written
        if start is not None:
            self._send("contentBlockStart", {"contentBlockIndex": index, "start": start}, event)
        self._begin(index, part, written)

    def _begin(self, index: int, part: Part, written: _Written) -> None:
        """Write what the start of another dialect's block holds already."""
        held = BlockDelta(block=index)
        if text := part.text or part.refusal or part.reasoning.text:
            held.text = text
        elif part.tool_call.arguments:
            held.arguments = part.tool_call.arguments
        elif part.media.data:
            held.data = part.media.data
        pieces = [held, *(BlockDelta(block=index, citation=citation) for citation in part.citations)]
        if part.HasField("state"):
            pieces.append(BlockDelta(block=index, state=part.state))
        for piece in pieces:
            body = self._delta_body(piece, written)
            if body is not None:
                self._send("contentBlockDelta", {"contentBlockIndex": index, "delta": body})

    def _block_stop(self, event: StreamEvent) -> None:
        index = event.block_stop.block
        written = self._written.pop(index, None)
        if written is None or _is_made_up(event):
            return
        if written.custom:
            text = text_arguments("".join(written.arguments))
            self._send(
                "contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": text}}}
            )
        self._send("contentBlockStop", {"contentBlockIndex": index}, event)

    def _delta(self, event: StreamEvent) -> None:
        delta = event.block_delta
        written = self._written.get(delta.block)
        if written is None or _is_made_up(event):
            return
        body = self._delta_body(delta, written)
        if body is not None:
            self._send("contentBlockDelta", {"contentBlockIndex": delta.block, "delta": body}, event)

    def _delta_body(self, delta: BlockDelta, written: _Written) -> JsonObject | msgspec.Raw | None:
        """The `delta` member; None for what Bedrock's streams have no delta for."""
        match delta.WhichOneof("delta"):
            case "text" if written.kind == "reasoning":
                return {"reasoningContent": {"text": delta.text}}
            case "text":
                return {"text": delta.text}
            case "arguments" if written.custom:
                written.arguments.append(delta.arguments)
                return None
            case "arguments":
                return {"toolUse": {"input": delta.arguments}}
            case "state":
                return _state(delta)
            case "citation":
                citation = write_citation(delta.citation)
                return None if citation is None else {"citation": citation}
            case "data":
                return {"image": {"source": {"bytes": encode_base64(delta.data)}}}
            case "opaque_json":
                return msgspec.Raw(delta.opaque_json)
            case _:
                return None


def _state(delta: BlockDelta) -> JsonObject | None:
    signature = own_state(delta.state, SIGNATURE)
    if signature is not None:
        return {"reasoningContent": {"signature": signature.decode("utf-8", "replace")}}
    redacted = own_state(delta.state, REDACTED)
    return None if redacted is None else {"reasoningContent": {REDACTED: encode_base64(redacted)}}


def _is_made_up(event: StreamEvent) -> bool:
    return bool(event.extensions) and "made" in Extension(event.extensions, DIALECT).shape
