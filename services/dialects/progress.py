"""What stream events tell a meter."""

from __future__ import annotations

from collections.abc import Iterable

from llmhub.provider.v1.provider_service_pb2 import Progress
from llmhub.types.v1.stream_pb2 import StreamEvent


def observe(events: Iterable[StreamEvent], characters: int = 0) -> Progress:
    """Return the progress that these events make, after `characters` of output before them."""
    progress = Progress()
    content = False
    for event in events:
        match event.WhichOneof("event"):
            case "block_delta":
                delta = event.block_delta
                characters += (
                    len(delta.text) + len(delta.arguments) + len(delta.opaque_json) + len(delta.transcript)
                )
                content = True
            case "block_start":
                part = event.block_start.part
                characters += len(part.text) + len(part.tool_call.name) + len(part.opaque.json)
                content = (
                    content or part.WhichOneof("kind") in {"tool_call", "opaque", "media"} or bool(part.text)
                )
            case "usage":
                progress.usage.CopyFrom(event.usage)
            case "candidate_finish":
                progress.finish.CopyFrom(event.candidate_finish.finish)
            case "started":
                progress.response_id = event.started.response_id
                progress.provider_model = event.started.model
            case "finished":
                progress.complete = event.finished.complete
                if event.finished.HasField("usage"):
                    progress.usage.CopyFrom(event.finished.usage)
            case _:
                pass
    progress.content = content
    progress.output_characters = characters
    return progress
