"""Writes a stream of any other origin as the vendor would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from llmhub.types.v1.generation_pb2 import Candidate
from llmhub.types.v1.stream_pb2 import Finished, Started, StreamEvent
from llmhub.types.v1.usage_pb2 import Usage
from services.dialects.answer_losses import AnswerLosses
from services.dialects.codec import DecodedRequest
from services.dialects.failure import message_error
from services.dialects.members import JsonObject, encode_json
from services.dialects.openai_responses.answer_losses import note_candidate, note_finish, note_usage
from services.dialects.openai_responses.echo import echoed
from services.dialects.openai_responses.errors import error_object
from services.dialects.openai_responses.response import bare_response, close_response
from services.dialects.openai_responses.stream_blocks import BlockWriter
from services.dialects.openai_responses.wire import DIALECT, response_id_of
from services.dialects.sse import encode_event
from services.runtime.errors import LlmhubError, StreamInterrupted

_KEEP_ALIVE: Final = b": keep-alive\n\n"


class StreamWriter:
    """Writes one stream."""

    def __init__(self, request: DecodedRequest) -> None:
        self._request = request
        self._response: JsonObject = {}
        self._sequence = 0
        self._losses = AnswerLosses()
        self._blocks = BlockWriter("", self._send, self._losses)
        self._candidate = Candidate()
        self._usage: Usage | None = None
        self._written: list[bytes] = []

    def write(self, events: Sequence[StreamEvent], written: list[bytes]) -> None:
        """Add the bytes for these events."""
        self._written = written
        for event in events:
            if event.extensions:
                self._losses.foreign(event.extensions, DIALECT)
            self._event(event)

    def fail(self, finished: Finished, written: list[bytes], sequence: int | None = None) -> None:
        """Say that the answer broke off: first as the vendor's SDKs raise it, then with what there is."""
        self._written = written
        if sequence is not None:
            self._sequence = sequence
        error: LlmhubError = (
            message_error(finished.error)
            if finished.HasField("error")
            else StreamInterrupted("the answer broke off")
        )
        told = error_object(error)
        written.append(self._losses.comments(finished))
        self._send("error", error=told, code=told["code"], message=told["message"], param=told["param"])
        if self._response:
            failed = {"code": told["code"], "message": told["message"]}
            self._response |= {"status": "failed", "error": failed, "output": self._blocks.output()}
            self._send("response.failed", response=self._response)

    def _event(self, event: StreamEvent) -> None:
        match event.WhichOneof("event"):
            case "started":
                self._start(event.started)
            case "block_start":
                if event.block_start.candidate:
                    note_candidate(event.block_start.candidate, self._losses)
                else:
                    self._blocks.open(event.block_start)
            case "block_delta" if event.block_delta.candidate == 0:
                self._blocks.go_on(event.block_delta)
            case "block_stop" if event.block_stop.candidate == 0:
                self._blocks.stop(event.block_stop.block)
            case "candidate_finish" if event.candidate_finish.candidate == 0:
                self._candidate.finish.CopyFrom(event.candidate_finish.finish)
            case "usage":
                self._usage = event.usage
            case "keep_alive":
                self._written.append(_KEEP_ALIVE)
            case "finished":
                self._finish(event.finished)
            case _:
                pass

    def _send(self, kind: str, **members: Any) -> None:
        frame = {"type": kind, "sequence_number": self._sequence, **members}
        self._sequence += 1
        self._written.append(encode_event(encode_json(frame), kind))

    def _start(self, started: Started) -> None:
        self._losses.announced(started)
        response_id = response_id_of(started.response_id, self._request.request.request_id)
        self._blocks = BlockWriter(response_id, self._send, self._losses)
        self._response = bare_response(
            response_id, started.model, started.created_at.seconds, echoed(self._request.request)
        )
        self._send("response.created", response=self._response)
        self._send("response.in_progress", response=self._response)

    def _finish(self, finished: Finished) -> None:
        if not finished.complete:
            self.fail(finished, self._written)
            return
        if not self._response:
            self._start(Started())
        self._blocks.end()
        usage = finished.usage if finished.HasField("usage") else self._usage
        self._response["output"] = self._blocks.output()
        close_response(self._response, self._candidate, usage)
        note_finish(self._candidate.finish, "candidates[0]", self._losses)
        if usage is not None:
            note_usage(usage, self._losses)
        self._written.append(self._losses.comments(finished))
        self._send(f"response.{self._response['status']}", response=self._response)
