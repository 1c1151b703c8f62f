"""What a request requires of a model, read off its content."""

from __future__ import annotations

from collections.abc import Iterable

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.model.v1.model_service_pb2 import Capability
from llmhub.route.v1.route_service_pb2 import Needs, Operation
from llmhub.types.v1.content_pb2 import MediaKind, Part
from llmhub.types.v1.usage_pb2 import Modality

_MODALITIES = {
    MediaKind.MEDIA_KIND_IMAGE: Modality.MODALITY_IMAGE,
    MediaKind.MEDIA_KIND_AUDIO: Modality.MODALITY_AUDIO,
    MediaKind.MEDIA_KIND_VIDEO: Modality.MODALITY_VIDEO,
    MediaKind.MEDIA_KIND_DOCUMENT: Modality.MODALITY_DOCUMENT,
}


def of_request(request: GenerateRequest, operation: Operation.ValueType) -> Needs:
    """Return the needs of a generation or a count."""
    needs = Needs(operation=operation)
    if request.tools:
        needs.capabilities.append(Capability.CAPABILITY_TOOLS)
    match request.response_format.WhichOneof("kind"):
        case "json_schema":
            needs.capabilities.append(Capability.CAPABILITY_STRUCTURED_OUTPUT)
        case "json":
            needs.capabilities.append(Capability.CAPABILITY_JSON_MODE)
        case _:
            pass
    modalities: set[Modality.ValueType] = set()
    origins: dict[str, None] = {}
    for message in request.messages:
        _read(message.parts, modalities, origins)
    needs.input_modalities.extend(sorted(modalities))
    needs.state_origins.extend(origins)
    return needs


def _read(parts: Iterable[Part], modalities: set[Modality.ValueType], origins: dict[str, None]) -> None:
    for part in parts:
        kind = part.WhichOneof("kind")
        if kind == "media" and part.media.kind in _MODALITIES:
            modalities.add(_MODALITIES[part.media.kind])
        elif kind == "tool_result":
            _read(part.tool_result.parts, modalities, origins)
        if part.HasField("state") and part.state.provider:
            origins[part.state.provider] = None
