"""Acme's JSON ↔ the contract. No input or output here, so that it can be tested by itself."""

from __future__ import annotations

import json
from typing import Any

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from llmhub.types.v1.content_pb2 import Part, Role
from llmhub.types.v1.generation_pb2 import Candidate, Finish, FinishReason, WarningKind
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.stream_pb2 import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CandidateFinish,
    Finished,
    Started,
    StreamEvent,
)
from llmhub.types.v1.usage_pb2 import Measure, Usage
from services.runtime.errors import UpstreamAuthFailed, UpstreamFailed, UpstreamProtocol, UpstreamRejected

FINISH = {
    "end": FinishReason.FINISH_REASON_END,
    "limit": FinishReason.FINISH_REASON_MAX_TOKENS,
}


def write_request(
    request: GenerateRequest, model: str, suffix: str, *, stream: bool
) -> tuple[bytes, list[LossWarning]]:
    """Write a request; what Acme cannot do is told, never dropped in silence."""
    warnings = []
    lines = []
    for index, message in enumerate(request.messages):
        for place, part in enumerate(message.parts):
            if part.WhichOneof("kind") == "text":
                lines.append(f"{Role.Name(message.role).removeprefix('ROLE_').lower()}: {part.text}")
            else:
                warnings.append(_dropped(f"messages[{index}].parts[{place}]", "Acme reads text only"))
    if request.tools:
        warnings.append(_dropped("tools", "Acme calls no tools"))
    body: dict[str, Any] = {"model": model, "prompt": "\n".join(lines) + suffix, "stream": stream}
    if request.options.HasField("max_output_tokens"):
        body["limit"] = request.options.max_output_tokens
    return json.dumps(body).encode(), warnings


def read_answer(body: bytes, model: str) -> GenerateResponse:
    """Read a whole answer."""
    value = _object(body)
    finish = _finish(value)
    return GenerateResponse(
        provider_model=model,
        candidates=[Candidate(parts=[Part(text=str(value.get("text", "")))], finish=finish)],
        usage=_usage(value),
    )


class StreamReader:
    """Reads a streamed answer, which is a JSON object a line; any split of it gives the same events."""

    def __init__(self, model: str, warnings: list[LossWarning]) -> None:
        self._model = model
        self._warnings = warnings
        self._rest = b""
        self._open = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Return the events that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [event for line in lines if line.strip() for event in self._events(_object(line))]

    def _events(self, value: dict[str, Any]) -> list[StreamEvent]:
        events = []
        if not self._open:
            self._open = True
            events += [
                StreamEvent(started=Started(model=self._model, warnings=self._warnings)),
                StreamEvent(block_start=BlockStart(block=0, part=Part(text=""))),
            ]
        if "piece" in value:
            events.append(StreamEvent(block_delta=BlockDelta(block=0, text=str(value["piece"]))))
        if value.get("done"):
            usage = _usage(value)
            events += [
                StreamEvent(block_stop=BlockStop(block=0)),
                StreamEvent(candidate_finish=CandidateFinish(finish=_finish(value))),
                StreamEvent(usage=usage),
                StreamEvent(finished=Finished(complete=True, usage=usage)),
            ]
        return events


def read_failure(status: int, body: bytes, provider: str) -> Exception:
    """Return the error that a failed answer means; choose by status, never by words."""
    try:
        problem = str(json.loads(body).get("problem", ""))
    except (ValueError, AttributeError):
        problem = ""
    text = f"{provider}: {problem or f'status {status}'}"
    if status in {401, 403}:
        return UpstreamAuthFailed(text, provider=provider)
    kind = UpstreamFailed if status >= 500 else UpstreamRejected
    return kind(text, provider=provider)


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UpstreamProtocol("Acme sent what is no JSON object")
    return value


def _finish(value: dict[str, Any]) -> Finish:
    told = str(value.get("stopped", ""))
    return Finish(reason=FINISH.get(told, FinishReason.FINISH_REASON_UNSPECIFIED), provider_reason=told)


def _usage(value: dict[str, Any]) -> Usage:
    """Read what was used; what is not told stays unset, for unknown is not zero."""
    tokens = value.get("tokens")
    usage = Usage(measure=Measure.MEASURE_VENDOR)
    if isinstance(tokens, dict):
        if type(tokens.get("read")) is int:
            usage.input_tokens = tokens["read"]
        if type(tokens.get("written")) is int:
            usage.output_tokens = tokens["written"]
    return usage


def _dropped(field: str, message: str) -> LossWarning:
    return LossWarning(kind=WarningKind.WARNING_KIND_DROPPED, field=field, message=message)
