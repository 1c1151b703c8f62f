"""Same dialect in and out: bytes pass as they are, and what they say is noted in passing."""

from __future__ import annotations

from llmhub.provider.v1.provider_service_pb2 import Progress
from services.dialects.bedrock.response import decode_response
from services.dialects.bedrock.stream_decode import BedrockStreamDecoder
from services.dialects.codec import Passed
from services.dialects.failure import error_message
from services.dialects.progress import observe
from services.runtime.errors import LlmhubError


def relay_answer(body: bytes) -> Progress:
    """Read what a whole answer says; raise UpstreamProtocol for what is no answer."""
    response = decode_response(body)
    progress = Progress(provider_model=response.provider_model, complete=True)
    for candidate in response.candidates:
        for part in candidate.parts:
            call = part.tool_call
            progress.content = True
            progress.output_characters += len(part.text) + len(part.reasoning.text) + len(part.opaque.json)
            progress.output_characters += len(call.name) + len(call.arguments)
        if candidate.HasField("finish"):
            progress.finish.CopyFrom(candidate.finish)
    if response.HasField("usage"):
        progress.usage.CopyFrom(response.usage)
    return progress


class BedrockRelayTap:
    """Watches a stream in passing; every byte goes on as it came."""

    __slots__ = ("_decoder", "_progress")

    def __init__(self) -> None:
        self._decoder: BedrockStreamDecoder | None = BedrockStreamDecoder()
        self._progress = Progress()

    def feed(self, data: bytes) -> Passed:
        """Note what these bytes say."""
        return Passed(data, self._note(data))

    def close(self) -> Passed:
        """Everything that was learnt; complete only if the stream ended as one and nothing in it was broken."""
        self._note(None)
        return Passed(b"", self._progress)

    def _note(self, data: bytes | None) -> Progress | None:
        if self._decoder is None:
            return None
        known = self._progress
        try:
            events = self._decoder.close() if data is None else self._decoder.feed(data)
        except LlmhubError as error:
            # What cannot be read still passes, but the answer is no longer one that ended properly.
            self._decoder = None
            known.complete = False
            known.error.CopyFrom(error_message(error))
            return known
        if not events:
            return None
        progress = observe(events, known.output_characters)
        progress.content = progress.content or known.content
        for name in ("usage", "finish", "error"):
            if known.HasField(name) and not progress.HasField(name):
                getattr(progress, name).CopyFrom(getattr(known, name))
        last = events[-1]
        if last.HasField("finished") and last.finished.HasField("error"):
            progress.error.CopyFrom(last.finished.error)
        self._progress = progress
        return progress
