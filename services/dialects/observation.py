"""Relaying by way of the contract: the bytes go through, and what the codec reads in them is noted."""

from __future__ import annotations

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.provider.v1.provider_service_pb2 import Progress
from llmhub.types.v1.content_pb2 import Part
from services.dialects.codec import Passed, RelayBody, StreamDecoder
from services.dialects.failure import error_message
from services.dialects.members import encode_json, request_object
from services.dialects.progress import observe
from services.dialects.raw_json import raw_members
from services.runtime.errors import LlmhubError, RequestInvalid, Violation


def replace_model(body: bytes, model: str) -> RelayBody:
    """Replace `model`; every other member keeps its bytes. Raise RequestInvalid for what is no JSON object."""
    try:
        members = raw_members(body)
    except ValueError:
        request_object(body)
        raise RequestInvalid(
            "the body is not valid JSON", violations=(Violation("", "not valid JSON"),)
        ) from None
    members["model"] = msgspec.Raw(encode_json(model))
    return RelayBody(encode_json(members))


def answer_progress(response: GenerateResponse) -> Progress:
    """What a whole answer tells a meter."""
    progress = Progress(
        content=any(candidate.parts for candidate in response.candidates),
        output_characters=sum(_length(part) for each in response.candidates for part in each.parts),
        response_id=response.response_id,
        provider_model=response.provider_model,
        complete=True,
    )
    if response.HasField("usage"):
        progress.usage.CopyFrom(response.usage)
    if response.candidates and response.candidates[0].HasField("finish"):
        progress.finish.CopyFrom(response.candidates[0].finish)
    return progress


def _length(part: Part) -> int:
    call = part.tool_call
    return (
        len(part.text)
        + len(part.reasoning.text)
        + len(part.refusal)
        + len(call.name)
        + len(call.arguments)
        + len(part.opaque.json)
    )


class DecodingTap:
    """Watches a relayed stream with its decoder; every byte goes on as it came."""

    __slots__ = ("_broken", "_decoder", "_progress")

    def __init__(self, decoder: StreamDecoder) -> None:
        self._decoder = decoder
        self._progress = Progress()
        self._broken = False

    def feed(self, data: bytes) -> Passed:
        """Note what these bytes say; what cannot be read still passes, but the stream is no longer whole."""
        return Passed(data, self._note(data))

    def close(self) -> Passed:
        """Everything that was learnt; complete only if the stream ended properly."""
        self._note(None)
        return Passed(b"", self._snapshot())

    def _note(self, data: bytes | None) -> Progress | None:
        if self._broken:
            return None
        try:
            events = self._decoder.close() if data is None else self._decoder.feed(data)
        except LlmhubError as error:
            self._broken = True
            self._progress.complete = False
            self._progress.error.CopyFrom(error_message(error))
            return self._snapshot()
        if not events:
            return None
        news = observe(events, self._progress.output_characters)
        for event in events:
            if event.HasField("finished") and not event.finished.complete:
                news.error.CopyFrom(event.finished.error)
        self._progress.MergeFrom(news)
        if news.HasField("usage"):
            self._progress.usage.CopyFrom(news.usage)
        return self._snapshot()

    def _snapshot(self) -> Progress:
        shown = Progress()
        shown.CopyFrom(self._progress)
        return shown
