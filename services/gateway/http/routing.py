"""Which endpoint a path is, and in whose shape its caller expects answers and failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from llmhub.provider.v1.provider_service_pb2 import Endpoint
from services.dialects.codec import ChatCodec
from services.dialects.gemini import EmbeddingShape, Framing, GeminiCodec
from services.gateway.http import gemini
from services.gateway.http.endpoints import (
    ANTHROPIC,
    ENDPOINTS,
    OPENAI,
    VendorEndpoint,
    counting,
    embedding,
    generation,
)
from services.gateway.http.exchange import Exchange
from services.gateway.http.question import in_path, in_path_streamed
from services.gateway.http.responses.endpoints import RESPONSES, ROOT

GEMINI: Final = GeminiCodec()
_ONE: Final = GeminiCodec(embedding=EmbeddingShape.SINGLE)
_LISTS: Final = ("/v1/models", "/v1beta/models")
_NO_HEADERS: Final[frozenset[str]] = frozenset()

_BY_VERB: Final[Mapping[str, VendorEndpoint]] = {
    "generateContent": generation(GEMINI, Endpoint.ENDPOINT_GEMINI_GENERATE, _NO_HEADERS, in_path),
    gemini.STREAM: generation(GEMINI, Endpoint.ENDPOINT_GEMINI_GENERATE, _NO_HEADERS, in_path_streamed),
    "countTokens": counting(GEMINI, GEMINI, Endpoint.ENDPOINT_GEMINI_COUNT_TOKENS, _NO_HEADERS, in_path),
    "embedContent": embedding(GEMINI, _ONE, Endpoint.ENDPOINT_GEMINI_EMBED, _NO_HEADERS, in_path),
    "batchEmbedContents": embedding(
        GEMINI, GEMINI, Endpoint.ENDPOINT_GEMINI_BATCH_EMBED, _NO_HEADERS, in_path
    ),
}
_ARRAY: Final = replace(
    generation(
        GeminiCodec(framing=Framing.ARRAY), Endpoint.ENDPOINT_GEMINI_GENERATE, _NO_HEADERS, in_path_streamed
    ),
    stream_type="application/json; charset=UTF-8",
)
"""A stream without alt=sse."""


@dataclass(frozen=True, slots=True)
class Found:
    """An endpoint, and the model that the path names where it names one."""

    endpoint: VendorEndpoint
    model: str = ""


def find(path: str, query: str) -> Found | None:
    """Return the endpoint at a path."""
    endpoint = ENDPOINTS.get(path)
    if endpoint is not None:
        return Found(endpoint)
    named = gemini.split(path)
    if named is None:
        return None
    model, verb = named
    return Found(_ARRAY if gemini.wants_array(path, query) else _BY_VERB[verb], model)


def is_list(path: str) -> bool:
    """Tell whether models are listed or described at a path."""
    return any(path == root or path.startswith(f"{root}/") for root in _LISTS)


def dialect_of(exchange: Exchange) -> ChatCodec:
    """Return the codec whose shapes the caller expects."""
    path = exchange.path
    if path.startswith("/v1/messages"):
        return ANTHROPIC
    if path == ROOT or path.startswith(f"{ROOT}/"):
        return RESPONSES
    if gemini.speaks(path, exchange.headers, exchange.query):
        return GEMINI
    return ANTHROPIC if is_list(path) and "anthropic-version" in exchange.headers else OPENAI
