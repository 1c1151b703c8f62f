"""What a call asks for, in the form its target takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmhub.completion.v1.completion_service_pb2 import (
    CountTokensResponse,
    GenerateRequest,
    GenerateResponse,
)
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest, EmbedResponse
from llmhub.provider.v1.provider_service_pb2 import Endpoint, Progress


@dataclass(frozen=True, slots=True)
class Generate:
    """A generation in the contract's words."""

    request: GenerateRequest
    stream: bool


@dataclass(frozen=True, slots=True)
class CountTokens:
    """A count of a request's input tokens."""

    request: GenerateRequest


@dataclass(frozen=True, slots=True)
class Embed:
    """An embedding."""

    request: EmbedRequest


@dataclass(frozen=True, slots=True)
class Relay:
    """A body that already has the target's dialect."""

    endpoint: Endpoint.ValueType
    body: bytes
    stream: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""


Payload = Generate | CountTokens | Embed | Relay

WholeAnswer = GenerateResponse | CountTokensResponse | EmbedResponse


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole answer as the one piece of its call."""

    answer: WholeAnswer
    progress: Progress
